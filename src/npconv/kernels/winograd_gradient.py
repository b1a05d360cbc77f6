"""The weight gradient by Winograd's matrices turned round: tiles are summed before the last step.

::

    for each tile:        V = B x B'    D = A' g A     one plane for each product
    for each plane:       Z += V' D                    the sum runs over the tiles
    after the last tile:  dw = G' Z G

V and D lie as (planes, blocks, tiles, block): the register tile goes along the tiles, the channels
of x are its rows, those of grad_out its columns.

One letter each: n image, y x tile, t tile of a block, c channel of x, k of grad_out, i plane,
h w position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd, toom
from npconv.kernels.compile import compiled
from npconv.kernels.sandwich import make_transform
from npconv.kernels.tile import Store, make_tile
from npconv.kernels.winograd_gradient_layer import (
    LINE,
    LONGEST,
    ROWS,
    VECTORS,
    Desk,
    Fold,
    Layer,
    Operand,
    Part,
    Planes,
    Side,
    Sums,
    Target,
)

tile = make_tile(ROWS, VECTORS)
copy = simd.copy
fill = simd.fill


def _turned(matrix: toom.Matrix) -> toom.Matrix:
    return tuple(zip(*matrix, strict=True))


_into_planes = make_transform(
    lambda: [
        *(axis.input for axis in toom.axes()),
        *(_turned(axis.output) for axis in toom.axes()),
    ]
)
_into_taps = make_transform(lambda: [_turned(axis.kernel) for axis in toom.axes()])


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
def accumulate(layer, part, values, grads, sums, desk):
    """Write the sums over a part's tiles, as many at a time as values and grads have room for.

    x and grad_out of layer are the channels that are wanted, all of them.
    """
    store = Store(desk.zeros, 0, layer.least, -layer.least)
    for begin in range(part.first, part.last, values.held):
        end = min(begin + values.held, part.last)
        gather(layer, layer.x, begin, end, values, 0, desk)
        gather(layer, layer.grad, begin, end, grads, 0, desk)
        now = Part(begin, end, part.first_row, part.last_row, part.first_block, part.last_block)
        _multiply(layer, now, values, grads, sums, desk, store)
        store = Store(0, 0, layer.least, -layer.least)


@compiled
def multiply(layer, part, values, grads, sums, target, desk):
    """Write a part of grad_weight, where the tiles are in values and grads; sums: of a block."""
    row = VECTORS * simd.width(layer.zero) * simd.nbytes(layer.zero)
    block = VECTORS * simd.width(layer.zero)
    for kb in range(part.first_block, part.last_block):
        store = Store(desk.zeros, 0, layer.least, -layer.least)
        for begin in range(part.first, part.last, LONGEST):
            end = min(begin + LONGEST, part.last)
            now = Part(begin, end, part.first_row, part.last_row, kb, kb + 1)
            its_values = Planes(values.address + begin * row, values.plane, values.held)
            its_grads = Planes(grads.address + begin * row, grads.plane, grads.held)
            _multiply(layer, now, its_values, its_grads, sums, desk, store)
            store = Store(0, 0, layer.least, -layer.least)
        address = target.address + part.first_row * target.channel + kb * block * target.output
        there = Target(address, target.row, target.column, target.channel, target.output)
        here = min(block, layer.grad.channels - kb * block)
        fold(layer, sums, part.last_row - part.first_row, here, there, desk)


@compiled
def _multiply(layer, part, values, grads, sums, desk, store):
    """Store the sums of the products of a part's tiles: its first row and block are sums' first."""
    size = simd.nbytes(layer.zero)
    block = VECTORS * simd.width(layer.zero)
    planes = layer.fold.high[1] * layer.fold.wide[1]
    count = (part.last_row - part.first_row + ROWS - 1) // ROWS * ROWS
    reads = desk.table.ctypes.data
    writes = reads + 8 * count
    for i in range(planes):
        for r in range(count):
            # The last row again, where a tile of registers has more rows than there are.
            c = min(part.first_row + r, part.last_row - 1)
            at = (c // block * values.held * block + c % block) * size
            desk.table[r] = values.address + i * values.plane + at
            desk.table[count + r] = sums.address + i * sums.plane + r * sums.row
        for kb in range(part.first_block, part.last_block):
            b = grads.address + i * grads.plane + kb * grads.held * block * size
            for r in range(0, count, ROWS):
                tile(reads + 8 * r, 1, part.last - part.first, block, b, block, 0, writes + 8 * r,
                     (kb - part.first_block) * block, store)  # fmt: skip


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


@intrinsic
def _add_vector(context: Any, to: Any, source: Any, like: Any) -> Any:
    """Add one vector to another, both at addresses."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = simd.Vectors(builder, like.name)
        do.store(builder.fadd(do.load(given[0]), do.load(given[1])), given[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, like), emit


@compiled
def add(layer, sums, count, step, rows):
    """Add to the first `rows` of sums those of `count` - 1 others, each `step` bytes further."""
    vector = simd.width(layer.zero) * simd.nbytes(layer.zero)
    for i in range(layer.fold.high[1] * layer.fold.wide[1]):
        at = sums.address + i * sums.plane
        for s in range(1, count):
            for v in range(0, rows * sums.row, vector):
                _add_vector(at + v, at + s * step + v, layer.zero)


def warm() -> None:
    """Run each kernel once, on one pixel, for each type it is compiled for."""
    tables = np.zeros(1, np.int64)
    side = Side(0, 1, 1, 1, 0, 0)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        data = np.zeros((2 * ROWS, block), dtype)
        at, row = data.ctypes.data, block * data.itemsize
        operand = Operand(at, 0, 0, 0, 0, 1, block, side, side, 0, 1)
        one = (0, 1, 1)
        layer = Layer(tables, operand, operand, Fold(one, one), dtype(0), dtype(-np.inf))
        planes, sums, part = Planes(at, 0, 1), Sums(at, 0, row), Part(0, 1, 0, 1, 0, 1)
        target = Target(at, 0, 0, 0, data.itemsize)
        desk = Desk(at, at, at, np.zeros(2 * ROWS, np.int64))
        gather(layer, operand, 0, 1, planes, 0, desk)
        accumulate(layer, part, planes, planes, sums, desk)
        multiply(layer, part, planes, planes, sums, target, desk)
        add(layer, sums, 1, 0, 1)
        fold(layer, sums, 1, 1, target, desk)
