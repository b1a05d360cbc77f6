"""The record of a Winograd weight gradient: the layer, its runs, and each thread's scratch.

A run is a tap of the depth in one group.  Steps are in bytes; arrays have their channels side by
side.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd
from npconv.kernels.ahead import LINE
from npconv.kernels.fields import Grid

ROWS, VECTORS = simd.tile_size()
LONGEST = 128  # tiles that are summed in the registers: the rounding of a sum grows with its length


class Call(NamedTuple):
    """What each call adds: addresses, and the number of the run that item 0 belongs to.

    shared  what all threads share: transformed tiles of x, then of grad_out; or sums of parts
    """

    x: int
    grad: int
    target: int
    shared: int
    run: int


class Run(NamedTuple):
    """A tap of the depth in a group: bytes from the arrays' begin to its own.

    slices: where in the tables it stands which `count` slices of each image's depth are read, of
    x and of grad_out.
    """

    x: int
    grad: int
    target: int
    x_slices: int
    grad_slices: int
    count: int
    tiles: int


class Side(NamedTuple):
    """How the tiles of x, or of grad_out, lie along an axis: `reads` elements `hole` apart.

    places  where in the tables: of each padded position, which one of the array it is, -1 a zero
    firsts  likewise: of each tile, its first position
    """

    reads: int
    hole: int
    tiles: int
    places: int
    firsts: int


class Operand(NamedTuple):
    """How x or grad_out lies: bytes from image to image, and so on.

    channels are read, and zeros follow up to `filled`, a whole number of vectors; transform: the
    address of what turns a tile into its planes.
    """

    image: int
    depth: int
    row: int
    pixel: int
    channels: int
    filled: int
    transform: int
    high: Side
    wide: Side


class Fold(NamedTuple):
    """How the sums' planes (high, wide) are turned into taps; transform: the address of what does.

    streams  whether whole vectors of grad_weight are written past the caches
    """

    transform: int
    high: int
    wide: int
    high_taps: int
    wide_taps: int
    streams: int


class Target(NamedTuple):
    """How grad_weight lies: bytes from one to the next."""

    row: int
    column: int
    channel: int
    output: int


class Room(NamedTuple):
    """Scratch of one thread: byte offsets, and bytes from plane to plane, and from row to row.

    values  (planes, blocks, held, block)  transformed tiles of x
    grads   the same of grad_out
    sums    (planes, rows, blocks, block)
    patch   a tile that an operand does not hold whole, (reads, reads, filled)
    spare   (a vector of channels, taps, taps, block), what grad_weight does not hold so
    zeros   a block
    seen    (vector) NaN after a result that is not finite
    table   addresses, twice as many as the rows of the sums
    nbytes  of all of it
    held    tiles that values and grads have room for
    """

    values: int
    grads: int
    sums: int
    patch: int
    spare: int
    zeros: int
    seen: int
    table: int
    nbytes: int
    value_plane: int
    grad_plane: int
    sums_plane: int
    sums_row: int
    held: int


class Layer(NamedTuple):
    """The record of a weight gradient.

    finite   whether every result was
    grid     of each run: shares of its tiles, channels of x, blocks of grad_out
    tables   address of int64 that the sides' places and firsts number; in these `runs`: the Runs
    gathers  shares in which x, and grad_out, is transformed first
    partial  bytes of a part's sums, where parts have their own; else 0
    piece    rows of sums that are added up at once
    """

    call: Call
    finite: int
    grid: Grid
    x: Operand
    grad: Operand
    fold: Fold
    target: Target
    room: Room
    tables: int
    runs: int
    gathers: int
    partial: int
    piece: int


FINITE = len(Call._fields)  # where `finite` stands in the record
RUN = len(Run._fields)


def lined(*lengths: int) -> list[int]:
    """Return where arrays of so many bytes begin, each at a cache line, and where the last ends."""
    ends = [0]
    for nbytes in lengths:
        ends.append(ends[-1] + -(-nbytes // LINE) * LINE)
    return ends
