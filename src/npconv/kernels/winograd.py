"""Winograd convolution of two axes, and the sum over a third before them.

A column of tiles is those at one place of the two axes and at successive places of the third, the
depth, whose taps are summed in the registers; without a third axis it is one tile.

One letter each: n image, y x tile, z d depth, c channel, t column of a block, r row of products,
p tap of the depth, kb block of outputs.  `record` is the address of a Layer, `room` that of a
thread's scratch.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.record import of_type
from npconv.kernels.sandwich import all_zero
from npconv.kernels.tile import Store, make_tile
from npconv.kernels.winograd_layer import FINITE, ROWS, VECTORS, Layer
from npconv.kernels.winograd_lists import column, list_goals, list_rows, next_column
from npconv.kernels.winograd_tiles import gather_tile, scatter_tile
from npconv.kernels.winograd_weights import pack_block

tile = make_tile(ROWS, VECTORS, expects=True)
fill = simd.fill
read_int = simd.read_int
_FINITE = 8 * FINITE


@entries
def convolve(record, item, thread, zero):
    """Write a part of a convolution, a block of columns at a time."""
    layer, part = read(record, Layer), cell(read(record, Layer).grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    size = simd.nbytes(zero)
    values = room + layer.room.values
    out = layer.call.out + part.group * layer.target.group
    _clear(record, room, zero)
    listed = 0
    for begin in range(part.tile, part.last_tile, layer.room.held):
        end = min(begin + layer.room.held, part.last_tile)
        _gather(record, part.group, begin, end, values, room, zero)
        rows = list_goals(record, out, begin, end, room + layer.room.goals)
        # Where all columns read the same depths, every block reads at the same places.
        if layer.depth.taps > 1 or layer.depth.columns > 1 or rows != listed:
            list_rows(record, begin, end, values, room, size, VECTORS * simd.width(zero) * size)
            listed = rows
        for kb in range(part.block, part.last_block):
            weights = layer.call.packed + part.group * layer.shared.packed
            weights += kb * layer.high.span * layer.wide.span * layer.plane
            _multiply(record, part.group, weights, kb, rows, room, zero)
    _finish(record, room, zero)


@entries
def gather_part(record, item, thread, zero):
    """Transform a part of the columns of x into the rows of values that all threads share."""
    layer, part = read(record, Layer), cell(read(record, Layer).grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    values = layer.call.values + part.group * layer.shared.values
    values += part.tile * layer.depth.count * layer.channels * simd.nbytes(zero)
    _clear(record, room, zero)
    _gather(record, part.group, part.tile, part.last_tile, values, room, zero)


@entries
def multiply_part(record, item, thread, zero):
    """Write a part of a convolution from these, a block of the weight after the other."""
    layer, part = read(record, Layer), cell(read(record, Layer).grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    size = simd.nbytes(zero)
    row = layer.depth.count * layer.channels * size
    values = layer.call.values + part.group * layer.shared.values
    out = layer.call.out + part.group * layer.target.group
    _clear(record, room, zero)
    for kb in range(part.block, part.last_block):
        weights = room + layer.room.block
        if layer.call.packed == 0:
            pack_block(record, part.group, kb, weights, room + layer.room.transform, zero)
        else:
            weights = layer.call.packed + part.group * layer.shared.packed
            weights += kb * layer.high.span * layer.wide.span * layer.plane
        for begin in range(part.tile, part.last_tile, layer.room.held):
            end = min(begin + layer.room.held, part.last_tile)
            rows = list_goals(record, out, begin, end, room + layer.room.goals)
            list_rows(record, begin, end, values + begin * row, room, size,
                      VECTORS * simd.width(zero) * size)  # fmt: skip
            _multiply(record, part.group, weights, kb, rows, room, zero)
    _finish(record, room, zero)


@inner
def _clear(record, room, zero):
    """Write the zeros in room, and that nothing was seen."""
    layer = read(record, Layer)
    lanes = simd.width(zero)
    fill(room + layer.room.seen, lanes, zero)
    fill(room + layer.room.zeros, max(layer.channels, VECTORS * lanes), zero)


@inner
def _finish(record, room, zero):
    """Say in the record whether a sum was not finite."""
    layer = read(record, Layer)
    if not all_zero(room + layer.room.seen, zero):
        simd.write_int(record + _FINITE, 0)
    if layer.streams:
        simd.finish_streams()


@inner
def _gather(record, group, first, last, values, room, zero):
    """Transform columns `first` to `last` - 1 of x into rows of values.

    What lies in the padding of the depth is left out.
    """
    layer = read(record, Layer)
    depth, tables = layer.depth, layer.tables
    x, y, d, n = column(record, first)
    for _ in range(first, last):
        image = layer.call.x + group * layer.source.group + n * layer.source.image
        begin = d * depth.length * depth.stride
        for i in range(depth.count):
            at = depth.places + begin + read_int(tables + 8 * (depth.reads + i))
            z = read_int(tables + 8 * at)
            if z >= 0:
                gather_tile(record, image + z * layer.source.depth, y, x, values, room, zero)
            values += layer.channels * simd.nbytes(zero)
        x, y, d, n = next_column(record, x, y, d, n)


@inner
def _multiply(record, group, weights, kb, rows, room, zero):
    """Write block kb of the outputs of the columns that are listed in room."""
    layer = read(record, Layer)
    size = simd.nbytes(zero)
    block = VECTORS * simd.width(zero)
    taps, planes = layer.depth.taps, layer.high.span * layer.wide.span
    # What comes after a panel: that of the next tap, or where there is one tap, of the next plane.
    further = layer.channels * block if taps > 1 else layer.plane // size
    whole = -(-rows // ROWS) * ROWS
    table = room + layer.room.table
    written = table + 8 * planes * taps * whole
    plain = Store(room + layer.room.zeros, 0, of_type(-np.inf, zero), of_type(np.inf, zero))
    for i in range(planes):
        for g in range(0, rows, ROWS):
            tile(table + 8 * (i * whole + g) * taps, taps, layer.channels, 1,
                 weights + i * layer.plane, block, further,
                 written + 8 * g, i * (layer.room.product_plane // size), plain)  # fmt: skip
    here = min(block, layer.outputs - kb * block)
    start = layer.call.start + group * layer.shared.start + kb * block * size
    products, goal = room + layer.room.products, room + layer.room.goals
    for _ in range(rows):
        scatter_tile(record, read_int(goal) + kb * block * size, read_int(goal + 8),
                     read_int(goal + 16), here, products, start, room, zero)  # fmt: skip
        products += block * size
        goal += 24


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve, gather_part, multiply_part)
