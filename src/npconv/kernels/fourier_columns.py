"""Columns of a tile: its real numbers to twisted cells, and cells back to the result.

What the record of kernels/fourier.py says, and its tiles, is told here.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.butterflies import narrow, turn_cell, widen
from npconv.kernels.inner import inner
from npconv.kernels.record import of_type
from npconv.kernels.simd import copy_vector, read_int

# Places in a record, in int64.  Steps are the bytes from one row to the next, and those from one
# group of rows to the next where there is an axis in the middle; DOWN, AMID and OVER are transforms
# along the first axis, that in the middle, and rows.
(
    STAGE, ITEMS, UNITS, TILE, TILES, WORK, SCRATCH, EACH, BUFFER, MODE, ROWS, MIDDLE, BLOCKS,
    PITCH, X_STEP, OUT_STEP, X_APART, OUT_APART, NARROW_X, NARROW_OUT, KEEPS, TWIST, UNTWIST,
    COARSE, FINE, DOWN, AMID, OVER,
) = range(28)  # fmt: skip
LENGTH = 28
# What rows are: pieces of one line, lines of a tile, or lines that are transformed across alone.
LINE, PLANE, COLUMNS = range(3)
# Stages of one tile that threads share, and all of them for one tile after another.
INTO, FORTH, ALONG, BACK, OUT_OF, WHOLE = range(6)
# Words of a tile: addresses of x, out and the spectrum; (first, last) of what there is of x, and
# how many there are of out, along the first axis, that in the middle, and rows.
X, OUT, SPECTRUM, FIRST, LAST, OUTS, MIDDLE_FIRST, ROW_FIRST = 0, 1, 2, 3, 4, 5, 6, 9
WORDS = 12


@inner
def _load(to, row, column, first, last, is_narrow, like):
    """Copy a vector of a row's elements, zeros before the first and from the last on."""
    size = simd.nbytes(like)
    width = simd.width(like)
    if column >= first and column + width <= last:
        if is_narrow:
            widen(to, row + column * 4, like)
        else:
            copy_vector(to, row + column * size, like)
        return
    simd.fill(to, width, simd.zero_of(like))
    for i in range(max(first - column, 0), min(last - column, width)):
        if is_narrow:
            value = of_type(simd.load(row + (column + i) * 4, np.float32(0)), like)
        else:
            value = simd.load(row + (column + i) * size, like)
        simd.store(to + i * size, value)


@inner
def _store(row, column, last, source, is_narrow, like):
    """Copy a vector to a row's elements, as far as they come before the last."""
    size = simd.nbytes(like)
    width = simd.width(like)
    if column + width <= last:
        if is_narrow:
            narrow(row + column * 4, source, like)
        else:
            copy_vector(row + column * size, source, like)
        return
    for i in range(last - column):
        value = simd.load(source + i * size, like)
        if is_narrow:
            simd.store(row + (column + i) * 4, np.float32(value))
        else:
            simd.store(row + (column + i) * size, value)


@inner
def column_in(record, tile, middle, block, to, like):
    """Write the twisted halves of a column of x, a vector wide, as cells."""
    size = simd.nbytes(like)
    width = simd.width(like)
    n = read_int(record + 8 * ROWS)
    is_narrow = read_int(record + 8 * NARROW_X) != 0
    twist = read_int(record + 8 * TWIST)
    row, step = read_int(tile + 8 * X), read_int(record + 8 * X_STEP)
    first_row, last_row, shift = read_int(tile + 8 * FIRST), read_int(tile + 8 * LAST), np.int64(0)
    first, last = read_int(tile + 8 * ROW_FIRST), read_int(tile + 8 * ROW_FIRST + 8)
    if read_int(record + 8 * MODE) == LINE:
        first, last, shift = first_row, last_row, read_int(record + 8 * BLOCKS) * width
        first_row, last_row = np.int64(0), 2 * n
    row += middle * read_int(record + 8 * X_APART)
    inside = middle >= read_int(tile + 8 * MIDDLE_FIRST)
    inside = inside and middle < read_int(tile + 8 * MIDDLE_FIRST + 8)
    column = block * width
    for half in range(2):
        for j in range(half * n, half * n + n):
            cell = to + (2 * (j - half * n) + half) * width * size
            if inside and j >= first_row and j < last_row:
                _load(
                    cell, row + j * step, column, first - j * shift, last - j * shift, is_narrow,
                    like,
                )  # fmt: skip
            else:
                simd.fill(cell, width, simd.zero_of(like))
    for j in range(n):
        turn_cell(to + 2 * j * width * size, twist + 2 * j * size, like)


@inner
def column_out(record, tile, middle, block, source, like):
    """Write cells, untwisted, to a column of out, a vector wide."""
    size = simd.nbytes(like)
    width = simd.width(like)
    n = read_int(record + 8 * ROWS)
    is_narrow = read_int(record + 8 * NARROW_OUT) != 0
    untwist = read_int(record + 8 * UNTWIST)
    row, step = read_int(tile + 8 * OUT), read_int(record + 8 * OUT_STEP)
    last_row, last, shift = (
        read_int(tile + 8 * OUTS),
        read_int(tile + 8 * ROW_FIRST + 16),
        np.int64(0),
    )
    if read_int(record + 8 * MODE) == LINE:
        last_row, last, shift = 2 * n, last_row, read_int(record + 8 * BLOCKS) * width
    if middle >= read_int(tile + 8 * MIDDLE_FIRST + 16):
        return
    row += middle * read_int(record + 8 * OUT_APART)
    column = block * width
    for j in range(n):
        turn_cell(source + 2 * j * width * size, untwist + 2 * j * size, like)
    for half in range(2):
        for j in range(half * n, min(half * n + n, last_row)):
            cell = source + (2 * (j - half * n) + half) * width * size
            _store(row + j * step, column, last - j * shift, cell, is_narrow, like)
