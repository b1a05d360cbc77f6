"""What the kernels are told of a weight gradient: where tiles begin, and what stands there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from npconv import borders, tiling
from npconv.algorithms.winograd.gradient_cut import Cut, up
from npconv.algorithms.winograd.layer import Tables, places
from npconv.kernels import toom
from npconv.memory import LINE
from npconv.problem import ConvProblem
from npconv.templates import Template

if TYPE_CHECKING:
    from npconv.kernels.fields import Grid
    from npconv.kernels.winograd_gradient_layer import Operand, Room, Side

_STREAMED = 4 << 20  # bytes of grad_weight


class Steps(NamedTuple):
    """The work of a problem, for arrays of the same strides.

    runs    how many there are: taps of the depth in a group
    steps   what is done for each run, one after the other; or once for all of them
    joined  whether it is once
    shared  bytes that the threads share meanwhile
    empty   taps of the depth that meet nothing but padding, and are 0
    """

    runs: int
    steps: tuple[Template, ...]
    joined: bool
    shared: int
    empty: tuple[int, ...]


def steps(
    problem: ConvProblem,
    work: Cut,
    x: tuple[int, ...],
    grad: tuple[int, ...],
    target: tuple[int, ...],
    aligned: bool,
) -> Steps:
    """Return the work for arrays of these strides; aligned: whether grad_weight is, to a line."""
    from npconv.kernels import simd, winograd_gradient
    from npconv.kernels import winograd_gradient_layer as kernels
    from npconv.kernels.fields import words
    from npconv.kernels.winograd_transforms import turned

    tables = Tables()
    channels, outputs = problem.group_channels, problem.group_outputs
    letter, lanes = problem.compute_dtype.char, simd.lanes(problem.compute_dtype.name)
    transforms = turned(work.rows, letter)
    ends = list(zip((-2, -1), tiling.tiled_axes(problem), work.rows, strict=True))
    sides = [_x_side(problem, *end, tables) for end in ends]
    of_x = _operand(x, channels, up(channels, lanes), transforms.given, sides)
    sides = [_grad_side(*end[1:], tables) for end in ends]
    of_grad = _operand(grad, outputs, up(outputs, work.block), transforms.grad, sides)
    goal = kernels.Target(*(0, *_taken(problem.weight_shape, target, problem.itemsize))[-4:])
    large = math.prod(problem.weight_shape) * problem.itemsize >= _STREAMED
    streams = large and aligned and goal.output == problem.itemsize
    streams = streams and not any(step % LINE for step in target[:-1])
    high, wide = (toom.ROWS[i] for i in work.rows)
    fold = kernels.Fold(
        transforms.taps,
        high.span,
        wide.span,
        high.taps,
        wide.taps,
        streams and outputs % lanes == 0,
    )
    runs, empty = [], []
    for tap, (slices, of_slices) in enumerate(_slices(problem)):
        if not len(slices):
            empty.append(tap)
            continue
        at, there, count = tables.add(slices), tables.add(of_slices), len(slices)
        tiles = problem.batch * count * of_x.high.tiles * of_x.wide.tiles
        step = tap * target[0] if problem.ndim == 3 else 0
        runs += [
            kernels.Run(
                g * channels * x[-1], g * outputs * grad[-1], step + g * outputs * target[-1],
                at, there, count, tiles,
            )
            for g in range(problem.groups)
        ]  # fmt: skip
    begin = tables.add(np.array(runs, np.int64).ravel())
    table = np.concatenate(tables)
    cut, gathers = grid(problem, work), work.shares * work.whole
    partial = 0 if work.whole or work.shares == 1 else work.planes * work.sums_plane
    room = _room(problem, work)
    layer = kernels.Layer(
        kernels.Call(0, 0, 0, 0, 0), 1, cut, of_x, of_grad, fold, goal, room, table.ctypes.data,
        begin, gathers, partial, _piece(work),
    )  # fmt: skip
    joined = not (gathers or partial)
    if joined:
        jobs = [(winograd_gradient.accumulate, len(runs) * cut.items)]
    elif gathers:
        jobs = [(winograd_gradient.gather_share, 2 * gathers)]
        jobs += [(winograd_gradient.multiply, cut.items)]
    else:
        jobs = [(winograd_gradient.accumulate, cut.items)]
        jobs += [(winograd_gradient.add_up, _pieces(work, cut))]
    made = tuple(
        Template(entry[letter], words(layer), count, room.nbytes, table) for entry, count in jobs
    )
    return Steps(len(runs), made, joined, shared_nbytes(problem, work), tuple(empty))


def _room(problem: ConvProblem, work: Cut) -> Room:
    """Return what a thread's scratch holds."""
    from npconv.kernels import winograd_gradient_layer as kernels

    all_of = problem.group_channels, problem.group_outputs
    held = all_of if work.whole else (work.channels, work.outputs)
    outputs = work.block if work.whole else work.outputs
    planes = (*map(work.plane_nbytes, held), work.sums_plane)
    row = outputs * work.itemsize
    return kernels.Room._make([*kernels.lined(*work.lengths), *planes, row, work.held])


def grid(problem: ConvProblem, work: Cut) -> Grid:
    """Return how a run is shared out: its tiles, channels and blocks of outputs."""
    from npconv.kernels.fields import Grid

    channels, blocks = problem.group_channels, -(-problem.group_outputs // work.block)
    if work.whole:
        parts = max(work.shares // -(-channels // work.channels), 1)
        return Grid(1, channels, blocks, 1, work.channels, -(-blocks // parts))
    return Grid(work.shares, channels, blocks, 1, work.channels, work.outputs // work.block)


def _piece(work: Cut) -> int:
    """Return the rows of sums that are added up at once."""
    return -(-work.channels // work.shares)


def _pieces(work: Cut, cut: Grid) -> int:
    """Return how many pieces of sums there are, at most."""
    return cut.items // cut.groups * -(-work.channels // _piece(work))


def items(problem: ConvProblem, work: Cut) -> int:
    """Return how many parts of the work at most are shared out at once."""
    cut = grid(problem, work)
    if work.whole:
        return max(2 * work.shares, cut.items)
    if work.shares == 1:
        return problem.groups * tiling.depth_axis(problem).taps * cut.items
    return max(cut.items, _pieces(work, cut))


def shared_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes that the threads share: transformed tiles, or sums over shares of them."""
    if work.whole:
        planes = work.plane_nbytes(problem.group_channels), work.plane_nbytes(problem.group_outputs)
        return work.planes * sum(planes)
    return (work.shares > 1) * grid(problem, work).items * work.planes * work.sums_plane


def tables_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes of the records and their tables, while they are made."""
    entries = sum(problem.reach(problem.out_size, problem.out_size)[1]) + sum(problem.out_size)
    tiles = sum(
        axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(work.rows, tiling.tiled_axes(problem), strict=True)
    )
    depth = tiling.depth_axis(problem)
    runs = 20 * 8 * problem.groups * depth.taps  # as tuples, and twice as int64
    return 16 * (entries + 3 * tiles + 2 * depth.taps * depth.out_size + 256) + runs


def _taken(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> list[int]:
    """Return the strides; of an axis of one, any number that is a stride may stand there."""
    return [s if n > 1 else size for n, s in zip(shape, strides, strict=True)]


def _x_side(problem: ConvProblem, i: int, axis: tiling.Axis, number: int, tables: Tables) -> Side:
    from npconv.kernels.winograd_gradient_layer import Side

    row = toom.ROWS[number]
    firsts = axis.starts(row.outputs) * axis.stride
    reach = int(firsts.max()) + (row.span - 1) * axis.dilation + 1
    stands = tables.add(places(problem, i, reach))
    return Side(row.span, axis.dilation, len(firsts), stands, tables.add(firsts))


def _grad_side(axis: tiling.Axis, number: int, tables: Tables) -> Side:
    from npconv.kernels.winograd_gradient_layer import Side

    row = toom.ROWS[number]
    starts = axis.starts(row.outputs)
    reach = int(starts.max()) + (row.outputs - 1) * axis.leap + 1
    places = borders.source("zeros", axis.out_size, 0, reach)
    return Side(row.outputs, axis.leap, len(starts), tables.add(places), tables.add(starts))


def _operand(
    strides: tuple[int, ...], channels: int, filled: int, transform: int, sides: list[Side]
) -> Operand:
    from npconv.kernels.winograd_gradient_layer import Operand

    image, *spatial, _ = strides
    depth, row, pixel = (0, 0, *spatial)[-3:]
    high, wide = sides
    return Operand(image, depth, row, pixel, channels, filled, transform, high, wide)


def _slices(problem: ConvProblem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each tap of the depth the slices of x that it meets, and of grad_out, int64."""
    depth = tiling.depth_axis(problem)
    outputs = np.arange(depth.out_size, dtype=np.int64)
    reach = (depth.out_size - 1) * depth.stride + (depth.taps - 1) * depth.dilation + 1
    read = places(problem, -3, reach)
    met = [read[outputs * depth.stride + tap * depth.dilation] for tap in range(depth.taps)]
    return [(slices[slices >= 0], outputs[slices >= 0]) for slices in met]
