"""Sums in the order of SciPy's own loops, for results that are cut off to integers.

A weighted sum that ought to be 100 may come out as 99.99999999999999, and is then cut off to 99.
Whether it does depends on the order of the additions alone, so here they run in SciPy's: over whole
blocks of the array, tap after tap, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from npconv.ndimage.borders import extend
from npconv.ndimage.casts import cast

_BLOCK = 1 << 15  # elements: three blocks of float64 fit in a usual L2 cache
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
    kept = mode != "constant" or (x.dtype.kind in "iu" and 0 <= cval < 128 and cval == int(cval))
    extended = extend(x, pads, mode, cval, x.dtype if kept else np.dtype(np.float64))
    out = np.empty(x.shape, dtype)
    step = _paired(weights.ravel(), line) if line is not None else _tap_by_tap(weights)
    rows = max(_BLOCK // max(out[0].size, 1), 1)
    for first in range(0, len(out), rows):
        block = out[first : first + rows]
        piece = extended[first : first + len(block) + weights.shape[0] - 1].astype(np.float64)
        block[...] = cast(step(piece, block.shape), dtype)
    return out


def negligible(weights: np.ndarray) -> np.ndarray:
    """Say which weights SciPy leaves out of an N-D sum."""
    return np.abs(weights) <= _NEGLIGIBLE


def _tap_by_tap(weights: np.ndarray) -> Callable[[np.ndarray, tuple[int, ...]], np.ndarray]:
    """N-D filters add the taps that are not nought, first to last."""
    taps = np.argwhere(~negligible(weights)).tolist()

    def sums(piece: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        total, product = np.zeros(shape), np.empty(shape)
        for tap in taps:
            cut = tuple(slice(t, t + n) for t, n in zip(tap, shape, strict=True))
            total += np.multiply(piece[cut], weights[tuple(tap)], out=product)
        return total

    return sums


def _paired(weights: np.ndarray, axis: int) -> Callable[[np.ndarray, tuple[int, ...]], np.ndarray]:
    """1-D filters add mirrored taps in pairs if the weights are even or odd, the middle first."""
    length, middle = len(weights), len(weights) // 2
    combine: np.ufunc | None = None
    if length % 2:
        mirrored = weights[::-1]
        if negligible(weights - mirrored).all():
            combine = np.add
        elif negligible((weights + mirrored)[:middle]).all():
            combine = np.subtract

    def sums(piece: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        def row(tap: int) -> np.ndarray:
            return piece[(slice(None),) * axis + (slice(tap, tap + shape[axis]),)]

        product = np.empty(shape)
        first = middle if combine else length - 1
        total = row(first) * weights[first]
        for t in range(middle if combine else length - 1):
            if combine:
                combine(row(t), row(length - 1 - t), out=product)
                total += np.multiply(product, weights[t], out=product)
            else:
                total += np.multiply(row(t), weights[t], out=product)
        return total

    return sums
