"""A kernel over a whole image at once, by compiled code that takes pixels as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from npconv import plan
from npconv.bands import Ended, filtered, why_not
from npconv.images.definition import KEPT_TAPS, Kernel, separate

_SEPARABLE = 2  # times the taps of a column and a row that a kernel has where these take less time
_CONVERTING = 2.4  # times what a transform takes as the planner reckons: with all about it


class Exact(NamedTuple):
    """A kernel's numbers as they are summed in `work`, and what the sums are divided by.

    reach: what no sum of whole pixels exceeds.
    """

    numbers: np.ndarray
    divisor: int
    work: np.dtype[Any]
    reach: float


def filter_at_once(
    pixels: np.ndarray,
    kernel: Kernel,
    mode: str,
    signed: str | None,
    exact: Callable[[np.ndarray, np.dtype[Any]], Exact],
) -> np.ndarray | None:
    """Return the filtered image, all its channels alike; None where that has to be done otherwise.

    mode: as numpy.pad names it; exact: how numbers are summed over pixels of a dtype.
    """
    if kernel.cross is not None:
        return None
    numbers = kernel.numbers
    find = _kernels if numbers.size <= KEPT_TAPS else _kernels.__wrapped__
    kernels, divisor, reach = find(numbers.tobytes(), numbers.shape, pixels.dtype, exact)
    margins = _margins(numbers.shape[0]), _margins(numbers.shape[1])
    given = pixels.view(np.uint8) if pixels.dtype.kind == "b" else pixels
    if why_not(given.shape, given.dtype, kernels, margins, mode):
        return None
    if _transforms(given.shape[:2], tuple(part.shape for part in kernels), kernels[0].dtype):
        return None
    if pixels.dtype.kind == "f":
        out = filtered(given, kernels, margins, mode, bias=0.5 if signed == "offset" else 0.0)
        return np.abs(out, out=out) if signed == "abs" else out
    largest = 1 if pixels.dtype.kind == "b" else np.iinfo(pixels.dtype).max
    lift = (largest + 1) // 2 if signed == "offset" else 0
    rounding = Ended(
        divisor=divisor, mirrors=signed == "abs", lift=lift, largest=largest, reach=reach
    )
    return filtered(given, kernels, margins, mode, rounding).view(pixels.dtype)


def _margins(length: int) -> tuple[int, int]:
    return (length - 1) // 2, length // 2


@lru_cache(maxsize=64)
def _transforms(
    size: tuple[int, int], kernel_sizes: tuple[tuple[int, int], ...], work: np.dtype[Any]
) -> bool:
    """Return whether transforms are so much quicker that pixels may be made floats before."""
    direct = transformed = 0.0
    for kernel_size in kernel_sizes:
        padded = [n + k - 1 for n, k in zip(size, kernel_size, strict=True)]
        rows = plan(padded, kernel_size, work, layout="HW").rows
        seconds = {row.algorithm: row.seconds or np.inf for row in rows}
        direct += seconds["stencil"]
        transformed += seconds["fft"]
    return direct > _CONVERTING * transformed


@lru_cache(maxsize=16)
def _kernels(
    numbers: bytes,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    exact: Callable[[np.ndarray, np.dtype[Any]], Exact],
) -> tuple[tuple[np.ndarray, ...], int, float]:
    """Return a matrix, or a column and a row; the divisor, and what sums do not exceed."""
    found = exact(np.frombuffer(numbers).reshape(shape), dtype)
    rows, columns = shape
    pair = None
    if rows * columns > _SEPARABLE * (rows + columns):
        pair = separate(found.numbers)
    parts = (found.numbers,) if pair is None else pair
    return tuple(part.astype(found.work) for part in parts), found.divisor, found.reach
