"""Weights as the register tile reads them: blocks of outputs, taps and channels in a row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from npconv import spare
from npconv.problem import ConvProblem
from npconv.templates import Template

if TYPE_CHECKING:
    from npconv.kernels.blocks import Weights

_WORTH = 1 << 17  # elements of a weight for a thread
_SHARES = 8
_KEPT = 1 << 10  # taps whose offsets are remembered


def pack(problem: ConvProblem, block: int, weight: np.ndarray) -> np.ndarray:
    """Return weight (*kernel, channels, outputs) as (groups, blocks, taps, channels, block).

    Zeros stand after the last output of a group.
    """
    weight = ready(problem, weight)
    shape, template = work(problem, block, weight)
    packed = spare.empty(shape, problem.compute_dtype)
    template.run(weight.ctypes.data, packed.ctypes.data)
    return packed


def ready(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return a weight in the compute dtype, and aligned: itself if it is so."""
    weight = weight.astype(problem.compute_dtype, copy=False)
    return weight if weight.flags.aligned else weight.copy()


def work(problem: ConvProblem, block: int, weight: np.ndarray) -> tuple[tuple[int, ...], Template]:
    """Return the shape of what is packed, and the work that takes the addresses of both."""
    find = _template if problem.taps <= _KEPT else _template.__wrapped__
    return find(problem, block, weight.strides, _WORTH)


def as_it_lies(
    problem: ConvProblem, block: int, strides: tuple[int, ...]
) -> tuple[Weights, np.ndarray]:
    """Return the record of a weight of these strides, and the offsets that it points to."""
    from npconv.kernels import blocks as kernels

    shape = problem.weight_shape
    steps = [s if n > 1 else problem.itemsize for n, s in zip(shape, strides, strict=True)]
    taps = tap_offsets(problem.kernel_size, steps[:-2], [1] * problem.ndim)
    channels, outputs = problem.group_channels, problem.group_outputs
    count = problem.groups * -(-outputs // block)
    record = kernels.Weights(
        0, 0, taps.ctypes.data, len(taps), steps[-2], steps[-1], channels, outputs, block, count,
        count,
    )  # fmt: skip
    return record, taps


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem, block: int, strides: tuple[int, ...], worth: int
) -> tuple[tuple[int, ...], Template]:
    """Return the shape of what is packed, and the work of packing it."""
    from npconv.kernels import blocks as kernels
    from npconv.kernels.fields import words

    record, taps = as_it_lies(problem, block, strides)
    count, channels = record.blocks, record.channels
    shares = max(min(count * block * len(taps) * channels // worth, count, _SHARES), 1)
    item = -(-count // shares)
    entry = kernels.pack[problem.compute_dtype.char]
    made = Template(entry, words(record._replace(item_blocks=item)), -(-count // item), kept=taps)
    return (problem.groups, count // problem.groups, len(taps), channels, block), made


def tap_offsets(
    kernel_size: Sequence[int], steps: Sequence[int], dilation: Sequence[int]
) -> np.ndarray:
    """Return the byte offset of each tap, int64, in the kernel's order."""
    taps = np.zeros(1, np.int64)
    for n, step, hole in zip(kernel_size, steps, dilation, strict=True):
        move = step * hole if n > 1 else 0
        taps = (taps[:, None] + np.arange(n, dtype=np.int64) * move).ravel()
    return taps
