"""Kernels over channels: sums of each, and elements scaled, added up and clamped by channel.

Arrays are (sets, rows, channels, run) without gaps.  Where run is 1 a line is all of a row's
channels, side by side; else a line is one channel's run.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd
from npconv.kernels.channelwise_lines import (
    Line,
    clamp_line,
    count_line,
    mix_held_lanes,
    mix_held_run,
    mix_lanes,
    mix_run,
    scale_lanes,
    scale_run,
    sum_held_lanes,
    sum_held_run,
    sum_lanes,
    sum_run,
)
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import Grid, cell, read
from npconv.kernels.inner import inner
from npconv.kernels.record import of_type


class Call(NamedTuple):
    """What each call adds: addresses.

    held: what `one` counts by, 0 for none; scale, share and shift are (sets, channels) of the
    elements' type; sums, where out holds these, are float64.
    """

    one: int
    other: int
    held: int
    out: int
    scale: int
    share: int
    shift: int


class Layer(NamedTuple):
    """The record: an item is some rows of a set; of channels that lie apart, some of these.

    room: numbers between the two sums of a channel, whole vectors.  least, most: the limits of
    what is written or, where `held` is given, between what it is where `one` counts; most is NaN
    for no limit, as infinity counts then.
    """

    call: Call
    channels: int
    run: int
    room: int
    least: float
    most: float
    grid: Grid


class FlatCall(NamedTuple):
    """What each call adds: addresses; held: 0 where `one` is clamped."""

    one: int
    held: int
    out: int


class Flat(NamedTuple):
    """The record of elements in a row, `each` of them an item; least and most as in a Layer."""

    call: FlatCall
    count: int
    each: int
    least: float
    most: float


@inner
def _line(given, group, tile, c, size):
    """Return the Line of a row's channels from c on; out is of elements."""
    call = given.call
    at = ((group * given.grid.tiles + tile) * given.channels + c) * given.run * size
    by = (group * given.channels + c) * size
    return Line(call.one + at, call.other + at, call.held + at, call.out + at, 0,
                call.scale + by, call.share + by, call.shift + by)  # fmt: skip


@entries
def sums(record, item, thread, zero):
    """Add to float64 (sets, items of a set, 2, room) the sums of an item's channels."""
    given, size = read(record, Layer), simd.nbytes(zero)
    least, most = of_type(given.least, zero), of_type(given.most, zero)
    part, grid, held = cell(given.grid, item), given.grid, given.call.held != 0
    row = part.group * -(-grid.tiles // grid.item_tiles) + part.tile // grid.item_tiles
    to = given.call.out + 16 * row * given.room
    for tile in range(part.tile, part.last_tile):
        if given.run == 1:
            line = _line(given, part.group, tile, 0, size)
            line = Line(line.one, line.other, line.held, to, to + 8 * given.room, 0, 0, 0)
            if held:
                sum_held_lanes(line, given.channels, least, most)
            else:
                sum_lanes(line, given.channels, least, most)
            continue
        for c in range(part.block, part.last_block):
            at = _line(given, part.group, tile, c, size)
            end = to + 8 * c
            line = Line(at.one, at.other, at.held, end, end + 8 * given.room, 0, 0, 0)
            if held:
                sum_held_run(line, given.run, least, most)
            else:
                sum_run(line, given.run, least, most)


@entries
def scaled(record, item, thread, zero):
    """Write an item's elements, scaled and shifted by channel, and clamped."""
    given, size = read(record, Layer), simd.nbytes(zero)
    least, most, part = (
        of_type(given.least, zero),
        of_type(given.most, zero),
        cell(given.grid, item),
    )
    for tile in range(part.tile, part.last_tile):
        if given.run == 1:
            scale_lanes(_line(given, part.group, tile, 0, size), given.channels, least, most)
            continue
        for c in range(part.block, part.last_block):
            scale_run(_line(given, part.group, tile, c, size), given.run, least, most)


@entries
def mixed(record, item, thread, zero):
    """Write an item's elements: two arrays scaled and shifted by channel, and added up."""
    given, size = read(record, Layer), simd.nbytes(zero)
    least, most, part = (
        of_type(given.least, zero),
        of_type(given.most, zero),
        cell(given.grid, item),
    )
    held = given.call.held != 0
    for tile in range(part.tile, part.last_tile):
        if given.run == 1:
            line = _line(given, part.group, tile, 0, size)
            if held:
                mix_held_lanes(line, given.channels, least, most)
            else:
                mix_lanes(line, given.channels, least, most)
            continue
        for c in range(part.block, part.last_block):
            line = _line(given, part.group, tile, c, size)
            if held:
                mix_held_run(line, given.run, least, most)
            else:
                mix_run(line, given.run, least, most)


@entries
def clamped(record, item, thread, zero):
    """Write an item's elements, clamped or, where they are held to others, those that count."""
    given, size = read(record, Flat), simd.nbytes(zero)
    least, most = of_type(given.least, zero), of_type(given.most, zero)
    begin = item * given.each
    count, at = min(given.each, given.count - begin), begin * size
    call = given.call
    line = Line(call.one + at, 0, call.held + at, call.out + at, 0, 0, 0, 0)
    if call.held != 0:
        count_line(line, count, least, most)
    else:
        clamp_line(line, count, least, most)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(sums, scaled, mixed, clamped)
