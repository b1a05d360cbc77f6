"""Transforms of canonical arrays along some of their axes, and how long they should be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np


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
    best = 1 << max(n - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = -(-n // three)
            best = min(best, three << max(two - 1, 0).bit_length())
            three *= 3
        five *= 5
    return best
