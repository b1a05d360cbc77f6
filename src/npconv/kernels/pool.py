"""Pooling: the largest or the mean of windows, a lane of a vector for each channel.

Where channels lie last, windows are taken as they stand in x.  Where they lie first, those of a
block and a band are laid side by side in scratch, and what is made of them back in planes.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.planes import BACK, FORTH
from npconv.kernels.pool_layer import LARGEST, PLACES, Layer, Run
from npconv.kernels.pool_tile import make_largest, make_mean, make_winners
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
    rows_of,
    turn,
)
from npconv.kernels.record import of_type

_PLACE = np.float64(0)  # of a place's bytes, to be moved

_wide_largest, _narrow_largest = make_largest(VECTORS, False), make_largest(1, True)
_wide_winners, _narrow_winners = make_winners(VECTORS, False), make_winners(1, True)
_wide_mean, _narrow_mean = make_mean(VECTORS, False), make_mean(1, True)
_widest_mean = make_mean(2 * VECTORS, False)  # of many channels: longer pieces of each pixel


@inner
def _pool_planes(layer, x, out, places, first, last, channels, room, zero):
    """Write the windows first to last - 1 of the depth, of channels that are turned for it."""
    cut, geometry, size = layer.cut, layer.geometry, simd.nbytes(zero)
    heights, widths = geometry.height.size, geometry.width.size
    low, high = reach(geometry.depth, first, last)
    turn(layer.x, x, low, high, heights, widths, channels, room + cut.first, cut.block * size,
         FORTH, zero)  # fmt: skip
    down, across = geometry.height.windows, geometry.width.windows
    _pool_rows(layer, rows_of(room + cut.first, low, heights, widths, cut.block * size),
               rows_of(room + cut.second, first, down, across, cut.block * size),
               rows_of(room + cut.third, first, down, across, cut.block * 8), first, last,
               channels, zero)  # fmt: skip
    turn(layer.out, out, first, last, down, across, channels, room + cut.second, cut.block * size,
         BACK, zero)  # fmt: skip
    if layer.kind == PLACES:
        turn(layer.places, places, first, last, down, across, channels, room + cut.third,
             cut.block * 8, BACK, _PLACE)  # fmt: skip


@inner
def _pool_rows(layer, x, out, places, first, last, channels, zero):
    """Write the windows first to last - 1 of the depth, of channels that lie side by side."""
    geometry = layer.geometry
    for d in range(first, last):
        depth = met(geometry.depth, d, geometry.depth.low, geometry.depth.high)
        for h in range(geometry.height.windows):
            height = met(geometry.height, h, geometry.height.low, geometry.height.high)
            at = out.at + d * out.depth + h * out.height
            place = places.at + d * places.depth + h * places.height
            w = 0
            while w < geometry.width.windows:
                width = met(geometry.width, w, geometry.width.low, geometry.width.high)
                box = box_of(x, depth, height, width, geometry)
                step = geometry.width.stride
                run = Run(alike(geometry.width, w), step * x.width, out.width, places.width,
                          step * geometry.units.width)  # fmt: skip
                if layer.kind == LARGEST:
                    _take_largest(run, box, at, channels, zero)
                elif layer.kind == PLACES:
                    numbering = numbering_of(depth, height, width, geometry)
                    _take_places(run, box, numbering, at, place, channels, zero)
                else:
                    count = of_type(count_of(geometry, d, h, w), zero)
                    _take_mean(run, box, at, channels, count)
                at += run.count * out.width
                place += run.count * places.width
                w += run.count


@inner
def _take_largest(run, box, out, channels, zero):
    """Write the largest of some windows, of each channel."""
    size, lanes = simd.nbytes(zero), simd.width(zero)
    c = 0
    while c + VECTORS * lanes <= channels:
        _wide_largest(run, further(box, c * size), out + c * size, 0, zero)
        c += VECTORS * lanes
    while c < channels:
        _narrow_largest(run, further(box, c * size), out + c * size, channels - c, zero)
        c += lanes


@inner
def _take_places(run, box, numbering, out, places, channels, zero):
    """Write the largest of some windows, and their places."""
    size, lanes = simd.nbytes(zero), simd.width(zero)
    c = 0
    while c + VECTORS * lanes <= channels:
        _wide_winners(run, further(box, c * size), numbering, out + c * size, places + c * 8, 0,
                      zero)  # fmt: skip
        c += VECTORS * lanes
    while c < channels:
        _narrow_winners(run, further(box, c * size), numbering, out + c * size, places + c * 8,
                        channels - c, zero)  # fmt: skip
        c += lanes


@inner
def _take_mean(run, box, out, channels, count):
    """Write the mean of some windows, of each channel."""
    size, lanes = simd.nbytes(count), simd.width(count)
    c = 0
    while c + 2 * VECTORS * lanes <= channels:
        _widest_mean(run, further(box, c * size), out + c * size, 0, count)
        c += 2 * VECTORS * lanes
    while c + VECTORS * lanes <= channels:
        _wide_mean(run, further(box, c * size), out + c * size, 0, count)
        c += VECTORS * lanes
    while c < channels:
        _narrow_mean(run, further(box, c * size), out + c * size, channels - c, count)
        c += lanes


_walk = make_walk(_pool_planes, _pool_rows)


@entries
def pool(record, item, thread, zero):
    """Write an item of a Layer's result."""
    layer = read(record, Layer)
    room = scratch(record, nbytes(Layer), layer.cut.each, thread)
    _walk(layer, (layer.x, layer.out, layer.places), simd.nbytes(_PLACE),
          layer.geometry.depth.windows, item, room, zero)  # fmt: skip


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(pool)
