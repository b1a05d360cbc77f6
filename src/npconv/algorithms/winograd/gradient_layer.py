"""What the kernels are told of a weight gradient: where tiles begin, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from npconv import borders, tiling
from npconv.algorithms.winograd.gradient_cut import Cut, up
from npconv.kernels import toom
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.winograd_gradient_layer import Layer, Operand, Side, Target


def layers(problem: ConvProblem, work: Cut, x: np.ndarray, grad_out: np.ndarray) -> list[Layer]:
    """Return what the kernels are told for each tap of the depth; x, grad_out: of one group.

    A tap that meets nothing but padding has a count of 0 slices.
    """
    from npconv.kernels import simd
    from npconv.kernels import winograd_gradient_layer as kernels

    tables: list[np.ndarray] = []
    axes = tiling.tiled_axes(problem)
    ends = list(zip((-2, -1), axes, work.rows, strict=True))
    high, wide = (_x_side(problem, *end, tables) for end in ends)
    like = _operand(x, up(x.shape[-1], simd.lanes(problem.compute_dtype.name)), high, wide)
    high, wide = (_grad_side(*end[1:], tables) for end in ends)
    like_grad = _operand(grad_out, up(grad_out.shape[-1], work.block), high, wide)
    high_fold, wide_fold = ((i, toom.ROWS[i].span, toom.ROWS[i].taps) for i in work.rows)
    pairs = []
    for slices, of_grad in _slices(problem):
        at, there = _add(tables, slices), _add(tables, of_grad)
        count = len(slices)
        pairs.append(
            (
                like._replace(slices=at, count=count),
                like_grad._replace(slices=there, count=count),
            )
        )
    whole = np.concatenate(tables)
    fold = kernels.Fold(high_fold, wide_fold)
    number = problem.compute_dtype.type
    return [kernels.Layer(whole, *pair, fold, number(0), number(-np.inf)) for pair in pairs]


def tables_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes of a layer's tables, while they are made."""
    entries = sum(problem.reach(problem.out_size, problem.out_size)[1]) + sum(problem.out_size)
    tiles = sum(
        axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(work.rows, tiling.tiled_axes(problem), strict=True)
    )
    depth = tiling.depth_axis(problem)
    return 16 * (entries + 3 * tiles + 2 * depth.taps * depth.out_size + 64)


def target(array: np.ndarray) -> Target:
    """Return where one group's grad_weight lies, of one tap of the depth."""
    from npconv.kernels.winograd_gradient_layer import Target

    steps = [
        s if n > 1 else array.itemsize for n, s in zip(array.shape, array.strides, strict=True)
    ]
    return Target(array.ctypes.data, *(0, *steps)[-4:])


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


def _operand(array: np.ndarray, filled: int, high: Side, wide: Side) -> Operand:
    from npconv.kernels.winograd_gradient_layer import Operand

    image, *spatial, _ = array.strides
    depth, row, pixel = (0, 0, *spatial)[-3:]
    channels = array.shape[-1]
    return Operand(array.ctypes.data, image, depth, row, pixel, channels, filled, high, wide, 0, 0)


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
