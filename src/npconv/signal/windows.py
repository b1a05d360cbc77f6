"""One piece of a full convolution, by npconv.conv: what every function of this room reduces to.

The full convolution of lengths n and k has n + k - 1 elements; a mode is a piece of it::

    full    0 .. n + k - 1
    same    (k - 1) // 2 .. (k - 1) // 2 + n
    valid   k - 1 .. n

and the piece from start to stop is conv with the flipped kernel and k - 1 - start elements of
padding before, stop - n after; negative padding crops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npconv import UnsupportedError, conv
from npconv.direct import direct_conv

# conv's names for spatial axes: every letter that is not N, C, O, I or the synonym L.
LETTERS = "HWDABEFGJKMPQRSTUVXYZ"
_EXACT_ROUNDING = 2.0**44  # what a float64 transform still rounds to the right integer
_MANY_TAPS = 512
_SMALL = 1 << 15  # products; below it conv's planning costs more than numpy.convolve's sums


def piece(mode: str, n: int, k: int) -> tuple[int, int]:
    """Return where `mode` starts and stops in the full convolution of lengths n and k."""
    if mode == "full":
        return 0, n + k - 1
    if mode == "same":
        return (k - 1) // 2, (k - 1) // 2 + n
    return k - 1, n


def padding(
    spans: Sequence[tuple[int, int]], size: Sequence[int], kernel_size: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Return the (before, after) an axis that leaves conv the piece from start to stop."""
    return tuple(
        (k - 1 - start, stop - n)
        for (start, stop), n, k in zip(spans, size, kernel_size, strict=True)
    )


def convolved(
    x: np.ndarray,
    kernel: np.ndarray,
    spans: Sequence[tuple[int, int]],
    *,
    edge: str = "constant",
    fill: np.ndarray | None = None,
    direct: bool = False,
) -> np.ndarray:
    """Return a piece, one span an axis, of the full convolution, in the arrays' result_type.

    `edge` is numpy.pad's name of what lies beyond x, `fill` the constant if it is not 0. `direct`
    rules out the transform.
    """
    dtype = np.result_type(x, kernel)
    if dtype.kind not in "biufcO":
        raise ValueError(f"arrays of {x.dtype} and {kernel.dtype} cannot be convolved")
    shape = tuple(max(stop - start, 0) for start, stop in spans)
    if 0 in (x.size, kernel.size, *shape):
        return np.zeros(shape, dtype)
    if edge == "constant" and fill is None and x.size < kernel.size:
        x, kernel = kernel, x
    if x.ndim == 1 and x.size * kernel.size <= _SMALL and dtype.char != "e" and edge == "constant":
        with np.errstate(all="ignore"):
            return np.convolve(x, kernel)[slice(*spans[0])]
    pads = padding(spans, x.shape, kernel.shape)
    if fill is not None:
        grow = [(max(b, 0), max(a, 0)) for b, a in pads]
        x = np.pad(x.astype(dtype, copy=False), grow, constant_values=fill)
        pads = tuple((min(b, 0), min(a, 0)) for b, a in pads)
    flipped = np.flip(kernel)
    if dtype.kind == "O" or dtype.char in "gG":
        return _tap_by_tap(x, flipped, pads, edge, dtype)
    if x.ndim > len(LETTERS):
        raise UnsupportedError(f"arrays have {x.ndim} axes, at most {len(LETTERS)} can be named.")
    if dtype.kind in "biu":
        return _integers(x, flipped, pads, edge, dtype)
    return _by_conv(
        x.astype(dtype, copy=False), flipped.astype(dtype, copy=False), pads, edge, direct
    )


def _by_conv(
    x: np.ndarray,
    flipped: np.ndarray,
    pads: tuple[tuple[int, int], ...],
    edge: str,
    direct: bool = False,
) -> np.ndarray:
    layout = LETTERS[: x.ndim]
    compute = direct_conv if direct and flipped.size > 1 else conv
    return compute(x, flipped, layout=layout, padding=pads, padding_mode=edge)


def _integers(
    x: np.ndarray,
    flipped: np.ndarray,
    pads: tuple[tuple[int, int], ...],
    edge: str,
    dtype: np.dtype,
) -> np.ndarray:
    """Return exact sums, wrapped into `dtype`; bool is the logical or, as in numpy.convolve."""
    if flipped.size > _MANY_TAPS:
        largest = _largest(x) * _largest(flipped)
        if largest * math.sqrt(x.size) * math.sqrt(flipped.size) < _EXACT_ROUNDING:
            sums = _by_conv(x.astype(np.float64), flipped.astype(np.float64), pads, edge)
            return np.rint(sums, out=sums).astype(np.int64).astype(dtype)
    if dtype == np.uint64:
        x, flipped = x.astype(dtype).view(np.int64), flipped.astype(dtype).view(np.int64)
    return _by_conv(x, flipped, pads, edge).astype(dtype)


def _largest(array: np.ndarray) -> int:
    return max(abs(int(array.min())), abs(int(array.max())))


def _tap_by_tap(
    x: np.ndarray,
    flipped: np.ndarray,
    pads: tuple[tuple[int, int], ...],
    edge: str,
    dtype: np.dtype,
) -> np.ndarray:
    """Return the sums for what conv does not take: longdouble and Python numbers."""
    grow = [(max(b, 0), max(a, 0)) for b, a in pads]
    if edge == "constant":
        padded = np.zeros([n + b + a for n, (b, a) in zip(x.shape, grow, strict=True)], dtype)
        padded[tuple(slice(b, b + n) for n, (b, _) in zip(x.shape, grow, strict=True))] = x
    else:
        padded = np.pad(x, grow, mode=edge)  # type: ignore[call-overload]
    low = [max(-b, 0) for b, _ in pads]
    shape = [n + b + a - k + 1 for n, (b, a), k in zip(x.shape, pads, flipped.shape, strict=True)]
    total = np.zeros(shape, dtype)
    for tap in np.ndindex(flipped.shape):
        cut = tuple(slice(c + t, c + t + n) for c, t, n in zip(low, tap, shape, strict=True))
        total += padded[cut] * flipped[tap]
    return total
