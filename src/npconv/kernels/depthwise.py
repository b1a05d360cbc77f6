"""Depthwise convolution over a table of addresses: pixels times weights, a lane for each group.

The addresses of a few pixels of a line under each tap serve all the groups, of which a pixel's lie
side by side; stride, dilation and every padding mode are a matter of the table.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.depthwise_layer import Layer, Room
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
FORMS = (1, 1), (2, 1), (3, 1), (3, 2), (5, 1), (5, 2)  # of which there are tiles


@inner
def position_of(windows, line):
    """Return the image, depth and height of a line of windows."""
    depths, heights, _ = windows.out_size
    return line // (depths * heights), line // heights % depths, line % heights


@inner
def rows_in(source, windows, form):
    """Return how many rows of a form's taps an output has."""
    depth, height, width = windows.kernel_size
    return source.planes * depth * height * (width // form.taps)


@entries
def convolve(record, item, thread, zero):
    """Write an item of a Layer's result."""
    layer = read(record, Layer)
    part, windows, turn = cell(layer.grid, item), layer.windows, layer.turn
    form, size = layer.form, simd.nbytes(zero)
    table = scratch(record, nbytes(Layer), layer.each, thread)
    rows = rows_in(layer.source, windows, form)
    weights = table + 8 * ((PIXELS - 1) * form.stride + form.taps) * rows
    room = Room(table, weights, weights + 8 * rows)
    for r in range(rows):
        at = layer.call.weights + r * form.taps * windows.groups * size
        simd.write_int(weights + 8 * r, at)
    if turn.block == 0:
        lines = part.tile, part.last_tile
        span = part.block * layer.block, min(part.last_block * layer.block, windows.groups)
        _write(layer, room, lines, layer.call.x, layer.call.out, span, (0, 0), zero)
        return
    x = table + turn.tables
    out = x + turn.x.pixels * turn.block * size
    lines = 0, windows.out_size.depth * windows.out_size.height
    for n in range(part.group, part.last_group):
        for kb in range(part.block, part.last_block):
            g = kb * turn.block
            span = g, min(g + turn.block, windows.groups)
            turned(turn.x, layer.call.x, n, span, x, turn.block, FORTH, zero)
            _write(layer, room, lines, x, out, span, (-g * size, -g * size), zero)
            turned(turn.out, layer.call.out, n, span, out, turn.block, BACK, zero)


@inner
def turned(planes, array, n, span, rows, block, way, zero):
    """Copy some channels of an image from their planes to rows, `block` numbers apart, or back."""
    size = simd.nbytes(zero)
    move(array + n * planes.image + span[0] * planes.channel, planes.channel, span[1] - span[0],
         planes.pixels, rows, block * size, way, zero)  # fmt: skip


@inner
def _write(layer, room, lines, x, out, span, moved, zero):
    """Write some groups of some lines; moved: bytes that all addresses in x and out are off."""
    windows, target, form = layer.windows, layer.target, layer.form
    wide, rows = (PIXELS - 1) * form.stride + form.taps, rows_in(layer.source, windows, form)
    x_step = windows.stride.width * layer.source.pixel
    for line in range(lines[0], lines[1]):
        n, d, h = position_of(windows, line)
        image = x + n * layer.source.image
        at = out + n * target.image + d * target.depth + h * target.height
        if layer.skips:
            for w in range(windows.out_size.width):
                _find_outs(target, at, w, 1, room)
                met = _find_met(layer, image, (d, h, w), room, simd.nbytes(zero))
                _multiply(layer, span, room, met, moved, zero)
            continue
        known = -1  # the tile that the addresses are of, where the next ones lie alike
        for w in range(0, windows.out_size.width, PIXELS):
            count = min(PIXELS, windows.out_size.width - w)
            alike = is_inside(layer.source, w, count) and count == PIXELS
            if not alike or known < 0:
                reads = (count - 1) * form.stride + form.taps
                whole = find(layer.source, windows, form.taps, image, (d, h, w), count, wide,
                             reads, room.table)  # fmt: skip
                _find_outs(target, at, w, count, room)
                known = w if alike and whole else -1
            on = w - known if known >= 0 else 0
            here = moved[0] + on * x_step, moved[1] + on * target.width
            _multiply(layer, span, room, rows, here, zero)


@inner
def is_inside(source, w, count):
    """Return whether windows of a line read nothing but x's own."""
    return source.first <= w and w + count <= source.last


@inner
def _find_outs(target, at, w, count, room):
    """Write where the pixels of a tile are stored: those past the last where the last is."""
    for i in range(PIXELS):
        simd.write_int(room.out_table + 8 * i, at + (w + min(i, count - 1)) * target.width)


@inner
def _multiply(layer, span, room, rows, moved, zero):
    """Write some pixels of a line: the groups of a span, for each output of a group.

    moved: bytes that all addresses in x, and in the result, are further on.
    """
    groups, size, lanes = layer.windows.groups, simd.nbytes(zero), simd.width(zero)
    least, most = of_type(layer.least, zero), of_type(layer.most, zero)
    block = VECTORS * lanes
    last = span[1]
    taps, stride = layer.form
    matrix = rows_in(layer.source, layer.windows, layer.form) * taps * groups * size
    for j in range(layer.target.planes):
        plane = j * layer.target.plane
        bias = layer.source.zeros
        if layer.call.bias != 0:
            bias = layer.call.bias + j * groups * size
        g = span[0]
        while g < last:
            whole = g + block <= last
            given = (room.table, room.weights, rows, groups * size, moved[0] + g * size,
                     j * matrix + g * size, bias + g * size, room.out_table,
                     moved[1] + plane + g * size, last - g, least, most)  # fmt: skip
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


@inner
def find(source, windows, taps, image, position, count, wide, reads, at):
    """Write where x has the rows of `count` windows of a line: `wide` columns, zeros past `reads`.

    A row has `taps` taps of the width; of one there is a column for each window.  Returns whether
    x holds all of the rows.
    """
    d, h, w = position
    hole_d, hole_h, hole_w = windows.dilation
    left = w * windows.stride.width
    inside, whole = is_inside(source, w, count), True
    step = 1 if taps > 1 else windows.stride.width
    for plane in range(source.planes):
        base = image + plane * source.plane
        for a in range(windows.kernel_size.depth):
            u = simd.read_int(source.depth + 8 * (d * windows.stride.depth + a * hole_d))
            for b in range(windows.kernel_size.height):
                v = simd.read_int(source.height + 8 * (h * windows.stride.height + b * hole_h))
                for c in range(0, windows.kernel_size.width, taps):
                    begin = source.width + 8 * (left + c * hole_w)
                    if u == -1 or v == -1:
                        whole = False
                        for q in range(wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    elif inside:
                        t = base + u + v + simd.read_int(begin)
                        for q in range(reads):
                            simd.write_int(at + 8 * q, t + q * step * source.pixel)
                        for q in range(reads, wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    else:
                        for q in range(reads):
                            t = simd.read_int(begin + 8 * q * step)
                            where = source.zeros if t == -1 else base + u + v + t
                            simd.write_int(at + 8 * q, where)
                        for q in range(reads, wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    at += 8 * wide
    return whole


@inner
def _find_met(layer, image, position, room, size):
    """Write where x and the weights have the taps of a window that x holds; return how many."""
    source, windows = layer.source, layer.windows
    taps_d, taps_h, taps_w = windows.kernel_size
    hole_d, hole_h, hole_w = windows.dilation
    step = windows.groups * size
    weights, met = layer.call.weights, 0
    for plane in range(source.planes):
        base = image + plane * source.plane
        for a in range(taps_d):
            u = simd.read_int(source.depth + 8 * (position[0] * windows.stride.depth + a * hole_d))
            for b in range(taps_h):
                to = position[1] * windows.stride.height + b * hole_h
                v = simd.read_int(source.height + 8 * to)
                for c in range(taps_w):
                    to = position[2] * windows.stride.width + c * hole_w
                    t = simd.read_int(source.width + 8 * to)
                    if u != -1 and v != -1 and t != -1:
                        simd.write_int(room.weights + 8 * met, weights)
                        for i in range(PIXELS):
                            simd.write_int(room.table + 8 * (met * PIXELS + i), base + u + v + t)
                        met += 1
                    weights += step
    return met


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
