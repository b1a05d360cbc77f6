"""Weighted sums whose terms are added in a given order, a block of lines at a time.

They are in float64, each product and each sum rounded by itself, as a plain loop in C has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from npconv import compiler
from npconv.threads import for_each

_BLOCK = 1 << 16  # elements: a block of float64 fits in the second cache
_LITTLE = 1 << 20  # products: fewer would not wait for what is not compiled yet

Tap = tuple[int, ...]


class Term(NamedTuple):
    """A tap, and the one that it is combined with before both are weighed; its own for none."""

    tap: Tap
    partner: Tap
    weight: float


def sums_in_order(
    extended: np.ndarray,
    shape: tuple[int, ...],
    terms: Sequence[Term],
    sign: int,
    store: Callable[[slice, np.ndarray], None],
) -> None:
    """Give `store` the sums of some lines at a time, by several threads.

    ::

        sums[i] = sum over terms of  weight * (extended[i + tap] + sign * extended[i + partner])

    extended: x and what lies beyond its edges; shape: of all the sums; terms: one at least, of
    which the first has no partner; sign: 1, -1, or 0 where none has one.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.ordered import Term, sums_in_order
    >>> x, out = np.array([1, 2, 4, 8]), np.empty(2)
    >>> terms = [Term((1,), (1,), 10.0), Term((0,), (2,), 1.0)]
    >>> sums_in_order(x, (2,), terms, 1, out.__setitem__)
    >>> out
    array([25., 50.])
    """
    rows = max(_BLOCK // max(math.prod(shape[1:]), 1), 1)
    beside = extended.shape[0] - shape[0]
    little = math.prod(shape) * len(terms) < _LITTLE
    kernels = compiler.ready("ordered") or (not little and compiler.usable())
    add = _compiled if kernels else _plain

    def block(first: int) -> None:
        last = min(first + rows, shape[0])
        piece = extended[first : last + beside].astype(np.float64, order="C")
        with np.errstate(all="ignore"):
            store(slice(first, last), add(piece, (last - first, *shape[1:]), terms, sign))

    for_each(range(0, shape[0], rows), block)


def _compiled(
    piece: np.ndarray, shape: tuple[int, ...], terms: Sequence[Term], sign: int
) -> np.ndarray:
    """Return the sums, a view: those at the ends of lines that reach into the next are cut off."""
    from npconv.kernels.ordered import add_terms

    steps = np.array(piece.strides) // piece.itemsize
    places, partners = (
        np.array([getattr(term, name) for term in terms], np.int64) @ steps
        for name in ("tap", "partner")
    )
    weights = np.array([term.weight for term in terms])
    out = np.empty(piece.size)
    last = int(sum((n - 1) * step for n, step in zip(shape, steps.tolist(), strict=True)))
    add_terms(piece.ravel(), places, partners, weights, sign, out[: last + 1])
    return out.reshape(piece.shape)[tuple(slice(n) for n in shape)]


def _plain(
    piece: np.ndarray, shape: tuple[int, ...], terms: Sequence[Term], sign: int
) -> np.ndarray:
    """Return the sums, in NumPy."""

    def at(tap: Tap) -> np.ndarray:
        return piece[tuple(slice(t, t + n) for t, n in zip(tap, shape, strict=True))]

    total = at(terms[0].tap) * terms[0].weight
    product = np.empty(shape)
    combine = np.add if sign > 0 else np.subtract
    for tap, partner, weight in terms[1:]:
        one = combine(at(tap), at(partner), out=product) if sign else at(tap)
        total += np.multiply(one, weight, out=product)
    return total
