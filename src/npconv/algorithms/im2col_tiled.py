"""im2col that is never whole: a block of patch rows at a time, small enough for the cache.

::

    for each tile of out (some images, or some rows of one):
        windows of the part of padded x that it reads        a view
        patches = copied                                     at most TILE_NBYTES
        out[tile] = patches @ weight

Padding happens a tile at a time too, so no padded copy of x exists.
Cost: that of im2col_view, the copies in cache instead of memory.
Memory: one tile's piece of x, patch rows and product, whatever the size of x.
Error: that of the direct sum.
When not to use it: never wrong; a single channel is faster by toeplitz, a wide kernel by fft.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each, num_threads

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
    workspace = min(num_threads(), count) * _nbytes(problem, tile) + weights
    return Cost(2 * problem.macs, moved, workspace, count * (14 + problem.groups // 2))


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


def _tile(problem: ConvProblem) -> tuple[int, ...]:
    # Weight is read anew for each tile: rows that are few beside its columns are one tile.
    rows = problem.batch * problem.pixels // max(problem.group_outputs, _LEAST_ROWS)
    shares = max(min(rows, problem.macs // arrays.WORTH_SHARING, _SHARES), 1)
    limit = min(arrays.TILE_NBYTES, _nbytes(problem, problem.out_shape[:-1]) // shares)
    return arrays.tile_shape(problem, lambda tile: _nbytes(problem, tile), limit)


def _nbytes(problem: ConvProblem, tile: Sequence[int]) -> int:
    piece = arrays.region_nbytes(problem, tile) if problem.copies_x else 0
    return piece + sum(arrays.im2col_nbytes(problem, tile))
