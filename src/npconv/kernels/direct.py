"""Direct convolution over a table of addresses: im2col of addresses instead of values.

Arrays lie channels last.  A pixel's address is a sum of one offset an axis, so that stride,
dilation and every padding mode are a matter of the tables; an offset of -1 is a zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.planes import transpose
from npconv.kernels.products import ROWS, VECTORS, multiply, rows_of
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


class Source(NamedTuple):
    """Where x is read: its address, bytes from image to image, and an offset for each position.

    depth, height and width are addresses of int64: the byte offset of each padded position of their
    axis, -1 where there is a zero.  zeros is the address of as many zeros as a tap holds numbers.
    x holds all that the outputs first to last - 1 of a line read, a pixel `pixel` bytes after the
    one before it.
    """

    address: int
    image: int
    depth: int
    height: int
    width: int
    zeros: int
    pixel: int
    first: int
    last: int


class Target(NamedTuple):
    """Where the result is written: its address, and bytes from one output to the next."""

    address: int
    image: int
    depth: int
    height: int
    width: int


class Windows(NamedTuple):
    """Outputs, taps, stride and dilation of each of the three axes.

    merged: how many taps of the width count as one, with all their channels: 1, or all of them.
    """

    out_size: tuple[int, int, int]
    kernel_size: tuple[int, int, int]
    stride: tuple[int, int, int]
    dilation: tuple[int, int, int]
    merged: int


class Part(NamedTuple):
    """Which tiles of pixels, and which blocks of output channels, a call computes."""

    first: int
    last: int
    first_block: int
    last_block: int


class Room(NamedTuple):
    """Scratch of one thread: addresses.

    table      (held, runs, rows) int64   addresses in x
    out_table  (held, rows) int64         addresses in the result
    row_table  (rows) int64               addresses of the rows of `spare`
    spare      (rows, block)              what the result does not hold whole
    patches    (held, rows, merged run)   runs of taps that do not lie side by side in x
    """

    table: int
    out_table: int
    row_table: int
    spare: int
    patches: int


@compiled
def convolve(source, target, windows, part, counts, weights, store, block, scratch):
    """Write a part of a convolution.

    counts (4,): images, channels of x, output channels, tiles whose addresses are held at once.
    weights: address of (blocks, taps, channels, block); store.start: of a row of so many blocks.
    scratch: int64, what `Room` lists one after the other; patches only where taps are merged.
    """
    channels, outputs, held = counts[1], counts[2], counts[3]
    taps_d, taps_h, taps_w = windows.kernel_size
    runs = taps_d * taps_h * taps_w // windows.merged
    inner = windows.merged * channels
    least, zero = store.least, simd.zero_of(store.least)
    size = simd.nbytes(zero)
    rows = rows_of(block, zero)
    table = scratch.ctypes.data
    out_table = table + 8 * held * runs * rows
    row_table = out_table + 8 * held * rows
    spare = row_table + 8 * rows
    room = Room(table, out_table, row_table, spare, spare + rows * block * size)
    for i in range(rows):
        simd.write_int(row_table + 8 * i, spare + i * block * size)
    for begin in range(part.first, part.last, held):
        end = min(begin + held, part.last)
        _find(source, target, windows, counts, begin * rows, end - begin, rows, room,
              zero)  # fmt: skip
        for kb in range(part.first_block, part.last_block):
            b_at = weights + kb * runs * inner * block * size
            start = store.start + kb * block * size
            here = outputs - kb * block
            for q in range(end - begin):
                a_rows = table + 8 * q * runs * rows
                outs = out_table + 8 * q * rows
                if block <= here:
                    ends = Store(start, store.streams, least, store.most)
                    multiply(block, a_rows, runs, inner, 1, b_at, block, inner * block, outs,
                             kb * block, ends)  # fmt: skip
                else:
                    ends = Store(start, 0, least, store.most)
                    multiply(block, a_rows, runs, inner, 1, b_at, block, inner * block, row_table,
                             0, ends)  # fmt: skip
                    for i in range(rows):
                        copy(simd.read_int(outs + 8 * i) + kb * block * size,
                             spare + i * block * size, here, zero)  # fmt: skip
    if store.streams:
        simd.finish_streams()


@compiled
def _find(source, target, windows, counts, first, tiles, rows, room, zero):
    """Write the addresses of some tiles of pixels from pixel `first` on, and their patches."""
    images, channels = counts[0], counts[1]
    pixels_d, pixels_h, pixels_w = windows.out_size
    taps_d, taps_h, taps_w = windows.kernel_size
    total = images * pixels_d * pixels_h * pixels_w
    taps = taps_d * taps_h * taps_w
    runs = taps // windows.merged
    patch = taps * channels * simd.nbytes(zero)
    p = min(first, total - 1)
    w = p % pixels_w
    h = p // pixels_w % pixels_h
    d = p // (pixels_w * pixels_h) % pixels_d
    n = p // (pixels_w * pixels_h * pixels_d)
    left = total - p
    image = source.address + n * source.image
    line = target.address + n * target.image + d * target.depth + h * target.height
    i = 0
    while i < tiles * rows:
        table = room.table + 8 * (i // rows * rows * runs + i % rows)
        inside = source.first <= w and w < source.last
        run = min(rows - i % rows, source.last - w) if inside else 1
        if inside:
            _find_row(source, windows, image, (d, h, w), table, rows, run)
        else:
            _find_pixel(source, windows, channels, image, (d, h, w), table, rows,
                        room.patches + i * patch, zero)  # fmt: skip
        for j in range(run):
            simd.write_int(room.out_table + 8 * (i + j), line + (w + j) * target.width)
        i += run
        w += run
        left -= run
        if left == 0:  # rows past the last pixel compute it again
            w -= 1
            left = 1
        elif w == pixels_w:
            w = 0
            h += 1
            if h == pixels_h:
                h = 0
                d += 1
                if d == pixels_d:
                    d = 0
                    n += 1
            image = source.address + n * source.image
            line = target.address + n * target.image + d * target.depth + h * target.height


@compiled
def _find_row(source, windows, image, position, at, rows, count):
    """Write the addresses of `count` pixels of one line, all that they read within x."""
    taps_d, taps_h, taps_w = windows.kernel_size
    hole_d, hole_h, hole_w = windows.dilation
    left = position[2] * windows.stride[2]
    step = windows.stride[2] * source.pixel
    for a in range(taps_d):
        u = simd.read_int(source.depth + 8 * (position[0] * windows.stride[0] + a * hole_d))
        for b in range(taps_h):
            v = simd.read_int(source.height + 8 * (position[1] * windows.stride[1] + b * hole_h))
            for c in range(0, taps_w, windows.merged):
                base, move = source.zeros, 0
                if u != -1 and v != -1:
                    t = simd.read_int(source.width + 8 * (left + c * hole_w))
                    base, move = image + u + v + t, step
                for i in range(count):
                    simd.write_int(at + 8 * i, base + i * move)
                at += 8 * rows


@compiled
def _find_pixel(source, windows, channels, image, position, at, rows, patch, zero):
    """Write the address of each run of taps of a window, `rows` entries apart.

    A run of several taps that x does not hold whole is copied to `patch`.
    """
    taps_d, taps_h, taps_w = windows.kernel_size
    hole_d, hole_h, hole_w = windows.dilation
    size = simd.nbytes(zero)
    left = position[2] * windows.stride[2]
    whole = source.first <= position[2] and position[2] < source.last
    for a in range(taps_d):
        u = simd.read_int(source.depth + 8 * (position[0] * windows.stride[0] + a * hole_d))
        for b in range(taps_h):
            v = simd.read_int(source.height + 8 * (position[1] * windows.stride[1] + b * hole_h))
            outside = u == -1 or v == -1
            for c in range(0, taps_w, windows.merged):
                t = simd.read_int(source.width + 8 * (left + c * hole_w))
                if outside or (t == -1 and windows.merged == 1):
                    simd.write_int(at, source.zeros)
                elif whole or windows.merged == 1:
                    simd.write_int(at, image + u + v + t)
                else:
                    simd.write_int(at, patch)
                    _copy_run(source, left, taps_w, channels, image + u + v, patch, zero)
                    patch += taps_w * channels * size
                at += 8 * rows


@compiled
def _copy_run(source, left, taps, channels, line, patch, zero):
    """Copy the taps of a line from position `left` on, side by side."""
    size = simd.nbytes(zero)
    for c in range(taps):
        t = simd.read_int(source.width + 8 * (left + c))
        if t == -1:
            fill(patch, channels, zero)
        else:
            copy(patch, line + t, channels, zero)
        patch += channels * size


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
        read = weight + kb * block * output_step
        write = packed + kb * len(taps) * channels * row
        if channel_step == size and output_step != size:
            for t in range(len(taps)):
                to = write + t * channels * row
                transpose(read + taps[t], output_step, here, channels, to, row, zero)
        else:
            for c in range(channels):
                for t in range(len(taps)):
                    source = read + c * channel_step + taps[t]
                    to = write + (t * channels + c) * row
                    if output_step == size:
                        copy(to, source, here, zero)
                    else:
                        simd.gather(to, source, output_step, here, zero)
        if here < block:
            for c in range(len(taps) * channels):
                fill(write + c * row + here * size, block - here, zero)


def warm() -> None:
    """Run each kernel once, on one pixel, for each type it is compiled for."""
    line, taps = np.zeros(1, np.int64), np.zeros(1, np.int64)
    one = (1, 1, 1)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        number = dtype(0)
        data = np.zeros(block * ROWS, dtype)
        at = data.ctypes.data
        scratch = np.empty((3 + block) * ROWS, np.int64)
        counts = np.array([1, 1], np.int64)
        pack(at, data.itemsize, data.itemsize, taps, counts, at, block, 0, 1, number)
        counts = np.array([1, 1, 1, 1], np.int64)
        source, target = Source(at, 0, *[line.ctypes.data] * 3, at, 0, 0, 1), Target(at, 0, 0, 0, 0)
        windows = Windows(one, one, one, one, 1)
        store = Store(at, 0, number, number)
        convolve(source, target, windows, Part(0, 1, 0, 1), counts, at, store, block, scratch)
