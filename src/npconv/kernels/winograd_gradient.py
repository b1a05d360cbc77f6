"""The weight gradient by Winograd's matrices turned round: tiles are summed before the last step.

::

    for each tile:        V = B x B'    D = A' g A     one plane for each product
    for each plane:       Z += V' D                    the sum runs over the tiles
    after the last tile:  dw = G' Z G

V and D lie as (planes, blocks, tiles, block): the register tile goes along the tiles, the channels
of x are its rows, those of grad_out its columns.

One letter each: t tile of a block, c channel of x, k of grad_out, i plane, r row of a tile.
`record` is the address of a Layer, `room` that of a thread's scratch; a part is a Cell of its grid,
whose groups are shares of the tiles, whose tiles are channels.
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
from npconv.kernels.winograd_gradient_layer import (
    FINITE,
    LONGEST,
    ROWS,
    RUN,
    VECTORS,
    Layer,
    Run,
)  # fmt: skip
from npconv.kernels.winograd_gradient_tiles import add, fold, gather

tile = make_tile(ROWS, VECTORS)
_FINITE = 8 * FINITE


@inner
def _run(record, number):
    """Return a Run by its number."""
    layer = read(record, Layer)
    return read(layer.tables + 8 * (layer.runs + RUN * number), Run)


@inner
def _items(grid):
    """Return how many parts a run has."""
    return grid.groups * -(-grid.tiles // grid.item_tiles) * -(-grid.blocks // grid.item_blocks)


@inner
def _share(run, shares, number):
    """Return the first and the last + 1 of a share of a run's tiles."""
    step = -(-run.tiles // shares)
    return min(number * step, run.tiles), min((number + 1) * step, run.tiles)


@inner
def _multiply(record, tiles, rows, blocks, values, grads, sums, room, store):
    """Store the sums of the products of so many tiles, from the address `sums` on.

    rows: channels of x, blocks: of grad_out, first and last + 1; values and grads: addresses.
    """
    layer = read(record, Layer)
    size, block = simd.nbytes(store.least), VECTORS * simd.width(store.least)
    planes, within = layer.fold.high * layer.fold.wide, layer.room
    count = (rows[1] - rows[0] + ROWS - 1) // ROWS * ROWS
    reads = room + within.table
    writes = reads + 8 * count
    for i in range(planes):
        for r in range(count):
            # The last row again, where a tile of registers has more rows than there are.
            c = min(rows[0] + r, rows[1] - 1)
            at = (c // block * within.held * block + c % block) * size
            simd.write_int(reads + 8 * r, values + i * within.value_plane + at)
            simd.write_int(writes + 8 * r, sums + i * within.sums_plane + r * within.sums_row)
        for kb in range(blocks[0], blocks[1]):
            b = grads + i * within.grad_plane + kb * within.held * block * size
            for r in range(0, count, ROWS):
                tile(reads + 8 * r, 1, tiles, block, b, block, 0, writes + 8 * r,
                     (kb - blocks[0]) * block, store)  # fmt: skip


@entries
def gather_share(record, item, thread, zero):
    """Transform a share of the tiles of x, or of grad_out, into the planes that threads share."""
    layer = read(record, Layer)
    run = _run(record, layer.call.run)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    tiles = _share(run, layer.gathers, item % layer.gathers)
    planes = layer.fold.high * layer.fold.wide
    target = layer.call.shared + tiles[0] * VECTORS * simd.width(zero) * simd.nbytes(zero)
    if item < layer.gathers:
        origin = layer.call.x + run.x
        gather(record, layer.x, origin, run.x_slices, run.count, tiles, target,
               layer.room.value_plane, layer.x.channels, layer.x.filled, room, zero)  # fmt: skip
    else:
        origin = layer.call.grad + run.grad
        gather(record, layer.grad, origin, run.grad_slices, run.count, tiles,
               target + planes * layer.room.value_plane, layer.room.grad_plane,
               layer.grad.channels, layer.grad.filled, room, zero)  # fmt: skip


@entries
def multiply(record, item, thread, zero):
    """Write a part of grad_weight, where the tiles are in the planes that threads share."""
    layer = read(record, Layer)
    run, part = _run(record, layer.call.run), cell(layer.grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    size, block = simd.nbytes(zero), VECTORS * simd.width(zero)
    planes = layer.fold.high * layer.fold.wide
    values, grads = layer.call.shared, layer.call.shared + planes * layer.room.value_plane
    sums, rows = room + layer.room.sums, (part.tile, part.last_tile)
    _clear(record, room, zero)
    most = of_type(np.inf, zero)
    for kb in range(part.block, part.last_block):
        store = Store(room + layer.room.zeros, 0, -most, most)
        for begin in range(0, run.tiles, LONGEST):
            tiles, further = min(LONGEST, run.tiles - begin), begin * block * size
            _multiply(record, tiles, rows, (kb, kb + 1), values + further, grads + further, sums,
                      room, store)  # fmt: skip
            store = Store(0, 0, -most, most)
        _fold(record, run, rows, (kb, kb + 1), sums, room, zero)
    _finish(record, room, zero)


@entries
def accumulate(record, item, thread, zero):
    """Write a part's sums, and where each thread has its own sums the part of grad_weight."""
    layer = read(record, Layer)
    count = _items(layer.grid)
    run, part = _run(record, layer.call.run + item // count), cell(layer.grid, item % count)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    size, block, held = simd.nbytes(zero), VECTORS * simd.width(zero), layer.room.held
    values, grads = room + layer.room.values, room + layer.room.grads
    sums = room + layer.room.sums
    if layer.partial:
        sums = layer.call.shared + item % count * layer.partial
    channels = part.last_tile - part.tile
    filled = min(-(-channels // block) * block, layer.x.filled - part.tile)
    blocks = part.last_block - part.block
    outputs = min(blocks * block, layer.grad.channels - part.block * block)
    x = layer.call.x + run.x + part.tile * size
    grad = layer.call.grad + run.grad + part.block * block * size
    _clear(record, room, zero)
    most = of_type(np.inf, zero)
    store = Store(room + layer.room.zeros, 0, -most, most)
    first, last = _share(run, layer.grid.groups, part.group)
    for begin in range(first, last, held):
        tiles = begin, min(begin + held, last)
        gather(record, layer.x, x, run.x_slices, run.count, tiles, values, layer.room.value_plane,
               channels, filled, room, zero)  # fmt: skip
        gather(record, layer.grad, grad, run.grad_slices, run.count, tiles, grads,
               layer.room.grad_plane, outputs, blocks * block, room, zero)  # fmt: skip
        _multiply(record, tiles[1] - begin, (0, channels), (0, blocks), values, grads, sums, room,
                  store)  # fmt: skip
        store = Store(0, 0, -most, most)
    if layer.partial == 0:
        rows, some = (part.tile, part.last_tile), (part.block, part.last_block)
        _fold(record, run, rows, some, sums, room, zero)
        _finish(record, room, zero)


@entries
def add_up(record, item, thread, zero):
    """Add up a piece of the sums of all the shares of the tiles, and write it to grad_weight."""
    layer = read(record, Layer)
    run = _run(record, layer.call.run)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    pieces = -(-layer.grid.item_tiles // layer.piece)
    number, first = item // pieces, item % pieces * layer.piece
    part = cell(layer.grid, number)
    first += part.tile
    last = min(first + layer.piece, part.last_tile)
    if first >= last:
        return
    sums = layer.call.shared + number * layer.partial
    sums += (first - part.tile) * layer.room.sums_row
    ends = _items(layer.grid) // layer.grid.groups
    shares = -(-run.tiles // -(-run.tiles // layer.grid.groups))
    add(record, sums, shares, ends * layer.partial, last - first, zero)
    _clear(record, room, zero)
    _fold(record, run, (first, last), (part.block, part.last_block), sums, room, zero)
    _finish(record, room, zero)


@inner
def _clear(record, room, zero):
    """Write the zeros in room, and that nothing was seen."""
    layer = read(record, Layer)
    simd.fill(room + layer.room.zeros, VECTORS * simd.width(zero), zero)
    simd.fill(room + layer.room.seen, simd.width(zero), zero)


@inner
def _finish(record, room, zero):
    """Say in the record whether a result was not finite."""
    layer = read(record, Layer)
    if not all_zero(room + layer.room.seen, zero):
        simd.write_int(record + _FINITE, 0)
    if layer.fold.streams:
        simd.finish_streams()


@inner
def _fold(record, run, rows, blocks, sums, room, zero):
    """Write channels and blocks of outputs, first and last + 1 of each, from their sums."""
    layer = read(record, Layer)
    block = VECTORS * simd.width(zero)
    target = layer.call.target + run.target + rows[0] * layer.target.channel
    target += blocks[0] * block * layer.target.output
    outputs = min(blocks[1] * block, layer.grad.channels) - blocks[0] * block
    fold(record, sums, rows[1] - rows[0], outputs, target, room, zero)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(gather_share, multiply, accumulate, add_up)
