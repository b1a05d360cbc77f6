"""What the kernels of a convolution are told: where tiles begin, and what stands there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from npconv import borders, tiling
from npconv.kernels import toom
from npconv.problem import ConvProblem
from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.fields import Grid
    from npconv.kernels.winograd_layer import Depth, Layer, Place, Room, Side


class Tables(list[np.ndarray]):
    """Arrays that are to lie behind one another."""

    def add(self, values: np.ndarray) -> int:
        """Append an array, and return where it begins."""
        begin = sum(map(len, self))
        self.append(values)
        return begin


def layer(
    problem: ConvProblem, work: Work, lie: tuple[Place, Place], grid: Grid, room: Room,
    streams: bool = False,
) -> tuple[Layer, np.ndarray]:  # fmt: skip
    """Return what the kernels are told of a problem, and the tables whose address that holds."""
    from npconv.kernels import winograd_layer as kernels
    from npconv.kernels.winograd_transforms import transforms

    tables = Tables()
    depth = _deep(problem, work, tables)
    high, wide = (
        _side(problem, i - 2, axis, number, tables)
        for i, (axis, number) in enumerate(zip(tiling.tiled_axes(problem), work.rows, strict=True))
    )
    table = np.concatenate(tables)
    start = work.blocks * work.block * problem.itemsize
    shared = kernels.Shared(work.weight_nbytes, work.whole * work.shared_nbytes, start)
    nothing = kernels.Call(0, 0, 0, 0, 0, -math.inf, math.inf), kernels.Weight(*[0] * 7)
    made = kernels.Layer(
        *nothing, 1, streams, grid, depth, high, wide,
        transforms(work.rows, problem.compute_dtype.char), room, *lie, shared,
        table.ctypes.data, problem.group_channels, problem.group_outputs,
        work.block_nbytes // work.planes,
    )  # fmt: skip
    return made, table


def _side(problem: ConvProblem, i: int, axis: tiling.Axis, number: int, tables: Tables) -> Side:
    from npconv.kernels.winograd_layer import Side

    row = toom.ROWS[number]
    starts = axis.starts(row.outputs)
    firsts = starts * axis.stride
    reach = int(firsts.max()) + (row.span - 1) * axis.dilation + 1
    return Side(
        number, axis.taps, row.outputs, row.span, axis.dilation, axis.leap, axis.out_size,
        len(starts), tables.add(places(problem, i, reach)), tables.add(firsts), tables.add(starts),
    )  # fmt: skip


def _deep(problem: ConvProblem, work: Work, tables: Tables) -> Depth:
    from npconv.kernels.winograd_layer import Depth

    axis = tiling.depth_axis(problem)
    reads = tiling.reads(axis, work.length)
    outputs, taps = np.arange(work.length), np.arange(axis.taps)
    lines = np.searchsorted(reads, outputs[:, None] * axis.stride + taps * axis.dilation)
    columns = -(-axis.out_size // work.length)
    reach = (columns - 1) * work.length * axis.stride + int(reads[-1]) + 1
    return Depth(
        axis.taps, axis.stride, axis.out_size, work.length, columns, len(reads),
        tables.add(places(problem, -3, reach)), tables.add(reads), tables.add(lines.ravel()),
    )  # fmt: skip


def places(problem: ConvProblem, i: int, reach: int) -> np.ndarray:
    """Return which position of x each padded position of an axis reads, int64; -1 for a zero."""
    if i < -problem.ndim:
        return np.zeros(1, np.int64)
    before = problem.padding[i][0]
    return borders.source(problem.padding_mode, problem.size[i], -before, reach - before)


def tables_nbytes(problem: ConvProblem, work: Work) -> int:
    """Return the bytes of a layer's tables, while they are made."""
    entries = sum(problem.reach(problem.out_size, problem.out_size)[1])
    tiles = (
        axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(work.rows, tiling.tiled_axes(problem), strict=True)
    )
    return 16 * (entries + 2 * sum(tiles) + (work.length + 1) * tiling.depth_axis(problem).taps)
