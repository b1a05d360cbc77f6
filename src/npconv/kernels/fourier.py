"""Real convolutions along some axes by complex transforms of half their length, tile by tile.

A tile of real numbers is taken as polynomials modulo t**N = i: element j as the real part of number
j, element j + N as its imaginary part.  After a twist by exp(pi i j / 2N) that is a cyclic problem
of N complex numbers, whose product with the kernel's, and the way back, give both halves.  No
spectrum of a real line has to be taken apart.

A tile lies in memory as rows of cells (see butterflies.py).  The transform along the first axis
runs over columns of cells, a vector of neighbouring columns at a time, straight from x; that along
the last axis over a vector of rows at a time, turned in registers, and at once back.  A long line
is such rows, too: its transform is that of a matrix, with twiddles between columns and rows.
"""

from __future__ import annotations

from npconv.kernels import simd
from npconv.kernels.butterflies import multiply_cell, multiply_conjugate, turn_back, turn_cell
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fourier_columns import (
    ALONG,
    AMID,
    BACK,
    BLOCKS,
    BUFFER,
    COARSE,
    COLUMNS,
    DOWN,
    EACH,
    FINE,
    FORTH,
    INTO,
    ITEMS,
    KEEPS,
    LINE,
    MIDDLE,
    MODE,
    OUT_OF,
    OVER,
    PITCH,
    ROWS,
    SCRATCH,
    SPECTRUM,
    STAGE,
    TILE,
    TILES,
    UNITS,
    WHOLE,
    WORDS,
    WORK,
    column_in,
    column_out,
)  # fmt: skip
from npconv.kernels.inner import inner
from npconv.kernels.passes import transform
from npconv.kernels.planes import make_square
from npconv.kernels.simd import copy_vector, read_int

_square = make_square(False)


@inner
def _copy_cells(to, to_step, source, step, count, like):
    """Copy cells that lie some bytes apart."""
    vector = simd.width(like) * simd.nbytes(like)
    for i in range(count):
        copy_vector(to + i * to_step, source + i * step, like)
        copy_vector(to + i * to_step + vector, source + i * step + vector, like)


@inner
def _into(record, tile, work, here, there, unit, like):
    """Transform a column of x into the tile's rows."""
    size = simd.nbytes(like)
    cell = 2 * simd.width(like) * size
    blocks, n = read_int(record + 8 * BLOCKS), read_int(record + 8 * ROWS)
    middle, block = unit // blocks, unit % blocks
    column_in(record, tile, middle, block, here, like)
    made = transform(here, there, read_int(record + 8 * DOWN), False, like)
    if read_int(record + 8 * MODE) == LINE:
        coarse = read_int(record + 8 * COARSE) + block * n * 2 * size
        fine = read_int(record + 8 * FINE)
        for k in range(n):
            turn_cell(made + k * cell, coarse + 2 * k * size, like)
            multiply_cell(made + k * cell, fine + k * cell, like)
    pitch, many = read_int(record + 8 * PITCH), read_int(record + 8 * MIDDLE)
    _copy_cells(work + middle * pitch + block * cell, many * pitch, made, cell, n, like)


@inner
def _out_of(record, tile, work, here, there, unit, like):
    """Transform a column of the tile's rows back, to out."""
    size = simd.nbytes(like)
    cell = 2 * simd.width(like) * size
    blocks, n = read_int(record + 8 * BLOCKS), read_int(record + 8 * ROWS)
    middle, block = unit // blocks, unit % blocks
    pitch, many = read_int(record + 8 * PITCH), read_int(record + 8 * MIDDLE)
    _copy_cells(here, cell, work + middle * pitch + block * cell, many * pitch, n, like)
    if read_int(record + 8 * MODE) == LINE:
        coarse = read_int(record + 8 * COARSE) + block * n * 2 * size
        fine = read_int(record + 8 * FINE)
        for k in range(n):
            turn_back(here + k * cell, coarse + 2 * k * size, like)
            multiply_conjugate(here + k * cell, fine + k * cell, like)
    made = transform(here, there, read_int(record + 8 * DOWN), True, like)
    column_out(record, tile, middle, block, made, like)


@inner
def _along(record, tile, work, here, there, unit, like):
    """Transform a vector of rows, multiply them by the kernel's, and transform them back."""
    width = simd.width(like)
    vector = width * simd.nbytes(like)
    cell = 2 * vector
    blocks, pitch = read_int(record + 8 * BLOCKS), read_int(record + 8 * PITCH)
    n = blocks * width
    rows = work + unit * width * pitch
    how = read_int(record + 8 * OVER)
    for block in range(blocks):
        source, target = rows + block * cell, here + block * width * cell
        _square(source, pitch, target, cell, like)
        _square(source + vector, pitch, target + vector, cell, like)
    made = transform(here, there, how, False, like)
    spectrum = read_int(tile + 8 * SPECTRUM) + unit * n * cell
    if read_int(record + 8 * KEEPS):
        _copy_cells(spectrum, cell, made, cell, n, like)
        return
    for k in range(n):
        multiply_conjugate(made + k * cell, spectrum + k * cell, like)
    made = transform(made, here + there - made, how, True, like)
    for block in range(blocks):
        source, target = made + block * width * cell, rows + block * cell
        _square(source, cell, target, pitch, like)
        _square(source + vector, cell, target + vector, pitch, like)


@inner
def _amid(record, work, here, there, unit, back, like):
    """Transform the tile's rows along the axis in the middle, a vector of columns wide."""
    cell = 2 * simd.width(like) * simd.nbytes(like)
    blocks, pitch = read_int(record + 8 * BLOCKS), read_int(record + 8 * PITCH)
    many = read_int(record + 8 * MIDDLE)
    place = work + unit // blocks * many * pitch + unit % blocks * cell
    _copy_cells(here, cell, place, pitch, many, like)
    made = transform(here, there, read_int(record + 8 * AMID), back, like)
    _copy_cells(place, pitch, made, cell, many, like)


@inner
def _across(record, tile, here, there, unit, like):
    """Convolve one column of x with one kernel, a vector of lines wide, to out."""
    cell = 2 * simd.width(like) * simd.nbytes(like)
    blocks, n = read_int(record + 8 * BLOCKS), read_int(record + 8 * ROWS)
    middle, block = unit // blocks, unit % blocks
    how, spectrum = read_int(record + 8 * DOWN), read_int(tile + 8 * SPECTRUM)
    column_in(record, tile, middle, block, here, like)
    made = transform(here, there, how, False, like)
    if read_int(record + 8 * KEEPS):
        _copy_cells(spectrum, cell, made, cell, n, like)
        return
    for k in range(n):
        multiply_conjugate(made + k * cell, spectrum + k * cell, like)
    made = transform(made, here + there - made, how, True, like)
    column_out(record, tile, middle, block, made, like)


@inner
def _unit(record, tile, work, here, there, stage, unit, like):
    """Do one unit of a stage."""
    if read_int(record + 8 * MODE) == COLUMNS:
        _across(record, tile, here, there, unit, like)
    elif stage == INTO:
        _into(record, tile, work, here, there, unit, like)
    elif stage == ALONG:
        _along(record, tile, work, here, there, unit, like)
    elif stage == OUT_OF:
        _out_of(record, tile, work, here, there, unit, like)
    else:
        _amid(record, work, here, there, unit, stage == BACK, like)


@inner
def _units(record, stage, like):
    """Return how many units a stage of one tile has."""
    blocks, n = read_int(record + 8 * BLOCKS), read_int(record + 8 * ROWS)
    middle = read_int(record + 8 * MIDDLE)
    if stage == ALONG:
        return n * middle // simd.width(like)
    if stage in (INTO, OUT_OF):
        return middle * blocks
    return n * blocks


@entries
def convolve(record, item, thread, like):
    """Do an item's units of a stage of one tile, or all stages of an item's tiles."""
    stage, units = read_int(record + 8 * STAGE), read_int(record + 8 * UNITS)
    items, keeps = read_int(record + 8 * ITEMS), read_int(record + 8 * KEEPS)
    mode, middle = read_int(record + 8 * MODE), read_int(record + 8 * MIDDLE)
    tiles = read_int(record + 8 * TILES)
    here = read_int(record + 8 * SCRATCH) + thread * read_int(record + 8 * EACH)
    there = here + read_int(record + 8 * BUFFER)
    work = read_int(record + 8 * WORK)
    if stage != WHOLE:
        tile = tiles + 8 * WORDS * read_int(record + 8 * TILE)
        for unit in range(item * units // items, (item + 1) * units // items):
            _unit(record, tile, work, here, there, stage, unit, like)
        return
    work = there + there - here
    for number in range(item * units // items, (item + 1) * units // items):
        tile = tiles + 8 * WORDS * number
        for one in range(WHOLE):
            if (mode == COLUMNS and one > INTO) or (keeps and one > ALONG):
                break
            if middle == 1 and one in (FORTH, BACK):
                continue
            for unit in range(_units(record, one, like)):
                _unit(record, tile, work, here, there, one, unit, like)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(convolve)
