"""What windows meet of x, and how planes are laid channels last for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from npconv.kernels import simd
from npconv.kernels.fields import cell
from npconv.kernels.inner import inner
from npconv.kernels.planes import move
from npconv.kernels.pool_layer import Box, Met, Numbering, View


@inner
def met(axis, i, low, high):
    """Return what window i of an axis meets of the positions from low to high - 1."""
    first, count = axis.first + i * axis.stride, axis.taps
    if first < low:
        skipped = min((low - first + axis.dilation - 1) // axis.dilation, count)
        first, count = first + skipped * axis.dilation, count - skipped
    if first + (count - 1) * axis.dilation >= high:
        count = max((high - first + axis.dilation - 1) // axis.dilation, 0)
    return Met(first, count)


@inner
def alike(axis, i):
    """Return how many windows from i on hold as much, one after the other: all taps, or 1."""
    first = -((axis.first - axis.low) // axis.stride)
    reached = axis.first + (axis.taps - 1) * axis.dilation
    last = min((axis.high - 1 - reached) // axis.stride + 1, axis.windows)
    return max(last - i, 1) if first <= i else 1


@inner
def reach(axis, first, last):
    """Return the positions that the windows first to last - 1 span, first and last + 1."""
    begin = axis.first + first * axis.stride
    end = axis.first + (last - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1
    low = min(max(begin, axis.low), axis.high)
    return low, max(min(end, axis.high), low)


@inner
def reaching(axis, low, high):
    """Return the windows that span any of the positions from low to high - 1."""
    before = low - axis.first - (axis.taps - 1) * axis.dilation
    first = max(-(-before // axis.stride), 0)
    last = min((high - 1 - axis.first) // axis.stride + 1, axis.windows)
    return first, max(last, first)


@inner
def box_of(view, depth, height, width, geometry):
    """Return what a window holds of a view, of which it meets this."""
    at = view.at + depth.position * view.depth
    at += height.position * view.height + width.position * view.width
    return Box(at, depth.count, height.count, width.count, geometry.depth.dilation * view.depth,
               geometry.height.dilation * view.height,
               geometry.width.dilation * view.width)  # fmt: skip


@inner
def numbering_of(depth, height, width, geometry):
    """Return the places of the same."""
    units = geometry.units
    first = depth.position * units.depth + height.position * units.height
    first += width.position * units.width
    return Numbering(first, geometry.depth.dilation * units.depth,
                     geometry.height.dilation * units.height,
                     geometry.width.dilation * units.width)  # fmt: skip


@inner
def further(box, by):
    """Return the same of channels that are some bytes further on."""
    return Box(box.at + by, box.depths, box.heights, box.widths, box.depth_step,
               box.height_step, box.width_step)  # fmt: skip


@inner
def count_of(geometry, d, h, w):
    """Return what the sum of a window is divided by."""
    counts = geometry.counts
    count = simd.read_int(counts.depth + 8 * d) * simd.read_int(counts.height + 8 * h)
    return count * simd.read_int(counts.width + 8 * w)


@inner
def view_of(at, lies):
    """Return the View of an image that lies so."""
    return View(at, lies.depth, lies.height, lies.width)


def make_walk(planes: Callable[..., Any], rows: Callable[..., Any]) -> Callable[..., Any]:
    """Return a walk through an item's images and bands, of arrays whose channels are turned or not.

    ::

        walk(layer, lies, last, depths, item, room, zero)
        planes(layer, first, second, third, low, high, channels, room, zero)
        rows(layer, first, second, third, low, high, channels, zero)

    lies: how the three arrays of the layer's call lie; last: bytes of a number of the third one's;
    depths: how many bands are cut from.  planes takes the addresses of a block's planes, for the
    depths low to high - 1 of a band; rows a View of all the item's channels.
    """

    @inner
    def walk(layer, lies, last, depths, item, room, zero):
        call, cut, size = layer.call, layer.cut, simd.nbytes(zero)
        part = cell(cut.grid, item)
        begin, end = part.block * cut.block, min(part.last_block * cut.block, cut.channels)
        for n in range(part.group, part.last_group):
            first, second = call[0] + n * lies[0].image, call[1] + n * lies[1].image
            third = call[2] + n * lies[2].image
            for band in range(part.tile, part.last_tile):
                low = band * cut.band
                high = min(low + cut.band, depths)
                if cut.turned:
                    for c in range(begin, end, cut.block):
                        planes(layer, first + c * lies[0].channel, second + c * lies[1].channel,
                               third + c * lies[2].channel, low, high, min(cut.block, end - c),
                               room, zero)  # fmt: skip
                else:
                    rows(layer, view_of(first + begin * size, lies[0]),
                         view_of(second + begin * size, lies[1]),
                         view_of(third + begin * last, lies[2]), low, high, end - begin,
                         zero)  # fmt: skip

    return walk


@inner
def rows_of(at, first, heights, widths, row):
    """Return the View of scratch that begins with depth `first`, its pixels `row` bytes apart."""
    plane = heights * widths * row
    return View(at - first * plane, plane, widths * row, row)


@inner
def turn(lies, at, first, last, heights, widths, channels, rows, row, way, zero):
    """Copy the depths first to last - 1 of some channels from their planes to rows, or back."""
    at += first * lies.depth
    if lies.height == widths * simd.nbytes(zero) and lies.depth == heights * lies.height:
        pixels = (last - first) * heights * widths
        move(at, lies.channel, channels, pixels, rows, row, way, zero)
        return
    for d in range(last - first):
        for h in range(heights):
            move(at + d * lies.depth + h * lies.height, lies.channel, channels, widths,
                 rows + (d * heights + h) * widths * row, row, way, zero)  # fmt: skip
