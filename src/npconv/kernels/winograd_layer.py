"""What the kernels of Winograd convolution are told: a layer, how it is cut, and the scratch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.winograd_transforms import Transforms

LINE = 64  # bytes of a cache line: no vector of the scratch crosses one
ROWS, VECTORS = simd.tile_size()


class Place(NamedTuple):
    """Where an array lies that has its channels side by side: address, and bytes to the next."""

    address: int
    image: int
    depth: int
    row: int
    pixel: int


class Weight(NamedTuple):
    """Where a weight lies: address, and bytes to the next."""

    address: int
    depth: int
    row: int
    column: int
    channel: int
    output: int


class Side(NamedTuple):
    """How one of the two axes is computed: its row in toom.ROWS with that row's figures, and where.

    A tile has as many products as it reads inputs: span.  These are `hole` positions of padded x
    apart, its outputs `leap`.  Where they stand in the layer's tables:

    places  of each padded position: which one of x it reads, -1 a zero
    firsts  of each tile: the padded position of its first input
    starts  of each tile: its first output
    """

    number: int
    taps: int
    outputs: int
    span: int
    hole: int
    leap: int
    out_size: int
    tiles: int
    places: int
    firsts: int
    starts: int


class Depth(NamedTuple):
    """The axis that is summed tap by tap; `length` outputs of it are a column's.

    places  as a Side's
    reads   `count` padded positions that a column reads, from that of its first output on
    lines   of each of its outputs and their taps: which of these it reads
    """

    taps: int
    stride: int
    out_size: int
    length: int
    columns: int
    count: int
    places: int
    reads: int
    lines: int


class Layer(NamedTuple):
    """A convolution, or a group of one; its tables, int64, in one array."""

    tables: np.ndarray
    depth: Depth
    high: Side
    wide: Side
    transforms: Transforms
    channels: int
    outputs: int
    zero: float  # of the elements' type


class Room(NamedTuple):
    """Scratch of one thread: addresses, and bytes from plane to plane (one for each product).

    values    (planes, held * reads, channels)  the transformed columns of a block
    products  (planes, rows, block)     their products with a block of the weights
    patch     (span, span) vectors      a tile that x does not hold whole
    spare     (outputs, outputs) vectors, what out does not hold whole
    zeros     (block or channels)
    seen      (vector) NaN after a sum that is not finite
    table     (planes * taps + 1, rows) int64  where the products' rows are read, and written
    goals     (rows, 3) int64           where a tile's outputs go, and how many rows and columns
    """

    values: int
    products: int
    patch: int
    spare: int
    zeros: int
    seen: int
    table: int
    goals: int
    value_plane: int
    product_plane: int
    held: int


class Part(NamedTuple):
    """Which columns of tiles, and which blocks of outputs, are computed."""

    first: int
    last: int
    first_block: int
    last_block: int


class Sizes(NamedTuple):
    """What a Room must hold."""

    spans: tuple[int, int]
    outputs: tuple[int, int]
    taps: int
    length: int
    channels: int
    held: int
    plane: int
    itemsize: int
    shared: bool  # whether the values lie elsewhere


def value_plane(channels: int, rows: int, itemsize: int) -> int:
    """Return the bytes of a plane of values; a power of two would share its place in the cache."""
    vector = simd.MACHINE.vector_nbytes
    return -(-rows * channels * itemsize // vector) * vector + vector


def rows_of(length: int, held: int) -> int:
    """Return how many rows of products so many columns fill, a multiple of ROWS."""
    return -(-length * held // ROWS) * ROWS


def room(sizes: Sizes) -> tuple[Room, int]:
    """Return the Room that begins at address 0, and its bytes, a multiple of LINE."""
    vector = simd.MACHINE.vector_nbytes
    block = VECTORS * vector
    planes = sizes.spans[0] * sizes.spans[1]
    rows = rows_of(sizes.length, sizes.held)
    product_plane = rows * block + vector
    lengths = (
        0 if sizes.shared else planes * sizes.plane,
        planes * product_plane,
        planes * vector,
        sizes.outputs[0] * sizes.outputs[1] * vector,
        max(block, sizes.channels * sizes.itemsize),
        vector,
        8 * (planes * sizes.taps + 1) * rows,
        8 * 3 * rows,
    )
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + -(-length // LINE) * LINE)
    return Room(*starts[:-1], sizes.plane, product_plane, sizes.held), starts[-1]
