"""Transforms of canonical arrays along some of their axes, and how long they should be."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_BITS = 34  # of the longest length that is known beforehand


def transform(values: np.ndarray, axes: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Return the spectra of values, zero-padded to `sizes` along `axes`: half of them if real."""
    fft = np.fft.fftn if values.dtype.kind == "c" else np.fft.rfftn
    return fft(values, s=sizes, axes=axes)


def conjugate(values: np.ndarray, axes: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Return conj(FFT(conj(values))): a product with it correlates, complex numbers too."""
    spectra = transform(values.conj() if values.dtype.kind == "c" else values, axes, sizes)
    return np.conj(spectra, out=spectra)


def inverse(
    spectra: np.ndarray, axes: Sequence[int], sizes: Sequence[int], is_complex: bool
) -> np.ndarray:
    """Return the values that have these spectra."""
    ifft = np.fft.ifftn if is_complex else np.fft.irfftn
    return ifft(spectra, s=sizes, axes=axes)


def by_frequency(spectra: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Return spectra (..., C) as (*bins, rows, C): the bins of `axes`, all other axes in rows."""
    turned = np.moveaxis(spectra, axes, range(len(axes)))
    return turned.reshape(*turned.shape[: len(axes)], -1, turned.shape[-1])


@lru_cache(maxsize=4096)
def best_length(need: int, span: int, dims: int) -> int:
    """Return a transform length for `need` inputs and a kernel spanning `span`.

    Each tile of length n gives n - span + 1 outputs and costs n (log2 n + 6): the 6 stands for
    the passes that are not the transform.  Two-dimensional tiles leave the cache sooner.
    """
    whole = fast_length(need)
    limit = 1 << 9 if dims > 1 else 1 << 15
    best, least = whole, math.inf
    n = fast_length(min(max(2 * span, limit // 4), need))
    while True:
        tiles = -(-(need - span + 1) // (n - span + 1))
        spent = tiles * n * (math.log2(n) + 6) * (1 if n <= limit else 1.4)
        if spent < least:
            best, least = n, spent
        if n >= whole:
            return best
        n = min(fast_length(n + n // 4 + 1), whole)


def fast_length(n: int) -> int:
    """Return the least length >= n with no prime factor above 5."""
    known = _fast_lengths()
    if n > known[-1]:  # more than memory holds
        return 2 * fast_length(-(-n // 2))
    return known[bisect_left(known, n)]


@lru_cache(maxsize=1)
def _fast_lengths() -> list[int]:
    """Return all those that a transform may well have, in order."""
    powers = [[base**i for i in range(_BITS) if base**i <= 1 << _BITS] for base in (2, 3, 5)]
    products = (a * b * c for a, b, c in itertools.product(*powers))
    return sorted(n for n in products if n <= 1 << _BITS)
