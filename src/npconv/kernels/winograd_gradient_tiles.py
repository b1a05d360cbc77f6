"""The transforms of the weight gradient: V = B x B' and D = A' g A of tiles, G' Z G of sums.

`record` is the address of a Layer, `room` that of a thread's scratch; `origin` is the address of
what a run reads or writes.  One letter each: n image, t tile, c channel of x, k of grad_out, h w
position.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.fields import read
from npconv.kernels.inner import inner
from npconv.kernels.planes import transpose
from npconv.kernels.winograd_gradient_layer import VECTORS, Layer
from npconv.kernels.winograd_transforms import ending, transform

copy = simd.copy
fill = simd.fill
read_int = simd.read_int


@inner
def _find(tables, operand, origin, slices, count, t):
    """Return where tile t lies: the address of its slice, and its rows and columns in tables."""
    high, wide = operand.high, operand.wide
    n = t // (wide.tiles * high.tiles)
    z = read_int(tables + 8 * (slices + n % count))
    image = origin + n // count * operand.image + z * operand.depth
    rows = high.places + read_int(tables + 8 * (high.firsts + t // wide.tiles % high.tiles))
    columns = wide.places + read_int(tables + 8 * (wide.firsts + t % wide.tiles))
    return image, tables + 8 * rows, tables + 8 * columns


@inner
def _ask_for(operand, place, channels, zero):
    """Have a tile on its way to the caches, while another is transformed."""
    image, rows, columns = place
    nbytes = channels * simd.nbytes(zero)
    for i in range(operand.high.reads):
        h = read_int(rows + 8 * i * operand.high.hole)
        for j in range(operand.wide.reads):
            w = read_int(columns + 8 * j * operand.wide.hole)
            if h >= 0 and w >= 0:
                at = image + h * operand.row + w * operand.pixel
                for b in range(0, nbytes, LINE):
                    expect(at + b)


@inner
def gather(record, operand, origin, slices, count, tiles, target, plane, channels, filled, room,
           zero):  # fmt: skip
    """Transform tiles[0] to tiles[1] - 1 of an operand into planes, from the row at target on.

    channels: how many are read, zeros after them up to `filled`.
    """
    layer = read(record, Layer)
    high, wide = operand.high, operand.wide
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    row = VECTORS * lanes * size
    reach_y, reach_x = 8 * (high.reads - 1) * high.hole, 8 * (wide.reads - 1) * wide.hole
    to_row, jump = layer.fold.wide * plane, layer.room.held * row
    first, last = tiles
    for t in range(first, last):
        image, rows, columns = _find(layer.tables, operand, origin, slices, count, t)
        if t + 1 < last:
            following = _find(layer.tables, operand, origin, slices, count, t + 1)
            _ask_for(operand, following, channels, zero)
        top, left = read_int(rows), read_int(columns)
        whole = (
            top >= 0
            and left >= 0
            and read_int(rows + reach_y) == top + (high.reads - 1) * high.hole
            and read_int(columns + reach_x) == left + (wide.reads - 1) * wide.hole
        )
        patched = channels // lanes * lanes if whole else 0
        if patched > 0:
            given = image + top * operand.row + left * operand.pixel
            _transform(operand.transform, 0, patched // lanes, given, high.hole * operand.row,
                       wide.hole * operand.pixel, target, to_row, plane, jump, zero)  # fmt: skip
        if patched < filled:
            patch = room + layer.room.patch
            _lay_out(operand, image + patched * size, rows, columns, channels - patched,
                     filled - patched, patch, zero)  # fmt: skip
            step = (filled - patched) * size
            _transform(operand.transform, patched // lanes, (filled - patched) // lanes, patch,
                       wide.reads * step, step, target, to_row, plane, jump, zero)  # fmt: skip
        target += row


@inner
def _transform(address, first, count, source, row, column, target, to_row, to_column, jump, zero):
    """Transform so many vectors, the first of them number `first` of those at target.

    These lie side by side in groups of VECTORS, `jump` bytes apart.
    """
    vector = simd.width(zero) * simd.nbytes(zero)
    v, last = first, first + count
    while v < last:
        here = min(VECTORS - v % VECTORS, last - v)
        to = target + v // VECTORS * jump + v % VECTORS * vector
        transform(address, here, source, row, column, to, to_row, to_column)
        source += here * vector
        v += here


@inner
def _lay_out(operand, image, rows, columns, channels, filled, patch, zero):
    """Lay out a tile's channels, with zeros after them and where there is nothing."""
    size = simd.nbytes(zero)
    for i in range(operand.high.reads):
        h = read_int(rows + 8 * i * operand.high.hole)
        for j in range(operand.wide.reads):
            w = read_int(columns + 8 * j * operand.wide.hole)
            there = 0
            if h >= 0 and w >= 0:
                there = channels
                copy(patch, image + h * operand.row + w * operand.pixel, there, zero)
            fill(patch + there * size, filled - there, zero)
            patch += filled * size


@inner
def fold(record, sums, rows, outputs, target, room, zero):
    """Transform the first `rows` of sums, and so many outputs of each, into grad_weight.

    target: the address of the first one's.
    """
    layer = read(record, Layer)
    goal, how, size = layer.target, layer.fold, simd.nbytes(zero)
    block = VECTORS * simd.width(zero)
    # All taps of a channel after those of the one before it.
    close = goal.column == size and goal.row == how.wide_taps * size
    close = close and goal.channel == how.high_taps * goal.row and rows >= simd.width(zero)
    for first in range(0, outputs, block):
        here = min(block, outputs - first)
        given, write = sums + first * size, target + first * goal.output
        if goal.output != size and close and here == block:
            _fold_turned(record, given, rows, write, room, zero)
        else:
            _fold_block(record, given, rows, here, write, room, zero)


@inner
def _fold_block(record, sums, rows, here, target, room, zero):
    """Transform `here` outputs of a block: whole vectors where they lie side by side."""
    layer = read(record, Layer)
    goal, how, plane = layer.target, layer.fold, layer.room.sums_plane
    size, lanes = simd.nbytes(zero), simd.width(zero)
    vector = lanes * size
    spare, seen = room + layer.room.spare, room + layer.room.seen
    zeros = room + layer.room.zeros
    whole = here // lanes if goal.output == size else 0
    for c in range(rows):
        given, write = sums + c * layer.room.sums_row, target + c * goal.channel
        if whole > 0:
            ending(how.transform, whole, given, how.wide * plane, plane, write, goal.row,
                   goal.column, seen, zeros, how.streams, -np.inf, np.inf)  # fmt: skip
        for k in range(whole * lanes, here, lanes):
            ending(how.transform, 1, given + k * size, how.wide * plane, plane, spare,
                   how.wide_taps * vector, vector, seen, zeros, 0, -np.inf, np.inf)  # fmt: skip
            _scatter(record, spare, min(lanes, here - k), write + k * goal.output, zero)


@inner
def _fold_turned(record, sums, rows, target, room, zero):
    """Transform a block, a vector of channels at once, whose taps then lie side by side.

    The last ones reach back over what was written.
    """
    layer = read(record, Layer)
    goal, how, plane = layer.target, layer.fold, layer.room.sums_plane
    size, lanes = simd.nbytes(zero), simd.width(zero)
    block, taps = VECTORS * lanes, how.high_taps * how.wide_taps
    row, spare = block * size, room + layer.room.spare
    for begin in range(0, rows, lanes):
        first = min(begin, rows - lanes)
        for c in range(lanes):
            ending(how.transform, VECTORS, sums + (first + c) * layer.room.sums_row,
                   how.wide * plane, plane, spare + c * taps * row, how.wide_taps * row, row,
                   room + layer.room.seen, room + layer.room.zeros, 0, -np.inf, np.inf)  # fmt: skip
        transpose(spare, row, lanes * taps, block, target + first * goal.channel, goal.output,
                  zero)  # fmt: skip


@inner
def _scatter(record, spare, count, write, zero):
    """Copy `count` elements of each vector of spare, a vector for each tap."""
    layer = read(record, Layer)
    how, goal = layer.fold, layer.target
    size = simd.nbytes(zero)
    vector = simd.width(zero) * size
    for v in range(count):
        for i in range(how.high_taps):
            for j in range(how.wide_taps):
                value = simd.load(spare + (i * how.wide_taps + j) * vector + v * size, zero)
                simd.store(write + i * goal.row + j * goal.column + v * goal.output, value)


@inner
def add(record, sums, count, step, rows, zero):
    """Add to the first `rows` of sums those of `count` - 1 others, each `step` bytes further."""
    layer = read(record, Layer)
    vector = simd.width(zero) * simd.nbytes(zero)
    for i in range(layer.fold.high * layer.fold.wide):
        at = sums + i * layer.room.sums_plane
        for s in range(1, count):
            for v in range(0, rows * layer.room.sums_row, vector):
                simd.add_vector(at + v, at + s * step + v, zero)
