"""The largest of each window and where it stands, tile by tile; and what is sent back there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.dtypes import as_array, compute_dtype_of, result_dtype
from npconv.errors import ProblemError
from npconv.pooling import compiled, places, slide
from npconv.pooling.common import PoolDoor, Span, native, piece_of, read_step, tiles
from npconv.pooling.shortcut import Made
from npconv.problem import PoolProblem
from npconv.threads import for_each

_INDEX_NBYTES = 8


def largest(problem: PoolProblem, door: PoolDoor, x: np.ndarray, return_indices: bool) -> Made:
    """Return max_pool's result for x, a canonical view; and the indices where they are wanted."""
    dtype = _real(x.dtype)
    out = door.empty(problem.out_shape, dtype, _INDEX_NBYTES * bool(return_indices))
    view = door.view(out)
    least = _least(dtype)
    order = door.along(range(1, problem.ndim + 1))

    def step(spans: tuple[Span, ...]) -> None:
        piece, steps = _piece(problem, x, spans)
        target = piece_of(view, spans)
        result = target if piece.dtype == dtype else np.empty_like(target, piece.dtype)
        slide.reduce(np.maximum, least, piece, [steps[axis - 1] for axis in order], result)
        if result is not target:
            target[...] = result

    if not return_indices:
        if done := compiled.largest(problem, x, view):
            return Made((out,), done.work)
        for_each(_tiles(problem, door, compute_dtype_of(dtype).itemsize), step)
        return Made((out,))
    indices = door.empty(problem.out_shape, np.dtype(np.int64))
    indices_view = door.view(indices)
    if done := compiled.largest(problem, x, view, indices_view):
        return Made((out, indices), done.work)

    def search(spans: tuple[Span, ...]) -> None:
        values, index = _search(problem, x, spans)
        piece_of(view, spans)[...] = values
        piece_of(indices_view, spans)[...] = index

    for_each(_tiles(problem, door, compute_dtype_of(dtype).itemsize + _INDEX_NBYTES), search)
    return Made((out, indices))


def scattered(
    problem: PoolProblem,
    door: PoolDoor,
    grad_out: np.ndarray,
    x: np.ndarray,
    indices: ArrayLike | None = None,
) -> Made:
    """Return max_pool's gradient: grad_out added up where each window's largest stands in x."""
    grad = door.grad(grad_out, problem, "grad_out")
    given = None if indices is None else _checked(problem, door, as_array(indices, "indices"))
    dtype = native(result_dtype(grad.dtype))
    once = given is None and not problem.overlap
    _real(x.dtype)
    working = dtype if once else compute_dtype_of(dtype)
    out = door.empty(problem.x_shape, working, dtype.itemsize * (working != dtype))
    if given is None and (done := compiled.give_largest(problem, grad, x, door.view(out))):
        return Made((out,), done.work)
    if given is not None:
        if working == dtype and (done := compiled.scatter(problem, grad, given, door.view(out))):
            return Made((out,), done.work, compiled.STRAYED)
        _check_range(problem, given)
    out[...] = 0
    # All of out in the order of memory, and how far its canonical axes step there.
    flat = out.transpose([door.letters.index(a) for a in door.memory]).reshape(-1)
    strides = [n // out.itemsize for n in door.view(out).strides]

    def step(block: list[tuple[Span, ...]]) -> None:
        for spans in block:
            if given is None:
                _, index = _search(problem, x, spans)
            else:
                index = piece_of(given, spans).astype(np.int64, copy=False)
            address = _address(problem, index, strides, spans)
            address = address.transpose(door.slowest_first).reshape(-1)
            values = piece_of(grad, spans).transpose(door.slowest_first)
            # add.at is many times slower where the dtypes are equal, but two objects.
            values = values.astype(working, copy=False).reshape(-1).view(working)
            if once:
                flat[address] = values
            else:
                np.add.at(flat, address, values)

    # A block is some images and channels whole: no two threads add to one element.
    blocks: dict[tuple[Span, Span], list[tuple[Span, ...]]] = {}
    for spans in _tiles(problem, door, dtype.itemsize + 2 * _INDEX_NBYTES):
        blocks.setdefault((spans[0], spans[-1]), []).append(spans)
    for_each(blocks.values(), step)
    return Made((out if working == dtype else out.astype(dtype, order="K"),))


def _tiles(problem: PoolProblem, door: PoolDoor, nbytes: int) -> Iterator[tuple[Span, ...]]:
    return tiles(
        problem.out_shape,
        door.slowest_first,
        lambda tile: tile[0] * math.prod(problem.tile_size(tile[1:-1])) * tile[-1] * nbytes,
    )


def _piece(
    problem: PoolProblem, x: np.ndarray, spans: Sequence[Span]
) -> tuple[np.ndarray, list[slide.Step]]:
    """Return what a tile of out reads of x, and the windows along each axis."""
    held, steps = read_step(problem, spans)
    piece = piece_of(x, spans, held)
    # float16 is compared many times faster as float32, and comes back as it was.
    return piece.astype(compute_dtype_of(native(x.dtype)), copy=False), steps


def _search(
    problem: PoolProblem, x: np.ndarray, spans: Sequence[Span]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a tile of the largest, and their flat positions in the spatial block."""
    piece, steps = _piece(problem, x, spans)
    values, offset = slide.argmax(piece, steps, problem.units, problem.offset_dtype)
    first = np.zeros((1,) * piece.ndim, np.int64)
    for axis, unit in enumerate(problem.units):
        along = problem.first_taps(axis, *spans[1 + axis]) * unit
        first = first + along.reshape([-1 if a == axis + 1 else 1 for a in range(piece.ndim)])
    return values, first + offset


def _address(
    problem: PoolProblem, index: np.ndarray, strides: Sequence[int], spans: Sequence[Span]
) -> np.ndarray:
    """Return where flat positions of a tile's images and channels lie in memory."""
    unit = places.unit(problem, strides)
    if unit is not None:
        address = index * unit
    else:
        address, rest = np.zeros_like(index), index
        for n, one in zip(reversed(problem.size), reversed(strides[1:-1]), strict=True):
            rest, position = np.divmod(rest, n)
            address += position * one
    images, channels = np.arange(*spans[0]), np.arange(*spans[-1])
    address += (images * strides[0]).reshape(-1, *(1,) * (index.ndim - 1))
    address += channels * strides[-1]
    return address


def _checked(problem: PoolProblem, door: PoolDoor, indices: np.ndarray) -> np.ndarray:
    """Return indices as a canonical view, or raise where they are none of max_pool's."""
    view = door.grad(indices, problem, "indices")
    if indices.dtype.kind not in "iu":
        raise ProblemError(f"indices has dtype {indices.dtype}, and must be integers.")
    return view


def _check_range(problem: PoolProblem, indices: np.ndarray) -> None:
    """Raise where an index is none of x's elements."""
    count = math.prod(problem.size)
    for found in (indices.min(), indices.max()) if indices.size else ():
        if not 0 <= found < count:
            raise ProblemError(
                f"indices holds {found}, and an image and channel of x has {count} elements.",
                rule="flat positions in the unpadded spatial block, as max_pool returns them",
            )


def _real(dtype: np.dtype) -> np.dtype:
    if dtype.kind == "c":
        raise ProblemError(
            f"x has dtype {dtype}, and of complex numbers none is the largest.",
            fix="pool np.abs(x), or the real and imaginary parts",
        )
    return native(dtype)


def _least(dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False
