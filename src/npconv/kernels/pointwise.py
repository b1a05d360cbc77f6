"""Kernels of one tap over planes: rows of a tile are outputs, its columns neighbouring pixels.

A panel is `block` pixels of each channel, copied side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.products import ROWS, VECTORS, tile
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


class Planes(NamedTuple):
    """Where planes of pixels lie: their address, and bytes to the next image and channel."""

    address: int
    image: int
    channel: int


class Rows(NamedTuple):
    """Where the weight of each output lies: its address, bytes to the next, and to a channel."""

    address: int
    output: int
    channel: int


class Part(NamedTuple):
    """Which panels of pixels, and which tiles of outputs, a call computes."""

    first: int
    last: int
    first_tile: int
    last_tile: int


@compiled
def convolve(source, target, weight, part, counts, store, scratch):
    """Write a part of a convolution by one tap.

    counts (5,): pixels of an image, channels of x, channels of the weight (one more than of x
    meets a 1 in its place: the bias), outputs, panels held at once.  store.start: of zeros.
    scratch: int64, 3*ROWS entries, then ROWS*block and held*channels*block elements.
    """
    pixels, channels, inner, outputs, held = counts[0], counts[1], counts[2], counts[3], counts[4]
    zero = simd.zero_of(store.least)
    size = simd.nbytes(zero)
    block = VECTORS * simd.width(zero)
    each = -(-pixels // block)
    table = scratch.ctypes.data
    out_table = table + 8 * ROWS
    row_table = out_table + 8 * ROWS
    spare = row_table + 8 * ROWS
    panels = spare + ROWS * block * size
    for i in range(ROWS):
        simd.write_int(row_table + 8 * i, spare + i * block * size)
    for begin in range(part.first, part.last, held):
        count = min(held, part.last - begin)
        for q in range(count):
            n, p = (begin + q) // each, (begin + q) % each * block
            here = min(block, pixels - p)
            read = source.address + n * source.image + p * size
            to = panels + q * inner * block * size
            for _ in range(channels):
                copy(to, read, here, zero)
                fill(to + here * size, block - here, zero)
                read += source.channel
                to += block * size
            if inner > channels:
                fill(to, block, simd.one_of(zero))
        for t in range(part.first_tile, part.last_tile):
            for i in range(ROWS):
                # The last output again, where a tile has more rows than there are.
                row = min(t * ROWS + i, outputs - 1)
                simd.write_int(table + 8 * i, weight.address + row * weight.output)
            for q in range(count):
                n, p = (begin + q) // each, (begin + q) % each * block
                for i in range(ROWS):
                    row = min(t * ROWS + i, outputs - 1)
                    at = target.address + n * target.image + row * target.channel + p * size
                    simd.write_int(out_table + 8 * i, at)
                whole = p + block <= pixels
                tile(table, 1, inner, weight.channel // size, panels + q * inner * block * size,
                     block, 0, out_table if whole else row_table, 0, store)  # fmt: skip
                if not whole:
                    for i in range(ROWS):
                        copy(simd.read_int(out_table + 8 * i), spare + i * block * size,
                             pixels - p, zero)  # fmt: skip


def warm() -> None:
    """Run the kernel once, on one pixel, for each type it is compiled for."""
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        data = np.zeros(block, dtype)
        planes = Planes(data.ctypes.data, 0, 0)
        scratch = np.empty((3 + 2 * block) * ROWS, np.int64)
        counts = np.array([1, 1, 1, 1, 1], np.int64)
        store = Store(data.ctypes.data, 0, dtype(0), dtype(0))
        convolve(planes, planes, Rows(*planes), Part(0, 1, 0, 1), counts, store, scratch)
