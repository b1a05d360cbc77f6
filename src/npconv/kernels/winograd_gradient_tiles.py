"""The transforms of the weight gradient: V = B x B' and D = A' g A of tiles, G' Z G of sums.

One letter each: n image, t tile, c channel of x, k of grad_out, i plane, h w position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd, toom
from npconv.kernels.entry import Entry, make_call
from npconv.kernels.inner import inner
from npconv.kernels.side import make_transform
from npconv.kernels.winograd_gradient_layer import LINE, VECTORS

copy = simd.copy
fill = simd.fill
read_int = simd.read_int


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

# sandwich(address, high, wide, columns, rows, first, count, source, row, column, middle, target,
# to_row, to_column, jump): see `_function`, whose address it is
sandwich = make_call(14)


@inner
def _planes_side(number, count, source, step, onward, target, to_step, to_onward, like):
    _into_planes(number, count, source, step, onward, target, to_step, to_onward, like)


@inner
def _taps_side(number, count, source, step, onward, target, to_step, to_onward, like):
    _into_taps(number, count, source, step, onward, target, to_step, to_onward, like)


def _function(side: Callable[..., None], name: str, letter: str) -> Entry:
    """Return a function of C that transforms vectors by two matrices, which it knows by numbers.

    So the code for all the matrices is compiled once.  Matrix `high` goes down the columns of x,
    `wide` along the `rows` rows that this leaves; x's vectors lie side by side.  Those of y do so
    in groups of VECTORS, `jump` bytes apart: target is where vector 0 lies, and those written are
    `count` from `first` on.
    """
    zero = np.dtype(letter).type(0)
    vector = simd.MACHINE.vector_nbytes

    def transform(  # type: ignore[no-untyped-def]
        high, wide, columns, rows, first, count, source, row, column, middle, target, to_row,
        to_column, jump,
    ):  # fmt: skip
        for v in range(first, first + count):
            side(high, columns, source, row, column, middle, columns * vector, vector, zero)
            source += vector
            to = target + v // VECTORS * jump + v % VECTORS * vector
            side(wide, rows, middle, vector, columns * vector, to, to_column, to_row, zero)

    return Entry(transform, 14, variant=f"{name} {letter}")


INTO_PLANES = {letter: _function(_planes_side, "planes", letter) for letter in "fd"}
INTO_TAPS = {letter: _function(_taps_side, "taps", letter) for letter in "fd"}


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


@inner
def _find(tables, operand, t):
    """Return where tile t lies: the address of its slice, and its rows and columns in tables."""
    high, wide = operand.high, operand.wide
    n = t // (wide.tiles * high.tiles)
    z = read_int(tables + 8 * (operand.slices + n % operand.count))
    image = operand.address + n // operand.count * operand.image + z * operand.depth
    rows = high.places + read_int(tables + 8 * (high.firsts + t // wide.tiles % high.tiles))
    columns = wide.places + read_int(tables + 8 * (wide.firsts + t % wide.tiles))
    return image, rows, columns


@inner
def _ask_for(tables, operand, t, zero):
    """Have tile t on its way to the caches, while another is transformed."""
    image, rows, columns = _find(tables, operand, t)
    nbytes = operand.channels * simd.nbytes(zero)
    for i in range(operand.high.reads):
        h = read_int(tables + 8 * (rows + i * operand.high.hole))
        for j in range(operand.wide.reads):
            w = read_int(tables + 8 * (columns + j * operand.wide.hole))
            if h >= 0 and w >= 0:
                at = image + h * operand.row + w * operand.pixel
                for b in range(0, nbytes, LINE):
                    _prefetch(at + b)


@inner
def gather(layer, operand, first, last, planes, row, desk):
    """Transform tiles `first` to `last` - 1 of an operand into the rows of planes from `row` on."""
    tables, zero, high, wide = layer.tables, layer.zero, operand.high, operand.wide
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    block = VECTORS * lanes
    high_products, wide_products = layer.fold.high[1], layer.fold.wide[1]
    reach_y, reach_x = (high.reads - 1) * high.hole, (wide.reads - 1) * wide.hole
    for t in range(first, last):
        if t + 1 < last:
            _ask_for(tables, operand, t + 1, zero)
        image, rows, columns = _find(tables, operand, t)
        top, left = read_int(tables + 8 * rows), read_int(tables + 8 * columns)
        whole = (
            top >= 0
            and left >= 0
            and read_int(tables + 8 * (rows + reach_y)) == top + reach_y
            and read_int(tables + 8 * (columns + reach_x)) == left + reach_x
        )
        patched = operand.channels // lanes * lanes if whole else 0
        target = planes.address + (row + t - first) * block * size
        to_row, jump = wide_products * planes.plane, planes.held * block * size
        if patched > 0:
            read = image + top * operand.row + left * operand.pixel
            sandwich(layer.into_planes, high.number, wide.number, wide.reads, high_products,
                     0, patched // lanes, read, high.hole * operand.row, wide.hole * operand.pixel,
                     desk.middle, target, to_row, planes.plane, jump)  # fmt: skip
        if patched < operand.filled:
            _patch(tables, operand, image, rows, columns, patched, desk.patch, zero)
            step = (operand.filled - patched) * size
            sandwich(layer.into_planes, high.number, wide.number, wide.reads, high_products,
                     patched // lanes, (operand.filled - patched) // lanes,
                     desk.patch, wide.reads * step, step,
                     desk.middle, target, to_row, planes.plane, jump)  # fmt: skip


@inner
def _patch(tables, operand, image, rows, columns, first, patch, zero):
    """Lay out a tile's channels from `first` on, with zeros where there is nothing."""
    size = simd.nbytes(zero)
    channels, filled = operand.channels - first, operand.filled - first
    for i in range(operand.high.reads):
        h = read_int(tables + 8 * (rows + i * operand.high.hole))
        for j in range(operand.wide.reads):
            w = read_int(tables + 8 * (columns + j * operand.wide.hole))
            there = 0
            if h >= 0 and w >= 0:
                there = channels
                copy(patch, image + h * operand.row + w * operand.pixel + first * size, there, zero)
            fill(patch + there * size, filled - there, zero)
            patch += filled * size


@inner
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
        here = min(block, outputs - first)
        whole = here // lanes if target.output == size else 0
        for c in range(rows):
            read = sums.address + c * sums.row + first * size
            write = target.address + c * target.channel + first * target.output
            if whole > 0:
                sandwich(layer.into_taps, high_number, wide_number, wide_products, high_taps,
                         0, whole, read, wide_products * sums.plane, sums.plane,
                         desk.middle, write, target.row, target.column, 0)  # fmt: skip
            for k in range(whole * lanes, here, lanes):
                sandwich(layer.into_taps, high_number, wide_number, wide_products, high_taps,
                         0, 1, read + k * size, wide_products * sums.plane, sums.plane,
                         desk.middle, spare, wide_taps * vector, vector, 0)  # fmt: skip
                _scatter(spare, min(lanes, here - k), high_taps, wide_taps,
                         write + k * target.output, target, zero)  # fmt: skip


@inner
def _scatter(spare, count, high_taps, wide_taps, write, target, zero):
    """Copy `count` elements of each vector of spare, a vector for each tap."""
    size = simd.nbytes(zero)
    vector = simd.width(zero) * size
    for v in range(count):
        for i in range(high_taps):
            for j in range(wide_taps):
                value = simd.load(spare + (i * wide_taps + j) * vector + v * size, zero)
                simd.store(write + i * target.row + j * target.column + v * target.output, value)


@inner
def add(layer, sums, count, step, rows):
    """Add to the first `rows` of sums those of `count` - 1 others, each `step` bytes further."""
    vector = simd.width(layer.zero) * simd.nbytes(layer.zero)
    for i in range(layer.fold.high[1] * layer.fold.wide[1]):
        at = sums.address + i * sums.plane
        for s in range(1, count):
            for v in range(0, rows * sums.row, vector):
                simd.add_vector(at + v, at + s * step + v, layer.zero)
