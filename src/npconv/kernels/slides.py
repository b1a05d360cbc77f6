"""Gradients of inputs with few channels: all the products of a pixel, then a sum of what slides.

A pixel of grad_out times the whole kernel is one row of a matrix product; the part of it that
belongs to one line of the kernel is added to a line of grad_x, further on by the stride for each
pixel.  Lines of products and of grad_x stay in cache.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import BACK, FORTH, move
from npconv.kernels.products import multiply, rows_of
from npconv.kernels.record import of_type
from npconv.kernels.runs import add_runs
from npconv.kernels.slides_layer import Layer, Patch, Room, Span
from npconv.kernels.tile import Store

copy = simd.copy
fill = simd.fill


@inner
def _placed(at, room):
    """Return a Room of addresses, of scratch that begins at `at`."""
    return Room(at + room.start, at + room.products, at + room.turned, at + room.lines,
                at + room.table, at + room.out_table, at + room.sources, room.pixel)  # fmt: skip


@inner
def _span(axis, first, last):
    """Return the windows of an axis that meet the elements first to last - 1."""
    reach = (axis.taps - 1) * axis.dilation
    begin = max(-((reach - first - axis.before) // axis.stride), 0)
    end = min((last - 1 + axis.before) // axis.stride + 1, axis.windows)
    return Span(begin, max(end - begin, 0))


@entries
def compute(record, item, thread, zero):
    """Write an item of grad_x: plane after plane, and each a depth of the kernel at a time."""
    layer = read(record, Layer)
    part, sizes = cell(layer.grid, item), layer.sizes
    at = scratch(record, nbytes(Layer), layer.each, thread)
    room = _placed(at, layer.room)
    fill(room.start, sizes.block, zero)
    down = _span(layer.height, part.tile, part.last_tile)
    across = _span(layer.width, part.block, part.last_block)
    depth = layer.depth
    for plane in range(part.group, part.last_group):
        n, z = plane // depth.size, plane % depth.size
        out = layer.call.out + n * layer.out.image + z * layer.out.depth
        for k in range(depth.taps):
            met = z + depth.before - k * depth.dilation
            d = met // depth.stride
            meets = met % depth.stride == 0 and d >= 0 and d < depth.windows
            grad = layer.call.grad + n * layer.grad.image + d * layer.grad.depth
            weight = layer.call.weight + k * sizes.outputs * room.pixel
            lines = Span(down.first, meets * down.count)
            patch = Patch(grad, weight, out, part.tile, part.last_tile, part.block,
                          part.last_block, lines, across)  # fmt: skip
            _sweep(layer, patch, room, k == 0, k + 1 == depth.taps, zero)


@inner
def _sweep(layer, patch, room, begins, ends, zero):
    """Add to the lines of a patch what one depth of the kernel has for them."""
    sizes, height, size = layer.sizes, layer.height, simd.nbytes(zero)
    total = patch.down.count * patch.across.count
    done = turned = 0
    for y in range(patch.line, patch.last_line):
        line = room.lines + (y - patch.line) % sizes.lines * sizes.line * size
        if begins:
            fill(line, sizes.line, zero)
        if total > 0:
            met = (y + height.before) // height.stride - patch.down.first
            need = min(met + 1, patch.down.count) * patch.across.count
            while done < need:
                here = patch.across.count - done % patch.across.count
                if sizes.turned > 0:
                    turned = _turn(layer, patch, room, turned, done + here, zero)
                done += _multiply(layer, patch, room, done, here, zero)
            _slide(layer, patch, room, y, line, zero)
        if ends:
            _write(layer, patch, y, line, zero)


@inner
def _turn(layer, patch, room, turned, need, zero):
    """Turn more lines, so that `need` pixels and a tile are there; return how many lines are."""
    sizes, grad, size = layer.sizes, layer.grad, simd.nbytes(zero)
    last = min(need + rows_of(sizes.block, zero) - 1, patch.down.count * patch.across.count)
    while turned * patch.across.count < last:
        at = patch.grad + (patch.down.first + turned) * grad.height
        to = room.turned + turned % sizes.turned * sizes.widest * sizes.outputs * size
        move(at + patch.across.first * grad.width, grad.channel, sizes.outputs,
             patch.across.count, to, sizes.outputs * size, FORTH, zero)  # fmt: skip
        turned += 1
    return turned


@inner
def _multiply(layer, patch, room, done, count, zero):
    """Write the products of `count` pixels, or as many more as fill tiles; return how many."""
    sizes, grad, size = layer.sizes, layer.grad, simd.nbytes(zero)
    rows, wide = rows_of(sizes.block, zero), patch.across.count
    tiles = -(-count // rows)
    h, w = done // wide, done % wide
    a = b = 0
    for q in range(tiles * rows):
        # The last pixel again, where a tile has more rows than there are.
        if h < patch.down.count:
            if sizes.turned > 0:
                a = room.turned + (h % sizes.turned * sizes.widest + w) * sizes.outputs * size
            else:
                a = patch.grad + (patch.down.first + h) * grad.height
                a += (patch.across.first + w) * grad.width
            b = room.products + (h % sizes.held * sizes.widest + w) * room.pixel
        simd.write_int(room.table + 8 * q, a)
        simd.write_int(room.out_table + 8 * q, b)
        w += 1
        if w == wide:
            h, w = h + 1, 0
    most = of_type(np.inf, zero)
    store = Store(room.start, 0, -most, most)
    line = (done + tiles * rows - 1) // wide + 1
    for kb in range(sizes.blocks):
        weight = patch.weight + kb * sizes.outputs * sizes.block * size
        for q in range(tiles):
            if kb == 0:
                _expect(layer, patch, room, q, tiles, line, zero)
            multiply(sizes.block, room.table + 8 * q * rows, 1, sizes.outputs, 1, weight,
                     sizes.block, 0, room.out_table + 8 * q * rows, kb * sizes.block,
                     store)  # fmt: skip
    return tiles * rows


@inner
def _expect(layer, patch, room, q, tiles, line, zero):
    """Ask for what comes after a tile's part of a line: pixels, or such a part of planes."""
    sizes, grad, size = layer.sizes, layer.grad, simd.nbytes(zero)
    if sizes.turned == 0:
        rows = rows_of(sizes.block, zero)
        for i in range(q * rows, (q + 1) * rows):
            at = simd.read_int(room.table + 8 * i) + grad.height
            for begin in range(0, sizes.outputs * size, LINE):
                expect(at + begin)
    elif line < patch.down.count:
        at = patch.grad + (patch.down.first + line) * grad.height
        at += patch.across.first * grad.width
        for c in range(q * sizes.outputs // tiles, (q + 1) * sizes.outputs // tiles):
            for begin in range(0, patch.across.count * size, LINE):
                expect(at + c * grad.channel + begin)


@inner
def _slide(layer, patch, room, y, line, zero):
    """Add to a line all that the lines of products have for it."""
    sizes, height, width = layer.sizes, layer.height, layer.width
    size, lanes, channels = simd.nbytes(zero), simd.width(zero), sizes.channels
    count = 0
    for i in range(height.taps):
        met = y + height.before - i * height.dilation
        h = met // height.stride
        if met % height.stride == 0 and h >= 0 and h < height.windows:
            slot = (h - patch.down.first) % sizes.held
            at = room.products + slot * sizes.widest * room.pixel
            simd.write_int(room.sources + 8 * count, at + i * sizes.runs * sizes.run * size)
            count += 1
    if count == 0:
        return
    reach = (width.taps - 1) * width.dilation
    step = width.stride * channels
    begin = patch.across.first * width.stride - (patch.column + width.before - reach)
    # Pixels so far apart that none waits for what the one before it has stored.
    apart = -(-lanes // step)
    for r in range(sizes.runs):
        for v in range(0, sizes.run, lanes):
            source = (r * sizes.run + v) * size
            target = line + ((begin + r * width.dilation) * channels + v) * size
            for p in range(min(apart, patch.across.count)):
                add_runs(room.sources, count, source + p * room.pixel, apart * room.pixel,
                         target + p * step * size, apart * step * size,
                         -(-(patch.across.count - p) // apart), min(sizes.run - v, lanes),
                         zero)  # fmt: skip


@inner
def _write(layer, patch, y, line, zero):
    """Write a finished line to grad_x."""
    out, channels, size = layer.out, layer.sizes.channels, simd.nbytes(zero)
    pixels = patch.last_column - patch.column
    reach = (layer.width.taps - 1) * layer.width.dilation
    source = line + reach * channels * size
    at = patch.out + y * out.height + patch.column * out.width
    if out.width == channels * size and out.channel == size:
        copy(at, source, pixels * channels, zero)
    elif out.width == size:
        move(at, out.channel, channels, pixels, source, channels * size, BACK, zero)
    else:
        for _ in range(pixels):
            for c in range(channels):
                simd.store(at + c * out.channel, simd.load(source + c * size, zero))
            at += out.width
            source += channels * size


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(compute)
