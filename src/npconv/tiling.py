"""How a Winograd convolution is cut up: what computes each axis, tiles, and shares for threads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from npconv.kernels import toom
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.winograd import Side

_SHARES = 16
_HELD = 4  # times the tile's rows, where x is transformed first
_LARGE = 5  # times the room for a block of tiles: weights that no cache holds beside it


class Work(NamedTuple):
    """How a problem, or each of its groups, is cut up.  One axis has one of one element before it.

    tiles         how many there are
    block         outputs of a block, and `blocks` of these
    held          tiles in work at once, a multiple of the register tile's rows
    whole         whether all of x is transformed first, and then the weight block by block
    plane         bytes of a plane of transformed tiles
    block_nbytes  of a block of the transformed weight
    room_nbytes   of a thread's scratch
    parts         (first tile, last, first block, last) to share out
    """

    high: Side
    wide: Side
    tiles: int
    block: int
    blocks: int
    held: int
    whole: bool
    plane: int
    block_nbytes: int
    room_nbytes: int
    parts: tuple[tuple[int, int, int, int], ...]

    @property
    def planes(self) -> int:
        """Products of a tile."""
        return self.high.span * self.wide.span

    @property
    def shared_nbytes(self) -> int:
        """Bytes that the threads share: all of x transformed, or all of the weight."""
        return self.planes * self.plane if self.whole else self.blocks * self.block_nbytes

    @property
    def thread_nbytes(self) -> int:
        """Bytes that each thread holds."""
        return self.room_nbytes + (self.planes + 1) * self.held * 8 + self.whole * self.block_nbytes


def rows(problem: ConvProblem) -> tuple[int, ...]:
    """Return the rows of toom.ROWS that take the fewest flops; none where no products are saved."""
    strict = problem.precision == "strict"
    axes = [
        toom.choices(taps, stride, strict)
        for taps, stride in zip(problem.kernel_size, problem.stride, strict=True)
    ]
    defined = problem.pixels * problem.taps
    able = [chosen for chosen in itertools.product(*axes) if _products(problem, chosen) < defined]
    return min(able, key=lambda chosen: flops(problem, chosen), default=())


def flops(problem: ConvProblem, chosen: Sequence[int]) -> int:
    """Return the flops of the products and of the three transforms."""
    taken = [toom.ROWS[i] for i in chosen]
    channels, outputs = problem.group_channels, problem.group_outputs
    passes = sum(row.span for row in taken if row.outputs > 1)  # flops of a transform's element
    each = 2 * channels * outputs + passes * (channels + outputs)
    weight = math.prod(row.span for row in taken) * passes * channels * outputs
    return problem.groups * (problem.batch * _products(problem, chosen) * each + weight)


def _products(problem: ConvProblem, chosen: Sequence[int]) -> int:
    """Return the products for an image, a channel and an output."""
    return math.prod(
        toom.ROWS[i].span * -(-n // toom.ROWS[i].outputs)
        for i, n in zip(chosen, problem.out_size, strict=True)
    )


@lru_cache(maxsize=256)
def cut(problem: ConvProblem, nbytes: int) -> Work:
    """Return how a problem is cut up, with `nbytes` for a block of tiles and its products."""
    from npconv.kernels import simd
    from npconv.kernels import winograd as kernels

    high, wide = _sides(problem)
    channels, size = problem.group_channels, problem.itemsize
    block = kernels.VECTORS * simd.lanes(problem.compute_dtype.name)
    blocks = -(-problem.group_outputs // block)
    tiles = problem.batch * high.tiles * wide.tiles
    planes = high.span * wide.span
    block_nbytes = planes * channels * block * size
    groups = -(-tiles // kernels.ROWS)
    fit = nbytes // (kernels.ROWS * planes * (channels + block) * size)
    # Weights that no cache holds would be read again for each block of tiles.
    whole = blocks * block_nbytes > _LARGE * nbytes and tiles <= 2 * blocks * block
    if whole:
        held = kernels.ROWS * min(_HELD, groups)
        each = -(-blocks // _SHARES)
        parts = [(0, tiles, k, min(k + each, blocks)) for k in range(0, blocks, each)]
    else:
        held = kernels.ROWS * max(min(fit, groups), 1)
        each = max(-(-tiles // held // _SHARES), 1) * held
        parts = [(a, min(a + each, tiles), 0, blocks) for a in range(0, tiles, each)]
    plane = kernels.value_plane(channels, tiles if whole else held, size)
    room = kernels.room(0, high, wide, plane, held, values=int(whole))[1] + kernels.LINE
    return Work(
        high, wide, tiles, block, blocks, held, whole, plane, block_nbytes, room, tuple(parts)
    )


def _sides(problem: ConvProblem) -> tuple[Side, Side]:
    from npconv.kernels.winograd import Side

    sides = [Side(0, 1, 1, 1, 1, 0, 1, 1)] * (2 - problem.ndim)
    stop = problem.reach(problem.out_size, problem.out_size)[1]
    for axis, number in enumerate(rows(problem)):
        outputs, span = toom.ROWS[number].outputs, toom.ROWS[number].span
        out = problem.out_size[axis]
        size, before = problem.size[axis], problem.padding[axis][0]
        if problem.padding_mode != "zeros":  # x is padded before
            size, before = stop[axis], 0
        tiles = -(-out // outputs)
        step = (
            outputs * problem.stride[axis] if tiles > 1 else 0
        )  # a stride never taken may be huge
        sides.append(Side(number, outputs, span, step, size, before, out, tiles))
    return sides[0], sides[1]
