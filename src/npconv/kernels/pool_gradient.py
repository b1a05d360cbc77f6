"""Gradients of pooling: a window's goes to its largest, or to all that it holds.

Work is cut by x's own depths: each band adds up what all windows over it have for it, so that no
two threads add to one element, and its sums go in one order.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import BACK, FORTH
from npconv.kernels.pool_layer import LARGEST, STRAYED, Gradient, Run, Scatter
from npconv.kernels.pool_tile import clear, make_give, make_share
from npconv.kernels.pool_vectors import VECTORS
from npconv.kernels.pool_windows import (
    alike,
    box_of,
    count_of,
    further,
    make_walk,
    met,
    numbering_of,
    reach,
    reaching,
    rows_of,
    turn,
)
from npconv.kernels.record import of_type

_wide_give, _narrow_give = make_give(VECTORS, False), make_give(1, True)
_wide_share, _narrow_share = make_share(VECTORS, False), make_share(1, True)


@inner
def _give_planes(layer, grad, out, x, low, high, channels, room, zero):
    """Write x's depths from low to high - 1, of channels that are turned for it."""
    cut, geometry, size = layer.cut, layer.geometry, simd.nbytes(zero)
    row = cut.block * size
    down, across = geometry.height.windows, geometry.width.windows
    first, last = reaching(geometry.depth, low, high)
    turn(layer.grad, grad, first, last, down, across, channels, room + cut.second, row, FORTH,
         zero)  # fmt: skip
    heights, widths = geometry.height.size, geometry.width.size
    begin, end = reach(geometry.depth, first, last)
    if layer.kind == LARGEST:
        turn(layer.x, x, begin, end, heights, widths, channels, room + cut.third, row, FORTH,
             zero)  # fmt: skip
    _give_rows(layer, rows_of(room + cut.second, first, down, across, row),
               rows_of(room + cut.first, low, heights, widths, row),
               rows_of(room + cut.third, begin, heights, widths, row), low, high, channels,
               zero)  # fmt: skip
    turn(layer.out, out, low, high, heights, widths, channels, room + cut.first, row, BACK, zero)


@inner
def _give_rows(layer, grad, out, x, low, high, channels, zero):
    """Write x's depths from low to high - 1, of channels that lie side by side."""
    geometry = layer.geometry
    axes = geometry.depth, geometry.height, geometry.width
    _clear(out, low, high, axes[1].size, axes[2].size, channels, zero)
    inside = max(low, axes[0].low), min(high, axes[0].high)
    first, last = reaching(axes[0], low, high)
    for d in range(first, last):
        depth = met(axes[0], d, inside[0], inside[1])
        if depth.count == 0:
            continue
        whole = met(axes[0], d, axes[0].low, axes[0].high)
        for h in range(axes[1].windows):
            height = met(axes[1], h, axes[1].low, axes[1].high)
            at = grad.at + d * grad.depth + h * grad.height
            w = 0
            while w < axes[2].windows:
                width = met(axes[2], w, axes[2].low, axes[2].high)
                to = box_of(out, depth, height, width, geometry)
                step = axes[2].stride
                run = Run(alike(axes[2], w), step * x.width, step * out.width, grad.width,
                          step * geometry.units.width)  # fmt: skip
                if layer.kind == LARGEST:
                    _give_largest(run, box_of(x, whole, height, width, geometry),
                                  numbering_of(whole, height, width, geometry), to,
                                  numbering_of(depth, height, width, geometry), at, channels,
                                  zero)  # fmt: skip
                else:
                    count = of_type(count_of(geometry, d, h, w), zero)
                    _give_shares(run, to, at, channels, count)
                at += run.count * grad.width
                w += run.count


@inner
def _clear(out, low, high, heights, widths, channels, zero):
    """Write zeros to depths from low to high - 1."""
    size = simd.nbytes(zero)
    for d in range(low, high):
        for h in range(heights):
            at = out.at + d * out.depth + h * out.height
            if out.width == channels * size:
                clear(at, widths * channels * size)
            else:
                for w in range(widths):
                    clear(at + w * out.width, channels * size)


@inner
def _give_largest(run, box, numbering, to, to_numbering, grad, channels, zero):
    """Add some windows' gradient where their largest stand, if those are in the box `to`."""
    size, lanes = simd.nbytes(zero), simd.width(zero)
    c = 0
    while c + VECTORS * lanes <= channels:
        _wide_give(run, further(box, c * size), numbering, further(to, c * size), to_numbering,
                   grad + c * size, 0, zero)  # fmt: skip
        c += VECTORS * lanes
    while c < channels:
        _narrow_give(run, further(box, c * size), numbering, further(to, c * size), to_numbering,
                     grad + c * size, channels - c, zero)  # fmt: skip
        c += lanes


@inner
def _give_shares(run, to, grad, channels, count):
    """Add some windows' gradient, divided by `count`, to all that they hold."""
    size, lanes = simd.nbytes(count), simd.width(count)
    c = 0
    while c + VECTORS * lanes <= channels:
        _wide_share(run, further(to, c * size), grad + c * size, 0, count)
        c += VECTORS * lanes
    while c < channels:
        _narrow_share(run, further(to, c * size), grad + c * size, channels - c, count)
        c += lanes


_walk = make_walk(_give_planes, _give_rows)


@entries
def give(record, item, thread, zero):
    """Write an item of a Gradient."""
    layer = read(record, Gradient)
    room = scratch(record, nbytes(Gradient), layer.cut.each, thread)
    _walk(layer, (layer.grad, layer.out, layer.x), simd.nbytes(zero), layer.geometry.depth.size,
          item, room, zero)  # fmt: skip


@entries
def scatter(record, item, thread, zero):
    """Write an item of a gradient by places; note in the record where one is none of out's."""
    given = read(record, Scatter)
    call, size = given.call, simd.nbytes(zero)
    part = cell(given.grid, item)
    channels = part.last_block - part.block
    strays = 0
    for n in range(part.group, part.last_group):
        out = call.out + n * given.out.image + part.block * given.out.channel
        grad = call.grad + n * given.grad.image + part.block * given.grad.channel
        places = call.places + n * given.places.image + part.block * given.places.channel
        if given.apart:
            for c in range(channels):
                to = out + c * given.out.channel
                clear(to, given.pixels * size)
                strays += _scatter_plane(given, grad + c * given.grad.channel,
                                         places + c * given.places.channel, to, zero)  # fmt: skip
        else:
            if given.unit == channels * size:
                clear(out, given.pixels * given.unit)
            else:
                for p in range(given.pixels):
                    clear(out + p * given.unit, channels * size)
            strays += _scatter_rows(given, grad, places, out, channels, zero)
    if strays > 0:
        simd.write_int(record + STRAYED * 8, 1)


@inner
def _scatter_plane(given, grad, places, out, zero):
    """Add what each window of a channel has where its place is; return how many have none."""
    windows, strays = given.windows, 0
    pixels, size = np.uint64(given.pixels), simd.nbytes(zero)
    along, stand = given.grad.width, given.places.width
    for d in range(windows.depth):
        for h in range(windows.height):
            at = grad + d * given.grad.depth + h * given.grad.height
            stands = places + d * given.places.depth + h * given.places.height
            for _ in range(windows.width):
                place = simd.read_int(stands)
                if np.uint64(place) < pixels:
                    to = out + place * size
                    simd.store(to, simd.load(to, zero) + simd.load(at, zero))
                else:
                    strays += 1
                at += along
                stands += stand
    return strays


@inner
def _scatter_rows(given, grad, places, out, channels, zero):
    """Do the same for channels that lie side by side."""
    windows, strays = given.windows, 0
    pixels, size, unit = np.uint64(given.pixels), simd.nbytes(zero), given.unit
    along, stand = given.grad.channel, given.places.channel
    for d in range(windows.depth):
        for h in range(windows.height):
            for w in range(windows.width):
                at = grad + d * given.grad.depth + h * given.grad.height + w * given.grad.width
                stands = places + d * given.places.depth + h * given.places.height
                stands += w * given.places.width
                to = out
                for _ in range(channels):
                    place = simd.read_int(stands)
                    if np.uint64(place) < pixels:
                        where = to + place * unit
                        simd.store(where, simd.load(where, zero) + simd.load(at, zero))
                    else:
                        strays += 1
                    at += along
                    stands += stand
                    to += size
    return strays


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(give, scatter)
