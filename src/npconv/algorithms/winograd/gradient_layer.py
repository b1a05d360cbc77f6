"""What the kernels are told of a weight gradient: where tiles begin, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from npconv import borders, tiling
from npconv.algorithms.winograd.gradient_cut import Cut, up
from npconv.kernels import toom
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.winograd_gradient_layer import Operand, Part, Side
    from npconv.kernels.winograd_gradient_record import Scratch, Template


def template(
    problem: ConvProblem,
    work: Cut,
    x: tuple[int, ...],
    grad: tuple[int, ...],
    target: tuple[int, ...],
) -> tuple[Template, tuple[int, ...]]:
    """Return what kernels are told of arrays of these strides, and which taps of the depth are 0.

    Those meet nothing but padding.
    """
    from npconv.kernels import simd
    from npconv.kernels import winograd_gradient_layer as kernels
    from npconv.kernels.winograd_gradient_record import Run, Template

    tables: list[np.ndarray] = []
    channels, outputs = problem.group_channels, problem.group_outputs
    axes = tiling.tiled_axes(problem)
    ends = list(zip((-2, -1), axes, work.rows, strict=True))
    high, wide = (_x_side(problem, *end, tables) for end in ends)
    lanes = simd.lanes(problem.compute_dtype.name)
    like = _operand(x, channels, up(channels, lanes), high, wide)
    high, wide = (_grad_side(*end[1:], tables) for end in ends)
    like_grad = _operand(grad, outputs, up(outputs, work.block), high, wide)
    high_fold, wide_fold = ((i, toom.ROWS[i].span, toom.ROWS[i].taps) for i in work.rows)
    goal = kernels.Target(0, *(0, *_taken(problem.weight_shape, target, problem.itemsize))[-4:])
    tap_step = target[0] if problem.ndim == 3 else 0
    runs, empty = [], []
    for tap, (slices, of_grad) in enumerate(_slices(problem)):
        if not len(slices):
            empty.append(tap)
            continue
        at, there, count = _add(tables, slices), _add(tables, of_grad), len(slices)
        tiles = problem.batch * count * like.high.tiles * like.wide.tiles
        cut = parts(problem, work, tiles)
        added = np.array(pieces(work, cut), np.int64)
        shared = np.array(cut, np.int64), len({part[2:] for part in cut}), added
        runs += [
            Run(
                like._replace(address=g * channels * x[-1], slices=at, count=count),
                like_grad._replace(address=g * outputs * grad[-1], slices=there, count=count),
                goal._replace(address=tap * tap_step + g * outputs * target[-1]),
                tiles,
                *shared,
            )
            for g in range(problem.groups)
        ]
    partial = 0 if work.whole or work.shares == 1 else work.planes * work.sums_plane
    whole = np.concatenate(tables)
    fold = kernels.Fold(high_fold, wide_fold)
    shares = work.shares * work.whole
    given = (
        problem.compute_dtype.char,
        whole,
        fold,
        runs,
        _scratch(work),
        shares,
        work.channels,
        partial,
    )
    return Template(*given), tuple(empty)


def _scratch(work: Cut) -> Scratch:
    """Return what a thread's scratch holds."""
    from npconv.kernels import winograd_gradient_layer as kernels
    from npconv.kernels.winograd_gradient_record import Scratch, lined

    values, grads, sums, *desk, end = lined(*work.lengths)
    outputs = work.block if work.whole else work.outputs
    return Scratch(
        kernels.Planes(values, work.plane_nbytes(work.channels), work.held),
        kernels.Planes(grads, work.plane_nbytes(work.outputs), work.held),
        kernels.Sums(sums, work.sums_plane, outputs * work.itemsize),
        kernels.Desk(*desk),
        end,
    )


def parts(problem: ConvProblem, work: Cut, tiles: int) -> list[Part]:
    """Return what to share out."""
    from npconv.kernels.winograd_gradient_layer import Part

    blocks = -(-problem.group_outputs // work.block)
    channels = _ranges(problem.group_channels, work.channels)
    if work.whole:
        outputs = _ranges(blocks, -(-blocks // max(work.shares // len(channels), 1)))
        shares = [range(tiles)]
    else:
        outputs = _ranges(blocks, work.outputs // work.block)
        shares = _ranges(tiles, -(-tiles // work.shares))
    return [
        Part(t.start, t.stop, c.start, c.stop, k.start, k.stop)
        for t in shares
        for c in channels
        for k in outputs
    ]


def pieces(work: Cut, cut: list[Part]) -> list[tuple[int, int, int]]:
    """Return (part, first row, last row) to share out of sums that shares of the tiles have."""
    if work.whole or work.shares == 1:
        return []
    step = -(-work.channels // work.shares)
    ends = len({part[2:] for part in cut})
    return [
        (number, some.start, some.stop)
        for number, part in enumerate(cut[:ends])
        for some in _ranges(part.last_row - part.first_row, step)
    ]


def _ranges(stop: int, step: int) -> list[range]:
    return [range(a, min(a + step, stop)) for a in range(0, stop, step)]


def items(problem: ConvProblem, work: Cut) -> int:
    """Return how many parts of the work at most are shared out at once."""
    cut = parts(problem, work, work.tiles)
    if work.whole:
        return max(2 * work.shares, len(cut))
    if work.shares == 1:
        return problem.groups * tiling.depth_axis(problem).taps * len(cut)
    return max(len(cut), len(pieces(work, cut)))


def tables_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes of the records and their tables, while they are made."""
    from npconv.kernels.winograd_gradient_record import NBYTES

    entries = sum(problem.reach(problem.out_size, problem.out_size)[1]) + sum(problem.out_size)
    tiles = sum(
        axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(work.rows, tiling.tiled_axes(problem), strict=True)
    )
    depth = tiling.depth_axis(problem)
    records = problem.groups * depth.taps * (2 * NBYTES + 100)
    parted = 48 * items(problem, work) * (1 + depth.taps)
    return 16 * (entries + 3 * tiles + 2 * depth.taps * depth.out_size + 64) + records + parted


def _taken(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> list[int]:
    """Return the strides; of an axis of one, any number that is a stride may stand there."""
    return [s if n > 1 else size for n, s in zip(shape, strides, strict=True)]


def _add(tables: list[np.ndarray], values: np.ndarray) -> int:
    """Append an array, and return where it begins when they lie behind one another."""
    begin = sum(map(len, tables))
    tables.append(values)
    return begin


def _x_side(
    problem: ConvProblem, i: int, axis: tiling.Axis, number: int, tables: list[np.ndarray]
) -> Side:
    from npconv.kernels.winograd_gradient_layer import OF_X, Side

    row = toom.ROWS[number]
    firsts = axis.starts(row.outputs) * axis.stride
    reach = int(firsts.max()) + (row.span - 1) * axis.dilation + 1
    places = _places(problem, i, reach)
    return Side(
        OF_X + number, row.span, axis.dilation, len(firsts), _add(tables, places),
        _add(tables, firsts),
    )  # fmt: skip


def _grad_side(axis: tiling.Axis, number: int, tables: list[np.ndarray]) -> Side:
    from npconv.kernels.winograd_gradient_layer import OF_GRAD, Side

    row = toom.ROWS[number]
    starts = axis.starts(row.outputs)
    reach = int(starts.max()) + (row.outputs - 1) * axis.leap + 1
    places = borders.source("zeros", axis.out_size, 0, reach)
    return Side(
        OF_GRAD + number, row.outputs, axis.leap, len(starts), _add(tables, places),
        _add(tables, starts),
    )  # fmt: skip


def _operand(
    strides: tuple[int, ...], channels: int, filled: int, high: Side, wide: Side
) -> Operand:
    from npconv.kernels.winograd_gradient_layer import Operand

    image, *spatial, _ = strides
    depth, row, pixel = (0, 0, *spatial)[-3:]
    return Operand(0, image, depth, row, pixel, channels, filled, high, wide, 0, 0)


def _slices(problem: ConvProblem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each tap of the depth the slices of x that it meets, and of grad_out, int64."""
    depth = tiling.depth_axis(problem)
    outputs = np.arange(depth.out_size, dtype=np.int64)
    reach = (depth.out_size - 1) * depth.stride + (depth.taps - 1) * depth.dilation + 1
    places = _places(problem, -3, reach)
    met = [places[outputs * depth.stride + tap * depth.dilation] for tap in range(depth.taps)]
    return [(slices[slices >= 0], outputs[slices >= 0]) for slices in met]


def _places(problem: ConvProblem, i: int, reach: int) -> np.ndarray:
    """Return which position of x each padded position of an axis reads, int64; -1 for a zero."""
    if i < -problem.ndim:
        return np.zeros(1, np.int64)
    before = problem.padding[i][0]
    return borders.source(problem.padding_mode, problem.size[i], -before, reach - before)
