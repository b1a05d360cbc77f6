"""Depthwise convolution over a table of addresses: pixels times weights, a lane for each group.

The addresses of a few pixels of a line under each tap serve all the groups, of which a pixel's lie
side by side; stride, dilation and every padding mode are a matter of the table.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.depthwise_layer import Layer, Room, Stays, Work
from npconv.kernels.depthwise_tables import (
    columns,
    find,
    find_met,
    is_regular,
    position_of,
    rows_in,
)
from npconv.kernels.depthwise_tile import PIXELS, VECTORS, make_tile
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import BACK, FORTH, move
from npconv.kernels.record import of_type

# By taps of a line and stride.
_wide_1, _narrow_1 = make_tile(1, 1, VECTORS, False), make_tile(1, 1, 1, True)
_wide_2, _narrow_2 = make_tile(2, 1, VECTORS, False), make_tile(2, 1, 1, True)
_wide_3, _narrow_3 = make_tile(3, 1, VECTORS, False), make_tile(3, 1, 1, True)
_wide_32, _narrow_32 = make_tile(3, 2, VECTORS, False), make_tile(3, 2, 1, True)
_wide_5, _narrow_5 = make_tile(5, 1, VECTORS, False), make_tile(5, 1, 1, True)
_wide_52, _narrow_52 = make_tile(5, 2, VECTORS, False), make_tile(5, 2, 1, True)
LINES = 8  # of windows that are gone through for some groups, then for others
FORMS = (1, 1), (2, 1), (3, 1), (3, 2), (5, 1), (5, 2)  # of which there are tiles


@entries
def convolve(record, item, thread, zero):
    """Write an item of a Layer's result."""
    layer = read(record, Layer)
    part, windows, turn = cell(layer.grid, item), layer.windows, layer.turn
    form, size = layer.form, simd.nbytes(zero)
    at = scratch(record, nbytes(Layer), layer.each, thread)
    rows = rows_in(layer.source, windows, form)
    table = at + 8 * rows
    out_table = table + 8 * max(layer.slots, 1) * rows * columns(form)
    room = Room(at, table, out_table)
    for r in range(rows):
        simd.write_int(at + 8 * r, layer.call.weights + r * form.taps * windows.groups * size)
    work = Work(
        at, rows, windows.groups * size, layer.source.zeros, form.taps, form.stride,
        layer.target.planes, layer.target.plane,
        rows * form.taps * windows.groups * size, layer.call.bias,
    )  # fmt: skip
    if turn.block == 0:
        lines = part.tile, part.last_tile
        span = part.block * layer.block, min(part.last_block * layer.block, windows.groups)
        _write(layer, work, room, lines, layer.call.x, layer.call.out, span, 0, zero)
        return
    x = at + turn.tables
    out = x + turn.x.pixels * turn.block * size
    lines = 0, windows.out_size.depth * windows.out_size.height
    for n in range(part.group, part.last_group):
        for kb in range(part.block, part.last_block):
            g = kb * turn.block
            span = g, min(g + turn.block, windows.groups)
            turned(turn.x, layer.call.x, n, span, x, turn.block, FORTH, zero)
            _write(layer, work, room, lines, x, out, span, -g * size, zero)
            turned(turn.out, layer.call.out, n, span, out, turn.block, BACK, zero)


@inner
def turned(planes, array, n, span, rows, block, way, zero):
    """Copy some channels of an image from their planes to rows, `block` numbers apart, or back."""
    size = simd.nbytes(zero)
    move(array + n * planes.image + span[0] * planes.channel, planes.channel, span[1] - span[0],
         planes.pixels, rows, block * size, way, zero)  # fmt: skip


@inner
def _write(layer, work, room, lines, x, out, span, moved, zero):
    """Write some groups of some lines; moved: bytes that all addresses in x and out are off.

    A few lines and few groups at a time, so that a line read for one output is near for the next.
    """
    source, windows = layer.source, layer.windows
    least, most = of_type(layer.least, zero), of_type(layer.most, zero)
    tiles = windows.out_size.width if layer.skips else -(-windows.out_size.width // PIXELS)
    stays = Stays(0, 0, 0)
    for begin in range(lines[0], lines[1], LINES):
        for first in range(span[0], span[1], layer.span):
            groups = first, min(first + layer.span, span[1])
            for tile in range(0, tiles, layer.strip):
                strip = tile, min(tile + layer.strip, tiles)
                for line in range(begin, min(begin + LINES, lines[1])):
                    n, d, h = position_of(windows, line)
                    regular = is_regular(source, d, h)
                    image = x + n * source.image
                    at = out + n * layer.target.image
                    at += d * layer.target.depth + h * layer.target.height
                    here = image
                    if regular:
                        here += simd.read_int(source.depth + 8 * d * windows.stride.depth)
                        here += simd.read_int(source.height + 8 * h * windows.stride.height)
                    if layer.slots == 0 or not regular or stays.regular == 0:
                        stays = Stays(1 if regular else 0, here, at)
                        if layer.slots > 0:
                            _fill(layer, room, (image, at), (d, h), work.rows)
                    off = here - stays.x + moved, at - stays.out + moved
                    _write_line(layer, work, room, (image, at), (d, h), strip, groups, off, least,
                                most)  # fmt: skip


@inner
def _fill(layer, room, places, line, rows):
    """Write the addresses of a line's tiles, of which those alike have one slot."""
    low, high = _alike(layer)
    tiles = -(-layer.windows.out_size.width // PIXELS)
    for t in range(tiles):
        if t <= low or t >= high:
            _fill_slot(layer, room, places, line, rows, t, _slot(t, low, high))


@inner
def _fill_slot(layer, room, places, line, rows, t, slot):
    """Write the addresses of a tile in x and in the result."""
    windows, form = layer.windows, layer.form
    wide, w = columns(form), t * PIXELS
    count = min(PIXELS, windows.out_size.width - w)
    reads = (count - 1) * form.stride + form.taps
    find(layer.source, windows, form.taps, places[0], (line[0], line[1], w), count, wide, reads,
         room.table + 8 * slot * rows * wide)  # fmt: skip
    for i in range(PIXELS):  # those past the last stand where the last does
        at = places[1] + (w + min(i, count - 1)) * layer.target.width
        simd.write_int(room.out_table + 8 * (slot * PIXELS + i), at)


@inner
def _alike(layer):
    """Return the tiles, first and last + 1, that read nothing but x's own; one where none does."""
    low = -(-layer.source.first // PIXELS)
    return low, max(layer.source.last // PIXELS, low + 1)


@inner
def _slot(t, low, high):
    """Return the slot of a tile: all that are alike have the same."""
    return t if t <= low else max(t - (high - low - 1), low)


@inner
def _write_line(layer, work, room, places, line, strip, span, off, least, most):
    """Write some groups of a strip of a line; off: bytes from where slots say x and out are."""
    low, high = _alike(layer)
    wide = columns(layer.form)
    x_step = PIXELS * layer.windows.stride.width * layer.source.pixel
    step = PIXELS * layer.target.width
    for t in range(strip[0], strip[1]):
        slot, on, rows = 0, 0, work.rows
        if layer.skips:
            rows = _fill_met(layer, room, places, (line[0], line[1], t), simd.nbytes(least))
        elif layer.slots == 0:
            _fill_slot(layer, room, places, line, work.rows, t, 0)
        else:
            slot = _slot(t, low, high)
            on = t - low if low <= t and t < high else 0
        _multiply(work, room.table + 8 * slot * work.rows * wide,
                  room.out_table + 8 * slot * PIXELS, rows, span,
                  off[0] + on * x_step, off[1] + on * step, least, most)  # fmt: skip


@inner
def _fill_met(layer, room, places, position, size):
    """Write the addresses of a pixel, without the taps that x does not hold; return how many met.

    All pixels of the tile stand where this one does.
    """
    at = places[1] + position[2] * layer.target.width
    for i in range(PIXELS):
        simd.write_int(room.out_table + 8 * i, at)
    return find_met(layer, places[0], position, room, size)


@inner
def _multiply(work, table, out_table, rows, span, off, out_off, least, most):
    """Write some pixels of a line: the groups of a span, for each output of a group.

    off, out_off: bytes that all addresses in x, and in the result, are further on.
    """
    size, lanes = simd.nbytes(least), simd.width(least)
    block = VECTORS * lanes
    last, w_step, zeros = span[1], work.w_step, work.zeros
    taps, stride = work.taps, work.stride
    for j in range(work.planes):
        bias = zeros
        if work.bias != 0:
            bias = work.bias + j * w_step
        g = span[0]
        while g < last:
            whole = g + block <= last
            begin = bias + g * size if work.bias != 0 else zeros
            given = (table, work.weights, rows, w_step, zeros, off + g * size,
                     j * work.matrix + g * size, begin, out_table,
                     out_off + j * work.plane + g * size, last - g, least, most)  # fmt: skip
            if taps == 3 and stride == 1:
                _wide_3(*given) if whole else _narrow_3(*given)
            elif taps == 3:
                _wide_32(*given) if whole else _narrow_32(*given)
            elif taps == 2:
                _wide_2(*given) if whole else _narrow_2(*given)
            elif taps == 1:
                _wide_1(*given) if whole else _narrow_1(*given)
            elif stride == 1:
                _wide_5(*given) if whole else _narrow_5(*given)
            else:
                _wide_52(*given) if whole else _narrow_52(*given)
            g += block if whole else lanes


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
