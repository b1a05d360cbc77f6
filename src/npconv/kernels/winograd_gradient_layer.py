"""What the kernels of Winograd's weight gradient are told: a layer, parts of it, the scratch."""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels import simd, toom

LINE = 64  # bytes of a cache line: no vector of the scratch crosses one
ROWS, VECTORS = simd.tile_size()
LONGEST = 128  # tiles that are summed in the registers: the rounding of a sum grows with its length
# Where in the table of matrices those for x begin, and those for grad_out.
OF_X, OF_GRAD = 0, len(toom.ROWS)


class Side(NamedTuple):
    """How the tiles of x, or of grad_out, lie along an axis.

    number  the matrix that is applied to `reads` elements, `hole` positions apart
    places  where in the tables: of each padded position, which one of the array it is, -1 a zero
    firsts  likewise: of each tile, its first position
    """

    number: int
    reads: int
    hole: int
    tiles: int
    places: int
    firsts: int


class Operand(NamedTuple):
    """Where x or grad_out lies, channels side by side: address, and bytes from one to the next.

    channels are read, and zeros follow up to `filled`, a whole number of vectors; slices: where in
    the tables it stands which `count` slices of each image's depth are read.
    """

    address: int
    image: int
    depth: int
    row: int
    pixel: int
    channels: int
    filled: int
    high: Side
    wide: Side
    slices: int
    count: int


class Fold(NamedTuple):
    """How the sums' planes are turned into taps: along an axis, (matrix, products, taps)."""

    high: tuple[int, int, int]
    wide: tuple[int, int, int]


class Layer(NamedTuple):
    """A weight gradient; 0 and -inf of the elements' type; else addresses.

    tables  all of them, int64, in one array
    into_planes, into_taps  what applies the matrices that numbers name to tiles, and to sums
    """

    tables: int
    into_planes: int
    into_taps: int
    x: Operand
    grad: Operand
    fold: Fold
    zero: float
    least: float


class Planes(NamedTuple):
    """Transformed tiles: address, bytes from plane to plane, and for how many there is room."""

    address: int
    plane: int
    held: int


class Sums(NamedTuple):
    """Z, (planes, rows, blocks, block): address, and bytes of a plane and of a row."""

    address: int
    plane: int
    row: int


class Target(NamedTuple):
    """Where grad_weight is written: address, and bytes from one to the next."""

    address: int
    row: int
    column: int
    channel: int
    output: int


class Desk(NamedTuple):
    """What else a thread needs.

    patch   address of a tile that an operand does not hold whole, (reads, reads, filled)
    middle  address of what stands between the two sides of a transform
    zeros   address of a block
    table   address of so many addresses: twice as many as the rows of the sums
    """

    patch: int
    middle: int
    zeros: int
    table: int


class Part(NamedTuple):
    """Which tiles are summed, for which channels of x and blocks of grad_out's."""

    first: int
    last: int
    first_row: int
    last_row: int
    first_block: int
    last_block: int
