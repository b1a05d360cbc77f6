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
from npconv.kernels.entry import entry
from npconv.kernels.record import ints, of_type
from npconv.kernels.sandwich import all_zero
from npconv.kernels.tile import Store, make_tile
from npconv.kernels.winograd_layer import ROWS, VECTORS
from npconv.kernels.winograd_record import (
    block_of,
    group_of,
    layer_of,
    note_infinite,
    packed_of,
    part_of,
    room_of,
    source_of,
    store_of,
    target_of,
    weight_of,
)
from npconv.kernels.winograd_tiles import gather_tile, scatter_tile
from npconv.kernels.winograd_weights import pack_block

tile = make_tile(ROWS, VECTORS)
fill = simd.fill


@compiled
def _convolve(record, item, thread, zero):
    part, first, record = part_of(record, item), record, group_of(record, item)
    layer, room = layer_of(record, zero), room_of(record, thread)
    source, target, store = source_of(record), target_of(record), store_of(record, zero)
    _clear(layer, room)
    listed = 0
    for begin in range(part.first, part.last, room.held):
        end = min(begin + room.held, part.last)
        _gather(source, layer, begin, end, 0, room)
        rows = _list_goals(target, layer, begin, end, room)
        # Without a depth the products of every block of columns are read at the same places.
        if layer.depth.taps > 1 or rows != listed:
            _list_rows(layer, begin, end, 0, room)
            listed = rows
        for kb in range(part.first_block, part.last_block):
            _multiply(target, layer, packed_of(record, kb), kb, rows, room, store)
    _finish(first, room, store, zero)


@compiled
def _gather_part(record, item, thread, zero):
    part, record = part_of(record, item), group_of(record, item)
    layer, room = layer_of(record, zero), room_of(record, thread)
    _clear(layer, room)
    _gather(source_of(record), layer, part.first, part.last, part.first * layer.depth.count, room)


@compiled
def _multiply_part(record, item, thread, zero):
    part, first, record = part_of(record, item), record, group_of(record, item)
    layer, room = layer_of(record, zero), room_of(record, thread)
    target, store = target_of(record), store_of(record, zero)
    _clear(layer, room)
    for kb in range(part.first_block, part.last_block):
        weights = packed_of(record, kb)
        if weights == 0:
            weights, transform = block_of(record, thread)
            pack_block(weight_of(record), layer, kb, weights, transform)
        for begin in range(part.first, part.last, room.held):
            end = min(begin + room.held, part.last)
            rows = _list_goals(target, layer, begin, end, room)
            _list_rows(layer, begin, end, begin * layer.depth.count, room)
            _multiply(target, layer, weights, kb, rows, room, store)
    _finish(first, room, store, zero)


@compiled
def _clear(layer, room):
    """Write the zeros in room, and that nothing was seen."""
    fill(room.seen, simd.width(layer.zero), layer.zero)
    fill(room.zeros, max(layer.channels, VECTORS * simd.width(layer.zero)), layer.zero)


@compiled
def _finish(record, room, store, zero):
    """Say in the first record whether a sum was not finite."""
    if not all_zero(room.seen, zero):
        note_infinite(record)
    if store.streams:
        simd.finish_streams()


@compiled
def _gather(source, layer, first, last, row, room):
    """Transform columns `first` to `last` - 1 of x into rows of values, from `row` on.

    What lies in the padding of the depth is left out.
    """
    tables, depth = layer.tables, layer.depth
    x, y, d, n = _column(layer, first)
    for _ in range(first, last):
        begin = d * depth.length * depth.stride
        for i in range(depth.count):
            z = tables[depth.places + begin + tables[depth.reads + i]]
            if z >= 0:
                image = source.address + n * source.image + z * source.depth
                gather_tile(source, image, layer, tables, y, x, row, room)
            row += 1
        x, y, d, n = _next(layer, x, y, d, n)


@compiled
def _column(layer, t):
    """Return where column t is: tile of the width, of the height, column of the depth, image."""
    high, wide, depth = layer.high, layer.wide, layer.depth
    lines = t // wide.tiles
    planes = lines // high.tiles
    return t % wide.tiles, lines % high.tiles, planes % depth.columns, planes // depth.columns


@compiled
def _next(layer, x, y, d, n):
    """Return where the column after that one is."""
    x += 1
    if x == layer.wide.tiles:
        x, y = 0, y + 1
        if y == layer.high.tiles:
            y, d = 0, d + 1
            if d == layer.depth.columns:
                d, n = 0, n + 1
    return x, y, d, n


@compiled
def _multiply(target, layer, weights, kb, rows, room, store):
    """Write block kb of the outputs of the columns that are listed in room."""
    size = simd.nbytes(layer.zero)
    block = VECTORS * simd.width(layer.zero)
    depth, high, wide = layer.depth, layer.high, layer.wide
    planes = high.span * wide.span
    panel = layer.channels * block
    whole = -(-rows // ROWS) * ROWS
    goals = room.table + 8 * planes * depth.taps * whole
    plain = Store(room.zeros, 0, of_type(-np.inf, layer.zero), of_type(np.inf, layer.zero))
    for i in range(planes):
        for g in range(0, rows, ROWS):
            tile(room.table + 8 * (i * whole + g) * depth.taps, depth.taps, layer.channels, 1,
                 weights + i * depth.taps * panel * size, block, panel,
                 goals + 8 * g, i * (room.product_plane // size), plain)  # fmt: skip
    here = min(block, layer.outputs - kb * block)
    ended = Store(store.start + kb * block * size, store.streams, store.least, store.most)
    for r in range(rows):
        goal = ints(room.goals + 24 * r, 3)
        products = room.products + r * block * size
        scatter_tile(target, goal[0] + kb * block * size, layer, goal[1], goal[2], here,
                      products, room, ended)  # fmt: skip


@compiled
def _list_goals(target, layer, first, last, room):
    """Write to room.goals where each row of products goes; return how many rows there are."""
    tables, depth, high, wide = layer.tables, layer.depth, layer.high, layer.wide
    x, y, d, n = _column(layer, first)
    rows = 0
    for _ in range(first, last):
        h, w = tables[high.starts + y], tables[wide.starts + x]
        begin = d * depth.length
        for z in range(begin, min(begin + depth.length, depth.out_size)):
            goal = ints(room.goals + 24 * rows, 3)
            goal[0] = target.address + n * target.image + z * target.depth
            goal[0] += h * target.row + w * target.pixel
            goal[1] = min(high.outputs, (high.out_size - h + high.leap - 1) // high.leap)
            goal[2] = min(wide.outputs, (wide.out_size - w + wide.leap - 1) // wide.leap)
            rows += 1
        x, y, d, n = _next(layer, x, y, d, n)
    return rows


@compiled
def _list_rows(layer, first, last, row, room):
    """Write to room.table where each row of products reads its taps and is written.

    The reads lie as (planes, tiles of registers, taps, ROWS), and after them the rows written.
    `row` is the row of values of the first column.
    """
    size = simd.nbytes(layer.zero)
    tables, depth = layer.tables, layer.depth
    taps, nbytes = depth.taps, layer.channels * size
    planes = layer.high.span * layer.wide.span
    rows = 0
    x, y, d, n = _column(layer, first)
    for _ in range(first, last):
        rows += min(depth.length, depth.out_size - d * depth.length)
        x, y, d, n = _next(layer, x, y, d, n)
    whole = -(-rows // ROWS) * ROWS
    table = ints(room.table, (planes * taps + 1) * whole)
    x, y, d, n = _column(layer, first)
    r = 0
    for t in range(last - first):
        begin = d * depth.length
        for z in range(min(depth.length, depth.out_size - begin)):
            for p in range(taps):
                line = tables[depth.lines + z * taps + p]
                at, plane = room.zeros, 0
                if tables[depth.places + begin * depth.stride + tables[depth.reads + line]] >= 0:
                    at = room.values + (row + t * depth.count + line) * nbytes
                    plane = room.value_plane
                for i in range(planes):
                    table[((i * whole + r // ROWS * ROWS) * taps) + p * ROWS + r % ROWS] = at
                    at += plane
            r += 1
        x, y, d, n = _next(layer, x, y, d, n)
    # The last row again, where a tile of registers has more rows than there are.
    for r in range(rows, whole):
        for i in range(planes * taps):
            at = i // taps * whole * taps + (whole - ROWS) * taps + i % taps * ROWS
            table[at + r % ROWS] = table[at + (rows - 1) % ROWS]
    for r in range(whole):
        table[planes * taps * whole + r] = (
            room.products + r * VECTORS * simd.width(layer.zero) * size
        )


@entry
def convolve_single(record, item, thread):
    """Write a part of a convolution, a block of columns at a time."""
    _convolve(record, item, thread, np.float32(0))


@entry
def convolve_double(record, item, thread):
    """Do the same in float64."""
    _convolve(record, item, thread, np.float64(0))


@entry
def gather_single(record, item, thread):
    """Transform a part of the columns of x into the rows of values that all threads share."""
    _gather_part(record, item, thread, np.float32(0))


@entry
def gather_double(record, item, thread):
    """Do the same in float64."""
    _gather_part(record, item, thread, np.float64(0))


@entry
def multiply_single(record, item, thread):
    """Write a part of a convolution from these, a block of the weight after the other."""
    _multiply_part(record, item, thread, np.float32(0))


@entry
def multiply_double(record, item, thread):
    """Do the same in float64."""
    _multiply_part(record, item, thread, np.float64(0))


CONVOLVE = {"f": convolve_single, "d": convolve_double}
GATHER = {"f": gather_single, "d": gather_double}
MULTIPLY = {"f": multiply_single, "d": multiply_double}


def warm() -> None:
    """Have each entry compiled, or loaded."""
    for entries in (CONVOLVE, GATHER, MULTIPLY):
        for one in entries.values():
            one.prepare()
