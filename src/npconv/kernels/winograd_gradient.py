"""The weight gradient by Winograd's matrices turned round: tiles are summed before the last step.

::

    for each tile:        V = B x B'    D = A' g A     one plane for each product
    for each plane:       Z += V' D                    the sum runs over the tiles
    after the last tile:  dw = G' Z G

V and D lie as (planes, blocks, tiles, block): the register tile goes along the tiles, the channels
of x are its rows, those of grad_out its columns.

One letter each: t tile of a block, c channel of x, k of grad_out, i plane, r row of a tile.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entry
from npconv.kernels.inner import inner
from npconv.kernels.tile import Store, make_tile
from npconv.kernels.winograd_gradient_layer import (
    LONGEST,
    ROWS,
    VECTORS,
    Layer,
    Operand,
    Part,
    Planes,
    Sums,
    Target,
)
from npconv.kernels.winograd_gradient_record import (
    counts_of,
    desk_of,
    layer_of,
    part_of,
    parts_of,
    piece_of,
    planes_of,
    run_of,
    shared_of,
    sums_of,
    target_of,
)
from npconv.kernels.winograd_gradient_tiles import INTO_PLANES, INTO_TAPS, add, fold, gather

tile = make_tile(ROWS, VECTORS)


@inner
def accumulate(layer, part, values, grads, sums, desk):
    """Write the sums over a part's tiles, as many at a time as values and grads have room for.

    x and grad_out of layer are the channels that are wanted, all of them.
    """
    store = Store(desk.zeros, 0, layer.least, -layer.least)
    for begin in range(part.first, part.last, values.held):
        end = min(begin + values.held, part.last)
        gather(layer, layer.x, begin, end, values, 0, desk)
        gather(layer, layer.grad, begin, end, grads, 0, desk)
        now = Part(begin, end, part.first_row, part.last_row, part.first_block, part.last_block)
        _multiply(layer, now, values, grads, sums, desk, store)
        store = Store(0, 0, layer.least, -layer.least)


@inner
def multiply(layer, part, values, grads, sums, target, desk):
    """Write a part of grad_weight, where the tiles are in values and grads; sums: of a block."""
    row = VECTORS * simd.width(layer.zero) * simd.nbytes(layer.zero)
    block = VECTORS * simd.width(layer.zero)
    for kb in range(part.first_block, part.last_block):
        store = Store(desk.zeros, 0, layer.least, -layer.least)
        for begin in range(part.first, part.last, LONGEST):
            end = min(begin + LONGEST, part.last)
            now = Part(begin, end, part.first_row, part.last_row, kb, kb + 1)
            its_values = Planes(values.address + begin * row, values.plane, values.held)
            its_grads = Planes(grads.address + begin * row, grads.plane, grads.held)
            _multiply(layer, now, its_values, its_grads, sums, desk, store)
            store = Store(0, 0, layer.least, -layer.least)
        address = target.address + part.first_row * target.channel + kb * block * target.output
        there = Target(address, target.row, target.column, target.channel, target.output)
        here = min(block, layer.grad.channels - kb * block)
        fold(layer, sums, part.last_row - part.first_row, here, there, desk)


@inner
def _multiply(layer, part, values, grads, sums, desk, store):
    """Store the sums of the products of a part's tiles: its first row and block are sums' first."""
    size = simd.nbytes(layer.zero)
    block = VECTORS * simd.width(layer.zero)
    planes = layer.fold.high[1] * layer.fold.wide[1]
    count = (part.last_row - part.first_row + ROWS - 1) // ROWS * ROWS
    reads = desk.table
    writes = reads + 8 * count
    for i in range(planes):
        for r in range(count):
            # The last row again, where a tile of registers has more rows than there are.
            c = min(part.first_row + r, part.last_row - 1)
            at = (c // block * values.held * block + c % block) * size
            simd.write_int(reads + 8 * r, values.address + i * values.plane + at)
            simd.write_int(writes + 8 * r, sums.address + i * sums.plane + r * sums.row)
        for kb in range(part.first_block, part.last_block):
            b = grads.address + i * grads.plane + kb * grads.held * block * size
            for r in range(0, count, ROWS):
                tile(reads + 8 * r, 1, part.last - part.first, block, b, block, 0, writes + 8 * r,
                     (kb - part.first_block) * block, store)  # fmt: skip


@inner
def _gather_share(record, item, thread, zero):
    """Transform a share of the tiles of x, or of grad_out, into the planes that threads share."""
    counts = counts_of(record)
    layer, desk = layer_of(record, zero), desk_of(record, thread)
    step = (counts.tiles + counts.shares - 1) // counts.shares
    first = min(item % counts.shares * step, counts.tiles)
    last = min(first + step, counts.tiles)
    values, grads = shared_of(record)
    if item < counts.shares:
        gather(layer, layer.x, first, last, values, first, desk)
    else:
        gather(layer, layer.grad, first, last, grads, first, desk)


@inner
def _multiply_part(record, item, thread, zero):
    """Write a part of grad_weight, where the tiles are in the planes that threads share."""
    values, grads = shared_of(record)
    desk = _cleared(desk_of(record, thread), zero)
    sums = sums_of(record, item, thread)
    layer, part = layer_of(record, zero), part_of(record, item)
    multiply(layer, part, values, grads, sums, target_of(record), desk)


@inner
def _accumulate_part(record, item, thread, zero):
    """Write a part's sums, and where each thread has its own sums the part of grad_weight."""
    record, number = run_of(record, item, parts_of(record))
    counts, part, layer = counts_of(record), part_of(record, number), layer_of(record, zero)
    desk, sums = _cleared(desk_of(record, thread), zero), sums_of(record, number, thread)
    size, block = simd.nbytes(zero), VECTORS * simd.width(zero)
    channels, blocks = part.last_row - part.first_row, part.last_block - part.first_block
    filled = min(counts.channels, layer.x.filled - part.first_row)
    x = _some(layer.x, part.first_row * size, channels, filled)
    outputs = min(part.last_block * block, layer.grad.channels) - part.first_block * block
    grad = _some(layer.grad, part.first_block * block * size, outputs, blocks * block)
    own = Layer(layer.tables, layer.into_planes, layer.into_taps, x, grad, layer.fold, zero,
                layer.least)  # fmt: skip
    values, grads = planes_of(record, thread)
    its = Part(part.first, part.last, 0, channels, 0, blocks)
    accumulate(own, its, values, grads, sums, desk)
    if counts.partial == 0:
        _finish(record, layer, part, 0, channels, sums, desk)


@inner
def _add_piece(record, item, thread, zero):
    """Add up a piece of the sums of all the shares of the tiles, and write it to grad_weight."""
    number, first, last = piece_of(record, item)
    counts, layer = counts_of(record), layer_of(record, zero)
    sums = sums_of(record, number, thread)
    sums = Sums(sums.address + first * sums.row, sums.plane, sums.row)
    shares = parts_of(record) // counts.ends
    add(layer, sums, shares, counts.ends * counts.partial, last - first)
    part, desk = part_of(record, number), desk_of(record, thread)
    _finish(record, layer, part, first, last, sums, desk)


@inner
def _finish(record, layer, part, first, last, sums, desk):
    """Write rows `first` to `last` - 1 of a part to grad_weight, where sums begins with them."""
    goal, block = target_of(record), VECTORS * simd.width(layer.zero)
    address = goal.address + (part.first_row + first) * goal.channel
    address += part.first_block * block * goal.output
    there = Target(address, goal.row, goal.column, goal.channel, goal.output)
    outputs = min(part.last_block * block, layer.grad.channels) - part.first_block * block
    fold(layer, sums, last - first, outputs, there, desk)


@inner
def _some(operand, offset, channels, filled):
    """Return some channels of an operand, `offset` bytes from the first."""
    return Operand(operand.address + offset, operand.image, operand.depth, operand.row,
                   operand.pixel, channels, filled, operand.high, operand.wide, operand.slices,
                   operand.count)  # fmt: skip


@inner
def _cleared(desk, zero):
    """Return a desk with its zeros written."""
    simd.fill(desk.zeros, VECTORS * simd.width(zero), zero)
    return desk


@entry
def gather_single(record, item, thread):
    """Transform a share of the tiles."""
    _gather_share(record, item, thread, np.float32(0))


@entry
def gather_double(record, item, thread):
    """Do the same in float64."""
    _gather_share(record, item, thread, np.float64(0))


@entry
def multiply_single(record, item, thread):
    """Write a part of grad_weight from transformed tiles."""
    _multiply_part(record, item, thread, np.float32(0))


@entry
def multiply_double(record, item, thread):
    """Do the same in float64."""
    _multiply_part(record, item, thread, np.float64(0))


@entry
def accumulate_single(record, item, thread):
    """Take a part of the tiles, channels and outputs through everything, or as far as its sums."""
    _accumulate_part(record, item, thread, np.float32(0))


@entry
def accumulate_double(record, item, thread):
    """Do the same in float64."""
    _accumulate_part(record, item, thread, np.float64(0))


@entry
def add_single(record, item, thread):
    """Write a piece of grad_weight from the sums of parts."""
    _add_piece(record, item, thread, np.float32(0))


@entry
def add_double(record, item, thread):
    """Do the same in float64."""
    _add_piece(record, item, thread, np.float64(0))


GATHER = {"f": gather_single, "d": gather_double}
MULTIPLY = {"f": multiply_single, "d": multiply_double}
ACCUMULATE = {"f": accumulate_single, "d": accumulate_double}
ADD = {"f": add_single, "d": add_double}


def warm() -> None:
    """Have each entry compiled, or loaded."""
    for entries in (INTO_PLANES, INTO_TAPS, GATHER, MULTIPLY, ACCUMULATE, ADD):
        for one in entries.values():
            one.prepare()
