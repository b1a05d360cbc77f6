"""Kernels of one tap over planes: rows of a tile are outputs, its columns neighbouring pixels.

A panel is `block` pixels of each channel, copied side by side.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import Grid, cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.products import ROWS, VECTORS
from npconv.kernels.record import of_type
from npconv.kernels.tile import Store, make_tile

copy = simd.copy
fill = simd.fill
tile = make_tile(ROWS, VECTORS, row_starts=True)


class Call(NamedTuple):
    """What each call adds: addresses; bias: 0 for none."""

    x: int
    weight: int
    out: int
    bias: int


class Planes(NamedTuple):
    """Where planes of pixels lie: bytes to the next image and channel."""

    image: int
    channel: int


class Rows(NamedTuple):
    """Where the weight of each output lies: bytes to the next, and to the next channel."""

    output: int
    channel: int


class Sizes(NamedTuple):
    """Pixels of an image, a group's channels and outputs, panels held at once."""

    pixels: int
    channels: int
    outputs: int
    held: int


class Limits(NamedTuple):
    """Between what sums are clamped."""

    least: float
    most: float


class Layer(NamedTuple):
    """The record of a convolution by one tap.

    The grid's tiles are panels of pixels, its blocks tiles of outputs.  each: bytes of a thread's
    scratch.
    """

    call: Call
    source: Planes
    target: Planes
    weight: Rows
    sizes: Sizes
    limits: Limits
    grid: Grid
    each: int


class Room(NamedTuple):
    """Scratch of one thread: addresses.

    spare      (ROWS, block)             what the result does not hold whole
    panels     (held, channels, block)
    starts     (ROWS)                    what is added to each output's sums
    table      (ROWS) int64              addresses of outputs' weights
    out_table  (ROWS) int64              addresses in the result
    row_table  (ROWS) int64              addresses of the rows of `spare`
    """

    spare: int
    panels: int
    starts: int
    table: int
    out_table: int
    row_table: int


@inner
def _room(at, sizes, row):
    """Return the Room at an address; row: bytes of a block."""
    panels = at + ROWS * row
    starts = panels + sizes.held * sizes.channels * row
    table = starts + 8 * ROWS
    row_table = table + 8 * 2 * ROWS
    for i in range(ROWS):
        simd.write_int(row_table + 8 * i, at + i * row)
    return Room(at, panels, starts, table, table + 8 * ROWS, row_table)


@entries
def convolve(record, item, thread, zero):
    """Write an item of a Layer's result: its groups one after the other."""
    layer = read(record, Layer)
    part, sizes, call = cell(layer.grid, item), layer.sizes, layer.call
    size = simd.nbytes(zero)
    block = VECTORS * simd.width(zero)
    at = scratch(record, nbytes(Layer), layer.each, thread)
    room = _room(at, sizes, block * size)
    fill(room.starts, ROWS, zero)
    for g in range(part.group, part.last_group):
        bias = call.bias
        if bias != 0:
            bias += g * sizes.outputs * size
        here = Call(call.x + g * sizes.channels * layer.source.channel,
                    call.weight + g * sizes.outputs * layer.weight.output,
                    call.out + g * sizes.outputs * layer.target.channel, bias)  # fmt: skip
        for begin in range(part.tile, part.last_tile, sizes.held):
            count = min(sizes.held, part.last_tile - begin)
            _copy_panels(layer, here, begin, count, room, block, zero)
            for t in range(part.block, part.last_block):
                _multiply(layer, here, begin, count, t, room, block, zero)


@inner
def _copy_panels(layer, call, begin, count, room, block, zero):
    """Copy `count` panels from panel `begin` on, zeros after the last pixel of an image."""
    sizes, size = layer.sizes, simd.nbytes(zero)
    each = -(-sizes.pixels // block)
    to = room.panels
    for q in range(begin, begin + count):
        n, p = q // each, q % each * block
        here = min(block, sizes.pixels - p)
        at = call.x + n * layer.source.image + p * size
        for _ in range(sizes.channels):
            copy(to, at, here, zero)
            fill(to + here * size, block - here, zero)
            at += layer.source.channel
            to += block * size


@inner
def _multiply(layer, call, begin, count, t, room, block, zero):
    """Write what a tile of outputs sums over the panels held."""
    sizes, target, size = layer.sizes, layer.target, simd.nbytes(zero)
    each = -(-sizes.pixels // block)
    least, most = of_type(layer.limits.least, zero), of_type(layer.limits.most, zero)
    for i in range(ROWS):
        # The last output again, where a tile has more rows than there are.
        row = min(t * ROWS + i, sizes.outputs - 1)
        simd.write_int(room.table + 8 * i, call.weight + row * layer.weight.output)
        if call.bias != 0:
            simd.store(room.starts + i * size, simd.load(call.bias + row * size, zero))
    for q in range(count):
        n, p = (begin + q) // each, (begin + q) % each * block
        for i in range(ROWS):
            row = min(t * ROWS + i, sizes.outputs - 1)
            at = call.out + n * target.image + row * target.channel + p * size
            simd.write_int(room.out_table + 8 * i, at)
        whole = p + block <= sizes.pixels
        tile(room.table, 1, sizes.channels, layer.weight.channel // size,
             room.panels + q * sizes.channels * block * size, block, 0,
             room.out_table if whole else room.row_table, 0,
             Store(room.starts, 0, least, most))  # fmt: skip
        if not whole:
            for i in range(ROWS):
                copy(simd.read_int(room.out_table + 8 * i), room.spare + i * block * size,
                     sizes.pixels - p, zero)  # fmt: skip


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
