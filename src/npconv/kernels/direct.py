"""Direct convolution over a table of addresses: im2col of addresses instead of values.

Arrays lie channels last.  A pixel's address is a sum of one offset an axis, so that stride,
dilation and every padding mode are a matter of the tables; an offset of -1 is a zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.tile import make_tile

ROWS, VECTORS = simd.tile_size()
tile = make_tile(ROWS, VECTORS)
copy = simd.copy


class Source(NamedTuple):
    """Where x is read: its address, bytes from image to image, and an offset for each position.

    depth, height and width hold the byte offset of each padded position of their axis, -1 where
    there is a zero.  zeros is the address of as many zeros as there are channels.
    """

    address: int
    image: int
    depth: np.ndarray
    height: np.ndarray
    width: np.ndarray
    zeros: int


class Target(NamedTuple):
    """Where the result is written: its address, and bytes from one output to the next."""

    address: int
    image: int
    depth: int
    height: int
    width: int


class Windows(NamedTuple):
    """Outputs, taps, stride and dilation of each of the three axes."""

    out_size: tuple[int, int, int]
    kernel_size: tuple[int, int, int]
    stride: tuple[int, int, int]
    dilation: tuple[int, int, int]


class Part(NamedTuple):
    """Which tiles of pixels, and which blocks of output channels, a call computes."""

    first: int
    last: int
    first_block: int
    last_block: int


@compiled
def convolve(source, target, windows, part, counts, weights, start, block, scratch, least):
    """Write a part of a convolution.

    counts (4,): images, channels of x, output channels, tiles whose addresses are held at once.
    weights: address of (blocks, taps, channels, block); start: of a row of so many blocks.
    scratch: int64, tiles*taps*ROWS + (tiles + 1)*ROWS entries, then ROWS*block elements.
    """
    images, channels, outputs, held = counts[0], counts[1], counts[2], counts[3]
    depth, height, width = source.depth, source.height, source.width
    pixels_d, pixels_h, pixels_w = windows.out_size
    taps_d, taps_h, taps_w = windows.kernel_size
    step_d, step_h, step_w = windows.stride
    hole_d, hole_h, hole_w = windows.dilation
    taps = taps_d * taps_h * taps_w
    total = images * pixels_d * pixels_h * pixels_w
    size = simd.nbytes(least)
    table = scratch.ctypes.data
    out_table = table + 8 * held * taps * ROWS
    spare_table = out_table + 8 * held * ROWS
    spare = spare_table + 8 * ROWS
    out_rows = held * taps * ROWS
    spare_rows = out_rows + held * ROWS
    for i in range(ROWS):
        scratch[spare_rows + i] = spare + i * block * size
    for begin in range(part.first, part.last, held):
        end = min(begin + held, part.last)
        p = min(begin * ROWS, total - 1)
        w = p % pixels_w
        h = p // pixels_w % pixels_h
        d = p // (pixels_w * pixels_h) % pixels_d
        n = p // (pixels_w * pixels_h * pixels_d)
        for q in range(end - begin):
            for i in range(ROWS):
                scratch[out_rows + q * ROWS + i] = (
                    target.address
                    + n * target.image
                    + d * target.depth
                    + h * target.height
                    + w * target.width
                )
                at = q * taps * ROWS + i
                for a in range(taps_d):
                    u = depth[d * step_d + a * hole_d]
                    for b in range(taps_h):
                        v = height[h * step_h + b * hole_h]
                        for c in range(taps_w):
                            t = width[w * step_w + c * hole_w]
                            if u == -1 or v == -1 or t == -1:
                                scratch[at] = source.zeros
                            else:
                                scratch[at] = source.address + n * source.image + u + v + t
                            at += ROWS
                # Rows past the last pixel compute it again.
                if ((begin + q) * ROWS + i) < total - 1:
                    w += 1
                    if w == pixels_w:
                        w = 0
                        h += 1
                        if h == pixels_h:
                            h = 0
                            d += 1
                            if d == pixels_d:
                                d = 0
                                n += 1
        for kb in range(part.first_block, part.last_block):
            b_at = weights + kb * taps * channels * block * size
            s_at = start + kb * block * size
            whole = kb * block + block <= outputs
            for q in range(end - begin):
                rows = table + 8 * q * taps * ROWS
                outs = out_table + 8 * q * ROWS
                if whole:
                    tile(rows, taps, channels, 1, b_at, block, channels * block, s_at,
                         outs, kb * block, least)  # fmt: skip
                else:
                    tile(rows, taps, channels, 1, b_at, block, channels * block, s_at,
                         spare_table, 0, least)  # fmt: skip
                    for i in range(ROWS):
                        copy(scratch[out_rows + q * ROWS + i] + kb * block * size,
                             spare + i * block * size, outputs - kb * block, least)  # fmt: skip


@compiled
def pack(weight, channel_step, output_step, taps, counts, packed, block, first, last, zero):
    """Write weight (taps, channels, outputs) as blocks `first` to `last` - 1 of `packed`.

    weight, packed: addresses; steps in bytes; taps: byte offsets; counts (2,): channels, outputs.
    packed is (blocks, taps, channels, block), zeros after the last output.
    """
    channels, outputs = counts[0], counts[1]
    size = simd.nbytes(zero)
    row = block * size
    for kb in range(first, last):
        here = min(block, outputs - kb * block)
        for c in range(channels):
            read = weight + c * channel_step + kb * block * output_step
            for t in range(len(taps)):
                write = packed + ((kb * len(taps) + t) * channels + c) * row
                if output_step == size:
                    copy(write, read + taps[t], here, zero)
                else:
                    simd.gather(write, read + taps[t], output_step, here, zero)
                simd.fill(write + here * size, block - here, zero)


@compiled
def weight_gradient(x, x_steps, taps, grad, grad_steps, counts, out, part, block, scratch, zero):
    """Add to a part of out the sum over pixels of x at each tap times grad.

    x, grad, out: addresses of padded x, of grad_out, a whole number of blocks wide, and of (taps *
    channels, blocks * block).  x_steps (image, depth, height, width) in bytes, of neighbouring
    outputs; grad_steps likewise, all lines of pixels equally far apart; taps: byte offsets in x.
    counts (7,): images, depths, heights, widths, channels, rows of pixels held at once, blocks.
    out has so many rows that they fill tiles.  scratch: int64, (held + 1)*ROWS entries.
    """
    images, depths, heights, widths = counts[0], counts[1], counts[2], counts[3]
    channels, held = counts[4], counts[5]
    size = simd.nbytes(zero)
    rows = len(taps) * channels
    lines = images * depths * heights
    table = scratch.ctypes.data
    out_table = table + 8 * held * ROWS
    out_row = block * size
    a_step = x_steps[3] // size
    b_step, b_outer = grad_steps[3] // size, grad_steps[2] // size
    for begin in range(0, lines, held):
        end = min(begin + held, lines)
        for q in range(part.first, part.last):
            for i in range(ROWS):
                row = min(q * ROWS + i, rows - 1)
                base = x + taps[row // channels] + row % channels * size
                n = begin // (depths * heights)
                d = begin // heights % depths
                h = begin % heights
                for line in range(end - begin):
                    scratch[line * ROWS + i] = (
                        base + n * x_steps[0] + d * x_steps[1] + h * x_steps[2]
                    )
                    h += 1
                    if h == heights:
                        h = 0
                        d += 1
                        if d == depths:
                            d = 0
                            n += 1
            for kb in range(part.first_block, part.last_block):
                for i in range(ROWS):
                    scratch[held * ROWS + i] = out + ((q * ROWS + i) * counts[6] + kb) * out_row
                tile(table, end - begin, widths, a_step,
                     grad + begin * grad_steps[2] + kb * out_row, b_step, b_outer, 0,
                     out_table, 0, zero)  # fmt: skip


def warm() -> None:
    """Run each kernel once, on one pixel, for each type it is compiled for."""
    line, taps = np.zeros(1, np.int64), np.zeros(1, np.int64)
    one = (1, 1, 1)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        number, held = dtype(0), 1
        data = np.zeros(block * ROWS, dtype)
        at = data.ctypes.data
        scratch = np.empty((held + 2 + block) * ROWS, np.int64)
        part = Part(0, 1, 0, 1)
        counts = np.array([1, 1], np.int64)
        pack(at, data.itemsize, data.itemsize, taps, counts, at, block, 0, 1, number)
        counts = np.array([1, 1, 1, held], np.int64)
        source, target = Source(at, 0, line, line, line, at), Target(at, 0, 0, 0, 0)
        windows = Windows(one, one, one, one)
        convolve(source, target, windows, part, counts, at, at, block, scratch, number)
        counts = np.array([1, 1, 1, 1, 1, held, 1], np.int64)
        steps = np.zeros(4, np.int64)
        weight_gradient(at, steps, taps, at, steps, counts, at, part, block, scratch, number)
