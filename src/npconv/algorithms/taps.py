"""One matmul for each position in the kernel: the convolution as a sum of shifted images.

::

    for each tile of out, small enough for a core's cache:
        for each tap (u, v):
            shifted = padded[:, u*d :: s, v*d :: s, :]     a view   (N, OH, OW, C)
            out    += shifted @ weight[u, v]                        (C, O)

    grad_weight[u, v]                 = shifted.T @ grad_out
    grad_padded[:, u*d :: s, v*d :: s] += grad_out @ weight[u, v].T       a strided add a tap

Cost: the definition's flops in taps * groups matmuls a tile, and taps passes over out.
Memory: the padded x and a tile's product.  Error: that of the direct sum.
When not to use it: when taps are many and channels few, the passes over out cost more than the
arithmetic; prefer toeplitz or fft there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from npconv import adjoints, arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each

NAME = "taps"
SPREADS = False
_NARROW = 12  # columns: a matrix product with fewer takes as long
_TILE_NBYTES = 1 << 18  # a product stays in one core's cache while the taps pass over it


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and taps passes that read a product and read and write out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    product = math.prod(problem.out_shape) * problem.itemsize
    weights = math.prod(problem.weight_shape) * problem.itemsize
    row = max(problem.out_size[-1], 1)
    tile = _tile(problem)
    count = arrays.tile_count(problem, tile)
    apart = problem.taps > 1 and problem.group_channels > 1 and not problem.weight_channels_last
    copied = weights if apart or problem.weight_dtype != problem.compute_dtype else 0
    each = _nbytes(problem, tile)
    if problem.group_channels == 1:
        run = problem.out_channels if problem.channels_last else problem.out_size[-1]
        passes = problem.taps * product * (5 + 150 / max(run, 1))
        steps: float = 3 * problem.taps * count
    else:
        # The weight is read for each row of pixels, and gathered first where it lies apart.
        passes = problem.taps * product * 4 + weights * problem.batch * problem.pixels // row
        passes += 5 * arrays.in_runs(weights, 1) if apart else 0
        rows = problem.batch * problem.pixels // row  # a stacked matmul each, begun in C
        steps = problem.taps * problem.groups * (3 * count + rows / 16)
    workspace = padded + copied + each
    return Cost(2 * problem.macs, padded + passes, workspace, steps, each=each, helpers=count - 1)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out as the sum of its taps."""
    padded = arrays.region(problem, x)
    weights = [
        _for_matmul(weight[tap].astype(problem.compute_dtype, copy=False))
        for tap in np.ndindex(*problem.kernel_size)
    ]

    def step(tile: tuple[tuple[int, int], ...]) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = padded[(slice(*images), *map(slice, start, stop))]
        target = out[(slice(*images), *(slice(*span) for span in spans))]
        in_place = target.dtype == problem.compute_dtype
        total = target if in_place else np.empty_like(target, problem.compute_dtype)
        product = np.empty_like(total)
        for number, tap in enumerate(np.ndindex(*problem.kernel_size)):
            shifted = arrays.tap_view(problem, piece, tap, [z - a for a, z in spans])
            _product(problem, shifted, weights[number], product if number else total)
            if number:
                total += product
        if not in_place:
            target[...] = total

    for_each(arrays.tiles(problem, _tile(problem)), step)


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and taps passes that read a product and read and write grad_x."""
    spent = cost(_swapped(problem))
    padded = adjoints.padded_grad_nbytes(problem)
    weights = math.prod(problem.weight_shape) * problem.itemsize
    tile = _tile(problem)
    shares = -(-problem.batch // max(tile[0], 1))
    each = math.prod(tile) * problem.in_channels * problem.itemsize + _copied_nbytes(problem, tile)
    alone = 2 if shares == 1 else 1  # the tiles of one image are not shared out
    narrow = max(_NARROW / problem.group_channels, 1)
    return Cost(
        spent.flops * alone * narrow,
        spent.nbytes * alone + 2 * padded + 3 * adjoints.added_nbytes(problem),
        padded + weights + each,
        spent.calls * alone,
        each=each,
        helpers=shares - 1,
    )


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and a copy of the shifted image for each tap."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    tile = _tile(problem)
    count = arrays.tile_count(problem, tile)
    shifted = math.prod(tile) * problem.in_channels * problem.itemsize
    weights = math.prod(problem.weight_shape) * problem.itemsize
    shares = adjoints.share_count(count, weights)
    copied = adjoints.grads_copied_nbytes(problem, tile)
    each = shifted + copied
    workspace = padded + shares * weights + each
    run = problem.in_channels if problem.channels_last else problem.out_size[-1]
    given = math.prod(problem.out_shape) * problem.itemsize
    moved = padded + 2 * problem.taps * (count * arrays.in_runs(shifted, run) + given)
    # Each tap is written where weight lies: alone where the taps of a channel lie together.
    apart = problem.taps > 1 and not problem.weight_channels_last
    moved += 6 * count * weights + arrays.in_runs(weights, 1 if apart else weights)
    steps = problem.taps * count * (6 + problem.groups // 2)
    # A matrix of few rows fills no registers.
    flops = 2 * problem.macs * max(1.3, 16 / max(problem.group_channels, 1))
    return Cost(flops, moved, workspace, steps, each=each, helpers=shares - 1)


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out by adding, for each tap, grad_out times its matrix to what the tap had met."""
    swapped = _swapped(problem)
    matrices = [
        _for_matmul(
            adjoints.swap_channels(swapped, weight[tap])
            .reshape(problem.group_outputs, problem.in_channels)
            .astype(problem.compute_dtype, copy=False)
        )
        for tap in np.ndindex(*problem.kernel_size)
    ]
    tiles = itertools.groupby(arrays.tiles(problem, _tile(problem)), lambda tile: tile[0])
    with adjoints.padded_grad(problem, out) as grad:

        def step(some: list[tuple[tuple[int, int], ...]]) -> None:
            for images, *spans in some:
                start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
                piece = grad[(slice(*images), *map(slice, start, stop))]
                given = grad_out[(slice(*images), *(slice(*span) for span in spans))]
                given = given.astype(problem.compute_dtype, copy=False)
                product = np.empty_like(piece, shape=(*given.shape[:-1], problem.in_channels))
                for tap, matrix in zip(np.ndindex(*problem.kernel_size), matrices, strict=True):
                    _product(swapped, given, matrix, product)
                    met = arrays.tap_view(problem, piece, tap, [z - a for a, z in spans])
                    met += product
                del given, product  # before the next tile's are made

        # Tiles of one image overlap where they add: they stay with one thread.
        for_each([list(some) for _, some in tiles], step)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: for each tap, the image it met, turned, times grad_out."""
    padded = arrays.region(problem, x)
    one_tap = replace(problem, kernel_size=(1,) * problem.ndim)
    no_taps = (None,) * problem.ndim

    def step(tile: tuple[tuple[int, int], ...], total: np.ndarray) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = padded[(slice(*images), *map(slice, start, stop))]
        given = grad_out[(slice(*images), *(slice(*span) for span in spans))]
        grads = adjoints.grad_matrix(problem, given)
        for number, tap in enumerate(np.ndindex(*problem.kernel_size)):
            shifted = arrays.tap_view(problem, piece, tap, [z - a for a, z in spans])
            rows = arrays.patch_matrix(one_tap, shifted[(..., *no_taps, slice(None))])
            product = np.empty(shape, problem.compute_dtype)
            adjoints.multiply_patches(one_tap, rows, grads, product)
            total[number] += product
            del rows  # before the next tap's are copied

    shape = adjoints.product_shape(one_tap)
    tiles = list(arrays.tiles(problem, _tile(problem)))
    total = adjoints.sum_tiles(tiles, (problem.taps, *shape), problem.compute_dtype, step)
    for tap, product in zip(np.ndindex(*problem.kernel_size), total, strict=True):
        adjoints.write_weight(one_tap, product, out[(*map(_one, tap),)], taps_first=True)


def _one(index: int) -> slice:
    return slice(index, index + 1)


def _swapped(problem: ConvProblem) -> ConvProblem:
    """Return the problem with the channels of x and of out exchanged."""
    return replace(problem, in_channels=problem.out_channels, out_channels=problem.in_channels)


def _copied_nbytes(problem: ConvProblem, tile: Sequence[int]) -> int:
    """Return the bytes of a tile of grad_out, if it must be copied to the compute dtype."""
    if problem.out_dtype == problem.compute_dtype:
        return 0
    return math.prod(tile) * problem.out_channels * problem.itemsize


def _for_matmul(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix that BLAS can read: its rows or its columns in one piece."""
    return matrix if matrix.itemsize in matrix.strides else np.ascontiguousarray(matrix)


def _tile(problem: ConvProblem) -> tuple[int, ...]:
    limit = _TILE_NBYTES if problem.macs > arrays.WORTH_POOLING else arrays.TILE_NBYTES
    return arrays.tile_shape(problem, lambda tile: _nbytes(problem, tile), limit)


def _nbytes(problem: ConvProblem, tile: Sequence[int]) -> int:
    one = math.prod(tile) * problem.out_channels * problem.itemsize
    return one * (2 if problem.dtype.kind in "iu" else 1)


def _product(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write the 1x1 convolution of x (N, *out_size, C) with weight (C // groups, O)."""
    groups, outputs = problem.groups, problem.group_outputs
    if problem.group_channels == 1:
        split = out.reshape(*out.shape[:-1], groups, outputs)
        np.multiply(x[..., None], weight.reshape(groups, outputs), out=split)
        return
    for g in range(groups):
        channels = slice(g * problem.group_channels, (g + 1) * problem.group_channels)
        columns = slice(g * outputs, (g + 1) * outputs)
        np.matmul(x[..., channels], weight[:, columns], out=out[..., columns])
