"""The gradient of the weight: every (tap, channel) of x is a row of a register tile.

Arrays lie channels last, x is padded.  Pixels are taken some lines at a time, so that what of
grad_out belongs to a block of outputs stays in cache while all the rows are multiplied with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import Grid, cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.products import multiply, rows_of
from npconv.kernels.record import of_type
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


class Call(NamedTuple):
    """What each call adds: addresses."""

    x: int
    grad: int
    sums: int


class Lines(NamedTuple):
    """Where lines of pixels lie: bytes to the next group, image ... pixel."""

    group: int
    image: int
    depth: int
    height: int
    width: int


class Extent(NamedTuple):
    """The images, depths, heights and widths of grad_out."""

    images: int
    depths: int
    heights: int
    widths: int


class Sizes(NamedTuple):
    """A group's channels and outputs, the outputs of a block, and lines held at once.

    gathers: whether a block's part of grad_out is gathered; else its outputs fill the blocks, and
    its lines are evenly apart.  shares: of the lines, each with sums of its own.
    """

    channels: int
    outputs: int
    block: int
    held: int
    gathers: int
    shares: int


class Layer(NamedTuple):
    """The record of a weight gradient.

    taps: the address of so many offsets in x.  The grid is a group's, of `items`: of lines of
    pixels, tiles of (tap, channel) rows and blocks of outputs.  each: bytes of a thread's scratch,
    which is a block of zeros, one for rows after the last, lines of grad_out (an item's blocks,
    held, widths, block), and the addresses of (held + 1, rows).
    """

    call: Call
    x: Lines
    grad: Lines
    extent: Extent
    sizes: Sizes
    taps: int
    tap_count: int
    grid: Grid
    items: int
    each: int


class Total(NamedTuple):
    """The record of sums over shares: groups, shares, elements of each, and how many items."""

    sums: int
    groups: int
    shares: int
    elements: int
    items: int


@entries
def accumulate(record, item, thread, zero):
    """Write an item's sums (taps * channels, blocks * block): x at each tap times grad_out."""
    layer = read(record, Layer)
    sizes, grid, x, grad = layer.sizes, layer.grid, layer.x, layer.grad
    group, number = item // layer.items, item % layer.items
    part = cell(grid, number)
    channels, held, block, widths = sizes.channels, sizes.held, sizes.block, layer.extent.widths
    size = simd.nbytes(zero)
    rows = rows_of(block, zero)
    out_row = block * size
    panel = held * widths * out_row
    zeros = scratch(record, nbytes(Layer), layer.each, thread)
    beyond = zeros + out_row
    panels = beyond + out_row
    table = panels + sizes.gathers * (part.last_block - part.block) * panel
    out_table = table + 8 * held * rows
    fill(zeros, block, zero)
    total = layer.tap_count * channels
    share = group * sizes.shares + number * (sizes.shares > 1)
    sums = layer.call.sums + share * total * grid.blocks * out_row
    x_begin, grad_begin = layer.call.x + group * x.group, layer.call.grad + group * grad.group
    most = of_type(np.inf, zero)
    store = Store(zeros, 0, -most, most)
    b_step, b_outer, b_block = block, widths * block, panel
    if not sizes.gathers:
        b_step, b_outer, b_block = grad.width // size, grad.height // size, out_row
    for begin in range(part.group, part.last_group, held):
        count = min(held, part.last_group - begin)
        b = panels - part.block * panel
        if not sizes.gathers:
            b = grad_begin + begin * grad.height
        for line in range(count * sizes.gathers):
            at = grad_begin + _line(grad, layer.extent, begin + line)
            to = panels + line * widths * out_row
            for kb in range(part.block, part.last_block):
                here = min(block, sizes.outputs - kb * block)
                _gather(to, at + kb * out_row, grad.width, widths, here, block, zero)
                to += panel
        for q in range(part.tile, part.last_tile):
            for line in range(count):
                at = x_begin + _line(x, layer.extent, begin + line)
                for i in range(rows):
                    row = min(q * rows + i, total - 1)
                    place = at + simd.read_int(layer.taps + 8 * (row // channels))
                    place += row % channels * size
                    simd.write_int(table + 8 * (line * rows + i), place)
            for kb in range(part.block, part.last_block):
                for i in range(rows):
                    at = sums + ((q * rows + i) * grid.blocks + kb) * out_row
                    if q * rows + i >= total:
                        at = beyond
                    simd.write_int(out_table + 8 * i, at)
                multiply(block, table, count, widths, x.width // size, b + kb * b_block, b_step,
                         b_outer, out_table, 0, store)  # fmt: skip
        store = Store(0, 0, -most, most)


@inner
def _line(lines, extent, number):
    """Return how many bytes after the first pixel a line begins."""
    depths, heights = extent.depths, extent.heights
    n, d, h = number // (depths * heights), number // heights % depths, number % heights
    return n * lines.image + d * lines.depth + h * lines.height


@inner
def _gather(to, source, step, count, here, block, zero):
    """Copy `here` outputs of each of `count` pixels to rows of a block, zeros after them."""
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    for _ in range(count):
        if here == block:
            for v in range(0, block, lanes):
                simd.copy_vector(to + v * size, source + v * size, zero)
        else:
            copy(to, source, here, zero)
            fill(to + here * size, block - here, zero)
        to += block * size
        source += step


@entries
def add_up(record, item, thread, zero):
    """Add to the first share's sums the others', one after the other: an item's part of these."""
    total = read(record, Total)
    lanes, size = simd.width(zero), simd.nbytes(zero)
    vectors = total.elements // lanes
    nbytes = total.elements * size
    first = item * total.groups * vectors // total.items
    last = (item + 1) * total.groups * vectors // total.items
    for v in range(first, last):
        at = total.sums + v // vectors * total.shares * nbytes + v % vectors * lanes * size
        for share in range(1, total.shares):
            simd.add_vector(at, at + share * nbytes, zero)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(accumulate, add_up)
