"""Weights as the register tile reads them: blocks of outputs, taps and channels in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv.problem import ConvProblem
from npconv.threads import for_each

_WORTH = 1 << 17  # elements of a weight for a thread
_SHARES = 8


def pack(problem: ConvProblem, block: int, weight: np.ndarray) -> np.ndarray:
    """Return one group's weight (*kernel, channels, outputs) as (blocks, taps, channels, block).

    Zeros stand after the last output.
    """
    from npconv.kernels import direct

    size = problem.itemsize
    weight = weight.astype(problem.compute_dtype, copy=False)
    if not weight.flags.aligned:
        weight = weight.copy()
    ones = [1] * problem.ndim
    taps = tap_offsets(problem.kernel_size, weight.strides[:-2], ones)
    channels, outputs = weight.shape[-2:]
    blocks = -(-outputs // block)
    packed = np.empty((blocks, len(taps), channels, block), problem.compute_dtype)
    steps = [s if n > 1 else size for n, s in zip(weight.shape, weight.strides, strict=True)]
    counts = np.array([channels, outputs], np.int64)
    zero = problem.compute_dtype.type(0)

    def step(blocks: slice) -> None:
        direct.pack(
            weight.ctypes.data, steps[-2], steps[-1], taps, counts, packed.ctypes.data, block,
            blocks.start, blocks.stop, zero,
        )  # fmt: skip

    shares = max(min(packed.size // _WORTH, blocks, _SHARES), 1)
    each = -(-blocks // shares)
    for_each([slice(a, min(a + each, blocks)) for a in range(0, blocks, each)], step)
    return packed


def tap_offsets(
    kernel_size: Sequence[int], steps: Sequence[int], dilation: Sequence[int]
) -> np.ndarray:
    """Return the byte offset of each tap, int64, in the kernel's order."""
    taps = np.zeros(1, np.int64)
    for n, step, hole in zip(kernel_size, steps, dilation, strict=True):
        move = step * hole if n > 1 else 0
        taps = (taps[:, None] + np.arange(n, dtype=np.int64) * move).ravel()
    return taps
