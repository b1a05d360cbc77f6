"""Two 1-D passes over an image at once: a band of lines stays in cache from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npconv.bands import filtered, why_not
from npconv.ndimage.arguments import padding_mode
from npconv.ndimage.sums import SMALL, rounded

_CHANNELS = 4  # of a pixel, at most


def both_passes(
    x: np.ndarray, taps: Sequence[np.ndarray], modes: Sequence[Any], dtype: np.dtype, cval: Any
) -> np.ndarray | None:
    """Return an image filtered by odd numbers of taps along axis 0, and by others along axis 1.

    x is (height, width) or (height, width, channels).  None where that has to be done otherwise:
    for other dtypes than float32 and float64, results of another, small images, two modes.
    """
    floats = x.dtype.char in "fd" and x.dtype == dtype
    pixels = x.ndim == 2 or (x.ndim == 3 and x.shape[2] <= _CHANNELS)
    if not floats or not pixels or x.size * max(map(len, taps)) <= SMALL:
        return None
    mode, other = map(padding_mode, modes)
    if mode != other or (mode == "constant" and float(cval) != 0):
        return None
    column, row = (rounded(each) if x.dtype.char == "f" else each for each in taps)
    kernels = column.reshape(-1, 1).astype(x.dtype), row.reshape(1, -1).astype(x.dtype)
    margins = (len(column) // 2,) * 2, (len(row) // 2,) * 2
    if why_not(x.shape, x.dtype, kernels, margins, mode):
        return None
    return filtered(x, kernels, margins, mode)
