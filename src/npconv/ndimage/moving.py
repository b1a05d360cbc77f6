"""The mean of a moving window, from sums of 2, 4, 8 ... elements."""

from __future__ import annotations

import numpy as np

from npconv.ndimage.borders import extend
from npconv.ndimage.casts import cast

_BLOCK = 1 << 17


def moving_mean(
    x: np.ndarray, size: int, axis: int, before: int, dtype: np.dtype, mode: str, cval: float
) -> np.ndarray:
    """Return the mean of the `size` elements from ``i - before`` on, along one axis, in `dtype`.

    ::

        sums of      1   2   4   8 ...       each from two of the row before
        size 13 =    1     + 4 + 8           its binary digits, side by side

    That is at most 2 log2(size) passes, with a pairwise sum's small error and no running sum to
    carry a NaN along.
    """
    if x.size == 0:
        return np.zeros(x.shape, dtype)
    compute = _sum_dtype(x.dtype, size, dtype, cval if mode == "constant" else 0.0)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (before, size - 1 - before)
    out = np.empty_like(x, dtype, subok=False)
    other = 0 if axis or x.ndim == 1 else 1
    lines = x.shape[other] if other != axis else 1
    step = max(_BLOCK * lines // x.size, 1)
    for first in range(0, lines, step):
        part = (slice(None),) * other + (slice(first, first + step),) if other != axis else ()
        piece = np.moveaxis(extend(x[part], pads, mode, cval, compute), axis, 0)
        with np.errstate(all="ignore"):
            total = _window_sums(piece, size, x.shape[axis])
            np.moveaxis(out[part], axis, 0)[...] = _mean(total, size, dtype)
    return out


def _window_sums(level: np.ndarray, size: int, count: int) -> np.ndarray:
    """Return the `count` sums of `size` neighbours along axis 0."""
    total: np.ndarray | None = None
    width, done = 1, 0
    while True:
        if size & width:
            part = level[done : done + count]
            total = part if total is None else total + part
            done += width
        if total is not None and done == size:
            return total
        level = level[:-width] + level[width:]
        width *= 2


def _sum_dtype(x: np.dtype, size: int, out: np.dtype, cval: float) -> np.dtype:
    """Return a dtype that holds the sums: of integers exactly, unless SciPy's would round."""
    if x.kind == "f":
        return np.dtype(np.float32 if x == out == np.float32 else np.float64)
    largest = max(1 if x.kind == "b" else 2 ** (8 * x.itemsize), abs(cval))
    if x.itemsize == 8 or not float(cval).is_integer() or size * largest >= 2**62:
        return np.dtype(np.float64)
    if x.kind != "i" and cval >= 0 and size * largest < 2**16:
        return np.dtype(np.uint16)
    return np.dtype(np.int32 if size * largest < 2**31 else np.int64)


def _mean(total: np.ndarray, size: int, dtype: np.dtype) -> np.ndarray:
    if total.dtype.kind == "u" and dtype.kind in "iu":
        return (total // total.dtype.type(size)).astype(dtype)
    return cast(np.divide(total, total.dtype.type(size)), dtype)
