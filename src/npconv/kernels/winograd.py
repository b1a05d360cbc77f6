"""Winograd convolution of two axes, and the sum over a third before them.

A column of tiles is those at one place of the two axes and at successive places of the third, the
depth, whose taps are summed in the registers; without a third axis it is one tile.

One letter each: n image, y x tile, z depth, c channel, k output, t column of a block, r row of
products, v vector, p tap of the depth.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.sandwich import all_zero, expect, into, out_of, to_end
from npconv.kernels.tile import Store, make_tile
from npconv.kernels.winograd_layer import (
    LINE,
    ROWS,
    VECTORS,
    Depth,
    Layer,
    Part,
    Place,
    Side,
    Sizes,
    room,
    value_plane,
)

tile = make_tile(ROWS, VECTORS)
copy = simd.copy
copy_vector = simd.copy_vector
fill = simd.fill


@compiled
def convolve(source, target, layer, weights, part, room, table, plain, store):
    """Write a part of a convolution, a block of columns at a time; return if all sums are finite.

    weights: address of the part's first block of (blocks, planes, taps, channels, block), as `pack`
    writes it; table: int64, (planes*taps + 1)*rows entries.  plain and store say how products and
    outputs are stored; plain.start: the zeros in room; store.start: of a row of all the blocks.
    """
    _clear(layer, room)
    for begin in range(part.first, part.last, room.held):
        end = min(begin + room.held, part.last)
        _gather(source, layer, begin, end, 0, room)
        block_part = Part(begin, end, part.first_block, part.last_block)
        _multiply(target, layer, weights, block_part, 0, room, table, plain, store)
    return all_zero(room.seen, layer.zero)


@compiled
def multiply_tiles(target, layer, weights, part, room, table, plain, store):
    """Write a part of a convolution as `convolve` does, where all of x's tiles are in values."""
    _clear(layer, room)
    for begin in range(part.first, part.last, room.held):
        end = min(begin + room.held, part.last)
        block_part = Part(begin, end, part.first_block, part.last_block)
        row = begin * layer.depth.count
        _multiply(target, layer, weights, block_part, row, room, table, plain, store)
    return all_zero(room.seen, layer.zero)


@compiled
def gather_tiles(source, layer, first, last, row, room):
    """Transform columns `first` to `last` - 1 of x into rows of values, from `row` on.

    What lies in the padding of the depth is left out.
    """
    _clear(layer, room)
    _gather(source, layer, first, last, row, room)


@compiled
def _clear(layer, room):
    """Write the zeros in room, and that nothing was seen."""
    fill(room.seen, simd.width(layer.zero), layer.zero)
    fill(room.zeros, max(layer.channels, VECTORS * simd.width(layer.zero)), layer.zero)


@compiled
def _gather(source, layer, first, last, row, room):
    """Do the same; the zeros are there."""
    tables, depth, high, wide = layer.tables, layer.depth, layer.high, layer.wide
    for t in range(first, last):
        x = t % wide.tiles
        y = t // wide.tiles % high.tiles
        begin = t // (wide.tiles * high.tiles) % depth.columns * depth.length * depth.stride
        n = t // (wide.tiles * high.tiles * depth.columns)
        for i in range(depth.count):
            z = tables[depth.places + begin + tables[depth.reads + i]]
            if z >= 0:
                image = source.address + n * source.image + z * source.depth
                _gather_tile(source, image, layer, tables, y, x, row, room)
            row += 1


@compiled
def _gather_tile(source, image, layer, tables, y, x, row, room):
    """Transform tile (y, x) of an image of x into a row of values."""
    high, wide, channels, zero = layer.high, layer.wide, layer.channels, layer.zero
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    rows, columns = high.places + tables[high.firsts + y], wide.places + tables[wide.firsts + x]
    top, left = tables[rows], tables[columns]
    reach_y, reach_x = (high.span - 1) * high.hole, (wide.span - 1) * wide.hole
    whole = (
        top >= 0
        and left >= 0
        and tables[rows + reach_y] == top + reach_y
        and tables[columns + reach_x] == left + reach_x
    )
    ahead = wide.span - wide.taps + 1
    for c in range(0, channels, lanes):
        here = min(lanes, channels - c)
        if whole and here == lanes:
            read = image + top * source.row + left * source.pixel + c * size
            row_step, pixel_step = high.hole * source.row, wide.hole * source.pixel
            # What the next tile reads: its rows are too short for the CPU to see what comes.
            for i in range(high.span):
                for j in range(wide.span, wide.span + ahead):
                    expect(read + i * row_step + j * pixel_step)
        else:
            read, row_step, pixel_step = room.patch, wide.span * vector, vector
            for i in range(high.span):
                h = tables[rows + i * high.hole]
                for j in range(wide.span):
                    w = tables[columns + j * wide.hole]
                    at = room.patch + (i * wide.span + j) * vector
                    there = image + h * source.row + w * source.pixel + c * size
                    if h < 0 or w < 0:
                        copy_vector(at, room.zeros, zero)
                    elif here == lanes:
                        copy_vector(at, there, zero)
                    else:
                        copy(at, there, here, zero)
                        fill(at + here * size, lanes - here, zero)
        if here == lanes:
            write, plane = room.values + (row * channels + c) * size, room.value_plane
        else:
            write, plane = room.patch, vector
        if high.span == 1:
            into(wide.number, 1, read, pixel_step, 0, write, plane, 0, zero)
        elif wide.span == 1:
            into(high.number, 1, read, row_step, 0, write, plane, 0, zero)
        else:
            into(high.number, wide.span, read, row_step, pixel_step,
                 room.middle, wide.span * vector, vector, zero)  # fmt: skip
            into(wide.number, high.span, room.middle, vector, wide.span * vector,
                 write, plane, wide.span * plane, zero)  # fmt: skip
        if here < lanes:
            for i in range(high.span * wide.span):
                copy(room.values + i * room.value_plane + (row * channels + c) * size,
                     room.patch + i * vector, here, zero)  # fmt: skip


@compiled
def _multiply(target, layer, weights, part, row, room, table, plain, store):
    """Write the outputs of at most room.held columns, whose values begin at `row`."""
    size = simd.nbytes(layer.zero)
    lanes = simd.width(layer.zero)
    block = VECTORS * lanes
    tables, depth, high, wide = layer.tables, layer.depth, layer.high, layer.wide
    planes = high.span * wide.span
    panel = layer.channels * block
    rows = _list_rows(layer, part, row, room, table)
    whole = -(-rows // ROWS) * ROWS
    reads = table.ctypes.data
    goals = reads + 8 * planes * depth.taps * whole
    for kb in range(part.first_block, part.last_block):
        at = weights + (kb - part.first_block) * planes * depth.taps * panel * size
        for i in range(planes):
            for g in range(0, rows, ROWS):
                tile(reads + 8 * (i * whole + g) * depth.taps, depth.taps, layer.channels, 1,
                     at + i * depth.taps * panel * size, block, panel,
                     goals + 8 * g, i * (room.product_plane // size), plain)  # fmt: skip
        here = min(block, layer.outputs - kb * block)
        ended = Store(store.start + kb * block * size, 0, store.least, store.most)
        r = 0
        for t in range(part.first, part.last):
            x = t % wide.tiles
            y = t // wide.tiles % high.tiles
            begin = t // (wide.tiles * high.tiles) % depth.columns * depth.length
            n = t // (wide.tiles * high.tiles * depth.columns)
            for z in range(begin, min(begin + depth.length, depth.out_size)):
                out = target.address + n * target.image + z * target.depth + kb * block * size
                products = room.products + r * block * size
                _scatter_tile(target, out, high, wide, tables[high.starts + y],
                              tables[wide.starts + x], here, products, room, ended)  # fmt: skip
                r += 1


@compiled
def _list_rows(layer, part, row, room, table):
    """Write to `table` where each row of products reads its taps and is written; return how many.

    The reads lie as (planes, tiles of registers, taps, ROWS), and after them the rows written.
    """
    size = simd.nbytes(layer.zero)
    tables, depth = layer.tables, layer.depth
    taps, nbytes = depth.taps, layer.channels * size
    planes = layer.high.span * layer.wide.span
    places = layer.high.tiles * layer.wide.tiles
    rows = 0
    for t in range(part.first, part.last):
        begin = t // places % depth.columns * depth.length
        rows += min(depth.length, depth.out_size - begin)
    whole = -(-rows // ROWS) * ROWS
    r = 0
    for t in range(part.first, part.last):
        begin = t // places % depth.columns * depth.length
        for z in range(min(depth.length, depth.out_size - begin)):
            for p in range(taps):
                line = tables[depth.lines + z * taps + p]
                at, plane = room.zeros, 0
                if tables[depth.places + begin * depth.stride + tables[depth.reads + line]] >= 0:
                    at = room.values + (row + (t - part.first) * depth.count + line) * nbytes
                    plane = room.value_plane
                for i in range(planes):
                    table[((i * whole + r // ROWS * ROWS) * taps) + p * ROWS + r % ROWS] = at
                    at += plane
            r += 1
    # The last row again, where a tile of registers has more rows than there are.
    for r in range(rows, whole):
        for i in range(planes * taps):
            at = i // taps * whole * taps + (whole - ROWS) * taps + i % taps * ROWS
            table[at + r % ROWS] = table[at + (rows - 1) % ROWS]
    for r in range(whole):
        table[planes * taps * whole + r] = (
            room.products + r * VECTORS * simd.width(layer.zero) * size
        )
    return rows


@compiled
def _scatter_tile(target, out, high, wide, y, x, here, products, room, store):
    """Transform products, of which `here` columns count, into out from (y, x) of an image on."""
    like = store.least
    size = simd.nbytes(like)
    lanes = simd.width(like)
    vector = lanes * size
    row_step, pixel_step = high.leap * target.row, wide.leap * target.pixel
    rows = min(high.outputs, (high.out_size - y + high.leap - 1) // high.leap)
    columns = min(wide.outputs, (wide.out_size - x + wide.leap - 1) // wide.leap)
    out += y * target.row + x * target.pixel
    for v in range(0, here, lanes):
        read, plane = products + v * size, room.product_plane
        ended = Store(store.start + v * size, 0, store.least, store.most)
        count = min(here - v, lanes)
        whole = count == lanes and rows == high.outputs and columns == wide.outputs
        if whole:
            write, to_row, to_pixel = out + v * size, row_step, pixel_step
        else:
            write, to_row, to_pixel = room.spare, wide.outputs * vector, vector
        if high.span == 1:
            to_end(wide.number, 1, read, plane, 0, write, to_pixel, 0, room.seen, ended)
        elif wide.span == 1:
            to_end(high.number, 1, read, plane, 0, write, to_row, 0, room.seen, ended)
        else:
            out_of(high.number, wide.span, read, wide.span * plane, plane,
                   room.middle, wide.span * vector, vector, like)  # fmt: skip
            to_end(wide.number, rows, room.middle, vector, wide.span * vector,
                   write, to_pixel, to_row, room.seen, ended)  # fmt: skip
        if not whole:
            for i in range(rows):
                for j in range(columns):
                    at = room.spare + (i * wide.outputs + j) * vector
                    to = out + v * size + i * row_step + j * pixel_step
                    if count == lanes:
                        copy_vector(to, at, like)
                    else:
                        copy(to, at, count, like)


def warm() -> None:
    """Run each kernel once, on one pixel, for each type it is compiled for."""
    tables = np.zeros(1, np.int64)
    one, depth = Side(0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0), Depth(1, 1, 1, 1, 1, 1, 0, 0, 0)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        sizes = Sizes((1, 1), (1, 1), 1, 1, 1, value_plane(1, 1, np.dtype(dtype).itemsize), 8)
        nbytes = room(0, sizes)[1]
        scratch = np.zeros(nbytes + 2 * LINE, np.uint8)
        its_room, _ = room(-(-scratch.ctypes.data // LINE) * LINE, sizes)
        data = np.zeros((ROWS, block), dtype)
        at = data.ctypes.data
        layer = Layer(tables, depth, one, one, 1, 1, dtype(0))
        place, part = Place(at, 0, 0, 0, 0), Part(0, 1, 0, 1)
        plain = Store(its_room.zeros, 0, dtype(-np.inf), dtype(np.inf))
        store = plain._replace(start=at)
        table = np.zeros(2 * ROWS, np.int64)
        convolve(place, place, layer, at, part, its_room, table, plain, store)
        gather_tiles(place, layer, 0, 1, 0, its_room)
        multiply_tiles(place, layer, at, part, its_room, table, plain, store)
