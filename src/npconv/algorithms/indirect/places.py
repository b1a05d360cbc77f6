"""Where arrays lie, and how much a tile of registers holds of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv import arrays, borders, compiler
from npconv.problem import ConvProblem

SHARES = 8  # of the pixels, or of the outputs
_REACH = 1 << 24  # positions along an axis
_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 1e6  # steps
_KERNELS = ("direct", "pointwise", "gradient")


def why_not(problem: ConvProblem) -> str:
    """Return "" for float32 and float64 in up to three dimensions, where Numba is installed."""
    if reason := compiler.missing():
        return reason
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    if problem.ndim > 3:
        return f"its tables have three spatial axes, not {problem.ndim}"
    reach = max(problem.reach(problem.out_size, problem.out_size)[1], default=0)
    if reach > _REACH:
        return f"the windows reach over {reach} positions, and its tables list each"
    return ""


def strides(problem: ConvProblem) -> list[int]:
    """Return the strides, 0 where there is no second window: any integer may stand there."""
    return [s if n > 1 else 0 for s, n in zip(problem.stride, problem.out_size, strict=True)]


def three(values: Sequence[int], fill: int = 1) -> tuple[int, int, int]:
    """Return one number for each of three axes, those before the first filled up."""
    depth, height, width = (*[fill] * (3 - len(values)), *values)
    return depth, height, width


def parts(problem: ConvProblem, tiles: int, blocks: int) -> list[tuple[int, int, int, int]]:
    """Return (tiles, blocks) to share out: by pixels, or by outputs where pixels are few."""
    macs = problem.macs // problem.groups
    shares = max(min(macs // arrays.WORTH_SHARING * 2, SHARES), 1)
    if tiles >= 2 * shares or tiles >= blocks:
        each = -(-tiles // min(shares, tiles))
        return [(a, min(a + each, tiles), 0, blocks) for a in range(0, tiles, each)]
    each = -(-blocks // min(shares, blocks))
    return [(0, tiles, a, min(a + each, blocks)) for a in range(0, blocks, each)]


def offsets(problem: ConvProblem, axis: int, stride: int) -> np.ndarray:
    """Return the byte offset of each padded position of an axis, int64; -1 where it is a zero."""
    _, reach = problem.reach(problem.out_size, problem.out_size)
    size, before = problem.size[axis], problem.padding[axis][0]
    source = borders.source(problem.padding_mode, size, -before, reach[axis] - before)
    return np.where(source < 0, -1, source * (stride if size > 1 else 0))


def inside(problem: ConvProblem) -> tuple[int, int]:
    """Return the outputs of a line, first and last + 1, that read nothing but x's own."""
    before, step = problem.padding[-1][0], problem.stride[-1]
    first = -(-max(before, 0) // step)
    last = (problem.size[-1] + before - problem.dilated_size[-1]) // step + 1
    return first, min(last, problem.out_size[-1])


def block(problem: ConvProblem) -> int:
    """Return how many outputs a tile of registers spans: one vector where there are no more."""
    from npconv.kernels import products, simd

    lanes = simd.lanes(problem.compute_dtype.name)
    return lanes if problem.group_outputs <= lanes else products.VECTORS * lanes


def wide_block(problem: ConvProblem) -> int:
    """Return how many elements the wider tile spans, or a guess that loads no Numba."""
    if waiting(problem):
        return 128 // problem.itemsize
    from npconv.kernels import products, simd

    return products.VECTORS * simd.lanes(problem.compute_dtype.name)


def rows(problem: ConvProblem) -> int:
    """Return how many rows a tile of registers has."""
    from npconv.kernels import products, simd

    narrow = block(problem) == simd.lanes(problem.compute_dtype.name)
    return products.TALL if narrow else products.ROWS


def planned_rows(problem: ConvProblem) -> int:
    """Return the same, or a guess that loads no Numba for little work."""
    return 26 if waiting(problem) else rows(problem)


def planned_block(problem: ConvProblem) -> int:
    """Return the same, or a guess that loads no Numba for little work."""
    return 128 // problem.itemsize if waiting(problem) else block(problem)


def waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    if problem.macs >= _LITTLE or all(map(compiler.ready, _KERNELS)):
        return 0
    return _COMPILING
