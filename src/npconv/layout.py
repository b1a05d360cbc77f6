"""Axis letters to canonical views: every algorithm sees channels last, and nothing is copied.

x and out become ``(N, *size, C)``, weight becomes ``(*kernel_size, I, O)``.  A letter that a
layout leaves out is an axis of length 1.  Memory order is a matter of strides, not of letters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from npconv import spare
from npconv.errors import ProblemError

_LARGE = 1 << 20  # bytes: what may be streamed past the caches
_BY_RANK = {3: "NCW", 4: "NCHW", 5: "NCDHW"}


def parse_layout(layout: str | None, ndim: int) -> str:
    """Return x's letters, checked against its rank; None means NCW, NCHW or NCDHW."""
    if layout is None:
        if ndim in _BY_RANK:
            return _BY_RANK[ndim]
        raise ProblemError(
            f"x has {ndim} axes, and without a layout it must have 3, 4 or 5 (NCW, NCHW, NCDHW).",
            fix='name the axes, as in layout="HW" for one grey image',
        )
    _check(layout, ndim, "layout", "x", banned="OI")
    letters = _l_is_w(layout)
    if not spatial(letters):
        raise ProblemError(
            f"layout {layout!r} names no spatial axis.",
            rule="N is the batch, C the channels, any other letter but O and I is spatial",
        )
    return letters


def parse_weight_layout(weight_layout: str | None, x_letters: str, ndim: int) -> str:
    """Return weight's letters; None means the usual order beside x's layout."""
    axes = spatial(x_letters)
    if weight_layout is None:
        if "C" not in x_letters:
            weight_layout = axes
        elif x_letters.index("C") < x_letters.index(axes[0]):
            weight_layout = "OI" + axes
        else:
            weight_layout = axes + "IO"
        if len(weight_layout) != ndim:
            raise ProblemError(
                f"weight has {ndim} axes, and beside x's layout {x_letters} it must have "
                f"{len(weight_layout)} ({weight_layout}).",
                fix='name its axes, as in weight_layout="OIHW"',
            )
        return weight_layout
    _check(weight_layout, ndim, "weight_layout", "weight", banned="NC")
    letters = _l_is_w(weight_layout) if "W" in axes else weight_layout
    named = "".join(a for a in letters if a not in "OI")
    if sorted(named) != sorted(axes):
        raise ProblemError(
            f"weight_layout {weight_layout!r} has the spatial axes {named or 'none'}, "
            f"x's layout has {axes}.",
            rule="weight_layout is O, I and the spatial letters of layout, in any order",
        )
    return letters


def spatial(letters: str) -> str:
    """Return the spatial letters of x's layout, in their order."""
    return "".join(a for a in letters if a not in "NC")


def canonical_order(x_letters: str) -> tuple[str, str]:
    """Return the letters of the canonical views of x and of weight."""
    axes = spatial(x_letters)
    return f"N{axes}C", f"{axes}IO"


def to_canonical(letters: str, order: str) -> tuple[tuple[int, ...], tuple[slice | None, ...]]:
    """Return the transpose, then the index, that make axes `letters` the axes `order`.

    Letters that are absent become axes of length 1.
    """
    turn = tuple(letters.index(a) for a in order if a in letters)
    return turn, tuple(slice(None) if a in letters else None for a in order)


class View(NamedTuple):
    """A transpose, then an index, as of `to_canonical`; None where they would change nothing."""

    turn: tuple[int, ...] | None
    place: tuple[slice | None, ...] | None


def canonical_view(letters: str, order: str) -> View:
    """Return how an array with axes `letters` is seen with the axes `order`."""
    turn, index = to_canonical(letters, order)
    turns, grows = turn != tuple(range(len(turn))), None in index
    return View(turn if turns else None, index if grows else None)


def seen(array: np.ndarray, view: View) -> np.ndarray:
    """Return an array as a view says."""
    turn, place = view
    if turn is not None:
        array = array.transpose(turn)
    return array if place is None else array[place]


def in_letters(shape: Sequence[int], order: str, letters: str) -> tuple[int, ...]:
    """Return a canonical shape as the one an array with these letters has."""
    return tuple(shape[order.index(a)] for a in letters)


def in_canonical(shape: Sequence[int], letters: str, order: str) -> tuple[int, ...]:
    """Return the canonical shape of an array with these letters; what it lacks is 1."""
    return tuple(shape[letters.index(a)] if a in letters else 1 for a in order)


def memory_order(shape: Sequence[int], strides: Sequence[int], letters: str) -> str:
    """Return the letters from the slowest to the fastest axis in memory.

    An axis of length 1, or repeated with stride 0, has no place of its own: it follows the letter
    before it in the layout.
    """
    step = dict(zip(letters, strides, strict=True))
    placed = [a for a, n in zip(letters, shape, strict=True) if n > 1 and step[a]]
    placed.sort(key=lambda a: -abs(step[a]))
    for i, letter in enumerate(letters):
        if letter not in placed:
            placed.insert(placed.index(letters[i - 1]) + 1 if i else 0, letter)
    return "".join(placed)


class Lying(NamedTuple):
    """How an array lies in memory: its lengths in memory's order, and the transpose to its axes."""

    shape: tuple[int, ...]
    turn: tuple[int, ...] | None  # None where memory runs in the order of the axes

    @property
    def result_shape(self) -> tuple[int, ...]:
        """The array's own shape."""
        return self.shape if self.turn is None else tuple(self.shape[i] for i in self.turn)


def lying(sizes: Mapping[str, int], letters: str, order: str) -> Lying:
    """Return how an array lies whose axes are `letters` and whose memory runs in `order`."""
    turn = tuple(order.index(a) for a in letters)
    return Lying(tuple(sizes[a] for a in order), turn if letters != order else None)


def new(lies: Lying, dtype: np.dtype) -> np.ndarray:
    """Return a new array that lies so.

    A large one begins at a cache line, so that it may be streamed to; see `spare` for the largest.
    """
    shape, turn = lies
    nbytes = math.prod(shape) * dtype.itemsize
    array = np.empty(shape, dtype) if nbytes < _LARGE else spare.empty(shape, dtype)
    return array if turn is None else array.transpose(turn)


def empty(sizes: Mapping[str, int], letters: str, order: str, dtype: np.dtype) -> np.ndarray:
    """Return a new array whose axes are `letters` and whose memory runs in `order`."""
    return new(lying(sizes, letters, order), dtype)


def _check(layout: str, ndim: int, argument: str, name: str, banned: str) -> None:
    if not isinstance(layout, str):
        raise ProblemError(f"{argument} is {layout!r}, not a string of axis letters.")
    if not (layout.isascii() and layout.isalpha() and layout.isupper()):
        upper = "".join(a for a in layout.upper() if a.isascii() and a.isalpha())
        raise ProblemError(
            f"{argument} {layout!r} is not made of capital letters.",
            fix=f"did you mean {upper!r}?" if upper else 'as in "NCHW"',
        )
    if len(set(layout)) != len(layout):
        raise ProblemError(f"{argument} {layout!r} names an axis twice.")
    if wrong := sorted(set(layout) & set(banned)):
        raise ProblemError(
            f"{argument} {layout!r} has the letter {wrong[0]}, which {name} has no axis for.",
            rule="x has N, C and spatial letters; weight has O, I and spatial letters",
        )
    if len(layout) != ndim:
        raise ProblemError(f"{argument} {layout!r} names {len(layout)} axes, {name} has {ndim}.")


def _l_is_w(letters: str) -> str:
    return letters.replace("L", "W") if "W" not in letters else letters
