"""The records of a stencil: sums of neighbours in planes of one channel each.

A line is one of a plane's, as numbers that lie side by side: its pixels, or the woven numbers of
all the channels of an image.  A padded line has what lies beyond its ends as well.  Steps are in
bytes, positions along a line in numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.direct_layer import Three
from npconv.kernels.fields import Grid
from npconv.kernels.stencil_tile import Taps


class Call(NamedTuple):
    """What each call adds: addresses; bias: one number for each output, 0 for none."""

    x: int
    weights: int
    out: int
    bias: int


class Source(NamedTuple):
    """How x is read: the kind of its numbers, and where each padded position of an axis lies.

    depth, height and ends are addresses of int64: the byte offset of each position of an axis, -1
    where there is a zero; `ends` has those pixels that stand before number `first` of a padded line
    and those from number `last` on, up to its `reach` numbers.  Those in between are x's own, of
    which `origin` is the first; a pixel has `woven` numbers, `step` bytes after the one before it.
    """

    kind: int
    group: int
    image: int
    depth: int
    height: int
    ends: int
    woven: int
    step: int
    first: int
    last: int
    origin: int
    reach: int


class Target(NamedTuple):
    """How out is written: the kind of its numbers, outputs of a group, bytes from one to the next.

    number: bytes from one of a line to the next.
    """

    kind: int
    outputs: int
    output: int
    image: int
    depth: int
    height: int
    number: int


class Ends(NamedTuple):
    """How a sum is ended: cut off, or where it becomes a whole number as Rounding has it."""

    least: float
    most: float
    divisor: float
    divides: int
    mirrors: int
    lift: float
    largest: float


class Form(NamedTuple):
    """How sums are formed: lines of a tile, lines of a plane that are held, bytes of each.

    across: taps of a pass along the lines before, whose weights follow the others, and from one of
    them to the next `across_step`; 0: none.  span: numbers that are read past a section's end.
    """

    rows: int
    held: int
    line: int
    across: int
    across_step: int
    span: int


class Layer(NamedTuple):
    """The record of a stencil; a group of the grid is a plane of out, a tile a line of it.

    images, outputs: how many of each there are; out_size: of a plane, its width in numbers.  A
    block is a section of a line: at `sections` stand (begin, end) of each.  each: bytes of a
    thread's scratch.
    """

    call: Call
    source: Source
    target: Target
    outputs: int
    out_size: Three
    taps: Taps
    hole: Three
    form: Form
    ends: Ends
    sections: int
    grid: Grid
    each: int


class Room(NamedTuple):
    """Scratch of one thread: addresses.

    table  (depth, lines) int64   of the lines that a tile reads
    outs   (rows) int64           of those that it writes
    lines  (depth, held, line)    what is held of a plane
    line   (line)                 one of x's, before a pass along it
    sums   (rows, line)           what is yet to become out
    """

    table: int
    outs: int
    lines: int
    line: int
    sums: int
