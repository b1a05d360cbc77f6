"""Winograd convolution of two axes: transforms into a block of tiles, products, transforms back.

One letter each: n image, y x tile, c channel, k output, t tile of a block, v vector.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.sandwich import into, of_kernel, out_of
from npconv.kernels.tile import make_tile

LINE = 64  # bytes of a cache line: no vector of the scratch crosses one
ROWS, VECTORS = simd.tile_size()
tile = make_tile(ROWS, VECTORS)
copy = simd.copy
fill = simd.fill
gather = simd.gather


class Place(NamedTuple):
    """Where an array lies that has its channels side by side: address, and bytes to the next."""

    address: int
    image: int
    row: int
    pixel: int


class Side(NamedTuple):
    """How one axis is computed: its row in toom.ROWS with that row's figures, and where.

    A tile has as many products as it reads inputs: span.
    """

    number: int
    outputs: int
    span: int
    step: int  # inputs from a tile to the next
    size: int  # of x
    before: int  # padding
    out_size: int
    tiles: int


class Room(NamedTuple):
    """Scratch of one thread: addresses, and bytes from plane to plane (one for each product).

    values    (planes, held, channels)  the transformed block of tiles
    products  (planes, held, block)     their products with a block of the weights
    patch     (span, span) vectors      a tile that x does not hold whole
    middle    (products, span) vectors  between the two sides of a sandwich
    spare     (outputs, outputs) vectors, what out does not hold whole
    zeros     (block)
    """

    values: int
    products: int
    patch: int
    middle: int
    spare: int
    zeros: int
    value_plane: int
    product_plane: int


class Part(NamedTuple):
    """Which tiles, and which blocks of outputs, a call computes."""

    first: int
    last: int
    first_block: int
    last_block: int


def value_plane(channels: int, held: int, itemsize: int) -> int:
    """Return the bytes of a plane of values; a power of two would share its place in the cache."""
    vector = simd.MACHINE.vector_nbytes
    return -(-held * channels * itemsize // vector) * vector + vector


def room(
    address: int, high: Side, wide: Side, plane: int, held: int, values: int = 0
) -> tuple[Room, int]:
    """Return the Room at an address, a multiple of LINE, and its bytes.

    plane: bytes of a plane of values; these lie at the address `values` where that is not 0.
    """
    vector = simd.MACHINE.vector_nbytes
    block = VECTORS * vector
    planes = high.span * wide.span
    product_plane = held * block + vector
    lengths = (
        0 if values else planes * plane,
        planes * product_plane,
        planes * vector,
        planes * vector,
        high.outputs * wide.outputs * vector,
        block,
    )
    starts = [address]
    for length in lengths:
        starts.append(starts[-1] + -(-length // LINE) * LINE)
    places = (values or starts[0], *starts[1:-1])
    return Room(*places, plane, product_plane), starts[-1] - address


@compiled
def convolve(
    source, target, high, wide, channels, outputs, weights, part, held, room, table, zero, least
):  # fmt: skip
    """Write a part of a convolution, a block of `held` tiles at a time.

    weights: address of the part's first block of (blocks, planes, channels, block), as `pack`
    writes it; held: a multiple of ROWS; table: int64, (planes + 1)*held entries.
    """
    for begin in range(part.first, part.last, held):
        end = min(begin + held, part.last)
        gather_tiles(source, high, wide, channels, begin, end, 0, room, zero)
        block_part = Part(begin, end, part.first_block, part.last_block)
        _multiply(target, high, wide, channels, outputs, weights, block_part, held, 0, room,
                  table, zero, least)  # fmt: skip


@compiled
def gather_tiles(source, high, wide, channels, first, last, row, room, zero):
    """Transform tiles `first` to `last` - 1 of x into rows of values, from `row` on."""
    for t in range(first, last):
        _gather_tile(source, high, wide, channels, t, row + t - first, room, zero)


@compiled
def multiply_tiles(
    target, high, wide, channels, outputs, weights, part, held, room, table, zero, least
):  # fmt: skip
    """Write a part of a convolution as `convolve` does, where all of x's tiles are in values."""
    for begin in range(part.first, part.last, held):
        end = min(begin + held, part.last)
        block_part = Part(begin, end, part.first_block, part.last_block)
        _multiply(target, high, wide, channels, outputs, weights, block_part, held, begin, room,
                  table, zero, least)  # fmt: skip


@compiled
def _multiply(
    target, high, wide, channels, outputs, weights, part, held, row, room, table, zero, least
):  # fmt: skip
    """Write the outputs of at most `held` tiles, whose values begin at `row`."""
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    block = VECTORS * lanes
    planes = high.span * wide.span
    count = part.last - part.first
    values = room.values + row * channels * size
    for i in range(planes):
        for t in range(held):
            # The last row again, where a tile of registers has more rows than there are.
            at = min(t, count - 1)
            table[i * held + t] = values + i * room.value_plane + at * channels * size
    for t in range(held):
        table[planes * held + t] = room.products + t * block * size
    rows = table.ctypes.data
    product_rows = rows + 8 * planes * held
    fill(room.zeros, block, zero)
    for kb in range(part.first_block, part.last_block):
        for i in range(planes):
            at = weights + ((kb - part.first_block) * planes + i) * channels * block * size
            for g in range(0, count, ROWS):
                tile(rows + 8 * (i * held + g), 1, channels, 1, at, block, 0, room.zeros,
                     product_rows + 8 * g, i * (room.product_plane // size), least)  # fmt: skip
        for t in range(count):
            for v in range(0, min(block, outputs - kb * block), lanes):
                k = kb * block + v
                products = room.products + (t * block + v) * size
                _scatter_tile(target, high, wide, min(lanes, outputs - k), part.first + t,
                              k * size, products, room, zero)  # fmt: skip


@compiled
def _gather_tile(source, high, wide, channels, t, row, room, zero):
    """Transform tile t of x into a row of values."""
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    x = t % wide.tiles * wide.step - wide.before
    y = t // wide.tiles % high.tiles * high.step - high.before
    n = t // (wide.tiles * high.tiles)
    image = source.address + n * source.image
    whole = x >= 0 and y >= 0 and x + wide.span <= wide.size and y + high.span <= high.size
    for c in range(0, channels, lanes):
        here = min(lanes, channels - c)
        read, row_step, pixel_step = image, source.row, source.pixel
        if whole and here == lanes:
            read += y * source.row + x * source.pixel + c * size
        else:
            read, row_step, pixel_step = room.patch, wide.span * vector, vector
            for i in range(high.span):
                for j in range(wide.span):
                    at = room.patch + (i * wide.span + j) * vector
                    filled = 0
                    if 0 <= y + i < high.size and 0 <= x + j < wide.size:
                        filled = here
                        there = (y + i) * source.row + (x + j) * source.pixel + c * size
                        copy(at, image + there, here, zero)
                    fill(at + filled * size, lanes - filled, zero)
        into(high.number, wide.span, read, row_step, pixel_step,
             room.middle, wide.span * vector, vector, zero)  # fmt: skip
        if here == lanes:
            write, plane = room.values + (row * channels + c) * size, room.value_plane
        else:
            write, plane = room.patch, vector
        into(wide.number, high.span, room.middle, vector, wide.span * vector,
             write, plane, wide.span * plane, zero)  # fmt: skip
        if here < lanes:
            for i in range(high.span * wide.span):
                copy(room.values + i * room.value_plane + (row * channels + c) * size,
                     room.patch + i * vector, here, zero)  # fmt: skip


@compiled
def _scatter_tile(target, high, wide, here, t, offset, products, room, zero):
    """Transform a vector of tile t's products, of which `here` elements count, into out."""
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    x = t % wide.tiles * wide.outputs
    y = t // wide.tiles % high.tiles * high.outputs
    n = t // (wide.tiles * high.tiles)
    address = target.address + n * target.image + y * target.row + x * target.pixel + offset
    out_of(high.number, wide.span, products, wide.span * room.product_plane,
           room.product_plane, room.middle, wide.span * vector, vector, zero)  # fmt: skip
    rows, columns = min(high.outputs, high.out_size - y), min(wide.outputs, wide.out_size - x)
    if here == lanes and rows == high.outputs and columns == wide.outputs:
        out_of(wide.number, rows, room.middle, vector, wide.span * vector,
               address, target.pixel, target.row, zero)  # fmt: skip
    else:
        out_of(wide.number, rows, room.middle, vector, wide.span * vector,
               room.spare, vector, wide.outputs * vector, zero)  # fmt: skip
        for i in range(rows):
            for j in range(columns):
                copy(address + i * target.row + j * target.pixel,
                     room.spare + (i * wide.outputs + j) * vector, here, zero)  # fmt: skip


@compiled
def pack(
    weight, steps, high, wide, channels, outputs, packed, first, last, scratch, zero
):  # fmt: skip
    """Write blocks `first` to `last` - 1 of the transformed weight, (planes, channels, block) each.

    packed: address of the first of these; weight: address; steps: bytes between its rows, columns,
    channels and outputs; high, wide: (row in toom.ROWS, taps, span); scratch: address of
    taps*block + span*taps*lanes elements.
    """
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    block = VECTORS * lanes
    row = block * size
    plane = channels * row
    high_number, high_taps, high_span = high
    wide_number, wide_taps, wide_span = wide
    middle = scratch + high_taps * wide_taps * row
    for kb in range(first, last):
        here = min(block, outputs - kb * block)
        for c in range(channels):
            for i in range(high_taps):
                for j in range(wide_taps):
                    read = weight + i * steps[0] + j * steps[1] + c * steps[2]
                    write = scratch + (i * wide_taps + j) * row
                    if steps[3] == size:
                        copy(write, read + kb * block * size, here, zero)
                    else:
                        gather(write, read + kb * block * steps[3], steps[3], here, zero)
                    fill(write + here * size, block - here, zero)
            at = packed + ((kb - first) * high_span * wide_span * channels + c) * row
            for v in range(0, block, lanes):
                of_kernel(high_number, wide_taps, scratch + v * size, wide_taps * row, row,
                          middle, wide_taps * vector, vector, zero)  # fmt: skip
                of_kernel(wide_number, high_span, middle, vector, wide_taps * vector,
                          at + v * size, plane, wide_span * plane, zero)  # fmt: skip
