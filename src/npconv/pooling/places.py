"""How poolings are laid out for compiled kernels: axes, where arrays lie, how work is cut up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from npconv.memory import whole_lines
from npconv.problem import PoolProblem

if TYPE_CHECKING:
    from npconv.kernels.pool_layer import Cut, Geometry, Lies

PLACE = np.dtype(np.int64)  # of what says where the largest stand
ITEMS = 32  # that work is cut into where it is worth as many
_SEARCHED = 4  # depths of a gradient's band, at least, for each that windows search twice
_MOST = 1 << 31


class Work(NamedTuple):
    """A pooling as kernels see it.

    problem  the windows, over as many images and channels as the kernels count
    dtype    of the numbers
    turned   whether channels lie apart, in planes
    room     bytes of scratch, about
    worth    reads of an item, about
    """

    problem: PoolProblem
    dtype: np.dtype
    turned: bool
    room: int
    worth: int

    @property
    def items(self) -> int:
        """How many items the work is worth."""
        return max(min(reads(self.problem) // self.worth, ITEMS), 1)


class _Depth(NamedTuple):
    """The axis that is cut: positions, windows, their step and extent; pixels of a depth."""

    size: int
    windows: int
    step: int
    span: int
    pixels: int
    made: int


def reads(problem: PoolProblem) -> int:
    """Return how many numbers all windows hold together, padding and all."""
    return math.prod(problem.out_shape) * math.prod(problem.kernel_size)


def fits(problem: PoolProblem) -> bool:
    """Return whether kernels have as many axes, and no number is too large for them."""
    if not 1 <= problem.ndim <= 3 or math.prod(problem.size) >= _MOST:
        return False
    return all(max(map(abs, _axis(problem, axis))) < _MOST for axis in range(problem.ndim))


def _axis(problem: PoolProblem, axis: int) -> tuple[int, ...]:
    """Return the numbers of an Axis; what is never stepped is 1."""
    (low, high), windows, taps = (
        problem.visible[axis], problem.out_size[axis], problem.kernel_size[axis]
    )  # fmt: skip
    step = problem.stride[axis] if windows > 1 else 1
    hole = problem.dilation[axis] if taps > 1 else 1
    return problem.size[axis], windows, taps, step, hole, low - problem.lead[axis], low, high


def three(values: Sequence[Any], fill: Any) -> tuple[Any, Any, Any]:
    """Return depth, height and width of one, two or three axes: the first is the depth."""
    first, *rest = values
    depth, height, width = (first, *[fill] * (2 - len(rest)), *rest)
    return depth, height, width


def geometry(problem: PoolProblem) -> tuple[Geometry, Any]:
    """Return the kernels' Geometry, and what it points to."""
    from npconv.kernels.direct_layer import Three
    from npconv.kernels.pool_layer import Axis, Geometry

    along = [_axis(problem, axis) for axis in range(problem.ndim)]
    depth, height, width = (Axis(*axis) for axis in three(along, (1, 1, 1, 1, 1, 0, 0, 1)))
    counts = [problem.counts(axis, 0, n) for axis, n in enumerate(problem.out_size)]
    kept = three(counts, np.ones(1, np.int64))
    units = Three(*three(problem.units, 0))
    return Geometry(
        depth, height, width, units, Three(*(count.ctypes.data for count in kept))
    ), kept


def lies(shape: Sequence[int], strides: Sequence[int], dtype: np.dtype) -> Lies:
    """Return the kernels' Lies of a canonical view; an axis of length 1 is as if it were dense."""
    from npconv.kernels.pool_layer import Lies

    extents, steps = three(shape[1:-1], 1), three(strides[1:-1], 0)
    made, dense = [], dtype.itemsize
    for n, step in zip(reversed(extents), reversed(steps), strict=True):
        made.append(step if n > 1 else dense)
        dense = made[-1] * n
    width, height, depth = made
    return Lies(strides[0], depth, height, width, strides[-1])


def unit(problem: PoolProblem, steps: Sequence[int]) -> int | None:
    """Return the step from a position to the next, where they follow one another row-major.

    0 where there is one alone.
    """
    least = step = None
    for n, each in zip(reversed(problem.size), reversed(steps[1:-1]), strict=True):
        if n > 1:
            if step is not None and each != step:
                return None
            least = each if least is None else least
            step = each * n
    return least or 0


def dense(shape: Sequence[int], order: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Return the strides of an array whose axes lie in this order, the slowest first."""
    steps, step = [0] * len(shape), itemsize
    for axis in reversed(order):
        steps[axis] = step
        step *= shape[axis]
    return tuple(steps)


def cut_windows(work: Work, places: bool) -> Cut:
    """Return how the windows of a pooling are cut up; places: whether these are wanted, too."""
    depth, size = _depth(work.problem), work.dtype.itemsize
    band = _share(work, depth.windows)
    if not work.turned:
        return _cut_rows(work, depth.windows, band)
    block = _block(work, min(depth.span, depth.size) * depth.pixels + depth.made)
    place = PLACE.itemsize * places
    window = depth.step * depth.pixels * size + depth.made * (size + place)
    seam = (depth.span - depth.step) * depth.pixels * size
    band = min(max((work.room // block - seam) // window, 1), band)
    spanned = min((band - 1) * depth.step + depth.span, depth.size)
    nbytes = spanned * depth.pixels * size, band * depth.made * size, band * depth.made * place
    return _cut_planes(work, block, depth.windows, band, [block * n for n in nbytes])


def cut_depths(work: Work, searches: bool) -> Cut:
    """Return how the depths of a gradient are cut up; searches: for the largest in windows."""
    depth, size = _depth(work.problem), work.dtype.itemsize
    least = min(max(_SEARCHED * (depth.span - depth.step), 1), depth.size) if searches else 1
    share = _share(work, depth.size)
    if not work.turned:
        blocks = -(-work.problem.channels // tile_size(work.dtype))
        if searches:  # cutting channels costs nothing
            share = min(share * blocks, depth.size)
        most = work.room // (depth.pixels * work.problem.channels * size)
        band = _even(max(min(most * blocks, share), least), depth)
        return _cut_rows(work, depth.size, band)
    each = depth.pixels * (1 + searches) + depth.made // depth.step
    block = _block(work, least * each)
    band = _even(max(min(work.room // (block * size * each), share), least), depth)
    reached = min((band + depth.span - 2) // depth.step + 1, depth.windows)
    spanned = min((reached - 1) * depth.step + depth.span, depth.size) * searches
    pixels = band * depth.pixels, reached * depth.made, spanned * depth.pixels
    return _cut_planes(work, block, depth.size, band, [block * n * size for n in pixels])


def _depth(problem: PoolProblem) -> _Depth:
    size, windows, taps, step, hole = _axis(problem, 0)[:5]
    pixels, made = (math.prod(extents[1:]) for extents in (problem.size, problem.out_size))
    return _Depth(size, windows, step, (taps - 1) * hole + 1, pixels, made)


def _even(band: int, depth: _Depth) -> int:
    """Return a band of whole steps, so that few windows are over two."""
    return band - band % depth.step if band > depth.step else band


def tile_size(dtype: np.dtype) -> int:
    """Return how many channels a tile of vectors has."""
    from npconv.kernels import simd
    from npconv.kernels.pool_vectors import VECTORS

    return VECTORS * simd.lanes(dtype.name)


def _block(work: Work, pixels: int) -> int:
    """Return how many channels are turned at once, where each takes at least so many pixels."""
    from npconv.kernels import simd

    lanes = simd.lanes(work.dtype.name)
    block = min(tile_size(work.dtype), -(-work.problem.channels // lanes) * lanes)
    while block > lanes and block * work.dtype.itemsize * pixels > work.room:
        block -= lanes
    return block


def _share(work: Work, depths: int) -> int:
    """Return how many depths an item has where an image is cut along them alone."""
    cuts = -(-work.items // work.problem.batch)
    return -(-depths // min(cuts, depths))


def _cut_rows(work: Work, depths: int, band: int) -> Cut:
    """Return the Cut of arrays whose channels lie side by side."""
    from npconv.kernels.fields import Grid
    from npconv.kernels.pool_layer import Cut

    problem, block = work.problem, tile_size(work.dtype)
    bands, blocks = -(-depths // band), -(-problem.channels // block)
    images = -(-problem.batch // work.items)
    cuts = -(-problem.batch // images) * bands
    across = -(-blocks // min(-(-work.items // cuts), blocks))
    grid = Grid(problem.batch, bands, blocks, images, 1 if work.items > 1 else bands, across)
    return Cut(problem.channels, block, band, 0, 0, 0, 0, grid, 0)


def _cut_planes(work: Work, block: int, depths: int, band: int, nbytes: Sequence[int]) -> Cut:
    """Return the Cut of arrays that are turned; nbytes: of what scratch holds, one by one."""
    from npconv.kernels.fields import Grid
    from npconv.kernels.pool_layer import Cut

    problem = work.problem
    parts = problem.batch, -(-depths // band), -(-problem.channels // block)
    grid = Grid(*parts, *((1, 1, 1) if work.items > 1 else parts))
    first, second, third = itertools.accumulate(map(whole_lines, nbytes))
    return Cut(problem.channels, block, band, 1, 0, first, second, grid, third)
