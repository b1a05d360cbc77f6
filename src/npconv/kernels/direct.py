"""Direct convolution over a table of addresses: im2col of addresses instead of values.

Arrays lie channels last.  A pixel's address is a sum of one offset an axis, so that stride,
dilation and every padding mode are a matter of the tables; an offset of -1 is a zero.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.blocks import pack_block
from npconv.kernels.direct_layer import Call, Layer, Room
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.products import multiply, rows_of
from npconv.kernels.record import of_type
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


@inner
def _room(at, sizes, fresh, rows, runs, size):
    """Return the Room at an address."""
    start = at + rows * sizes.block * size
    packed = start + sizes.block * size
    table = packed + fresh.taps * fresh.channels * fresh.block * size
    out_table = table + 8 * sizes.held * runs * rows
    row_table = out_table + 8 * sizes.held * rows
    for i in range(rows):
        simd.write_int(row_table + 8 * i, at + i * sizes.block * size)
    return Room(at, start, packed, table, out_table, row_table, row_table + 8 * rows)


@entries
def convolve(record, item, thread, zero):
    """Write an item of a Layer's result: its groups one after the other.

    weights: (groups, blocks, taps, channels, block), or as `fresh` says; bias: (groups, outputs).
    """
    layer = read(record, Layer)
    part = cell(layer.grid, item)
    sizes, windows = layer.sizes, layer.windows
    size, rows = simd.nbytes(zero), rows_of(sizes.block, zero)
    taps = windows.kernel_size.depth * windows.kernel_size.height * windows.kernel_size.width
    at = scratch(record, nbytes(Layer), layer.each, thread)
    room = _room(at, sizes, layer.fresh, rows, taps // windows.merged, size)
    fill(room.start, sizes.block, zero)
    matrix = layer.grid.blocks * sizes.block * taps * sizes.channels * size
    if layer.fresh.block != 0:
        matrix = sizes.outputs * layer.fresh.output_step
    call = layer.call
    for g in range(part.group, part.last_group):
        bias = call.bias
        if bias != 0:
            bias += g * sizes.outputs * size
        here = Call(call.x + g * layer.source.group, call.weights + g * matrix,
                    call.out + g * layer.target.group, bias, call.streams)  # fmt: skip
        _convolve_group(layer, here, part, room, rows, zero)
    if call.streams:
        simd.finish_streams()


@inner
def _convolve_group(layer, call, part, room, rows, zero):
    """Write one group's tiles and blocks, some tiles at a time."""
    windows, sizes = layer.windows, layer.sizes
    taps = windows.kernel_size.depth * windows.kernel_size.height * windows.kernel_size.width
    runs, inner = taps // windows.merged, windows.merged * sizes.channels
    block, size = sizes.block, simd.nbytes(zero)
    least, most = of_type(layer.limits.least, zero), of_type(layer.limits.most, zero)
    for begin in range(part.tile, part.last_tile, sizes.held):
        end = min(begin + sizes.held, part.last_tile)
        _find(layer, call, begin * rows, end - begin, rows, room, zero)
        for kb in range(part.block, part.last_block):
            b_at = call.weights + kb * runs * inner * block * size
            here = min(block, sizes.outputs - kb * block)
            if layer.fresh.block != 0:
                b_at = call.weights + kb * block * layer.fresh.output_step
                pack_block(layer.fresh, b_at, here, room.packed, zero)
                b_at = room.packed
            start = room.start
            if call.bias != 0:
                start = call.bias + kb * block * size
                if here < block:
                    copy(room.start, start, here, zero)
                    fill(room.start + here * size, block - here, zero)
                    start = room.start
            for q in range(end - begin):
                a_rows = room.table + 8 * q * runs * rows
                outs = room.out_table + 8 * q * rows
                if kb == part.block and begin + q + 1 < end:
                    across = windows.kernel_size.width // windows.merged
                    _expect_tile(a_rows + 8 * runs * rows, runs, across, rows, inner * size)
                if here == block:
                    ends = Store(start, call.streams, least, most)
                    multiply(block, a_rows, runs, inner, 1, b_at, block, inner * block, outs,
                             kb * block, ends)  # fmt: skip
                else:
                    ends = Store(start, 0, least, most)
                    multiply(block, a_rows, runs, inner, 1, b_at, block, inner * block,
                             room.row_table, 0, ends)  # fmt: skip
                    for i in range(rows):
                        copy(simd.read_int(outs + 8 * i) + kb * block * size,
                             room.spare + i * block * size, here, zero)  # fmt: skip


@inner
def _expect_tile(table, runs, across, rows, nbytes):
    """Ask for what a tile reads, where its rows follow one another; taps of a line read alike."""
    for p in range(0, runs, across):
        first = simd.read_int(table + 8 * p * rows)
        last = simd.read_int(table + 8 * (p * rows + rows - 1)) + nbytes
        if last - first <= 2 * rows * nbytes:
            for at in range(first, last, LINE):
                expect(at)


@inner
def _find(layer, call, first, tiles, rows, room, zero):
    """Write the addresses of some tiles of pixels from pixel `first` on, and their patches."""
    source, target, windows, sizes = layer.source, layer.target, layer.windows, layer.sizes
    pixels_d, pixels_h, pixels_w = windows.out_size
    taps_d, taps_h, taps_w = windows.kernel_size
    total = sizes.images * pixels_d * pixels_h * pixels_w
    taps = taps_d * taps_h * taps_w
    runs = taps // windows.merged
    patch = taps * sizes.channels * simd.nbytes(zero)
    p = min(first, total - 1)
    w = p % pixels_w
    h = p // pixels_w % pixels_h
    d = p // (pixels_w * pixels_h) % pixels_d
    n = p // (pixels_w * pixels_h * pixels_d)
    left = total - p
    image = call.x + n * source.image
    line = call.out + n * target.image + d * target.depth + h * target.height
    i = 0
    while i < tiles * rows:
        table = room.table + 8 * (i // rows * rows * runs + i % rows)
        inside = source.first <= w and w < source.last
        run = min(rows - i % rows, source.last - w) if inside else 1
        if inside:
            _find_row(source, windows, image, (d, h, w), table, rows, run)
        else:
            _find_pixel(source, windows, sizes.channels, image, (d, h, w), table, rows,
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
            image = call.x + n * source.image
            line = call.out + n * target.image + d * target.depth + h * target.height


@inner
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


@inner
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


@inner
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


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
