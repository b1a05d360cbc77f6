"""Convolution as a banded matrix: a row of pixels times a Toeplitz matrix is a row of outputs.

::

    B outputs of one row need L = (B - 1)*s + (kw - 1)*d + 1 inputs:

                         [ w0          ]
    [x0 x1 x2 x3 x4]  @  [ w1 w0       ]  =  [y0 y1 y2]          (L) @ (L, B) = (B)
                         [ w2 w1 w0    ]
                         [    w2 w1    ]     one such matrix for each row of the kernel,
                         [       w2    ]     their products added

im2col copies each pixel kw times and then multiplies it by one column; here a pixel is copied
L / (B*s) times, which is nearly once, and the same small matrix multiplies them all.

Cost: L / kw times the definition's flops, most of them by zeros, all of them at matmul speed.
Memory: a tile of x in blocks of L, its product, and the matrices.
Error: that of the direct sum (the zeros add nothing).  A NaN or Inf spreads over its block, so the
planner recomputes such results directly.
When not to use it: with many channels the definition's flops are already a matmul; take
im2col_tiled.
Source: the matrix form of convolution, cut to blocks; Golub and Van Loan, Matrix Computations, 4.7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each

NAME = "toeplitz"
SPREADS = True
_BLOCK = 32  # outputs a block: the matmul is wide enough, and L stays near B
_BLOCKS = 64  # blocks a matmul: its operands stay in the first cache


def why_not(problem: ConvProblem) -> str:
    """Return "" unless every axis of the kernel has one tap."""
    if problem.kernel_size[_long_axis(problem)] == 1:
        return "a 1x1 kernel has no band; it is one matmul already"
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the matmuls with their zeros, the blocks' copies, and passes over the products."""
    p = _turned(problem)
    block, span = _block(p)
    rows = p.taps // p.kernel_size[-1]
    tile = _tile(p)
    count = arrays.tile_count(p, tile)
    blocks = p.batch * math.prod(p.out_size[:-1]) * _count(p, p.out_size[-1])[0]
    flops = 2 * blocks * rows * span * p.group_channels * block * p.out_channels
    _, copies, products = _nbytes(p, p.out_shape[:-1])
    matrices = _matrix_nbytes(p)
    along = _long_axis(problem) == problem.ndim - 1 and not p.channels_last
    run = span if along else 1  # turned or channels-last, the blocks are gathered one by one
    moved = arrays.in_runs(2 * copies + products, run) + products * 1.5 * (rows - 1) + 3 * matrices
    steps = p.kernel_size[-1] * 6 + count * (15 + 3 * rows)
    each = _peak(p, tile)
    return Cost(flops, moved, matrices + each, steps, each=each, helpers=count - 1)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, block by block along the axis where the kernel is longest."""
    axis, d = _long_axis(problem), problem.ndim
    problem = _turned(problem)
    x, out = np.moveaxis(x, 1 + axis, d), np.moveaxis(out, 1 + axis, d)
    matrices = _matrices(problem, np.moveaxis(weight, axis, d - 1))

    def step(tile: tuple[tuple[int, int], ...]) -> None:
        images, *spans = tile
        target = out[(slice(*images), *(slice(*span) for span in spans))]
        _tile_forward(problem, x[slice(*images)], matrices, spans, target)

    for_each(arrays.tiles(problem, _tile(problem)), step)


def _tile_forward(
    problem: ConvProblem,
    x: np.ndarray,
    matrices: np.ndarray,
    spans: Sequence[tuple[int, int]],
    out: np.ndarray,
) -> None:
    block, span = _block(problem)
    first, last = spans[-1]
    count, rows_each = _count(problem, last - first)
    start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
    stop[-1] = start[-1] + (count - 1) * block * problem.stride[-1] + span
    blocks = _blocks(problem, arrays.region(problem, x, start, stop), count)
    groups, outputs = problem.groups, problem.group_outputs
    extents = [z - a for a, z in spans[:-1]]
    ones = (1,) * (problem.ndim + 1)
    total: np.ndarray | None = None
    for tap, matrix in zip(np.ndindex(*problem.kernel_size[:-1]), matrices, strict=True):
        cut = tuple(
            slice(u * d, u * d + (n - 1) * s + 1, s)
            for u, d, n, s in zip(tap, problem.dilation, extents, problem.stride, strict=False)
        )
        rows = blocks[(slice(None), slice(None), *cut)]
        rows = rows.reshape(*rows.shape[:-2], -1, rows_each, rows.shape[-1])
        matrix = matrix.reshape(groups, *ones, *matrix.shape[1:])
        if total is None:
            total = np.matmul(rows, matrix)
            product = np.empty_like(total) if len(matrices) > 1 else total
        else:
            total += np.matmul(rows, matrix, out=product)
    assert total is not None  # every kernel has a tap
    split = total.reshape(groups, len(x), *extents, count * block, outputs)
    target = out.reshape(*out.shape[:-1], groups, outputs)
    target[...] = np.moveaxis(split[..., : last - first, :], 0, -2)


def _blocks(problem: ConvProblem, piece: np.ndarray, count: int) -> np.ndarray:
    """Copy a piece of x to (groups, N, *rows, count, channels of a group * L)."""
    block, span = _block(problem)
    groups, per_group = problem.groups, problem.group_channels
    *_, step, _ = piece.strides
    view = np.lib.stride_tricks.as_strided(
        piece,
        (*piece.shape[:-2], count, span, groups, per_group),
        (
            *piece.strides[:-2],
            step * block * problem.stride[-1] if count > 1 else 0,
            step,
            piece.strides[-1] * per_group,
            piece.strides[-1],
        ),
        writeable=False,
    )
    view = np.moveaxis(np.moveaxis(view, -2, 0), -1, -2)
    dense = np.ascontiguousarray(view)
    return dense.reshape(*dense.shape[:-2], per_group * span)


def _matrices(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the banded matrices (taps of the other axes, groups, channels * L, B * outputs)."""
    block, span = _block(problem)
    groups, per_group, outputs = problem.groups, problem.group_channels, problem.group_outputs
    length = problem.kernel_size[-1]
    rows = problem.taps // length
    bands = np.zeros((rows, groups, per_group, span, block, outputs), problem.compute_dtype)
    taps = weight.reshape(rows, length, per_group, groups, outputs)
    column = np.arange(block)
    row = column * (problem.stride[-1] if block > 1 else 0)
    for j in range(length):
        values = taps[:, j].swapaxes(1, 2)[:, :, :, None, :]
        bands[:, :, :, row + j * problem.dilation[-1], column] = values
    return bands.reshape(rows, groups, per_group * span, block * outputs)


def _long_axis(problem: ConvProblem) -> int:
    """Return the axis with the longest kernel, the last among equals."""
    return max(range(problem.ndim), key=lambda a: (problem.kernel_size[a], a))


def _turned(problem: ConvProblem) -> ConvProblem:
    """Return the problem with its long axis moved last."""
    axis = _long_axis(problem)
    if axis == problem.ndim - 1:
        return problem

    def turn(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*values[:axis], *values[axis + 1 :], values[axis])

    return replace(
        problem,
        size=turn(problem.size),
        kernel_size=turn(problem.kernel_size),
        stride=turn(problem.stride),
        padding=turn(problem.padding),
        dilation=turn(problem.dilation),
    )


def _block(problem: ConvProblem) -> tuple[int, int]:
    """Return B and L."""
    block = min(_BLOCK, problem.out_size[-1])
    return block, (block - 1) * problem.stride[-1] + problem.dilated_size[-1]


def _count(problem: ConvProblem, width: int) -> tuple[int, int]:
    """Return how many blocks cover `width` outputs, and how many of them go into one matmul."""
    count = -(-width // _block(problem)[0])
    each = min(count, _BLOCKS)
    return -(-count // each) * each, each


def _tile(problem: ConvProblem) -> tuple[int, ...]:
    return arrays.tile_shape(problem, lambda tile: _peak(problem, tile), arrays.TILE_NBYTES)


def _peak(problem: ConvProblem, tile: Sequence[int]) -> int:
    """Return the most bytes a tile holds at once."""
    piece, blocks, products = _nbytes(problem, tile)
    return blocks + max(piece if problem.copies_x else 0, products)


def _nbytes(problem: ConvProblem, tile: Sequence[int]) -> tuple[int, int, int]:
    """Return the bytes of a tile's piece of x, its blocks, and its products."""
    block, span = _block(problem)
    count, _ = _count(problem, tile[-1])
    piece = arrays.region_nbytes(problem, tile)
    _, stop = problem.reach([0] * problem.ndim, tile[1:])
    rows = tile[0] * math.prod(stop[:-1])
    blocks = rows * count * span * problem.in_channels * problem.itemsize
    outputs = math.prod(tile[:-1]) * count * block * problem.out_channels * problem.itemsize
    return piece, blocks, outputs * (2 if problem.taps > problem.kernel_size[-1] else 1)


def _matrix_nbytes(problem: ConvProblem) -> int:
    block, span = _block(problem)
    taps = problem.taps // problem.kernel_size[-1]
    per_row = problem.group_channels * span * block * problem.out_channels
    return taps * per_row * problem.itemsize
