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
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npconv import UnsupportedError, conv
from npconv.direct import direct_conv

Spans = tuple[tuple[int, int], ...]

# conv's names for spatial axes: every letter that is not N, C, O, I or the synonym L.
LETTERS = "HWDABEFGJKMPQRSTUVXYZ"
_EXACT_ROUNDING = 2.0**44  # what a float64 transform still rounds to the right integer
_MANY_TAPS = 512
# Nanoseconds: what numpy.convolve sums in so many it has summed before conv has begun.
_SMALL = 15_000
_SHORT = 11  # taps: kernels that numpy.convolve has loops for


def piece(mode: str, n: int, k: int) -> tuple[int, int]:
    """Return where `mode` starts and stops in the full convolution of lengths n and k."""
    if mode == "full":
        return 0, n + k - 1
    if mode == "same":
        return (k - 1) // 2, (k - 1) // 2 + n
    return k - 1, n


@lru_cache(maxsize=1024)
def pieces(mode: str, size: tuple[int, ...], kernel_size: tuple[int, ...]) -> Spans:
    """Return `piece` of each axis."""
    return tuple(piece(mode, n, k) for n, k in zip(size, kernel_size, strict=True))


def padding(
    spans: Sequence[tuple[int, int]], size: Sequence[int], kernel_size: Sequence[int]
) -> Spans:
    """Return the (before, after) an axis that leaves conv the piece from start to stop."""
    return tuple(
        (k - 1 - start, stop - n)
        for (start, stop), n, k in zip(spans, size, kernel_size, strict=True)
    )


def one_padding(pads: Spans) -> int | Spans:
    """Return one number where it says the same: conv is quicker to see what that is."""
    before, after = pads[0]
    return before if before == after and pads.count(pads[0]) == len(pads) else pads


class Geometry(NamedTuple):
    """A piece of a full convolution, as the shapes of its arrays have it.

    shape   the result's
    pads    what conv is to pad, (before, after) an axis
    thin    whether one of the two has length 1 along each axis: no element is a sum
    folds   the shape of x in which the one axis that is convolved along stands between one for all
            before it and one for all behind it, where that is another shape; and the axis there
    """

    shape: tuple[int, ...]
    pads: Spans
    thin: bool
    folds: tuple[tuple[int, ...], int] | None


@lru_cache(maxsize=1024)
def geometry(size: tuple[int, ...], kernel_size: tuple[int, ...], spans: Spans) -> Geometry:
    """Return the Geometry of a piece, one span an axis."""
    shape = tuple(max(stop - start, 0) for start, stop in spans)
    thin = all(1 in pair for pair in zip(size, kernel_size, strict=True))
    along = [axis for axis, k in enumerate(kernel_size) if k > 1]
    folds = None
    whole = [span == (0, n) for span, n in zip(spans, size, strict=True)]
    if len(along) == 1 and all(w for axis, w in enumerate(whole) if axis != along[0]):
        (axis,) = along
        around = math.prod(size[:axis]), size[axis], math.prod(size[axis + 1 :])
        kept = [n for i, n in enumerate(around) if n > 1 or i == 1]
        if len(kept) < len(size):
            folds = tuple(kept), int(around[0] > 1)
    return Geometry(shape, padding(spans, size, kernel_size), thin, folds)


def convolved(
    x: np.ndarray,
    kernel: np.ndarray,
    spans: Spans,
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
    zeros = edge == "constant" and fill is None
    if zeros and x.size < kernel.size:
        x, kernel = kernel, x
    shape, pads, thin, folds = geometry(x.shape, kernel.shape, spans)
    if 0 in shape or x.size == 0 or kernel.size == 0:
        return np.zeros(shape, dtype)
    if zeros and thin:
        return _products(x, kernel, spans, dtype)
    if zeros and x.ndim == 1 and dtype.char != "e" and _nanoseconds(x, kernel, dtype) <= _SMALL:
        made = np.convolve(x, kernel)
        start, stop = spans[0]
        return made if stop - start == len(made) else made[start:stop].copy()
    if folds:
        size, axis = folds
        lengths = tuple(kernel.size if i == axis else 1 for i in range(len(size)))
        along = next(i for i, k in enumerate(kernel.shape) if k > 1)
        cut = tuple(spans[along] if i == axis else (0, n) for i, n in enumerate(size))
        out = convolved(
            x.reshape(size), kernel.reshape(lengths), cut, edge=edge, fill=fill, direct=direct
        )
        return out.reshape(shape)
    if fill is not None:
        grow = [(max(b, 0), max(a, 0)) for b, a in pads]
        x = np.pad(x.astype(dtype, copy=False), grow, constant_values=fill)
        pads = tuple((min(b, 0), min(a, 0)) for b, a in pads)
    # A copy: conv has a quicker way for small arrays that lie as usual.
    flipped = kernel[(slice(None, None, -1),) * kernel.ndim].copy()
    if dtype.kind == "O" or dtype.char in "gG":
        return _tap_by_tap(x, flipped, pads, edge, dtype)
    if x.ndim > len(LETTERS):
        raise UnsupportedError(f"arrays have {x.ndim} axes, at most {len(LETTERS)} can be named.")
    if dtype.kind in "biu":
        return _integers(x, flipped, pads, edge, dtype)
    if dtype.kind == "c":  # which may meet real numbers: half the work
        wide = np.dtype(dtype.char.lower())
        x, flipped = (
            a if a.dtype.kind == "c" else a.astype(wide, copy=False) for a in (x, flipped)
        )
        return _by_conv(x, flipped, pads, edge, direct)
    return _by_conv(
        x.astype(dtype, copy=False), flipped.astype(dtype, copy=False), pads, edge, direct
    )


def _nanoseconds(x: np.ndarray, kernel: np.ndarray, dtype: np.dtype) -> float:
    """Return about what numpy.convolve takes."""
    n, k = x.size, kernel.size
    if dtype.char not in "fd":
        return n * k / 8  # conv takes longer to see what these are
    return n * (0.4 + 0.1 * k) if k <= _SHORT else (n + k) * (6 + 0.05 * k)


def _products(x: np.ndarray, kernel: np.ndarray, spans: Spans, dtype: np.dtype) -> np.ndarray:
    """Return the piece where every element is one product: of arrays that broadcast."""
    here = tuple(
        slice(*span) if n > 1 else slice(None) for span, n in zip(spans, x.shape, strict=True)
    )
    there = tuple(
        slice(*span) if n > 1 else slice(None) for span, n in zip(spans, kernel.shape, strict=True)
    )
    with np.errstate(all="ignore"):
        return np.multiply(x[here], kernel[there], dtype=dtype)


def _by_conv(
    x: np.ndarray,
    flipped: np.ndarray,
    pads: tuple[tuple[int, int], ...],
    edge: str,
    direct: bool = False,
) -> np.ndarray:
    compute = direct_conv if direct and flipped.size > 1 else conv
    padded = one_padding(pads)
    return compute(x, flipped, layout=LETTERS[: x.ndim], padding=padded, padding_mode=edge)


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
