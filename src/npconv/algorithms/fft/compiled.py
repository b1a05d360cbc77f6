"""Convolutions of one channel each by the compiled transforms."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from npconv import arrays, spare
from npconv.algorithms.contract import Cost
from npconv.algorithms.fft import turns
from npconv.algorithms.fft.cut import COLUMNS, LINE, Cut, number_of, tile_count
from npconv.algorithms.fft.tiles import WORDS, tile_table, write_spans
from npconv.problem import ConvProblem
from npconv.threads import share, sharers

_FEW = 4  # tiles: so many or fewer are shared stage by stage
_ITEMS = 64  # parts of one stage
_WORTH = 1 << 12  # complex numbers of an item at least
_SECOND_CACHE, _THIRD_CACHE = 1 << 20, 1 << 25  # bytes, as costs are reckoned
_LANES = 16  # of a vector, at most
_REMEMBERED = 1 << 13  # tiles
_CALLS = 40  # steps of the interpreter


def cost(problem: ConvProblem, made: Cut) -> Cost:
    """Return the transforms of all tiles and of the kernels, and what is written more than once."""
    number = number_of(problem)
    tiles, numbers = tile_count(problem, made), made.rows * made.middle * _columns(made)
    across = made.mode == COLUMNS
    spread = _LANES if across else made.columns  # a column's spectrum fills a vector
    kernels = problem.out_channels * made.rows * made.middle * spread
    log = math.log2(max(made.rows if across else made.numbers, 2))
    flops = (10 * log + 20) * numbers * tiles + (5 * log + 10) * kernels
    each_number = 2 * number.itemsize
    work, buffers = made.work_nbytes(number), made.buffers_nbytes()
    sweeps = 1 if work <= _SECOND_CACHE else 3 if work <= _THIRD_CACHE else 6
    moved = sweeps * each_number * (numbers * tiles + kernels)
    moved += math.prod(problem.out_shape) * problem.itemsize
    staged = _is_staged(made, tiles)
    copied = _copied_nbytes(problem)
    lines = problem.out_channels * math.prod(problem.dilated_size) * number.itemsize
    if across:
        lines *= _LANES
    if made.mode == LINE and made.numbers > turns.MANY:
        lines += turns.between_nbytes(made.numbers, number)
    workspace = kernels * each_number + lines + 2 * 8 * WORDS * tiles + copied + work + buffers
    return Cost(
        flops, moved + 3 * copied, workspace, _CALLS, number, buffers if staged else work + buffers,
        helpers=(_ITEMS if staged else _items(made, tiles)) - 1,
    )  # fmt: skip


def _columns(made: Cut) -> int:
    """Return the columns that are transformed: whole vectors of them."""
    return -(-made.columns // _LANES) * _LANES if made.mode == COLUMNS else made.columns


def _copied_nbytes(problem: ConvProblem) -> int:
    """Return the bytes of x and of out that do not lie in planes as they are needed."""
    padded = problem.padding_mode != "zeros" and any(p != (0, 0) for p in problem.padding)
    turned = problem.channels_last and problem.in_channels > 1
    copied = 0
    if padded:
        copied += math.prod(problem.padded_size) * problem.batch * problem.in_channels
    if turned or (problem.x_dtype.char not in "fd" and not padded):
        copied += math.prod(problem.padded_size if padded else problem.size) * (
            problem.batch * problem.in_channels
        )
    if problem.channels_last and problem.out_channels > 1:
        copied += math.prod(problem.out_shape)
    return copied * problem.itemsize


def _is_staged(made: Cut, tiles: int) -> bool:
    """Return whether threads share each tile, not the tiles."""
    return tiles <= _FEW and made.numbers > 2 * _WORTH


def _items(made: Cut, tiles: int) -> int:
    """Return how many items the tiles are shared as."""
    return min(tiles, max(tiles * made.numbers // _WORTH, 1), 4 * _ITEMS)


def forward(
    problem: ConvProblem, made: Cut, x: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out, tile by tile."""
    number = number_of(problem)
    spectrum = _spectrum(problem, made, weight, number)
    source, before = _source(problem, x)
    target = _planes(out)
    goal = target if _lies_well(target) else spare.empty(target.shape, problem.compute_dtype)
    # What takes much memory is not kept for the next call.
    few = tile_count(problem, made) <= _REMEMBERED
    find = tile_table if few else tile_table.__wrapped__
    table = find(problem, made, before, source.shape, source.strides, goal.strides)
    table = _placed(table, source, goal, spectrum)
    first = made.axes[0] + 2
    work = _find_work(made, number, len(table), _lying(source, first), _lying(goal, first))
    _run(work, number.char, table)
    if goal is not target:
        target[...] = goal


def _placed(table: np.ndarray, x: np.ndarray, out: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Return the words of tiles with addresses."""
    table = table.copy()
    table[:, 0] += x.ctypes.data
    table[:, 1] += out.ctypes.data
    table[:, 2] *= spectrum.strides[0]
    table[:, 2] += spectrum.ctypes.data
    return table


class _Lying(NamedTuple):
    """Bytes of an element, and from one to the next along the first two axes of a tile."""

    itemsize: int
    steps: tuple[int, int]


def _lying(array: np.ndarray, axis: int) -> _Lying:
    steps = (*array.strides[axis : axis + 2], 0)
    return _Lying(array.itemsize, (steps[0], steps[1]))


def _source(problem: ConvProblem, x: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return x as (N, C, *size), with rows that lie side by side, and its padding before."""
    before = tuple(b for b, _ in problem.padding)
    if problem.padding_mode != "zeros" and any(p != (0, 0) for p in problem.padding):
        x, before = arrays.region(problem, x), (0,) * problem.ndim
    source = _planes(x)
    if not _lies_well(source):
        dtype = source.dtype if source.dtype.char in "fd" else problem.compute_dtype
        source = np.ascontiguousarray(source, dtype.newbyteorder("="))
    return source, before


def _planes(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1)


def _lies_well(planes: np.ndarray) -> bool:
    beside = planes.shape[-1] == 1 or planes.strides[-1] == planes.itemsize
    fits = planes.dtype.char in "fd" and planes.dtype.isnative and planes.flags.aligned
    return beside and fits


def _spectrum(problem: ConvProblem, made: Cut, weight: np.ndarray, number: np.dtype) -> np.ndarray:
    """Return the spectra of the kernels of all outputs, (O, numbers of a tile), complex."""
    from npconv.kernels import simd

    outputs = problem.out_channels
    kernel = np.moveaxis(weight[..., 0, :], -1, 0)  # (O, *kernel_size)
    sizes = [problem.dilated_size[a] for a in made.axes]
    numbers = made.numbers
    if made.mode == COLUMNS:
        lanes = simd.lanes(number.name)
        sizes[-1], numbers = lanes, made.rows * lanes
    lines = np.zeros((outputs, *sizes), number)
    holes = tuple(slice(None, None, problem.dilation[a]) for a in made.axes)
    lines[(slice(None), *holes)] = kernel.reshape(
        outputs, *(problem.kernel_size[a] for a in made.axes)
    )
    spectrum = np.ndarray(
        (outputs, 2 * numbers), number, spare.room(outputs * 2 * numbers * number.itemsize)
    )
    table = np.zeros((outputs, WORDS), np.int64)
    table[:, 0] = np.arange(outputs) * lines.strides[0]
    table[:, 2] = np.arange(outputs)
    write_spans(table, [(0, n, n) for n in sizes])
    same = made._replace(columns=sizes[-1]) if made.mode == COLUMNS else made
    lying = _lying(lines, 1)
    work = _find_work(same, number, outputs, lying, lying, keeps=True)
    _run(work, number.char, _placed(table, lines, lines, spectrum))
    return spectrum


class _Work(NamedTuple):
    """All tiles of some arrays: the kernel's record but for addresses, and what that refers to."""

    record: np.ndarray
    kept: tuple[Any, ...]
    stages: tuple[tuple[int, int], ...]  # those that threads share, tile by tile; none: tiles are
    items: int
    shared_nbytes: int
    each: int


def _run(work: _Work, letter: str, table: np.ndarray) -> None:
    """Do all tiles of a table."""
    from npconv.kernels import fourier
    from npconv.kernels import fourier_columns as places

    threads = sharers(work.items)
    scratch = spare.room(work.shared_nbytes + threads * work.each)
    record = work.record.copy()
    record[places.TILES] = table.ctypes.data
    record[places.WORK] = scratch.ctypes.data
    record[places.SCRATCH] = scratch.ctypes.data + work.shared_nbytes
    for tile in range(len(table) if work.stages else 0):
        record[places.TILE] = tile
        for stage, units in work.stages:
            items = min(work.items, units)
            record[places.STAGE], record[places.UNITS], record[places.ITEMS] = stage, units, items
            share(fourier.convolve[letter], record, items, min(threads, items))
    if not work.stages:
        share(fourier.convolve[letter], record, work.items, threads)


def _find_work(made: Cut, *more: Any, keeps: bool = False) -> _Work:
    """Return `_work`, which is not kept for the next call where its twiddles are many."""
    large = made.mode == LINE and made.numbers > turns.MANY
    return (_work.__wrapped__ if large else _work)(made, *more, keeps)


@lru_cache(maxsize=64)
def _work(
    made: Cut, number: np.dtype, tiles: int, x: _Lying, out: _Lying, keeps: bool = False
) -> _Work:
    """Return the work of so many tiles."""
    from npconv.kernels import fourier_columns as places
    from npconv.kernels import simd

    lanes = simd.lanes(number.name)
    across = made.mode == COLUMNS
    twist, untwist = turns.twists(made.rows, made.rows if across else made.numbers, number)
    down, amid = turns.passes(made.rows, number), turns.passes(made.middle, number)
    over = turns.passes(1 if across else made.columns, number)
    kept = [twist, untwist, down, amid, over]
    items = _ITEMS if _is_staged(made, tiles) else _items(made, tiles)
    values = {
        places.MODE: made.mode,
        places.ROWS: made.rows,
        places.MIDDLE: made.middle,
        places.BLOCKS: -(-made.columns // lanes),
        places.PITCH: made.pitch(number),
        places.X_STEP: x.steps[0],
        places.X_APART: x.steps[1],
        places.NARROW_X: x.itemsize < number.itemsize,
        places.OUT_STEP: out.steps[0],
        places.OUT_APART: out.steps[1],
        places.NARROW_OUT: out.itemsize < number.itemsize,
        places.KEEPS: keeps,
        places.TWIST: twist.ctypes.data,
        places.UNTWIST: untwist.ctypes.data,
        places.DOWN: down.address,
        places.AMID: amid.address,
        places.OVER: over.address,
        places.BUFFER: made.buffers_nbytes() // 2,
        places.STAGE: places.WHOLE,
        places.UNITS: tiles,
        places.ITEMS: items,
    }
    if made.mode == LINE:
        coarse, fine = turns.between(made.rows, made.columns, lanes, number)
        kept += [coarse, fine]
        values[places.COARSE], values[places.FINE] = coarse.ctypes.data, fine.ctypes.data
        values[places.X_STEP] = made.columns * x.itemsize
        values[places.OUT_STEP] = made.columns * out.itemsize
    shared, each = made.work_nbytes(number), made.buffers_nbytes()
    stages: tuple[tuple[int, int], ...] = ()
    if _is_staged(made, tiles):
        stages = _stages(made, lanes, keeps)
    else:
        shared, each = 0, shared + each
    values[places.EACH] = each
    record = np.zeros(places.LENGTH, np.int64)
    record[[*values]] = [*values.values()]
    record.flags.writeable = False
    return _Work(record, tuple(kept), stages, items, shared, each)


def _stages(made: Cut, lanes: int, keeps: bool) -> tuple[tuple[int, int], ...]:
    """Return the stages of a tile, and how many units each has."""
    from npconv.kernels import fourier_columns as places

    blocks = -(-made.columns // lanes)
    columns, amid = made.middle * blocks, made.rows * blocks
    if made.mode == COLUMNS:
        return ((places.INTO, columns),)
    stages = [(places.INTO, columns), (places.FORTH, amid)]
    stages.append((places.ALONG, made.rows * made.middle // lanes))
    if not keeps:
        stages += [(places.BACK, amid), (places.OUT_OF, columns)]
    return tuple(s for s in stages if made.middle > 1 or s[0] not in (places.FORTH, places.BACK))
