"""im2col that is never whole: a block of patch rows at a time, small enough for the cache.

::

    for each tile of out (some images, or some rows of one):
        windows of the part of padded x that it reads        a view
        patches = copied                                     at most TILE_NBYTES
        out[tile] = patches @ weight           grad_weight += patches.T @ grad_out[tile]

The input gradient is the convolution of grad_out with the flipped kernel, a phase of the stride at
a time (problem/identities.py): it gathers too, so that no two tiles add to one element.
Padding happens a tile at a time too, so no padded copy of x exists.
Cost: that of im2col_view, the copies in cache instead of memory.
Memory: one tile's piece of x, patch rows and product, whatever the size of x.
Error: that of the direct sum.
When not to use it: never wrong; a single channel is faster by toeplitz, a wide kernel by fft.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npconv import adjoints, arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each

NAME = "im2col_tiled"
SPREADS = False
_LEAST_ROWS = 128  # in a tile
_SHARES = 4  # tiles to share out, so that threads end together


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and the tiles' patch rows written and read in cache."""
    tile = _tile(problem)
    count = arrays.tile_count(problem, tile)
    weights = arrays.weight_copy_nbytes(problem, taps_first=problem.channels_last)
    patches, product = arrays.im2col_nbytes(problem, problem.out_shape[:-1])
    moved = arrays.copy_nbytes(problem, patches) + product + arrays.in_runs(weights, 1)
    moved += count * arrays.region_nbytes(problem, tile)
    each, steps = _nbytes(problem, tile), count * (14 + problem.groups // 2)
    return Cost(2 * problem.macs, moved, weights + each, steps, each=each, helpers=count - 1)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out tile by tile."""
    weights = arrays.weight_matrix(problem, weight, taps_first=problem.channels_last)

    def step(tile: tuple[tuple[int, int], ...]) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = arrays.region(problem, x[slice(*images)], start, stop)
        view = arrays.windows(problem, piece, [z - a for a, z in spans])
        target = out[(slice(*images), *(slice(*span) for span in spans))]
        arrays.multiply(problem, arrays.patch_matrix(problem, view), weights, target)

    for_each(arrays.tiles(problem, _tile(problem)), step)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, the tiles' patch rows, and the partial sums."""
    tile = _tile(problem)
    count = arrays.tile_count(problem, tile)
    weights = math.prod(problem.weight_shape) * problem.itemsize
    shares = adjoints.share_count(count, weights)
    patches, grads = arrays.im2col_nbytes(problem, problem.out_shape[:-1])
    moved = arrays.copy_nbytes(problem, patches) + grads + (3 * count + shares) * weights
    moved += count * arrays.region_nbytes(problem, tile)
    piece = arrays.region_nbytes(problem, tile) if problem.copies_x else 0
    rows, _ = arrays.im2col_nbytes(problem, tile)
    each = max(piece, adjoints.grads_copied_nbytes(problem, tile) + weights) + rows
    workspace, steps = shares * weights + each, count * (16 + problem.groups // 2)
    return Cost(2 * problem.macs, moved, workspace, steps, each=each, helpers=shares - 1)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out as the sum over tiles of patches, turned, times grad_out."""

    def step(tile: tuple[tuple[int, int], ...], total: np.ndarray) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = arrays.region(problem, x[slice(*images)], start, stop)
        view = arrays.windows(problem, piece, [z - a for a, z in spans])
        patches = arrays.patch_matrix(problem, view)
        del piece, view
        given = grad_out[(slice(*images), *(slice(*span) for span in spans))]
        grads = adjoints.grad_matrix(problem, given)
        product = np.empty_like(total)
        adjoints.multiply_patches(problem, patches, grads, product)
        total += product

    shape = adjoints.product_shape(problem)
    tiles = list(arrays.tiles(problem, _tile(problem)))
    product = adjoints.sum_tiles(tiles, shape, problem.compute_dtype, step)
    adjoints.write_weight(problem, product, out, taps_first=problem.channels_last)


def _tile(problem: ConvProblem) -> tuple[int, ...]:
    # Weight is read anew for each tile: rows that are few beside its columns are one tile.
    rows = problem.batch * problem.pixels // max(problem.group_outputs, _LEAST_ROWS)
    shares = max(min(rows, problem.macs // arrays.WORTH_POOLING, _SHARES), 1)
    limit = min(arrays.TILE_NBYTES, _nbytes(problem, problem.out_shape[:-1]) // shares)
    return arrays.tile_shape(problem, lambda tile: _nbytes(problem, tile), limit)


def _nbytes(problem: ConvProblem, tile: Sequence[int]) -> int:
    piece = arrays.region_nbytes(problem, tile) if problem.copies_x else 0
    return piece + sum(arrays.im2col_nbytes(problem, tile))
