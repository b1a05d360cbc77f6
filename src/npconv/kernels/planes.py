"""Channels first to channels last and back: squares of vectors, transposed in registers.

Some pixels of an image have C channels.  In planes, `plane_step` bytes apart, the pixels of one
channel lie side by side; in rows, `pixel_step` bytes apart, the channels of one pixel do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.inner import inner
from npconv.kernels.simd import read_int

# Places in a record, in int64; behind them (length, plane's step, row's step) of each axis of runs.
PLANES, ROWS, WAY, PLANE_STEP, PIXEL_STEP, CHANNELS, PIXELS, SHARES, UNITS, ITEMS, AXES = range(11)
LENGTH = 11
# Ways: to planes, to rows, and to planes past the caches.
BACK, FORTH, STREAMED = range(3)
SMALL = 4  # channels that are interleaved instead

_PERIOD, _WAYS = 4096, 8  # bytes between addresses that share a set of the first cache; its lines
_MOST = 128  # channels that are written side by side


def make_weave(channels: int, forth: bool) -> Callable[..., None]:
    """Return an intrinsic that makes one run of the vectors of some planes, or such a run planes.

    ::

        weave(planes, plane_step, run, like)

        run[pixel * channels + channel] = planes[channel][pixel]     for one vector of pixels
    """

    @intrinsic
    def weave(context: Any, planes: Any, plane_step: Any, run: Any, like: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            at, step, run, _ = given
            do = simd.Vectors(builder, like.name)
            lanes = do.lanes
            whole = do.integer(lanes)
            rows = [builder.add(at, builder.mul(step, do.integer(c))) for c in range(channels)]
            runs = [do.at(run, builder.mul(whole, do.integer(v))) for v in range(channels)]
            reads, writes = (rows, runs) if forth else (runs, rows)
            vectors = [do.load(where) for where in reads]
            for v, where in enumerate(writes):
                if forth:
                    places = [divmod(v * lanes + lane, channels)[::-1] for lane in range(lanes)]
                else:
                    places = [divmod(lane * channels + v, lanes) for lane in range(lanes)]
                do.store(_picked(do, vectors, places), where)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3, like), emit

    return weave


def _picked(do: simd.Vectors, vectors: Sequence[Any], places: Sequence[tuple[int, int]]) -> Any:
    """Return the vector whose elements stand at places (vector, lane)."""
    mask = ir.VectorType(ir.IntType(32), do.lanes)
    made = vectors[0]
    for v in range(1, len(vectors)):
        # Of the vectors before, what stands here in `made` already; the first lies as it was read.
        chosen = [
            do.lanes + lane if which == v else (lane if v == 1 and which == 0 else i)
            for i, (which, lane) in enumerate(places)
        ]
        made = do.builder.shuffle_vector(made, vectors[v], ir.Constant(mask, chosen))
    return made


_two, _three, _four = (make_weave(channels, True) for channels in (2, 3, 4))
_into_two, _into_three, _into_four = (make_weave(channels, False) for channels in (2, 3, 4))


@inner
def weave(planes, plane_step, channels, pixels, run, forth, like):
    """Copy `pixels` of 2 to SMALL channels whose rows lie side by side, to them or from them."""
    size = simd.nbytes(like)
    width = simd.width(like)
    done = 0
    while done + width <= pixels:
        at, there = planes + done * size, run + done * channels * size
        if forth:
            if channels == 2:
                _two(at, plane_step, there, like)
            elif channels == 3:
                _three(at, plane_step, there, like)
            else:
                _four(at, plane_step, there, like)
        elif channels == 2:
            _into_two(at, plane_step, there, like)
        elif channels == 3:
            _into_three(at, plane_step, there, like)
        else:
            _into_four(at, plane_step, there, like)
        done += width
    if done < pixels:
        at, there = planes + done * size, run + done * channels * size
        if forth:
            _one_by_one(at, plane_step, channels, pixels - done, there, channels * size, like)
        else:
            _one_by_one(there, channels * size, pixels - done, channels, at, plane_step, like)


@inner
def _one_by_one(source, source_step, rows, columns, target, target_step, like):
    """Write target[j, i] = source[i, j], element by element."""
    size = simd.nbytes(like)
    for j in range(columns):
        simd.gather(target + j * target_step, source + j * size, source_step, rows, like)


def make_square(streams: bool) -> Callable[..., None]:
    """Return an intrinsic that transposes a square of vectors; streams: its rows must be aligned.

    ::

        square(source, source_step, target, target_step, like)

        target[j, i] = source[i, j]      steps are bytes from row to row
    """

    @intrinsic
    def square(
        context: Any, source: Any, source_step: Any, target: Any, target_step: Any, like: Any
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            read, read_step, write, write_step, _ = given
            do = simd.Vectors(builder, like.name)
            rows = []
            for _ in range(do.lanes):
                rows.append(do.load(read))
                read = builder.add(read, read_step)
            for row in turned(do, rows):
                (do.stream if streams else do.store)(row, write)
                write = builder.add(write, write_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, like), emit

    return square


def turned(do: simd.Vectors, rows: Sequence[Any]) -> list[Any]:
    """Return the columns of a square whose rows are vectors."""
    rows = list(rows)
    half = do.lanes // 2
    while half:
        # Exchange the off-diagonal squares of side `half` of each pair of rows.
        for i in range(do.lanes):
            if not i & half:
                rows[i], rows[i + half] = _exchange(do, rows[i], rows[i + half], half)
        half //= 2
    return rows


def _exchange(do: simd.Vectors, upper: Any, lower: Any, half: int) -> tuple[Any, Any]:
    """Return two rows with the right squares of one and the left squares of the other exchanged."""
    count = do.lanes
    kept = [lane if not lane & half else count + lane - half for lane in range(count)]
    other = [lane + half if not lane & half else count + lane for lane in range(count)]
    mask = ir.VectorType(ir.IntType(32), count)
    return (
        do.builder.shuffle_vector(upper, lower, ir.Constant(mask, kept)),
        do.builder.shuffle_vector(upper, lower, ir.Constant(mask, other)),
    )


_square, _streamed_square = make_square(False), make_square(True)


@inner
def move(planes, plane_step, channels, pixels, rows, pixel_step, way, like):
    """Copy from planes to rows, or back: what is streamed goes past the caches.

    Rows are written, or read, as far as planes that share a set of the first cache allow.  Squares
    at an end reach back over what was copied already.
    """
    size = simd.nbytes(like)
    width = simd.width(like)
    if channels < width or pixels < width:
        if channels <= SMALL and channels > 1 and pixel_step == channels * size:
            weave(planes, plane_step, channels, pixels, rows, way == FORTH, like)
        elif way == FORTH:
            _one_by_one(planes, plane_step, channels, pixels, rows, pixel_step, like)
        else:
            _one_by_one(rows, pixel_step, pixels, channels, planes, plane_step, like)
        return
    apart = _PERIOD // min(plane_step & -plane_step, _PERIOD)
    wide = max(min(_WAYS * apart, _MOST) // width, 1) * width
    off = planes // size % width
    streams = way == STREAMED and plane_step % (width * size) == 0 and planes % size == 0
    begin = -off if streams else 0  # vectors of planes are aligned from there on
    for first in range(0, channels, wide):
        last = min(first + wide, channels)
        for j in range(begin, pixels, width):
            pixel = max(min(j, pixels - width), 0)
            for c in range(first, last, width):
                channel = min(c, channels - width)
                plane = planes + channel * plane_step + pixel * size
                row = rows + pixel * pixel_step + channel * size
                if way == FORTH:
                    _square(plane, plane_step, row, pixel_step, like)
                elif streams and pixel == j:
                    _streamed_square(row, pixel_step, plane, plane_step, like)
                else:
                    _square(row, pixel_step, plane, plane_step, like)
    if streams:
        simd.finish_streams()


@inner
def transpose(source, source_step, rows, columns, target, target_step, like):
    """Write target[j, i] = source[i, j] for i < rows, j < columns.

    Addresses, and the bytes from row to row; elements of a row lie side by side.
    """
    move(source, source_step, rows, columns, target, target_step, FORTH, like)


@entries
def copy(record, item, thread, like):
    """Copy an item's units: a share each of the pixels of a run."""
    size = simd.nbytes(like)
    width = simd.width(like)
    way = read_int(record + 8 * WAY)
    plane_step, pixel_step = read_int(record + 8 * PLANE_STEP), read_int(record + 8 * PIXEL_STEP)
    channels, pixels = read_int(record + 8 * CHANNELS), read_int(record + 8 * PIXELS)
    shares, units = read_int(record + 8 * SHARES), read_int(record + 8 * UNITS)
    items, axes = read_int(record + 8 * ITEMS), read_int(record + 8 * AXES)
    squares = max(pixels // width, 1)
    for unit in range(item * units // items, (item + 1) * units // items):
        planes, rows = read_int(record + 8 * PLANES), read_int(record + 8 * ROWS)
        run, share = unit // shares, unit % shares
        for i in range(axes - 1, -1, -1):
            axis = record + 8 * (LENGTH + 3 * i)
            n = read_int(axis)
            planes += run % n * read_int(axis + 8)
            rows += run % n * read_int(axis + 16)
            run //= n
        first, last = share * squares // shares * width, (share + 1) * squares // shares * width
        if share + 1 == shares:
            last = pixels
        planes += first * size
        rows += first * pixel_step
        move(planes, plane_step, channels, last - first, rows, pixel_step, way, like)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(copy)
