"""Stencils: neighbours along a line as the lanes of a vector, weights the same for all of them.

A section of a line of the result is summed some lines at a time.  The lines that it reads are made
in scratch first: converted, with what lies beyond their ends, summed along themselves where a
kernel is a column times a row; and held as long as later lines of the result need them.  That costs
less than to read x at every shift where it is.
"""

from __future__ import annotations

import math

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.record import of_type
from npconv.kernels.stencil_layer import Layer, Room
from npconv.kernels.stencil_pixels import (
    FLOATS,
    Rounding,
    narrow,
    number_nbytes,
    widen,
    widen_one,
)
from npconv.kernels.stencil_tile import LONG, VECTORS, End, Taps, make_tile

_ALL = math.inf
_long_1 = make_tile(1, LONG)
_wide_1, _narrow_1 = make_tile(1, VECTORS), make_tile(1, 1)
_wide_2, _narrow_2 = make_tile(2, VECTORS), make_tile(2, 1)
_wide_4, _narrow_4 = make_tile(4, VECTORS), make_tile(4, 1)


@entries
def convolve(record, item, thread, zero):
    """Write an item of a Layer's result."""
    layer = read(record, Layer)
    part = cell(layer.grid, item)
    room = _room(scratch(record, nbytes(Layer), layer.each, thread), layer)
    depths = layer.out_size.depth
    for s in range(part.block, part.last_block):
        at = layer.sections + 16 * s
        section = simd.read_int(at), simd.read_int(at + 8)
        for plane in range(part.group, part.last_group):
            image, output = plane // (depths * layer.outputs), plane // depths % layer.outputs
            place = image, output, plane % depths
            _write(layer, room, section, place, (part.tile, part.last_tile), zero)


@inner
def _room(at, layer):
    """Return a thread's Room that begins at an address."""
    form, taps = layer.form, layer.taps
    outs = at + 8 * taps.depth * (taps.height + form.rows - 1)
    lines = (outs + 8 * form.rows + 63) // 64 * 64
    line = lines + taps.depth * form.held * form.line
    return Room(at, outs, lines, line, line + form.line)


@inner
def _write(layer, room, section, place, lines, zero):
    """Write some lines of a section of a plane (image, output, depth)."""
    size, form = simd.nbytes(zero), layer.form
    image, output, depth = place
    x = layer.call.x + image * layer.source.image
    x += output // layer.target.outputs * layer.source.group
    out = layer.call.out + image * layer.target.image + output * layer.target.output
    out += depth * layer.target.depth + section[0] * layer.target.number
    weights = layer.call.weights
    weights += output * layer.taps.depth * layer.taps.height * layer.taps.width * size
    start = simd.load(layer.call.bias + output * size, zero) if layer.call.bias else zero
    end = End(start, of_type(layer.ends.least, zero), of_type(layer.ends.most, zero))
    y, made = lines[0], lines[0]
    beyond = lines[1] + (layer.taps.height - 1) * layer.hole.height
    while y < lines[1]:
        rows = form.rows if y + form.rows <= lines[1] else 1
        last = y + rows + (layer.taps.height - 1) * layer.hole.height
        for a in range(layer.taps.depth):
            z = depth + a * layer.hole.depth
            for u in range(made, last):
                later = min(u + form.rows, beyond - 1)
                _expect(layer, section, _line(layer.source, x, z, later), zero)
                from_x = _line(layer.source, x, z, u)
                _make_line(layer, room, section, from_x, _held(layer, room, a, u), zero)
        made = last
        _find(layer, room, y, rows)
        _sum(layer, room, section, rows, weights, out + y * layer.target.height, end, zero)
        y += rows


@inner
def _line(source, x, z, u):
    """Return where x has a line of a plane, 0: it is all zeros."""
    plane, line = simd.read_int(source.depth + 8 * z), simd.read_int(source.height + 8 * u)
    return x + plane + line if plane != -1 and line != -1 else 0


@inner
def _expect(layer, section, line, zero):
    """Ask for what will be read of a line of x: there is a gap from one line to the next."""
    source = layer.source
    number = number_nbytes(source.kind, zero)
    if line == 0 or source.kind == FLOATS or source.step != source.woven * number:
        return
    first = max(section[0], source.first) - source.origin
    last = min(section[1] + layer.form.span, source.last) - source.origin
    for at in range(line + first * number, line + last * number, LINE):
        expect(at)


@inner
def _held(layer, room, a, u):
    """Return where a line of the a-th plane of taps is held."""
    return room.lines + (a * layer.form.held + u % layer.form.held) * layer.form.line


@inner
def _find(layer, room, y, rows):
    """Write where the lines are that lines y to y + rows - 1 of the result read."""
    at = room.table
    for a in range(layer.taps.depth):
        for p in range(layer.taps.height + rows - 1):
            simd.write_int(at, _held(layer, room, a, y + p * layer.hole.height))
            at += 8


@inner
def _make_line(layer, room, section, line, held, zero):
    """Make a section of a line of x at `held`, summed along itself where there is such a pass.

    line: where x has the line, 0: it is all zeros.
    """
    size, width = simd.nbytes(zero), simd.width(zero)
    count = -(-(section[1] - section[0]) // width) * width
    wide = count + layer.form.span
    if layer.form.across == 0:
        _gather(layer.source, section[0], wide, line, held, zero)
        return
    _gather(layer.source, section[0], wide, line, room.line, zero)
    simd.write_int(room.table, room.line)
    simd.write_int(room.outs, held)
    taps = Taps(1, 1, layer.form.across, layer.form.across_step)
    weights = layer.call.weights + layer.outputs * layer.taps.height * size
    end = End(zero, of_type(-_ALL, zero), of_type(_ALL, zero))
    _tiles(1, room, taps, weights, 0, count, end, zero)


@inner
def _gather(source, begin, count, line, to, zero):
    """Write `count` numbers of a padded line from `begin` on, zeros past its end."""
    size, number = simd.nbytes(zero), number_nbytes(source.kind, zero)
    if line == 0:
        simd.fill(to, count, zero)
        return
    reach = min(begin + count, source.reach)
    first = min(max(source.first, begin), reach)
    last = min(max(source.last, first), reach)
    _gather_end(source, line, begin, first, 0, to, zero)
    at, from_first = to + (first - begin) * size, first - source.origin
    if source.step == source.woven * number:
        widen(at, line + from_first * number, last - first, source.kind, zero)
    else:
        for q in range(last - first):
            widen_one(at + q * size, line + (from_first + q) * source.step, source.kind, zero)
    missing = (source.last - source.first) // source.woven
    _gather_end(source, line, last, reach, missing, to + (last - begin) * size, zero)
    if reach < begin + count:
        simd.fill(to + (reach - begin) * size, begin + count - reach, zero)


@inner
def _gather_end(source, line, first, last, missing, to, zero):
    """Write the numbers first to last - 1 of a padded line that lie beyond x's own.

    missing: pixels before them that are not listed.
    """
    size, number = simd.nbytes(zero), number_nbytes(source.kind, zero)
    for q in range(first, last):
        offset = simd.read_int(source.ends + 8 * (q // source.woven - missing))
        if offset == -1:
            simd.store(to, zero)
        else:
            widen_one(to, line + offset + q % source.woven * number, source.kind, zero)
        to += size


@inner
def _sum(layer, room, section, rows, weights, out, end, zero):
    """Write a section of some lines, the first of them at `out`."""
    size, width, target = simd.nbytes(zero), simd.width(zero), layer.target
    count = section[1] - section[0]
    whole = 0
    if target.kind == FLOATS and target.number == size:
        whole = count // width * width
        for i in range(rows):
            simd.write_int(room.outs + 8 * i, out + i * target.height)
        _tiles(rows, room, layer.taps, weights, 0, whole, end, zero)
    if whole == count:
        return
    for i in range(rows):
        simd.write_int(room.outs + 8 * i, room.sums + i * layer.form.line)
    _tiles(rows, room, layer.taps, weights, whole, -(-count // width) * width, end, zero)
    ends = layer.ends
    how = Rounding(of_type(ends.divisor, zero), ends.divides, ends.mirrors,
                   of_type(ends.lift, zero), of_type(ends.largest, zero))  # fmt: skip
    for i in range(rows):
        sums = room.sums + i * layer.form.line + whole * size
        to = out + i * target.height + whole * target.number
        if target.kind != FLOATS:
            narrow(to, sums, count, target.kind, how, zero)
        else:
            for q in range(count - whole):
                simd.store(to + q * target.number, simd.load(sums + q * size, zero))


@inner
def _tiles(rows, room, taps, weights, begin, last, end, zero):
    """Sum the numbers begin to last - 1, whole vectors, of some lines."""
    size, width = simd.nbytes(zero), simd.width(zero)
    x = begin
    if rows == 1:
        while x + LONG * width <= last:
            _long_1(room.table, taps, weights, room.outs, x * size, end)
            x += LONG * width
    while x < last:
        wide = x + VECTORS * width <= last
        at = x * size
        if rows == 4:
            if wide:
                _wide_4(room.table, taps, weights, room.outs, at, end)
            else:
                _narrow_4(room.table, taps, weights, room.outs, at, end)
        elif rows == 2:
            if wide:
                _wide_2(room.table, taps, weights, room.outs, at, end)
            else:
                _narrow_2(room.table, taps, weights, room.outs, at, end)
        elif wide:
            _wide_1(room.table, taps, weights, room.outs, at, end)
        else:
            _narrow_1(room.table, taps, weights, room.outs, at, end)
        x += VECTORS * width if wide else width


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
