"""The mean of each window, tile by tile; and each window's share handed back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from npconv.dtypes import compute_dtype_of
from npconv.pooling import compiled, slide
from npconv.pooling.common import PoolDoor, Span, native, piece_of, read_step, tiles
from npconv.pooling.shortcut import Made
from npconv.problem import PoolProblem
from npconv.threads import for_each


def means(problem: PoolProblem, door: PoolDoor, x: np.ndarray) -> Made:
    """Return avg_pool's result for x, a canonical view."""
    dtype = _mean_dtype(x.dtype)
    working = compute_dtype_of(dtype)
    out = door.empty(problem.out_shape, dtype)
    view = door.view(out)
    if done := compiled.mean(problem, x, view):
        return Made((out,), done.work)
    order = door.along(range(1, problem.ndim + 1))

    def step(spans: tuple[Span, ...]) -> None:
        held, steps = read_step(problem, spans)
        piece = piece_of(x, spans, held).astype(working, copy=False)
        target = piece_of(view, spans)
        total = target if dtype == working else np.empty_like(target, working)
        slide.reduce(np.add, 0, piece, [steps[axis - 1] for axis in order], total)
        _divide(total, _counts(problem, spans[1:-1], total))
        if total is not target:
            target[...] = total

    def nbytes(tile: list[int]) -> int:
        return tile[0] * math.prod(problem.tile_size(tile[1:-1])) * tile[-1] * working.itemsize

    for_each(tiles(problem.out_shape, door.slowest_first, nbytes), step)
    return Made((out,))


def means_grad(problem: PoolProblem, door: PoolDoor, grad_out: np.ndarray) -> Made:
    """Return avg_pool's gradient for grad_out, an array of out's shape."""
    grad = door.grad(grad_out, problem, "grad_out")
    dtype = _mean_dtype(grad.dtype)
    working = compute_dtype_of(dtype)
    out = door.empty(problem.x_shape, dtype)
    if done := compiled.give_mean(problem, grad, door.view(out)):
        return Made((out,), done.work)
    seen = [stop - start for start, stop in problem.visible]
    if seen != list(problem.size):
        out[...] = 0
    view = door.view(out)[(slice(None), *(slice(*span) for span in problem.visible))]
    order = door.along(range(1, problem.ndim + 1))[::-1]

    def step(spans: tuple[Span, ...]) -> None:
        pairs = [
            problem.reached(axis, low + a, low + z)
            for axis, ((a, z), (low, _)) in enumerate(
                zip(spans[1:-1], problem.visible, strict=True)
            )
        ]
        steps = [slide.Step(axis, windows) for axis, (_, windows) in enumerate(pairs, 1)]
        shares = piece_of(grad, spans, [met for met, _ in pairs]).astype(working)
        _divide(shares, _counts(problem, [(met.start, met.stop) for met, _ in pairs], shares))
        target = piece_of(view, spans)
        total = target if dtype == working else np.empty_like(target, working)
        slide.chain(slide.spread, shares, [steps[axis - 1] for axis in order], total)
        if total is not target:
            target[...] = total

    extents = (problem.batch, *seen, problem.channels)
    for_each(
        tiles(extents, door.slowest_first, lambda tile: math.prod(tile) * working.itemsize), step
    )
    return Made((out,))


def _counts(problem: PoolProblem, spans: Sequence[Span], total: np.ndarray) -> Any:
    """Return what each window's sum is divided by: one number, or an array that broadcasts."""
    real = total.real.dtype.type
    count: Any = real(1)
    for axis, span in enumerate(spans, 1):
        along = problem.counts(axis - 1, *span)
        if along.size and (along == along[0]).all():
            count = count * real(along[0])
        else:
            shape = [-1 if a == axis else 1 for a in range(problem.ndim + 2)]
            count = count * along.astype(real).reshape(shape)
    return count


def _divide(total: np.ndarray, count: Any) -> None:
    """Divide in place; a complex number by parts, so that an infinite one leaves the other be."""
    for part in (total.real, total.imag) if total.dtype.kind == "c" else (total,):
        np.divide(part, count, out=part)


def _mean_dtype(dtype: np.dtype) -> np.dtype:
    return native(dtype) if dtype.kind in "fc" else np.dtype(np.float64)
