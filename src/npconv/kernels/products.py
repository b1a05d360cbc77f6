"""The two register tiles of this machine, and the choice between them by a value."""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.inner import inner
from npconv.kernels.tile import make_tile

ROWS, VECTORS = simd.tile_size()
TALL = ROWS * VECTORS  # rows of a tile one vector wide
tile = make_tile(ROWS, VECTORS)
tall = make_tile(TALL, 1)


@inner
def rows_of(block, like):
    """Return how many rows the tile has whose rows are `block` elements."""
    return TALL if block == simd.width(like) else ROWS


@inner
def multiply(block, table, outer, inner, a_step, b, b_step, b_outer, out, column, store):
    """Call the tile whose rows are `block` elements: one vector, or VECTORS; see `make_tile`."""
    if block == simd.width(store.least):
        tall(table, outer, inner, a_step, b, b_step, b_outer, out, column, store)
    else:
        tile(table, outer, inner, a_step, b, b_step, b_outer, out, column, store)
