"""The record of a Winograd convolution: the layer, how it is cut, and each thread's scratch.

Steps are in bytes; arrays have their channels side by side.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd
from npconv.kernels.ahead import LINE
from npconv.kernels.fields import Grid
from npconv.kernels.winograd_transforms import Transforms

ROWS, VECTORS = simd.tile_size()


class Call(NamedTuple):
    """What each call adds: addresses, and the least and the most that is stored.

    packed  the transformed weight, or room for it; 0 has blocks of it made where they are needed
    values  what all threads share of the transformed x; 0 where each has some of its own
    start   (groups, outputs of all blocks), added to the sums
    """

    x: int
    out: int
    packed: int
    values: int
    start: int
    least: float
    most: float


class Weight(NamedTuple):
    """Where the weight lies, which each call adds where it is to be transformed."""

    address: int
    group: int
    depth: int
    row: int
    column: int
    channel: int
    output: int


class Place(NamedTuple):
    """How x or out lies: bytes from group to group, image to image, and so on."""

    group: int
    image: int
    depth: int
    row: int
    pixel: int


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


class Shared(NamedTuple):
    """Bytes from group to group of what is not x, out or weight."""

    packed: int
    values: int
    start: int


class Room(NamedTuple):
    """Scratch of one thread: byte offsets, and bytes from plane to plane (one for each product).

    values     (planes, held * reads, channels)  the transformed columns of a block
    products   (planes, rows, block)     their products with a block of the weights
    patch      (span, span, channels)    a tile that x does not hold whole
    spare      (outputs, outputs) vectors, what out does not hold whole
    zeros      (block or channels)
    seen       (vector) NaN after a sum that is not finite
    table      (planes * taps + 1, rows) int64  where the products' rows are read, and written
    goals      (rows, 3) int64           where a tile's outputs go, and how many rows and columns
    block      a block of the transformed weight, where none is kept
    transform  (lanes, taps, taps, block)  the taps of some channels, of which that is made
    nbytes     of all of it
    held       columns in work at once
    """

    values: int
    products: int
    patch: int
    spare: int
    zeros: int
    seen: int
    table: int
    goals: int
    block: int
    transform: int
    nbytes: int
    value_plane: int
    product_plane: int
    held: int


class Layer(NamedTuple):
    """The record of a convolution.

    finite  whether every sum was; streams: whether whole tiles are written past the caches;
    tables  address of int64 that the axes' places, firsts and so on number;
    plane   bytes from a plane of a transformed block of the weight to the next
    """

    call: Call
    weight: Weight
    finite: int
    streams: int
    grid: Grid
    depth: Depth
    high: Side
    wide: Side
    transforms: Transforms
    room: Room
    source: Place
    target: Place
    shared: Shared
    tables: int
    channels: int
    outputs: int
    plane: int


FINITE = len(Call._fields) + len(Weight._fields)  # where `finite` stands in the record


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


def weight_plane(taps: int, channels: int, itemsize: int) -> int:
    """Return the bytes of a plane of a transformed block of the weight, all taps of the depth."""
    block = VECTORS * simd.MACHINE.vector_nbytes // itemsize
    return taps * value_plane(channels * block, 1, itemsize)


def rows_of(length: int, held: int) -> int:
    """Return how many rows of products so many columns fill, a multiple of ROWS."""
    return -(-length * held // ROWS) * ROWS


def room(sizes: Sizes, block_nbytes: int = 0, transform_nbytes: int = 0) -> Room:
    """Return the Room; 0 bytes where no block of the weight is made in it."""
    vector = simd.MACHINE.vector_nbytes
    block = VECTORS * vector
    planes = sizes.spans[0] * sizes.spans[1]
    rows = rows_of(sizes.length, sizes.held)
    product_plane = rows * block + vector
    lengths = (
        0 if sizes.shared else planes * sizes.plane,
        planes * product_plane,
        planes * max(-(-sizes.channels * sizes.itemsize // vector), 1) * vector,
        sizes.outputs[0] * sizes.outputs[1] * vector,
        max(block, sizes.channels * sizes.itemsize),
        vector,
        8 * (planes * sizes.taps + 1) * rows,
        8 * 3 * rows,
        block_nbytes,
        transform_nbytes,
    )
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + -(-length // LINE) * LINE)
    return Room(*starts, sizes.plane, product_plane, sizes.held)
