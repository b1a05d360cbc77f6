"""How a convolution of one channel each is cut into tiles that compiled transforms take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npconv import compiler
from npconv.memory import whole_lines
from npconv.problem import ConvProblem
from npconv.spectra import fast_length

_LANES = 64  # bytes of the widest vector: lengths are multiples of its elements on every CPU
_MOST_AXES = 3
_CACHED = {1: 1 << 15, 2: 1 << 8, 3: 48}  # a tile's length an axis that stays in the second cache
_FAR = 1.25  # times what a tile costs that does not
_MOST = 16  # times that length, or the kernel's: beyond it a tile is all of x or not worth trying
_PASSES = 8  # what a tile costs beside its butterflies, in logarithms of its length
LINE, PLANE, COLUMNS = range(3)  # as in kernels.fourier


class Cut(NamedTuple):
    """Tiles of one problem.

    mode      whether rows are pieces of a line, lines of a plane, or lines transformed across
    axes      the axes of a tile, the last one along rows; a line has one
    lengths   of the transform along each of them (real numbers); 0 where there is none
    steps     outputs that a tile has along each of them
    rows      complex numbers along the first axis
    middle    along the axis in the middle
    columns   along rows
    """

    mode: int
    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    rows: int
    middle: int
    columns: int

    @property
    def numbers(self) -> int:
        """Complex numbers of a tile."""
        return self.rows * self.middle * self.columns

    def counts(self, problem: ConvProblem) -> list[int]:
        """Return how many tiles there are along each of the tile's axes."""
        sizes = [problem.out_size[a] for a in self.axes]
        return [-(-n // step) for n, step in zip(sizes, self.steps, strict=True)]

    def pitch(self, number: np.dtype) -> int:
        """Return the bytes from one row of a tile to the next: never a power of two."""
        return (2 * self.columns * number.itemsize + 4 * _LANES - 1) // (2 * _LANES) * 2 * _LANES

    def work_nbytes(self, number: np.dtype) -> int:
        """Return the bytes of a tile's rows."""
        if self.mode == COLUMNS:
            return 0
        return whole_lines(self.rows * self.middle * self.pitch(number))

    def buffers_nbytes(self) -> int:
        """Return the bytes of the two columns that a thread works in."""
        longest = self.columns if self.mode != COLUMNS else 1
        return 4 * _LANES * max(self.rows, self.middle, longest)


def number_of(problem: ConvProblem) -> np.dtype:
    """Return the type of the numbers that are transformed."""
    single = problem.precision == "fast" and problem.compute_dtype.char == "f"
    return np.dtype(np.float32 if single else np.float64)


def cut(problem: ConvProblem) -> Cut | None:
    """Return the tiles of a problem, None where it is not one for the compiled transforms."""
    if compiler.missing() or problem.group_channels > 1 or problem.compute_dtype.char not in "fd":
        return None
    return _cut(problem)


@lru_cache(maxsize=1024)
def _cut(problem: ConvProblem) -> Cut | None:
    along = [a for a, k in enumerate(problem.kernel_size) if k > 1]
    if any(s > 1 for s in problem.stride) or not along:
        return None
    apart = [a for a in range(problem.ndim) if a not in along]
    if any(problem.padding[a] != (0, 0) for a in apart):
        return None
    lanes = _LANES // number_of(problem).itemsize
    last = problem.ndim - 1
    if along == [last]:
        length, step = tile_length(*_extents(problem, last), 2 * lanes * lanes, 1)
        rows, columns = _halves(length // 2, lanes)
        return Cut(LINE, (last,), (length,), (step,), rows, 1, columns)
    if along == [last - 1]:
        length, step = tile_length(*_extents(problem, last - 1), 2, 1)
        size = problem.size[last]
        return Cut(COLUMNS, (last - 1, last), (length, 0), (step, size), length // 2, 1, size)
    if along != [*range(along[0], last + 1)] or len(along) > _MOST_AXES:
        return None
    units = [2 * lanes, *[1] * (len(along) - 2), lanes]
    found = [
        tile_length(*_extents(problem, a), unit, len(along))
        for a, unit in zip(along, units, strict=True)
    ]
    lengths, steps = zip(*found, strict=True)
    middle = lengths[1] if len(along) == _MOST_AXES else 1
    return Cut(PLANE, tuple(along), lengths, steps, lengths[0] // 2, middle, lengths[-1])


def _extents(problem: ConvProblem, axis: int) -> tuple[int, int, int]:
    """Return a kernel's span, the outputs, and the least length of a tile that has all of them."""
    span, outputs = problem.dilated_size[axis], problem.out_size[axis]
    need = outputs + span - 1
    first, last = 0, need
    if problem.padding_mode == "zeros":
        before = problem.padding[axis][0]
        first, last = max(before, 0), min(before + problem.size[axis], need)
    # What the last windows read goes on at the tile's begin, where the padding's zeros are.
    return span, outputs, max(last, need - first, outputs, span)


def _halves(number: int, lanes: int) -> tuple[int, int]:
    """Return two factors about alike, both multiples of the lanes, the larger one last."""
    units = number // lanes // lanes
    best = max(f for f in range(1, math.isqrt(units) + 1) if units % f == 0)
    return best * lanes, units // best * lanes


@lru_cache(maxsize=4096)
def tile_length(span: int, outputs: int, whole: int, unit: int, ndim: int) -> tuple[int, int]:
    """Return a tile's length, a multiple of `unit`, and its outputs: those that cost least."""
    limit = _CACHED[ndim]
    all_of_it = _smooth_multiple(whole, unit)
    best, least = (all_of_it, outputs), _spent(all_of_it, 1, limit)
    n = _smooth_multiple(span + max(span // 4, 1), unit)
    while n < min(all_of_it, _MOST * max(span, limit)):
        step = n - span + 1
        tiles = -(-outputs // step)
        spent = _spent(n, tiles, limit)
        if spent < least:
            best, least = (n, min(step, outputs)), spent
        n = _smooth_multiple(n + n // 16 + 1, unit)
    return best


def _spent(n: int, tiles: int, limit: int) -> float:
    return tiles * n * (math.log2(n) + _PASSES) * (1 if n <= limit else _FAR)


def _smooth_multiple(n: int, unit: int) -> int:
    """Return the least multiple of `unit`, at least n, whose quotient has no factor above 5."""
    return unit * fast_length(-(-n // unit))


def tile_count(problem: ConvProblem, made: Cut) -> int:
    """Return how many tiles there are in all."""
    apart = math.prod(problem.out_size[a] for a in leading(problem, made))
    return problem.batch * problem.out_channels * apart * math.prod(made.counts(problem))


def leading(problem: ConvProblem, made: Cut) -> Sequence[int]:
    """Return the axes before a tile's, each of whose entries has tiles of its own."""
    return range(made.axes[0])
