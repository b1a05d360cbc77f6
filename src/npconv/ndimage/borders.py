"""What lies beyond an array's edge, where conv is not asked to put it there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def extend(
    x: np.ndarray, pads: Sequence[tuple[int, int]], mode: str, cval: float, dtype: np.dtype
) -> np.ndarray:
    """Return x in `dtype` with its surroundings; `mode` is numpy.pad's name."""
    if not any(map(any, pads)):
        return x.astype(dtype, copy=False)
    shape = [n + b + a for n, (b, a) in zip(x.shape, pads, strict=True)]
    out = np.full(shape, cval, dtype) if mode == "constant" else np.empty(shape, dtype)
    filled = [slice(b, b + n) for n, (b, _) in zip(x.shape, pads, strict=True)]
    out[tuple(filled)] = x
    for axis, (n, (b, a)) in enumerate(zip(x.shape, pads, strict=True)):
        if mode == "constant" or not (b or a):
            continue
        inside = out[tuple(filled)]
        for start, stop in ((-b, 0), (n, n + a)):
            filled[axis] = slice(b + start, b + stop)
            if stop > start:
                out[tuple(filled)] = inside.take(_sources(mode, n, start, stop), axis)
        filled[axis] = slice(None)
    return out


def beyond(mode: str, size: int, position: np.ndarray) -> np.ndarray:
    """Return the elements of an axis that positions before, on and after it read; -1 is none."""
    if mode == "constant":
        return np.where((position >= 0) & (position < size), position, -1)
    if mode == "edge":
        return np.clip(position, 0, size - 1)
    if mode == "wrap":
        return position % size
    if mode == "symmetric":
        folded = position % (2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    if size == 1:
        return np.zeros_like(position)
    folded = position % (2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)


@lru_cache(maxsize=256)
def _sources(mode: str, size: int, start: int, stop: int) -> np.ndarray:
    return beyond(mode, size, np.arange(start, stop))
