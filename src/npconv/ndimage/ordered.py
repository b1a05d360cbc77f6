"""Sums in the order of SciPy's own loops, for results that are cut off to integers.

A weighted sum that ought to be 100 may come out as 99.99999999999999, and is then cut off to 99.
Whether it does depends on the order of the additions alone, so here they run in SciPy's: tap after
tap, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv.ndimage.borders import extend
from npconv.ndimage.casts import cast
from npconv.ordered import Term, sums_in_order

_NEGLIGIBLE = np.finfo(np.float64).eps


def in_scipy_order(
    x: np.ndarray,
    weights: np.ndarray,
    pads: Sequence[tuple[int, int]],
    dtype: np.dtype,
    mode: str,
    cval: float,
    line: int | None,
) -> np.ndarray:
    """Return the sums of `weights` over x in `dtype`; `line` names the axis of a 1-D filter."""
    terms, sign = _tap_by_tap(weights) if line is None else _paired(weights, line)
    if not terms:
        return np.zeros(x.shape, dtype)
    kept = mode != "constant" or (x.dtype.kind in "iu" and 0 <= cval < 128 and cval == int(cval))
    extended = extend(x, pads, mode, cval, x.dtype if kept else np.dtype(np.float64))
    out = np.empty(x.shape, dtype)

    def store(rows: slice, sums: np.ndarray) -> None:
        out[rows] = cast(sums, dtype)

    sums_in_order(extended, x.shape, terms, sign, store)
    return out


def negligible(weights: np.ndarray) -> np.ndarray:
    """Say which weights SciPy leaves out of an N-D sum."""
    return np.abs(weights) <= _NEGLIGIBLE


def _tap_by_tap(weights: np.ndarray) -> tuple[list[Term], int]:
    """N-D filters add the taps that are not nought, first to last."""
    taps = [tuple(tap) for tap in np.argwhere(~negligible(weights)).tolist()]
    return [Term(tap, tap, float(weights[tap])) for tap in taps], 0


def _paired(weights: np.ndarray, axis: int) -> tuple[list[Term], int]:
    """1-D filters add mirrored taps in pairs if the weights are even or odd, the middle first."""
    length, middle, sign = weights.size, weights.size // 2, 0
    numbers = weights.ravel()
    if length % 2:
        mirrored = numbers[::-1]
        if negligible(numbers - mirrored).all():
            sign = 1
        elif negligible((numbers + mirrored)[:middle]).all():
            sign = -1
    first = middle if sign else length - 1

    def term(t: int) -> Term:
        tap, partner = (
            (0,) * axis + (n,) + (0,) * (weights.ndim - axis - 1) for n in (t, length - 1 - t)
        )
        return Term(tap, partner, float(numbers[t]))

    return [term(t) for t in (first, *range(first))], sign
