"""Copies between channels first and channels last in memory, at the speed of memory.

NumPy copies element by element where the innermost axes differ; here squares are transposed in
registers.  Arrays are canonical views ``(N, *size, C)``, whichever way they lie.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from npconv import compiler, spare
from npconv.memory import address, shown
from npconv.problem import ConvProblem
from npconv.threads import share

_PIECE_NBYTES = 1 << 24  # of images laid otherwise at once
_WORTH = 1 << 14  # elements for a thread, and for calling compiled code at all
_ITEMS = 32
_RUN = 64  # pixels of a share
_STREAMED = 8 << 20  # bytes of out


def pieces(
    problem: ConvProblem, x: np.ndarray, out: np.ndarray
) -> Iterator[tuple[ConvProblem, np.ndarray, np.ndarray]]:
    """Yield (problem, x, out) of some images at a time, with their channels side by side.

    Both are of the compute dtype and aligned: the arrays themselves, or copies; what the caller
    wrote to a copy of out is in out when the next piece is asked for.
    """
    here, there = lies_well(problem, x), lies_well(problem, out)
    images = problem.batch if here and there else _images(problem, _PIECE_NBYTES)
    dense = None if here else spare.empty((images, *x.shape[1:]), problem.compute_dtype)
    target = None if there else spare.empty((images, *out.shape[1:]), problem.compute_dtype)
    for first in range(0, problem.batch, images):
        piece, given, wanted = problem, x, out
        if images < problem.batch:
            given, wanted = x[first : first + images], out[first : first + images]
            piece = _with_batch(problem, len(given))
        source = given if dense is None else dense[: piece.batch]
        goal = wanted if target is None else target[: piece.batch]
        if dense is not None:
            copy(given, source)
        yield piece, source, goal
        if target is not None:
            copy(goal, wanted, out.nbytes >= _STREAMED)


def bind_around(
    problem: ConvProblem,
    x: np.ndarray,
    out: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray], Callable[..., bool | None] | None],
) -> Callable[..., bool | None] | None:
    """Return what make(x, out) binds, with copies around it of arrays that lie otherwise.

    make is given arrays with their channels side by side.  None where it returns that, where no
    kernel makes a copy, and where there would be several `pieces`.
    """
    if splits(problem, x, out):
        return None
    into, source = bind_dense(problem, x)
    back, goal = bind_dense(problem, out, back=True)
    run = None if source is None or goal is None else make(source, goal)
    if run is None or (into is None and back is None):
        return run
    here, there = x.size * problem.itemsize, out.size * problem.itemsize
    streams = out.nbytes >= _STREAMED

    def around(x: int, weight: int, out: int, bias: int, packed: Any) -> bool | None:
        source, goal = x, out
        if into is not None:
            held = spare.room(here)
            source = address(held)
            into(x, source)
        if back is not None:
            made = spare.room(there)
            goal = address(made)
        found = run(source, weight, goal, bias, packed)
        if back is not None:
            back(goal, out, streams)
        return found

    return around


def bind_operands(
    problem: ConvProblem,
    first: np.ndarray,
    second: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray], Callable[..., bool | None] | None],
) -> Callable[..., bool | None] | None:
    """Return what make(first, second) binds, with copies before it of what lies otherwise."""
    turn_first, one = bind_dense(problem, first)
    turn_second, other = bind_dense(problem, second)
    run = None if one is None or other is None else make(one, other)
    if run is None or (turn_first is None and turn_second is None):
        return run
    sizes = first.size * problem.itemsize, second.size * problem.itemsize

    def after(first: int, second: int, out: int, bias: int, packed: Any) -> bool | None:
        if turn_first is not None:
            one = spare.room(sizes[0])
            source, first = first, address(one)
            turn_first(source, first)
        if turn_second is not None:
            other = spare.room(sizes[1])
            source, second = second, address(other)
            turn_second(source, second)
        return run(first, second, out, bias, packed)

    return after


def bind_dense(
    problem: ConvProblem, array: np.ndarray, back: bool = False
) -> tuple[Callable[..., None] | None, np.ndarray | None]:
    """Return what copies an array to one with its channels side by side, or back, and that one.

    (None, the array) where it lies so; (None, None) where no kernel copies it.
    """
    if lies_well(problem, array):
        return None, array
    made = shown(array.shape, problem.compute_dtype)
    copies = bind(made, array) if back else bind(array, made)
    return copies, None if copies is None else made


def splits(problem: ConvProblem, x: np.ndarray, out: np.ndarray) -> bool:
    """Return whether `pieces` yields more than one."""
    whole = lies_well(problem, x) and lies_well(problem, out)
    return not whole and _images(problem, _PIECE_NBYTES) < problem.batch


def planned_piece(problem: ConvProblem) -> ConvProblem:
    """Return the problem of one piece, for arrays that lie as planned."""
    if not any(copied_nbytes(problem)):
        return problem
    return _with_batch(problem, _images(problem, _PIECE_NBYTES))


def copied_nbytes(problem: ConvProblem) -> tuple[int, int]:
    """Return the bytes of x and of out that do not lie as wanted, where they lie as planned."""
    x, out = math.prod(problem.x_shape), math.prod(problem.out_shape)
    same = problem.x_dtype == problem.compute_dtype
    if same and (problem.channels_last or problem.in_channels == 1):
        x = 0
    if problem.channels_last or problem.out_channels == 1:
        out = 0
    return x * problem.itemsize, out * problem.itemsize


def dense(problem: ConvProblem, array: np.ndarray) -> np.ndarray:
    """Return an array with its channels side by side, in the compute dtype: itself if it is so."""
    if lies_well(problem, array):
        return array
    made = spare.empty(array.shape, problem.compute_dtype)
    copy(array, made)
    return made


def lies_well(problem: ConvProblem, array: np.ndarray) -> bool:
    """Return whether an array has its channels side by side, in the compute dtype, and aligned."""
    beside = array.shape[-1] == 1 or array.strides[-1] == problem.itemsize
    return beside and array.dtype == problem.compute_dtype and array.flags.aligned


@lru_cache(maxsize=256)
def _images(problem: ConvProblem, most: int) -> int:
    """Return how many images are copied at once: pieces about alike, of up to `most` bytes."""
    nbytes = (math.prod(problem.x_shape) + math.prod(problem.out_shape)) * problem.itemsize
    count = -(-nbytes // most)
    return -(-problem.batch // max(min(count, problem.batch), 1))


def _with_batch(problem: ConvProblem, batch: int) -> ConvProblem:
    return problem if batch == problem.batch else replace(problem, batch=batch)


def copy(source: np.ndarray, target: np.ndarray, streams: bool = False) -> None:
    """Write source to target, of the same shape; past the caches where it streams to planes."""
    if source.size >= _WORTH:
        here, there = source.ctypes.data, target.ctypes.data
        run = None if (here | there) % source.itemsize else bind(source, target)
        if run is not None:
            run(here, there, streams)
            return
    target[...] = source


def bind(source: np.ndarray, target: np.ndarray) -> Callable[..., None] | None:
    """Return what copies from one address to another, for aligned arrays that lie as these do.

    None where no kernel does.
    """
    if compiler.missing():
        return None
    record = _record(
        source.shape, source.strides, target.strides, source.dtype, target.dtype, _WORTH
    )
    return None if record is None else partial(_copy, record, source.dtype.char)


def _copy(template: np.ndarray, letter: str, here: int, there: int, streams: bool = False) -> None:
    from npconv.kernels import planes

    record = template.copy()
    if record[planes.WAY] == planes.FORTH:
        record[planes.PLANES], record[planes.ROWS] = here, there
    else:
        record[planes.PLANES], record[planes.ROWS] = there, here
        record[planes.WAY] = planes.STREAMED if streams else planes.BACK
    share(planes.copy[letter], record, int(record[planes.ITEMS]))


@lru_cache(maxsize=256)
def _record(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    target_strides: tuple[int, ...],
    dtype: np.dtype,
    target_dtype: np.dtype,
    worth: int,
) -> np.ndarray | None:
    """Return what the kernel is told, but for addresses.

    None where not one array lies in planes of pixels and the other in rows of channels.
    """
    size = dtype.itemsize
    if shape[-1] < 2 or shape[-2] < 2 or dtype != target_dtype or dtype.char not in "fd":
        return None
    if any(step % size for step in (*strides, *target_strides)):
        return None
    forth = strides[-2] == size and target_strides[-1] == size
    if not forth and (strides[-1] != size or target_strides[-2] != size):
        return None
    both = planar, dense = (strides, target_strides) if forth else (target_strides, strides)
    first = len(shape) - 2  # of the axes that follow one another in both, as one axis of pixels
    while first > 1 and all(s[first - 1] == shape[first] * s[first] for s in both):
        first -= 1
    pixels, runs = math.prod(shape[first:-1]), math.prod(shape[:first])
    most = min(math.prod(shape) // worth, _ITEMS)
    shares = max(min(most // runs, pixels // _RUN), 1)
    units = runs * shares
    items = max(min(units, most), 1)
    axes = list(zip(shape[:first], planar, dense))  # noqa: B905 the strides are longer
    steps = planar[-1], dense[-2], shape[-1], pixels
    head = 0, 0, forth, *steps, shares, units, items, len(axes)
    return np.array([*head, *itertools.chain(*axes)], np.int64)
