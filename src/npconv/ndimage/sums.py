"""The weighted sums behind every filter but the box: npconv.conv, and what SciPy does besides.

scipy.ndimage sums in float64 and casts to the output's dtype.  Here the sum runs in

- float32, for float32 to float32, and for integers with integer weights where every partial sum
  fits in 24 bits and is exact;
- float64 otherwise; where the result is cut off to an integer and the weights are not integers,
  in the very order of SciPy's loops, so that no sum that falls beside an integer lands elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import conv
from npconv.direct import direct_conv
from npconv.ndimage.arguments import constants, padding_mode
from npconv.ndimage.borders import beyond, extend
from npconv.ndimage.casts import cast
from npconv.ndimage.ordered import in_scipy_order, negligible

# conv's names for the axes: every letter that is not N, C, O, I or the synonym L.
_LETTERS = "HWDABEFGJKMPQRSTUVXYZ"
_EXACT_FLOAT32 = 2**22
SMALL = 1 << 14  # products; below it conv's planning costs more than its sums


def filtered(
    x: np.ndarray,
    weights: np.ndarray,
    before: Sequence[int],
    dtype: np.dtype,
    mode: str,
    cval: Any,
    line: int | None = None,
) -> np.ndarray:
    """Return ``sum_t weights[t] * x[i - before + t]`` in `dtype`, for real and complex arrays.

    weights has x's rank. `line` names the one axis of a 1-D filter. Without it weights that are
    nought are left out of the sum, as SciPy does: they do not spread NaN.
    """
    edge = padding_mode(mode)
    complex_x, complex_w = x.dtype.kind == "c", weights.dtype.kind == "c"
    real, imag = constants(cval, complex_x, complex_w)
    with np.errstate(all="ignore"):
        if not complex_x and not complex_w:
            return _weighted(x, weights, before, dtype, edge, real, line)
        total = np.zeros(x.shape, dtype)
        half = total.real.dtype
        for part, value, i in [(x.real, real, 1), (x.imag, imag, 1j)][: 1 + complex_x]:
            for taps, j in [(weights.real, 1), (weights.imag, 1j)][: 1 + complex_w]:
                total += (i * j) * _weighted(part, taps, before, half, edge, value, line)
        return total


def _weighted(
    x: np.ndarray,
    weights: np.ndarray,
    before: Sequence[int],
    dtype: np.dtype,
    mode: str,
    cval: float,
    line: int | None,
) -> np.ndarray:
    weights = weights.astype(np.float64, copy=False)
    if x.size == 0:
        return np.zeros(x.shape, dtype)
    if x.ndim == 0:
        return cast(np.asarray(x * weights, np.float64), dtype)
    pads = [(b, k - 1 - b) for b, k in zip(before, weights.shape, strict=True)]
    if mode == "constant" and not any(map(any, pads)):
        cval = 0.0
    bound = _integer_bound(x, weights, cval if mode == "constant" else 0.0)
    if bound is None and (dtype.kind in "iu" or (line is None and _skips_nonfinite(x, weights))):
        return in_scipy_order(x, weights, pads, dtype, mode, cval, line)
    if x.size * weights.size <= SMALL:
        return cast(_gathered(x, weights, tuple(before), mode, cval), dtype)
    small = x.dtype == dtype == np.float32 if bound is None else bound < _EXACT_FLOAT32
    compute = np.dtype(np.float32 if small else np.float64)
    if mode == "constant" and cval != 0:
        x, pads, mode = extend(x, pads, mode, cval, compute), [(0, 0)] * x.ndim, "constant"
    convolve = conv if small or bound is not None else direct_conv
    sums = convolve(
        x.astype(compute, copy=False),
        rounded(weights) if small else weights,
        layout=_LETTERS[: x.ndim],
        padding=pads,
        padding_mode=mode,
    )
    if bound is not None:
        np.rint(sums, out=sums)
    return cast(sums, dtype)


def _gathered(
    x: np.ndarray,
    weights: np.ndarray,
    before: tuple[int, ...],
    mode: str,
    cval: float,
) -> np.ndarray:
    """Return the sums in float64, as one gather by a table of addresses and one product."""
    values = np.empty(x.size + 1)
    values[:-1] = x.ravel()
    values[-1] = cval
    windows = values.take(_addresses(x.shape, weights.shape, before, mode))
    return np.matmul(windows, weights.ravel()).reshape(x.shape)


@lru_cache(maxsize=64)
def _addresses(
    shape: tuple[int, ...], kernel_size: tuple[int, ...], before: tuple[int, ...], mode: str
) -> np.ndarray:
    """Return where each tap of each window lies in raveled x, (x.size, taps); x.size is outside."""
    ndim, step = len(shape), 1
    table = np.zeros((1,) * (2 * ndim), np.intp)
    outside = np.zeros((1,) * (2 * ndim), bool)
    for axis in reversed(range(ndim)):
        n, k = shape[axis], kernel_size[axis]
        position = np.arange(n)[:, None] + (np.arange(k) - before[axis])
        place = [1] * (2 * ndim)
        place[axis], place[ndim + axis] = n, k
        found = beyond(mode, n, position).reshape(place)
        table = table + found * step
        outside = outside | (found < 0)
        step *= n
    table[outside] = step
    return table.reshape(step, -1)


def rounded(weights: np.ndarray) -> np.ndarray:
    """Return weights in float32 with their sum kept: what rounding loses, other taps take up.

    A smoothing filter then leaves a flat region as it is, and a derivative makes it nought.
    """
    taps = weights.astype(np.float32)
    lost = float((weights - taps).sum())
    if lost and math.isfinite(lost):
        # Ever smaller taps, since they resolve ever smaller parts of what is left.
        for i in np.argsort(-np.abs(weights), axis=None)[:: -(-weights.size // 12)]:
            before = taps.item(i)
            taps.flat[i] = before + lost
            lost -= taps.item(i) - before
            if not lost:
                break
    return taps


def _integer_bound(x: np.ndarray, weights: np.ndarray, cval: float) -> float | None:
    """Return what no partial sum exceeds if all terms are integers and exact in float64."""
    if x.dtype.kind not in "biu" or not float(cval).is_integer():
        return None
    total = float(np.abs(weights).sum())
    if not (total < 2.0**53 and np.array_equal(weights, np.rint(weights))):
        return None
    if x.dtype.itemsize <= 2:
        largest = 1 if x.dtype.kind == "b" else 2 ** (8 * x.dtype.itemsize - (x.dtype.kind == "i"))
    else:
        largest = max(abs(int(x.min())), abs(int(x.max())))
    bound = max(float(largest), abs(cval)) * total
    # A transform's error grows with the square root of the number of elements.
    return bound if bound * math.sqrt(x.size) < 2.0**48 or bound < _EXACT_FLOAT32 else None


def _skips_nonfinite(x: np.ndarray, weights: np.ndarray) -> bool:
    """Whether a weight that SciPy leaves out might meet a NaN or an infinity in x."""
    if x.dtype.kind != "f" or not negligible(weights).any():
        return False
    return not np.isfinite(x.sum()) and not np.isfinite(x).all()
