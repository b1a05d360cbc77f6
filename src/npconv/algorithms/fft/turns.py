"""Twiddles: the passes of a transform, and what is multiplied before, between and behind them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

MANY = 1 << 20  # complex numbers of a tile; with more, twiddles are kept for few sizes
_RADICES = (8, 4, 2, 3, 5)


class How(NamedTuple):
    """A transform as the kernel is told of it: its address, and what that refers to."""

    address: int
    kept: tuple[np.ndarray, ...]


@lru_cache(maxsize=64)
def passes(n: int, number: np.dtype) -> How:
    """Return the passes of a transform, and their twiddles."""
    radices = []
    left = n
    for radix in _RADICES:
        while left % radix == 0:
            radices.append(radix)
            left //= radix
    parts = []
    count = n
    for radix in radices:
        count //= radix
        turns = np.outer(np.arange(count), np.arange(1, radix))
        parts.append(_turned(-turns, count * radix).reshape(-1))
    twiddles = _split(np.concatenate(parts) if parts else np.zeros(1), number)
    words = np.array([n, len(radices), twiddles.ctypes.data, *radices], np.int64)
    return How(words.ctypes.data, (words, twiddles))


@lru_cache(maxsize=64)
def twists(rows: int, numbers: int, number: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the twist of each row, and what undoes it and the transforms' growth."""
    twist = _turned(np.arange(rows), 4 * rows)
    return _split(twist, number), _split(twist.conj() / numbers, number)


def between(rows: int, columns: int, lanes: int, number: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the twiddles between columns and rows: of a block's first column, and beyond it.

    Row k and column j: exp(-2 pi i (k - 1/4) j / numbers); the quarter is the rest of the twist.
    """
    find = _between_many if rows * columns > MANY else _between_few
    return find(rows, columns, lanes, number)


def between_nbytes(numbers: int, number: np.dtype) -> int:
    """Return the bytes that twiddles between many columns and rows take while they are made."""
    vector = 64 // number.itemsize
    return numbers // vector * (2 * number.itemsize + 4 * 8 + 2 * 8)


def _between(
    rows: int, columns: int, lanes: int, number: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `between` does."""
    quarters = 4 * np.arange(rows) - 1
    blocks = np.arange(0, columns, lanes)
    coarse = _turned(-np.outer(blocks, quarters), 4 * rows * columns)
    fine = _turned(-np.outer(quarters, np.arange(lanes)), 4 * rows * columns)
    cells = np.stack([fine.real, fine.imag], 1)
    return _split(coarse, number), np.ascontiguousarray(cells, number)


_between_few, _between_many = lru_cache(maxsize=16)(_between), lru_cache(maxsize=2)(_between)


def _turned(turns: np.ndarray, whole: int) -> np.ndarray:
    """Return exp(2 pi i turns / whole), as exact as float64 is."""
    return np.exp(2j * np.pi / whole * (turns % whole))


def _split(values: np.ndarray, number: np.dtype) -> np.ndarray:
    """Return complex numbers as pairs of real ones."""
    pairs = np.stack([values.real, values.imag], -1)
    return np.ascontiguousarray(pairs, number)
