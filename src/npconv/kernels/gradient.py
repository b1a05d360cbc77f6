"""The gradient of the weight: every (tap, channel) of x is a row of a register tile.

Arrays lie channels last, x is padded.  Pixels are taken some lines at a time, so that what of
grad_out belongs to a block of outputs stays in cache while all the rows are multiplied with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.products import ROWS, VECTORS, multiply, rows_of
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


class Lines(NamedTuple):
    """Where lines of pixels lie: their address, and bytes to the next image ... pixel."""

    address: int
    image: int
    depth: int
    height: int
    width: int


class Part(NamedTuple):
    """Which lines of pixels, tiles of (tap, channel) rows and blocks of outputs a call computes."""

    line: int
    last_line: int
    tile: int
    last_tile: int
    block: int
    last_block: int


@compiled
def weight_gradient(x, grad, taps, size, counts, sums, part, block, scratch, zero):
    """Add to a part of sums (taps * channels, blocks * block) x at each tap times grad.

    x, grad: Lines, of the pixels that the first tap meets and of grad_out.  taps: byte offsets in
    x.  size: images, depths, heights and widths of grad_out.  counts (5,): channels, outputs, lines
    held at once, blocks, and whether grad_out is gathered in blocks; else its outputs fill them,
    and its lines are evenly apart.  sums: address, with so many rows that they fill tiles.
    scratch: int64, (held + 1)*rows entries, then (part's blocks, held, width, block) elements
    where grad_out is gathered.
    """
    channels, outputs, held, blocks, gathers = counts[0], counts[1], counts[2], counts[3], counts[4]
    widths = size[3]
    nbytes = simd.nbytes(zero)
    rows = rows_of(block, zero)
    table = scratch.ctypes.data
    out_table = table + 8 * held * rows
    panels = out_table + 8 * rows
    out_row = block * nbytes
    panel = held * widths * out_row
    total = len(taps) * channels
    store = Store(0, 0, zero, zero)
    b_step, b_outer, b_block = block, widths * block, panel
    if not gathers:
        b_step, b_outer, b_block = grad.width // nbytes, grad.height // nbytes, out_row
    for begin in range(part.line, part.last_line, held):
        count = min(held, part.last_line - begin)
        b = panels - part.block * panel
        if not gathers:
            b = grad.address + begin * grad.height
        for line in range(count * gathers):
            at = grad.address + _line(grad, size, begin + line)
            to = panels + line * widths * out_row
            for kb in range(part.block, part.last_block):
                here = min(block, outputs - kb * block)
                _gather(to, at + kb * out_row, grad.width, widths, here, block, zero)
                to += panel
        for q in range(part.tile, part.last_tile):
            for line in range(count):
                at = x.address + _line(x, size, begin + line)
                for i in range(rows):
                    row = min(q * rows + i, total - 1)
                    place = at + taps[row // channels] + row % channels * nbytes
                    simd.write_int(table + 8 * (line * rows + i), place)
            for kb in range(part.block, part.last_block):
                for i in range(rows):
                    at = sums + ((q * rows + i) * blocks + kb) * out_row
                    simd.write_int(out_table + 8 * i, at)
                multiply(block, table, count, widths, x.width // nbytes, b + kb * b_block, b_step,
                         b_outer, out_table, 0, store)  # fmt: skip


@compiled
def _line(lines, size, number):
    """Return how many bytes after the first pixel a line begins."""
    _, depths, heights, _ = size
    n, d, h = number // (depths * heights), number // heights % depths, number % heights
    return n * lines.image + d * lines.depth + h * lines.height


@compiled
def _gather(to, source, step, count, here, block, zero):
    """Copy `here` outputs of each of `count` pixels to rows of a block, zeros after them."""
    nbytes = simd.nbytes(zero)
    lanes = simd.width(zero)
    for _ in range(count):
        if here == block:
            for v in range(0, block, lanes):
                simd.copy_vector(to + v * nbytes, source + v * nbytes, zero)
        else:
            copy(to, source, here, zero)
            fill(to + here * nbytes, block - here, zero)
        to += block * nbytes
        source += step


def warm() -> None:
    """Run the kernel once, on one pixel, for each type it is compiled for."""
    taps = np.zeros(1, np.int64)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        data = np.zeros(block * ROWS, dtype)
        lines = Lines(data.ctypes.data, 0, 0, 0, 0)
        scratch = np.empty(2 * ROWS + block, np.int64)
        counts = np.array([1, 1, 1, 1, 1], np.int64)
        weight_gradient(
            lines, lines, taps, (1, 1, 1, 1), counts, data.ctypes.data, Part(0, 1, 0, 1, 0, 1),
            block, scratch, dtype(0),
        )  # fmt: skip
