"""Kernels of one tap where arrays lie in planes: outputs are rows of a tile, pixels its columns.

So neither x nor out is turned to channels last and back; the weight is read as it lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from npconv import relayout
from npconv.algorithms.contract import Cost, Ending
from npconv.algorithms.indirect import places
from npconv.problem import ConvProblem
from npconv.threads import for_each

_PANELS_NBYTES = 1 << 17  # of panels held at once


def suits(problem: ConvProblem) -> bool:
    """Return whether every output is of one pixel, and x and out lie in planes."""
    alone = all(n == 1 or s == 1 for n, s in zip(problem.out_size, problem.stride, strict=True))
    same = problem.out_size == problem.size and not any(b for b, _ in problem.padding)
    planes = not problem.channels_last and problem.pixels > 1
    return problem.taps == 1 and alone and same and planes


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, the weight's copy, and that of x in another dtype."""
    block = places.wide_block(problem)
    rows = 13
    filled = -(-problem.group_outputs // rows) * rows / max(problem.group_outputs, 1)
    filled *= -(-problem.pixels // block) * block / problem.pixels
    size = problem.itemsize
    x = 0 if problem.x_dtype == problem.compute_dtype else math.prod(problem.x_shape) * size
    weight = problem.group_outputs * (problem.group_channels + 1) * size
    panels = problem.batch * problem.pixels * problem.in_channels * size
    each = 8 * _entries(problem, rows, block, problem.group_channels + 1)
    steps = places.waiting(problem) + 20 + problem.groups * 10
    moved = 2 * (x + weight * problem.groups) + panels
    held = x + weight + block * size + each
    return Cost(2 * problem.macs * filled, moved, held, steps, each=each, helpers=places.SHARES - 1)


def weights(problem: ConvProblem, weight: np.ndarray) -> Iterator[np.ndarray]:
    """Yield each group's weight (outputs, channels), a view where it can be one."""
    matrix = weight.astype(problem.compute_dtype, copy=False).reshape(weight.shape[-2:]).T
    if not matrix.flags.aligned:
        matrix = matrix.copy()
    for g in range(problem.groups):
        yield matrix[g * problem.group_outputs : (g + 1) * problem.group_outputs]


def forward(
    problem: ConvProblem, x: np.ndarray, matrices: Iterable[np.ndarray], out: np.ndarray,
    ending: Ending,
) -> None:  # fmt: skip
    """Write out from each group's weight (outputs, channels)."""
    from npconv.kernels import pointwise as kernels
    from npconv.kernels import products, simd
    from npconv.kernels.tile import Store

    dtype = problem.compute_dtype
    source = x if _lies_in_planes(problem, x) else _planes(problem, x.shape)
    target = out if _lies_in_planes(problem, out) else _planes(problem, out.shape)
    if source is not x:
        relayout.copy(x, source)
    block = products.VECTORS * simd.lanes(dtype.name)
    zeros = np.zeros(block, dtype)
    store = Store(zeros.ctypes.data, 0, dtype.type(ending.least), dtype.type(ending.most))
    channels, outputs = problem.group_channels, problem.group_outputs
    inner = channels + (ending.bias is not None)
    panels = problem.batch * -(-problem.pixels // block)
    tiles = -(-outputs // products.ROWS)
    held = _held(problem, block, inner)
    counts = np.array([problem.pixels, channels, inner, outputs, held], np.int64)
    entries = _entries(problem, products.ROWS, block, inner)
    for g, matrix in enumerate(matrices):
        if ending.bias is not None:
            bias = ending.bias[g * outputs : (g + 1) * outputs]
            matrix = np.concatenate([matrix, bias[:, None]], 1)
        steps = [s if n > 1 else 0 for n, s in zip(matrix.shape, matrix.strides, strict=True)]
        rows = kernels.Rows(matrix.ctypes.data, *steps)
        given = source[..., g * channels :]
        met = kernels.Planes(given.ctypes.data, given.strides[0], given.strides[-1])
        sought = target[..., g * outputs :]
        goal = kernels.Planes(sought.ctypes.data, sought.strides[0], sought.strides[-1])

        def step(
            part: kernels.Part,
            met: kernels.Planes = met,
            goal: kernels.Planes = goal,
            rows: kernels.Rows = rows,
        ) -> None:
            scratch = np.empty(entries, np.int64)
            kernels.convolve(met, goal, rows, part, counts, store, scratch)

        for_each([kernels.Part(*p) for p in places.parts(problem, panels, tiles)], step)
    if target is not out:
        relayout.copy(target, out)


def _lies_in_planes(problem: ConvProblem, array: np.ndarray) -> bool:
    """Return whether the pixels of each channel lie side by side, in the compute dtype."""
    step = problem.itemsize
    for n, stride in zip(array.shape[-2:0:-1], array.strides[-2:0:-1], strict=True):
        if n > 1 and stride != step:
            return False
        step *= n
    return array.dtype == problem.compute_dtype and array.flags.aligned


def _planes(problem: ConvProblem, shape: tuple[int, ...]) -> np.ndarray:
    """Return a new canonical array that lies in planes."""
    return np.moveaxis(np.empty((shape[0], shape[-1], *shape[1:-1]), problem.compute_dtype), 1, -1)


def _held(problem: ConvProblem, block: int, inner: int) -> int:
    """Return how many panels are held at once."""
    panels = problem.batch * -(-problem.pixels // block)
    return max(min(_PANELS_NBYTES // (inner * block * problem.itemsize), 8, panels), 1)


def _entries(problem: ConvProblem, rows: int, block: int, inner: int) -> int:
    """Return how many int64 a part needs: addresses, a tile of outputs, and panels."""
    elements = block * (rows + _held(problem, block, inner) * inner)
    return 3 * rows + -(-elements * problem.itemsize // 8)
