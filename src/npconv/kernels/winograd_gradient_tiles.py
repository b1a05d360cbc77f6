"""The transforms of the weight gradient: V = B x B' and D = A' g A of tiles, G' Z G of sums.

One letter each: n image, t tile, c channel of x, k of grad_out, i plane, h w position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd, toom
from npconv.kernels.compile import compiled
from npconv.kernels.side import make_transform
from npconv.kernels.winograd_gradient_layer import LINE, VECTORS

copy = simd.copy
fill = simd.fill


def turned(matrix: toom.Matrix) -> toom.Matrix:
    """Return a matrix with its rows as columns."""
    return tuple(zip(*matrix, strict=True))


_into_planes = make_transform(
    lambda: [
        *(axis.input for axis in toom.axes()),
        *(turned(axis.output) for axis in toom.axes()),
    ]
)


_into_taps = make_transform(lambda: [turned(axis.kernel) for axis in toom.axes()])


# Functions, so that the code for all the matrices is compiled once.
@compiled
def into_planes(number, count, source, step, onward, target, to_step, to_onward, like):
    """Apply B or A' of a row of toom.ROWS: see sandwich.make_transform."""
    _into_planes(number, count, source, step, onward, target, to_step, to_onward, like)


@compiled
def into_taps(number, count, source, step, onward, target, to_step, to_onward, like):
    """Apply G' of a row of toom.ROWS."""
    _into_taps(number, count, source, step, onward, target, to_step, to_onward, like)


@intrinsic
def _prefetch(context: Any, address: Any) -> Any:
    """Ask for the cache line at an address, wherever that leads."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        byte, small = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, small, small, small])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [builder.inttoptr(given[0], byte), *(small(v) for v in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.int64), emit


@compiled
def _find(tables, operand, t):
    """Return where tile t lies: the address of its slice, and its rows and columns in tables."""
    high, wide = operand.high, operand.wide
    n = t // (wide.tiles * high.tiles)
    z = tables[operand.slices + n % operand.count]
    image = operand.address + n // operand.count * operand.image + z * operand.depth
    rows = high.places + tables[high.firsts + t // wide.tiles % high.tiles]
    columns = wide.places + tables[wide.firsts + t % wide.tiles]
    return image, rows, columns


@compiled
def _ask_for(tables, operand, t, zero):
    """Have tile t on its way to the caches, while another is transformed."""
    image, rows, columns = _find(tables, operand, t)
    nbytes = operand.channels * simd.nbytes(zero)
    for i in range(operand.high.reads):
        h = tables[rows + i * operand.high.hole]
        for j in range(operand.wide.reads):
            w = tables[columns + j * operand.wide.hole]
            if h >= 0 and w >= 0:
                at = image + h * operand.row + w * operand.pixel
                for b in range(0, nbytes, LINE):
                    _prefetch(at + b)


@compiled
def gather(layer, operand, first, last, planes, row, desk):
    """Transform tiles `first` to `last` - 1 of an operand into the rows of planes from `row` on."""
    tables, zero, high, wide = layer.tables, layer.zero, operand.high, operand.wide
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    block = VECTORS * lanes
    high_products, wide_products = layer.fold.high[1], layer.fold.wide[1]
    reach_y, reach_x = (high.reads - 1) * high.hole, (wide.reads - 1) * wide.hole
    for t in range(first, last):
        if t + 1 < last:
            _ask_for(tables, operand, t + 1, zero)
        image, rows, columns = _find(tables, operand, t)
        top, left = tables[rows], tables[columns]
        whole = (
            top >= 0
            and left >= 0
            and tables[rows + reach_y] == top + reach_y
            and tables[columns + reach_x] == left + reach_x
        )
        patched = operand.channels // lanes * lanes if whole else 0
        if patched < operand.filled:
            _patch(tables, operand, image, rows, columns, patched, desk.patch, zero)
        for c in range(0, operand.filled, lanes):
            if c < patched:
                read = image + top * operand.row + left * operand.pixel + c * size
                row_step, step = high.hole * operand.row, wide.hole * operand.pixel
            else:
                read, step = desk.patch + (c - patched) * size, (operand.filled - patched) * size
                row_step = wide.reads * step
            into_planes(high.number, wide.reads, read, row_step, step,
                        desk.middle, wide.reads * vector, vector, zero)  # fmt: skip
            write = (c // block * planes.held + row + t - first) * block + c % block
            into_planes(wide.number, high_products, desk.middle, vector, wide.reads * vector,
                        planes.address + write * size, planes.plane, wide_products * planes.plane,
                        zero)  # fmt: skip


@compiled
def _patch(tables, operand, image, rows, columns, first, patch, zero):
    """Lay out a tile's channels from `first` on, with zeros where there is nothing."""
    size = simd.nbytes(zero)
    channels, filled = operand.channels - first, operand.filled - first
    for i in range(operand.high.reads):
        h = tables[rows + i * operand.high.hole]
        for j in range(operand.wide.reads):
            w = tables[columns + j * operand.wide.hole]
            there = 0
            if h >= 0 and w >= 0:
                there = channels
                copy(patch, image + h * operand.row + w * operand.pixel + first * size, there, zero)
            fill(patch + there * size, filled - there, zero)
            patch += filled * size


@compiled
def fold(layer, sums, rows, outputs, target, desk):
    """Transform the first `rows` of sums, and so many outputs of each, into grad_weight."""
    zero = layer.zero
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    block = VECTORS * lanes
    high_number, _, high_taps = layer.fold.high
    wide_number, wide_products, wide_taps = layer.fold.wide
    spare = desk.middle + high_taps * wide_products * vector
    for first in range(0, outputs, block):
        for c in range(rows):
            for k in range(first, min(first + block, outputs), lanes):
                here = min(lanes, outputs - k)
                into_taps(high_number, wide_products, sums.address + c * sums.row + k * size,
                          wide_products * sums.plane, sums.plane,
                          desk.middle, wide_products * vector, vector, zero)  # fmt: skip
                write = target.address + c * target.channel + k * target.output
                if target.output == size and here == lanes:
                    into_taps(wide_number, high_taps, desk.middle, vector, wide_products * vector,
                              write, target.column, target.row, zero)  # fmt: skip
                else:
                    into_taps(wide_number, high_taps, desk.middle, vector, wide_products * vector,
                              spare, vector, wide_taps * vector, zero)  # fmt: skip
                    _scatter(spare, here, high_taps, wide_taps, write, target, zero)


@compiled
def _scatter(spare, count, high_taps, wide_taps, write, target, zero):
    """Copy `count` elements of each vector of spare, a vector for each tap."""
    size = simd.nbytes(zero)
    vector = simd.width(zero) * size
    for v in range(count):
        for i in range(high_taps):
            for j in range(wide_taps):
                value = simd.load(spare + (i * wide_taps + j) * vector + v * size, zero)
                simd.store(write + i * target.row + j * target.column + v * target.output, value)


@compiled
def add(layer, sums, count, step, rows):
    """Add to the first `rows` of sums those of `count` - 1 others, each `step` bytes further."""
    vector = simd.width(layer.zero) * simd.nbytes(layer.zero)
    for i in range(layer.fold.high[1] * layer.fold.wide[1]):
        at = sums.address + i * sums.plane
        for s in range(1, count):
            for v in range(0, rows * sums.row, vector):
                simd.add_vector(at + v, at + s * step + v, layer.zero)
