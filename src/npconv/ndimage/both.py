"""Passes over images by compiled code: two at once, and means along one axis.

Of two passes a band of lines stays in cache from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npconv.bands import Ended, filtered, why_not
from npconv.ndimage.arguments import padding_mode
from npconv.ndimage.sums import SMALL, rounded

_CHANNELS = 4  # of a pixel, at most
_EXACT = 2.0**22  # float32 holds sums of whole numbers below it, and their halves
BOX = 100  # elements of a window, at most: of more sums of sums take less time


def both_passes(
    x: np.ndarray,
    taps: Sequence[np.ndarray],
    before: Sequence[int],
    modes: Sequence[Any],
    dtype: np.dtype,
    cval: Any,
) -> np.ndarray | None:
    """Return an image filtered by taps along axis 0, and by others along axis 1.

    before: taps of each that lie before the element.  x is (height, width) or (height, width,
    channels).  None where that has to be done otherwise: for other dtypes than float32 and float64,
    results of another, small images, two modes.
    """
    mode, other = map(padding_mode, modes)
    floats = x.dtype.char in "fd" and x.dtype == dtype
    if not floats or mode != other or not _is_image(x, max(map(len, taps)), mode, cval):
        return None
    column, row = (rounded(each) if x.dtype.char == "f" else each for each in taps)
    kernels = column.reshape(-1, 1).astype(x.dtype), row.reshape(1, -1).astype(x.dtype)
    up, left = ((b, len(each) - 1 - b) for b, each in zip(before, taps, strict=True))
    if why_not(x.shape, x.dtype, kernels, (up, left), mode):
        return None
    return filtered(x, kernels, (up, left), mode)


def mean_along(
    x: np.ndarray, size: int, axis: int, before: int, dtype: np.dtype, mode: str, cval: Any
) -> np.ndarray | None:
    """Return the mean of windows along an axis of an image, cut off where it holds whole numbers.

    mode: numpy.pad's name.  None where that has to be done otherwise: for other dtypes than uint8,
    uint16, float32 and float64, results of another, small images, large windows.

    A sum s = q size + r less half of size - 1 is q size, and not half of size off: divided and
    rounded to the nearest it is q.
    """
    whole = x.dtype.char in "BH"
    known = (whole or x.dtype.char in "fd") and x.dtype == dtype
    if not known or axis > 1 or size > BOX or not _is_image(x, size, mode, cval):
        return None
    most = np.iinfo(x.dtype).max if whole else 0
    work = x.dtype if not whole else np.dtype("f" if size * most < _EXACT else "d")
    shape, margins = [1, 1], [(0, 0), (0, 0)]
    shape[axis], margins[axis] = size, (before, size - 1 - before)
    taps = np.ones(shape) if whole else np.full(shape, 1 / size)
    kernels, sides = ((taps if work.char == "d" else rounded(taps)),), (margins[0], margins[1])
    if why_not(x.shape, x.dtype, kernels, sides, mode):
        return None
    if not whole:
        return filtered(x, kernels, sides, mode)
    ended = Ended(divisor=size, largest=most, reach=float(size * most))
    return filtered(x, kernels, sides, mode, ended, bias=-(size - 1) / 2)


def _is_image(x: np.ndarray, taps: int, mode: str, cval: Any) -> bool:
    """Return whether x may be an image that is worth it, with a border that kernels know."""
    pixels = x.ndim == 2 or (x.ndim == 3 and x.shape[2] <= _CHANNELS)
    return pixels and x.size * taps > SMALL and not (mode == "constant" and float(cval) != 0)
