"""How a weight gradient is cut up: tiles in work at once, shares for threads, scratch."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

from npconv import arrays, tiling
from npconv.kernels import toom
from npconv.memory import LINE, whole_lines
from npconv.problem import ConvProblem

_WORKSPACE = 1 << 20  # bytes of a thread's block of transformed tiles
_SHARED = 6 << 20  # of all the tiles, where they are transformed first
_PARTIAL = 10 << 20  # of sums over shares of the tiles
_PANEL = 1 << 19  # of a thread's sums, where all the tiles are transformed first
_SHARES = 8
_LEAST = 16  # tiles of a block, that the sums need not be read for fewer
# Time of an element in a plane of a transformed tile, and of one in sums that are added, in flops.
_TRANSFORM, _ADD = 16, 20


class Cut(NamedTuple):
    """How a problem, or each of its groups, is cut up.

    rows      places in toom.ROWS of what computes the two axes
    block     outputs of a block
    tiles     how many there are, at most, for a tap of the depth
    whole     whether all of them are transformed first
    held      tiles in work at once
    shares    of the tiles, each with sums of its own
    channels  of x for a part, and `outputs` of grad_out
    patched   channels of either that are transformed at once
    """

    rows: tuple[int, int]
    itemsize: int
    block: int
    tiles: int
    whole: bool
    held: int
    shares: int
    channels: int
    outputs: int
    patched: int

    @property
    def planes(self) -> int:
        """Products of a tile."""
        return math.prod(toom.ROWS[i].span for i in self.rows)

    def plane_nbytes(self, channels: int) -> int:
        """Return the bytes of a plane of transformed tiles; not a power of two."""
        return up(channels, self.block) * self.held * self.itemsize + LINE

    @property
    def entries(self) -> int:
        """Rows of a part's sums, whole tiles of registers."""
        from npconv.kernels.winograd_gradient_layer import ROWS

        return up(self.channels, ROWS)

    @property
    def sums_plane(self) -> int:
        """Bytes of a plane of a part's sums."""
        outputs = self.block if self.whole else self.outputs
        return self.entries * outputs * self.itemsize + LINE

    @property
    def lengths(self) -> list[int]:
        """Bytes of a thread's scratch: of each array of a Room, in their order."""
        from npconv.kernels.simd import MACHINE

        high, wide = (toom.ROWS[i] for i in self.rows)
        apart, vector = not self.whole, MACHINE.vector_nbytes
        return [
            apart * self.planes * self.plane_nbytes(self.channels),
            apart * self.planes * self.plane_nbytes(self.outputs),
            (self.shares == 1 or self.whole) * self.planes * self.sums_plane,
            high.span * wide.span * self.patched * self.itemsize,
            high.taps * wide.taps * self.block * vector,
            self.block * self.itemsize,
            vector,
            2 * self.entries * 8,
        ]

    @property
    def thread_nbytes(self) -> int:
        """Bytes that each thread holds."""
        return sum(map(whole_lines, self.lengths))


def up(count: int, step: int) -> int:
    """Return the next multiple of a step."""
    return -(-count // step) * step


def cut(problem: ConvProblem) -> Cut:
    """Return how a problem is cut up."""
    return _cut(problem, _Limits(_WORKSPACE, _SHARED, _PARTIAL, arrays.WORTH_SHARING))


class _Limits(NamedTuple):
    """Bytes of a block of tiles, of all the tiles, of sums over shares; multiply-adds of a part."""

    block: int
    shared: int
    partial: int
    part: int


@lru_cache(maxsize=256)
def _cut(problem: ConvProblem, limits: _Limits) -> Cut:
    from npconv.kernels import simd
    from npconv.kernels.winograd_gradient_layer import LONGEST, ROWS, VECTORS

    high_row, wide_row = rows = tiling.rows(problem)
    channels, outputs, size = problem.group_channels, problem.group_outputs, problem.itemsize
    block = VECTORS * simd.lanes(problem.compute_dtype.name)
    each = math.prod(toom.ROWS[i].span for i in rows) * size  # bytes of a transformed element
    tiles = problem.batch * math.prod(
        axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(rows, tiling.tiled_axes(problem), strict=True)
    )
    tiles *= tiling.depth_axis(problem).out_size
    filled = up(channels, block), up(outputs, block)
    same = (high_row, wide_row), size, block, tiles
    wanted = max(min(problem.macs // problem.groups // limits.part, _SHARES, tiles), 1)
    if tiles * sum(filled) * each <= limits.shared:
        most = max(_PANEL // (each * block * ROWS), 1) * ROWS
        return Cut(*same, True, tiles, wanted, min(most, channels), block, max(filled))
    shares, high, wide = min(
        _splits(wanted, limits.partial // (filled[0] * filled[1] * each)),
        key=lambda s: (
            (filled[0] * s[2] + filled[1] * s[1]) * tiles * _TRANSFORM
            + s[0] * filled[0] * filled[1] * _ADD
        ),
    )
    channels, outputs = up(-(-filled[0] // high), block), up(-(-filled[1] // wide), block)
    share = -(-tiles // shares)
    held = min(max(limits.block // (each * (channels + outputs)), _LEAST), LONGEST)
    held = -(-share // -(-share // held))
    return Cut(*same, False, held, shares, channels, outputs, max(channels, outputs))


def _splits(wanted: int, most: int) -> list[tuple[int, int, int]]:
    """Return ways to cut (tiles, channels, outputs), the tiles at most so often, into parts."""
    counts = range(1, wanted + 1)
    return [
        (s, c, -(-wanted // (s * c)))
        for s, c in itertools.product(counts, counts)
        if s <= max(most, 1) and s * c < 2 * wanted
    ]


def flops(problem: ConvProblem, work: Cut) -> int:
    """Return the flops of a tap of the depth in a group, transforms and sums in theirs."""
    from npconv.kernels.winograd_gradient_layer import ROWS

    channels, outputs = problem.group_channels, problem.group_outputs
    rows = up(channels, ROWS)
    columns = up(outputs, work.block)
    parts = 1 if work.whole else -(-outputs // work.outputs)
    times = 1 if work.whole else -(-channels // work.channels)
    elements = up(channels, work.block // 2) * parts + columns * times
    products = 2 * rows * columns * work.tiles + elements * work.tiles * _TRANSFORM
    shares = 1 if work.whole else work.shares
    return work.planes * (products + shares * rows * columns * _ADD // 4)
