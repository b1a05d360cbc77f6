"""Passes over the channels of an array, in the order its memory has, a block at a time.

An array (N, C, *spatial) is seen as (sets, rows, lanes, run)::

    channels last    (1, N * pixels / k, k * C, 1)      k pixels side by side: long inner loops
    channels first   (1, N, C, pixels)

with N sets instead of one where each image stands for itself.  Numbers a channel are (sets, C),
float64; what is summed in float32 is summed so within a block alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

_LANES = 8192
_BLOCK = 1 << 18  # elements: NumPy's calls cost little beside them, and they are still cached
_VARIES = 64  # mean squares above this many variances hide too much of these


@lru_cache(1024)
def _widest(n: int, most: int) -> int:
    """Return the largest divisor of n that is not above most."""
    return next((k for k in range(min(n, most), 1, -1) if n % k == 0), 1)


class Channels:
    """How arrays of x's shape and memory order are seen.

    apart: whether each image is a set of its own.
    """

    def __init__(self, x: np.ndarray, apart: bool = False) -> None:
        images, self.channels, *self.size = x.shape
        self.images = images
        pixels = math.prod(self.size)
        self.count = pixels if apart else images * pixels  # elements of a channel in a set
        self.last = np.moveaxis(x, 1, -1).flags.c_contiguous
        sets, rows = (images, 1) if apart else (1, images)
        self.together = 1
        self.shape: tuple[int, ...] = (sets, rows, self.channels, pixels)
        if self.last:
            rows *= pixels
            self.together = _widest(rows, _LANES // max(self.channels, 1))
            self.shape = (sets, rows // self.together, self.together * self.channels, 1)

    def seen(self, array: np.ndarray) -> np.ndarray:
        """Return an array of x's shape as it is seen, a copy where it lies otherwise."""
        lying = np.moveaxis(array, 1, -1) if self.last else array
        return np.ascontiguousarray(lying).reshape(self.shape)

    def _as_x(self, seen: np.ndarray) -> np.ndarray:
        if self.last:
            return np.moveaxis(seen.reshape(self.images, *self.size, self.channels), -1, 1)
        return seen.reshape(self.images, self.channels, *self.size)

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield which sets and which of their rows make up each block."""
        sets, rows, lanes, run = self.shape
        row = max(lanes * run, 1)
        many, step = max(_BLOCK // (row * max(rows, 1)), 1), max(_BLOCK // row, 1)
        for first in range(0, sets, many):
            for begin in range(0, rows, step):
                yield slice(first, first + many), slice(begin, begin + step)

    def _wide(self, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return (sets, C) to go with what is seen."""
        wide = np.tile(numbers.astype(dtype), (1, self.together))
        return wide[:, None, :, None]

    def _total(self, parts: list[tuple[slice, np.ndarray]]) -> np.ndarray:
        """Add up what blocks gave for their sets, (sets, lanes), to (sets, C)."""
        total = np.zeros((self.shape[0], self.shape[2]))
        for sets, part in parts:
            total[sets] += part
        return total.reshape(self.shape[0], self.together, self.channels).sum(1)

    @np.errstate(all="ignore")
    def sums(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of each channel."""
        return self._total([(s, _added(array[s, r])) for s, r in self._blocks()])

    @np.errstate(all="ignore")
    def products(
        self, one: np.ndarray, other: np.ndarray | None = None, shift: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of one in each channel, and of one * other.

        other: one itself where None.
        shift: what is taken from one first.
        """
        first, second = [], []
        less = None if shift is None else self._wide(shift, one.dtype)
        for s, r in self._blocks():
            block = one[s, r] if less is None else one[s, r] - less[s]
            first.append((s, _added(block)))
            factor = block if other is None else other[s, r]
            second.append((s, np.einsum("srlb,srlb->sl", block, factor)))
        return self._total(first), self._total(second)

    @np.errstate(all="ignore")
    def moments(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each channel's mean, and the sum of its squared distances from it.

        Reads array once; again, with the mean taken off, where that is far from 0 beside how much
        the elements vary, as the difference of the sums would be rounding.
        """
        total, squares = self.products(array)
        mean = total / self.count
        spread = squares - total * mean
        if (spread * _VARIES < squares).any():
            shift = mean.astype(array.dtype).astype(np.float64)
            total, squares = self.products(array, shift=shift)
            mean = shift + total / self.count
            spread = squares - total * (mean - shift)
        return mean, np.maximum(spread, 0)

    @np.errstate(all="ignore")
    def scaled(
        self, array: np.ndarray, scale: np.ndarray, shift: np.ndarray, dtype: np.dtype
    ) -> np.ndarray:
        """Return array * scale + shift as x lies."""
        a, b = self._wide(scale, dtype), self._wide(shift, dtype)

        def fill(out: np.ndarray, s: slice, r: slice) -> None:
            np.multiply(array[s, r], a[s], out=out)
            out += b[s]

        return self._made(fill, dtype)

    @np.errstate(all="ignore")
    def mixed(
        self,
        one: np.ndarray,
        scale: np.ndarray,
        other: np.ndarray,
        share: np.ndarray,
        shift: np.ndarray,
        dtype: np.dtype,
    ) -> np.ndarray:
        """Return one * scale + other * share + shift as x lies."""
        a, b, c = (self._wide(numbers, dtype) for numbers in (scale, share, shift))

        held = np.empty((), dtype)

        def fill(out: np.ndarray, s: slice, r: slice) -> None:
            nonlocal held
            np.multiply(other[s, r], b[s], out=out)
            out += c[s]
            if held.shape != out.shape:
                held = np.empty_like(out)
            np.multiply(one[s, r], a[s], out=held)
            out += held

        return self._made(fill, dtype)

    def _made(self, fill: Callable[..., None], dtype: np.dtype) -> np.ndarray:
        made = np.empty(self.shape, dtype)
        for sets, rows in self._blocks():
            fill(made[sets, rows], sets, rows)
        return self._as_x(made)


def _added(block: np.ndarray) -> np.ndarray:
    """Return the sums over a block's rows and runs."""
    return np.add.reduce(np.add.reduce(block, 3) if block.shape[3] > 1 else block[..., 0], 1)


def channel_sums(array: np.ndarray) -> np.ndarray:
    """Return the sum of each channel, (C,), in array's dtype."""
    form = Channels(array)
    return form.sums(form.seen(array))[0].astype(array.dtype)
