"""What the poolings share: arrays to canonical views, tiles to share out, and what messages say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import layout as axes
from npconv.arguments import example, facts
from npconv.dtypes import as_array
from npconv.errors import ProblemError
from npconv.memory import nbytes_text, physical_memory
from npconv.pooling.shortcut import plain
from npconv.pooling.slide import Step
from npconv.problem import PoolProblem

TILE_NBYTES = 1 << 21  # of a tile's elements and what is made of them on the way: in cache

Span = tuple[int, int]


class PoolDoor:
    """How x lies in memory, with what turns arrays to canonical views and back."""

    def __init__(
        self, shape: tuple[int, ...], strides: tuple[int, ...], layout: str | None,
        x_shape: tuple[int, ...],
    ) -> None:  # fmt: skip
        self.letters = axes.parse_layout(layout, len(x_shape))
        self.order, _ = axes.canonical_order(self.letters)
        self.memory = axes.memory_order(shape, strides, self.letters)
        self.x_view = axes.canonical_view(self.letters, self.order)
        self.x_shape = axes.in_canonical(x_shape, self.letters, self.order)
        placed = [self.order.index(a) for a in self.memory]
        self.slowest_first = [i for i in range(len(self.order)) if i not in placed] + placed

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return an array that has x's letters as a canonical view."""
        return axes.seen(array, self.x_view)

    def grad(self, grad_out: np.ndarray, problem: PoolProblem, name: str) -> np.ndarray:
        """Return grad_out, or another array of out's shape, as a canonical view."""
        shape = axes.in_letters(problem.out_shape, self.order, self.letters)
        if grad_out.shape != shape:
            raise ProblemError(
                f"{name} has shape {grad_out.shape}, the result of the pooling has {shape} "
                f"({self.letters}).",
                rule=f"{name} has out's shape",
            )
        return self.view(grad_out)

    def empty(self, shape: Sequence[int], dtype: np.dtype, beside: int = 0) -> np.ndarray:
        """Return a new array of a canonical shape, in x's memory order, its axes x's letters.

        `beside` is the bytes an element that will be needed at the same time.
        """
        nbytes = math.prod(shape) * (dtype.itemsize + beside)
        named = axes.in_letters(shape, self.order, self.letters)
        if nbytes > physical_memory():
            needs, has = nbytes_text(nbytes), nbytes_text(physical_memory())
            raise MemoryError(f"a result of shape {named} takes {needs}, this machine has {has}.")
        sizes = dict(zip(self.order, shape, strict=True))
        try:
            return axes.empty(sizes, self.letters, self.memory, dtype)
        except ValueError:  # NumPy's limit on a shape, which holds for empty arrays too
            needs = nbytes_text(math.prod(n or 1 for n in shape))
            raise MemoryError(f"a result of shape {named} takes {needs} or more.") from None

    def along(self, axes_of_x: Sequence[int]) -> list[int]:
        """Return these axes of canonical views in memory's order, the slowest first."""
        return [axis for axis in self.slowest_first if axis in axes_of_x]


_door = lru_cache(maxsize=1024)(PoolDoor)
_problem = lru_cache(maxsize=1024, typed=True)(PoolProblem.create)


def door_of(like: np.ndarray, layout: str | None, x_shape: tuple[int, ...]) -> PoolDoor:
    """Return the door for an x of a shape that lies as `like` does."""
    made = _door if isinstance(layout, str | None) else PoolDoor
    return made(like.shape, like.strides, layout, x_shape)


def problem_of(x_shape: tuple[int, ...], size: Any, **geometry: Any) -> PoolProblem:
    """Return the problem of a geometry in any spelling, remembered where it is a plain one."""
    made = _problem if plain((size, *geometry.values())) else PoolProblem.create
    return made(x_shape, size, **geometry)


@lru_cache(maxsize=1024)
def whole(x_shape: tuple[int, ...]) -> PoolProblem:
    """Return the problem with one window, all of x."""
    return PoolProblem.whole(x_shape)


def door_for_shape(x_shape: ArrayLike, grad_out: np.ndarray, layout: str | None) -> PoolDoor:
    """Return the door for x given as an array, or as its shape: then it lies as grad_out does."""
    x = example(x_shape, grad_out.dtype, "x_shape")
    check_rank(grad_out, x.ndim)
    return door_of(x if isinstance(x_shape, np.ndarray) else grad_out, layout, x.shape)


def check_rank(grad_out: np.ndarray, ndim: int) -> None:
    """Raise where grad_out cannot be the gradient of what is made of an x of `ndim` axes."""
    if grad_out.ndim != ndim:
        raise ProblemError(
            f"grad_out has {grad_out.ndim} axes, x has {ndim}.", rule="grad_out has out's shape"
        )


def array_and_door(x: ArrayLike, layout: str | None) -> tuple[np.ndarray, PoolDoor]:
    """Return x as a canonical view, and its door."""
    array = as_array(x, "x")
    door = door_of(array, layout, array.shape)
    return door.view(array), door


def read_step(problem: PoolProblem, spans: Sequence[Span]) -> tuple[list[slice], list[Step]]:
    """Return what a tile (N, *out, C) reads of x's spatial axes, and the windows along them."""
    pairs = [problem.read(axis, *span) for axis, span in enumerate(spans[1:-1])]
    steps = [Step(axis, windows) for axis, (_, windows) in enumerate(pairs, 1)]
    return [held for held, _ in pairs], steps


def tiles(
    extents: Sequence[int], slowest_first: Sequence[int], nbytes: Callable[[list[int]], int]
) -> Iterator[tuple[Span, ...]]:
    """Yield the (start, stop) an axis of pieces of at most TILE_NBYTES, split as memory lies."""
    shape = list(extents)
    for axis in slowest_first:
        while shape[axis] > 1 and nbytes(shape) > TILE_NBYTES:
            shape[axis] = -(-shape[axis] // 2)
    return itertools.product(
        *(
            [(a, min(a + n, extent)) for a in range(0, extent, max(n, 1))]
            for n, extent in zip(shape, extents, strict=True)
        )
    )


def piece_of(
    array: np.ndarray, spans: Sequence[Span], spatial: Sequence[slice] | None = None
) -> np.ndarray:
    """Return the piece of a canonical view that a tile is, or that it reads of other axes."""
    middle = spatial or [slice(*span) for span in spans[1:-1]]
    return array[(slice(*spans[0]), *middle, slice(*spans[-1]))]


def native(dtype: np.dtype) -> np.dtype:
    """Return a dtype in this machine's byte order, as the one object NumPy has for it."""
    return np.dtype(dtype.type)


@contextmanager
def told(name: str, layout: str | None, given: dict[str, Any], **shown: Any) -> Iterator[None]:
    """Add the call's name and its arguments to what is raised; let arithmetic pass in silence."""
    try:
        with np.errstate(all="ignore"):
            yield
    except ProblemError as error:
        rows = facts(given, layout, None) + [(key, repr(value)) for key, value in shown.items()]
        raise error.at(name, rows) from None
    except MemoryError as error:
        raise MemoryError(f"{name}: {error}") from None
