"""The addresses that tiles of depthwise convolution read x at."""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.depthwise_tile import PIXELS
from npconv.kernels.inner import inner


@inner
def position_of(windows, line):
    """Return the image, depth and height of a line of windows."""
    depths, heights, _ = windows.out_size
    return line // (depths * heights), line // heights % depths, line % heights


@inner
def rows_in(source, windows, form):
    """Return how many rows of a form's taps an output has."""
    depth, height, width = windows.kernel_size
    return source.planes * depth * height * (width // form.taps)


@inner
def columns(form):
    """Return how many positions of a line the pixels of a tile read."""
    return (PIXELS - 1) * form.stride + form.taps


@inner
def is_regular(source, d, h):
    """Return whether x holds all the lines that a line of windows reads."""
    return (
        source.plane_first <= d and d < source.plane_last
        and source.line_first <= h and h < source.line_last
    )  # fmt: skip


@inner
def is_inside(source, w, count):
    """Return whether windows of a line read nothing but x's own."""
    return source.first <= w and w + count <= source.last


@inner
def find(source, windows, taps, image, position, count, wide, reads, at):
    """Write where x has the rows of `count` windows of a line: `wide` columns, zeros past `reads`.

    A row has `taps` taps of the width; of one there is a column for each window.  Returns whether
    x holds all of the rows.
    """
    d, h, w = position
    hole_d, hole_h, hole_w = windows.dilation
    left = w * windows.stride.width
    inside, whole = is_inside(source, w, count), True
    step = 1 if taps > 1 else windows.stride.width
    for plane in range(source.planes):
        base = image + plane * source.plane
        for a in range(windows.kernel_size.depth):
            u = simd.read_int(source.depth + 8 * (d * windows.stride.depth + a * hole_d))
            for b in range(windows.kernel_size.height):
                v = simd.read_int(source.height + 8 * (h * windows.stride.height + b * hole_h))
                for c in range(0, windows.kernel_size.width, taps):
                    begin = source.width + 8 * (left + c * hole_w)
                    if u == -1 or v == -1:
                        whole = False
                        for q in range(wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    elif inside:
                        t = base + u + v + simd.read_int(begin)
                        for q in range(reads):
                            simd.write_int(at + 8 * q, t + q * step * source.pixel)
                        for q in range(reads, wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    else:
                        for q in range(reads):
                            t = simd.read_int(begin + 8 * q * step)
                            where = source.zeros if t == -1 else base + u + v + t
                            simd.write_int(at + 8 * q, where)
                        for q in range(reads, wide):
                            simd.write_int(at + 8 * q, source.zeros)
                    at += 8 * wide
    return whole


@inner
def find_met(layer, image, position, room, size):
    """Write where x and the weights have the taps of a window that x holds; return how many."""
    source, windows = layer.source, layer.windows
    taps_d, taps_h, taps_w = windows.kernel_size
    hole_d, hole_h, hole_w = windows.dilation
    step = windows.groups * size
    weights, met = layer.call.weights, 0
    for plane in range(source.planes):
        base = image + plane * source.plane
        for a in range(taps_d):
            u = simd.read_int(source.depth + 8 * (position[0] * windows.stride.depth + a * hole_d))
            for b in range(taps_h):
                to = position[1] * windows.stride.height + b * hole_h
                v = simd.read_int(source.height + 8 * to)
                for c in range(taps_w):
                    to = position[2] * windows.stride.width + c * hole_w
                    t = simd.read_int(source.width + 8 * to)
                    if u != -1 and v != -1 and t != -1:
                        simd.write_int(room.weights + 8 * met, weights)
                        for i in range(PIXELS):
                            simd.write_int(room.table + 8 * (met * PIXELS + i), base + u + v + t)
                        met += 1
                    weights += step
    return met
