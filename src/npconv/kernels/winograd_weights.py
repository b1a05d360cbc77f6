"""The weights of a Winograd convolution, transformed and laid as its register tile reads them.

Of each channel of a block the taps are transformed, vectors of outputs, from a room in which these
lie close together.  They are brought there as the weight lies, whole vectors of some channels at
once where it lies close anyhow; squares of vectors at an end reach back over what was copied.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.combs import comb, has_comb
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import make_square
from npconv.kernels.winograd_layer import VECTORS, Layer
from npconv.kernels.winograd_transforms import transform

copy = simd.copy
fill = simd.fill
gather = simd.gather
square = make_square(streams=False)
_AHEAD = 4  # channels that are asked for before they are read


@inner
def pack_block(record, group, kb, packed, room, zero):
    """Write block kb of a group's transformed weight to the address `packed`.

    It is (planes, taps of the depth, channels, block), zeros after the last output.  room: address
    of scratch for (a vector of channels, rows, columns, block).
    """
    layer = read(record, Layer)
    weight = layer.weight
    size, width = simd.nbytes(zero), simd.width(zero)
    block = VECTORS * width
    here = min(block, layer.outputs - kb * block)
    first = weight.address + group * weight.group + kb * block * weight.output
    taps = layer.high.taps * layer.wide.taps
    below, reach = _extent(record)
    count = reach // size + 1  # elements from the first to the last tap of a channel in memory
    held = min(taps * width // count, layer.channels)
    run = (reach + (held - 1) * abs(weight.channel)) // size + 1  # of the channels held
    if weight.output == size:
        _side_by_side(record, first, here, packed, room, zero)
    elif here < width:
        _one_by_one(record, first, here, packed, room, zero)
    elif weight.channel == size and layer.channels >= width:
        _by_channels(record, first, here, packed, room, zero)
    elif held > 0 and width <= run <= taps * width:
        _by_runs(record, first + below, here, held, packed, room, zero)
    elif held > 0 and weight.output == count * size and has_comb(count):
        _by_outputs(record, first + below, here, packed, room, zero)
    else:
        _one_by_one(record, first, here, packed, room, zero)


@inner
def _extent(record):
    """Return the bytes from the first tap of a channel to the lowest one, and to the highest."""
    layer = read(record, Layer)
    weight = layer.weight
    deep = (layer.depth.taps - 1) * weight.depth
    down = (layer.high.taps - 1) * weight.row
    across = (layer.wide.taps - 1) * weight.column
    below = min(deep, 0) + min(down, 0) + min(across, 0)
    return below, abs(deep) + abs(down) + abs(across)


@inner
def _side_by_side(record, first, here, packed, room, zero):
    """Transform a block whose outputs lie side by side.

    One tap of some channels is copied after the other: taps may be so far apart that they share a
    place in the cache.
    """
    layer = read(record, Layer)
    weight = layer.weight
    width = simd.width(zero)
    row = VECTORS * width * simd.nbytes(zero)
    wide = layer.wide.taps
    taps = layer.high.taps * wide
    _clear(room, taps * min(width, layer.channels), here, zero)
    for p in range(layer.depth.taps):
        for begin in range(0, layer.channels, width):
            held = min(width, layer.channels - begin)
            kernel = first + p * weight.depth + begin * weight.channel
            for t in range(taps):
                at = kernel + t // wide * weight.row + t % wide * weight.column
                for c in range(held):
                    copy(room + (c * taps + t) * row, at + c * weight.channel, here, zero)
            for c in range(held):
                at = room + c * taps * row
                _transform(record, at, wide * row, row, p, begin + c, packed, row)


@inner
def _by_channels(record, first, here, packed, room, zero):
    """Transform a block whose channels lie side by side."""
    layer = read(record, Layer)
    weight = layer.weight
    size, width = simd.nbytes(zero), simd.width(zero)
    row = VECTORS * width * size
    wide = layer.wide.taps
    taps = layer.high.taps * wide
    _clear(room, taps * width, here, zero)
    for p in range(layer.depth.taps):
        for begin in range(0, layer.channels, width):
            channel = min(begin, layer.channels - width)
            kernel = first + p * weight.depth + channel * size
            for t in range(taps):
                at = kernel + t // wide * weight.row + t % wide * weight.column
                _turn(at, weight.output, here, width, room + t * row, taps * row, zero)
            for c in range(width):
                at = room + c * taps * row
                _transform(record, at, wide * row, row, p, channel + c, packed, row)


@inner
def _by_runs(record, lowest, here, held, packed, room, zero):
    """Transform a block with all taps of `held` channels close together."""
    layer = read(record, Layer)
    weight = layer.weight
    size = simd.nbytes(zero)
    row = VECTORS * simd.width(zero) * size
    down, across = weight.row // size * row, weight.column // size * row
    below, reach = _extent(record)
    under = min((held - 1) * weight.channel, 0)
    run = (reach + (held - 1) * abs(weight.channel)) // size + 1
    _clear(room, run, here, zero)
    for begin in range(0, layer.channels, held):
        channel = min(begin, layer.channels - held)
        kernel = lowest + channel * weight.channel + under
        _turn(kernel, weight.output, here, run, room, row, zero)
        for c in range(held):
            for p in range(layer.depth.taps):
                at = c * weight.channel + p * weight.depth - under - below
                at = room + at // size * row
                _transform(record, at, down, across, p, channel + c, packed, row)


@inner
def _by_outputs(record, lowest, here, packed, room, zero):
    """Transform a block whose outputs, all taps of a channel each, follow one another."""
    layer = read(record, Layer)
    weight = layer.weight
    size = simd.nbytes(zero)
    row = VECTORS * simd.width(zero) * size
    down, across = weight.row // size * row, weight.column // size * row
    below, reach = _extent(record)
    count = reach // size + 1
    _clear(room, count, here, zero)
    for c in range(layer.channels):
        kernel = lowest + c * weight.channel
        for line in range(0, here * weight.output, LINE):
            expect(kernel + _AHEAD * weight.channel + line)
        comb(kernel, count, here, room, row, zero)
        for p in range(layer.depth.taps):
            at = room + (p * weight.depth - below) // size * row
            _transform(record, at, down, across, p, c, packed, row)


@inner
def _one_by_one(record, first, here, packed, room, zero):
    """Transform a block element by element."""
    layer = read(record, Layer)
    weight, wide = layer.weight, layer.wide.taps
    size = simd.nbytes(zero)
    row = VECTORS * simd.width(zero) * size
    taps = layer.high.taps * wide
    _clear(room, taps, here, zero)
    for p in range(layer.depth.taps):
        for c in range(layer.channels):
            kernel = first + p * weight.depth + c * weight.channel
            for t in range(taps):
                at = kernel + t // wide * weight.row + t % wide * weight.column
                gather(room + t * row, at, weight.output, here, zero)
            _transform(record, room, wide * row, row, p, c, packed, row)


@inner
def _clear(room, rows, here, zero):
    """Write zeros behind the last output of rows of a block."""
    size, block = simd.nbytes(zero), VECTORS * simd.width(zero)
    for i in range(rows):
        fill(room + (i * block + here) * size, block - here, zero)


@inner
def _turn(source, step, rows, columns, target, target_step, zero):
    """Write target[j, i] = source[i, j] for i < rows, j < columns, each at least a vector."""
    size, width = simd.nbytes(zero), simd.width(zero)
    for i in range(0, rows, width):
        first = min(i, rows - width)
        for j in range(0, columns, width):
            column = min(j, columns - width)
            square(source + first * step + column * size, step,
                   target + column * target_step + first * size, target_step, zero)  # fmt: skip


@inner
def _transform(record, taps, down, across, p, c, packed, row):
    """Transform the taps at an address: tap p of the depth and channel c of a block."""
    layer = read(record, Layer)
    transform(layer.transforms.kernel, VECTORS, taps, down, across,
              packed + (p * layer.channels + c) * row, layer.wide.span * layer.plane,
              layer.plane)  # fmt: skip


@entries
def pack(record, item, thread, zero):
    """Write a part of the blocks of the transformed weight."""
    layer, part = read(record, Layer), cell(read(record, Layer).grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    block = layer.high.span * layer.wide.span * layer.plane
    for kb in range(part.block, part.last_block):
        at = layer.call.packed + part.group * layer.shared.packed + kb * block
        pack_block(record, part.group, kb, at, room + layer.room.transform, zero)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(pack)
