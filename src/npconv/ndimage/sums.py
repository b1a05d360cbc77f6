"""The sums behind every filter: weighted windows through npconv.conv, and moving sums.

scipy.ndimage sums in float64 and casts to the output's dtype.  Here the sum runs in

- float32, for float32 to float32, and for integers with integer weights where every partial sum
  fits in 24 bits and is exact;
- float64 otherwise; where the result is cut off to an integer and the weights are not integers,
  in the very order of SciPy's loops, so that no sum that falls beside an integer lands elsewhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from npconv import conv
from npconv.ndimage.arguments import constants, padding_mode

# conv's names for the axes: every letter that is not N, C, O, I or the synonym L.
_LETTERS = "HWDABEFGJKMPQRSTUVXYZ"
_EXACT_FLOAT32 = 2**22
_BLOCK = 1 << 15
_NEGLIGIBLE = np.finfo(np.float64).eps


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in `dtype` as C casts them: cut off towards zero, then wrapped."""
    if values.dtype == dtype or dtype.kind in "fc":
        return values.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):
        if dtype.kind == "i" and dtype.itemsize >= 4:
            return values.astype(dtype)
        if values.dtype == np.float32:
            return values.astype(np.int32).astype(dtype)
        whole = values.astype(np.int64).astype(dtype)
        if dtype.itemsize < 8:
            return whole
        return np.where(values >= 2.0**63, values.astype(dtype), whole)


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
    if not complex_x and not complex_w:
        return _weighted(x, weights, before, dtype, edge, real, line)
    total = np.zeros(x.shape, dtype)
    for part, value, i in [(x.real, real, 1), (x.imag, imag, 1j)][: 1 + complex_x]:
        for taps, j in [(weights.real, 1), (weights.imag, 1j)][: 1 + complex_w]:
            total += (i * j) * _weighted(part, taps, before, total.real.dtype, edge, value, line)
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
        extended = extend(x, pads, mode, cval, np.dtype(np.float64))
        if line is None:
            return cast(_in_scipy_order(extended, weights, x.shape), dtype)
        return cast(_line_in_scipy_order(extended, weights.ravel(), line, x.shape), dtype)
    small = x.dtype == dtype == np.float32 if bound is None else bound < _EXACT_FLOAT32
    compute = np.dtype(np.float32 if small else np.float64)
    if mode == "constant" and cval != 0:
        x, pads, mode = extend(x, pads, mode, cval, compute), [(0, 0)] * x.ndim, "constant"
    sums = conv(
        x.astype(compute, copy=False),
        _rounded(weights) if small else weights,
        layout=_LETTERS[: x.ndim],
        padding=pads,
        padding_mode=mode,
    )
    if bound is not None:
        np.rint(sums, out=sums)
    return cast(sums, dtype)


def moving(
    x: np.ndarray, size: int, axis: int, before: int, dtype: np.dtype, mode: str, cval: float
) -> np.ndarray:
    """Return the mean of the `size` elements from ``i - before`` on, along one axis, in `dtype`.

    Sums of 2, 4, 8 ... elements come from two of the sums before; those of the binary digits of
    `size` make up the window.  That is log2(size) passes, with a pairwise sum's small error.
    """
    if x.size == 0:
        return np.zeros(x.shape, dtype)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (before, size - 1 - before)
    if x.dtype.kind in "bu" or x.dtype.kind == "i":
        exact = x.dtype.itemsize <= 4 and (mode != "constant" or float(cval).is_integer())
        compute = np.dtype(np.int64 if exact and abs(cval) < 2**31 else np.float64)
    else:
        compute = np.dtype(np.float32 if x.dtype == dtype == np.float32 else np.float64)
    level = np.moveaxis(extend(x, pads, mode, cval, compute), axis, 0)
    total: np.ndarray | None = None
    width, done, left = 1, 0, size
    while True:
        if left & 1:
            part = level[done : done + x.shape[axis]]
            total = part if total is None else total + part
            done += width
        left >>= 1
        if not left:
            break
        level = level[:-width] + level[width:]
        width *= 2
    assert total is not None
    mean = np.divide(total, size, dtype=None if compute.kind == "f" else np.float64)
    return cast(np.moveaxis(mean, 0, axis), dtype)


def extend(
    x: np.ndarray, pads: Sequence[tuple[int, int]], mode: str, cval: float, dtype: np.dtype
) -> np.ndarray:
    """Return x in `dtype` with its surroundings."""
    x = x.astype(dtype, copy=False)
    if not any(map(any, pads)):
        return x
    if mode == "constant":
        return np.pad(x, pads, mode="constant", constant_values=cval)
    return np.pad(x, pads, mode=mode)  # type: ignore[call-overload]


def _rounded(weights: np.ndarray) -> np.ndarray:
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
    if x.dtype.kind != "f" or not (np.abs(weights) <= _NEGLIGIBLE).any():
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.isfinite(x.sum()) and not np.isfinite(x).all()


def _in_scipy_order(
    extended: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the sums over the weights that are not nought, first to last, in float64."""
    out = np.zeros(shape)
    taps = [t for t in np.ndindex(weights.shape) if not abs(weights[t]) <= _NEGLIGIBLE]
    for block, piece in _blocks(out, extended, weights.shape[0]):
        product = np.empty_like(block)
        for tap in taps:
            cut = tuple(slice(t, t + n) for t, n in zip(tap, block.shape, strict=True))
            np.multiply(piece[cut], weights[tap], out=product)
            block += product
    return out


def _line_in_scipy_order(
    extended: np.ndarray, weights: np.ndarray, axis: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Return 1-D sums along `axis` in float64, mirrored taps in pairs where SciPy pairs them."""
    out = np.empty(shape)
    length = len(weights)
    middle = length // 2
    left, right = weights[:middle], weights[: length - middle - 1 : -1][:middle]
    combine = None
    if length % 2 and (np.abs(left - right) <= _NEGLIGIBLE).all():
        combine = np.add
    elif length % 2 and (np.abs(left + right) <= _NEGLIGIBLE).all():
        combine = np.subtract
    first = middle if combine else length - 1
    for block, piece in _blocks(out, extended, length if axis == 0 else 1):
        rows = [
            piece[(slice(None),) * axis + (slice(t, t + block.shape[axis]),)]
            for t in range(length)
        ]
        product = np.empty_like(block)
        np.multiply(rows[first], weights[first], out=block)
        for t in range(middle if combine else length - 1):
            if combine:
                combine(rows[t], rows[length - 1 - t], out=product)
                product *= weights[t]
            else:
                np.multiply(rows[t], weights[t], out=product)
            block += product
    return out


def _blocks(
    out: np.ndarray, extended: np.ndarray, reach: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pieces of out that fit in a cache, each with the rows of `extended` it sums."""
    rows = max(_BLOCK // max(out[0].size, 1), 1)
    for first in itertools.count(0, rows):
        block = out[first : first + rows]
        if not len(block):
            return
        yield block, extended[first : first + len(block) + reach - 1]
