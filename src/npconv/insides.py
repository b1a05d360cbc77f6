"""What is inside the algorithms, for those who show it: costs, index, view, tables and matrices.

Each is what the algorithms themselves compute with, asked of a plan's `problem`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from npconv import addresses, arrays, compiler, directions, planner, tiling
from npconv.algorithms import ALGORITHMS, im2col_index
from npconv.kernels import toom
from npconv.problem import ConvProblem

Matrix = tuple[tuple[Fraction, ...], ...]


class Spent(NamedTuple):
    """What an algorithm spends on a problem once its kernels are compiled.

    flops, bytes moved, bytes held beyond the arrays, and the seconds that come of these.
    """

    flops: int
    nbytes: int
    workspace: int
    seconds: float


class View(NamedTuple):
    """The windows of one padded image as a view: shapes, and strides in elements.

    padded (H, W, C), windows (OH, OW, kh, kw, C), matrix (OH * OW, kh * kw * C / groups).
    """

    padded_shape: tuple[int, ...]
    padded_strides: tuple[int, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    matrix_shape: tuple[int, int]


class Tile(NamedTuple):
    """A short convolution along an axis: out = A ((G weight) * (B x)), with `products` products."""

    outputs: int
    taps: int
    stride: int
    products: int
    output: Matrix
    kernel: Matrix
    input: Matrix
    amplification: float


def words(name: str) -> str:
    """Return what an algorithm's module says of itself.

    Examples
    --------
    >>> from npconv import insides
    >>> insides.words("im2col_view").splitlines()[0]
    'im2col by strided view: the same buffer seen as windows, copied in one call, multiplied once.'
    """
    return (ALGORITHMS[name].__doc__ or "").strip()


def spent(problem: ConvProblem, name: str) -> Spent:
    """Return what an algorithm spends on a problem that it can compute.

    Examples
    --------
    >>> import npconv
    >>> from npconv import insides
    >>> insides.spent(npconv.plan((1, 1, 5, 5), (1, 1, 3, 3)).problem, "taps").flops
    162
    """
    with compiler.supposed_ready():
        cost = directions.cost(problem, name)
    seconds = planner.seconds_of(problem, name, cost)
    return Spent(round(cost.flops), round(cost.nbytes), cost.held, seconds)


def patch_index(problem: ConvProblem) -> np.ndarray:
    """Return im2col_index's index: for each (window, tap) a flat position of a padded image."""
    return im2col_index.patch_index(problem)


def window_view(problem: ConvProblem) -> View:
    """Return im2col_view's view of one image that lies channels last.

    Examples
    --------
    >>> import npconv
    >>> from npconv import insides
    >>> view = insides.window_view(npconv.plan((1, 1, 5, 5), (1, 1, 3, 3)).problem)
    >>> view.shape, view.strides
    ((3, 3, 3, 3, 1), (5, 1, 5, 1, 1))
    """
    _, extent = problem.reach(problem.out_size, problem.out_size)
    padded = np.empty((1, *extent, problem.in_channels), np.int8)
    view = arrays.windows(problem, padded, problem.out_size)
    matrix = (problem.pixels, problem.terms)
    return View(padded.shape[1:], padded.strides[1:], view.shape[1:], view.strides[1:], matrix)


def address_tables(problem: ConvProblem) -> list[np.ndarray]:
    """Return indirect's tables of one image that lies channels last, an axis each.

    A padded position's offset in elements, int64; -1 where it is a zero.
    """
    strides = [problem.in_channels]
    for n in problem.size[:0:-1]:
        strides.insert(0, strides[0] * n)
    return [addresses.offsets(problem, axis, stride) for axis, stride in enumerate(strides)]


def tile(outputs: int, taps: int, stride: int = 1) -> Tile:
    """Return the matrices of F(outputs, taps).

    Examples
    --------
    >>> from npconv import insides
    >>> insides.tile(2, 3).products  # where the definition takes 6
    4
    """
    return _tile(toom.axis(outputs, taps, stride))


def winograd_tiles(problem: ConvProblem) -> list[Tile]:
    """Return what winograd computes each of the last two axes with; [] where it saves nothing."""
    return [_tile(toom.axes()[i]) for i in tiling.rows(problem)]


def winograd_products(problem: ConvProblem) -> int:
    """Return winograd's multiplications of transformed numbers; the definition's without tiles."""
    if not (chosen := tiling.rows(problem)):
        return problem.macs
    depth, *_ = tiling.depth_axis(problem)
    each = depth * problem.group_channels * problem.out_channels
    return each * tiling.products(problem, chosen)


def _tile(axis: toom.Axis) -> Tile:
    return Tile(
        axis.outputs, axis.taps, axis.stride, axis.products, axis.output, axis.kernel, axis.input,
        axis.amplification,
    )  # fmt: skip
