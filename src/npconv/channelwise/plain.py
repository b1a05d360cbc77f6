"""The same passes in NumPy, a block of (sets, rows, lanes, run) at a time.

What is summed in float32 is summed so within a block alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from npconv.channelwise.limits import Limits

_BLOCK = 1 << 18  # elements: NumPy's calls cost little beside them, and they are still cached

_Block = tuple[slice, slice]


def _blocks(array: np.ndarray) -> Iterator[_Block]:
    """Yield which sets and which of their rows make up each block."""
    sets, rows, lanes, run = array.shape
    row = max(lanes * run, 1)
    many, step = max(_BLOCK // (row * max(rows, 1)), 1), max(_BLOCK // row, 1)
    for first in range(0, sets, many):
        for begin in range(0, rows, step):
            yield slice(first, first + many), slice(begin, begin + step)


def _counted(one: np.ndarray, held: np.ndarray | None, limits: Limits, at: _Block) -> np.ndarray:
    """Return a block of one, zeros where `held` is not between the limits."""
    return one[at] if held is None else np.where(limits.within(held[at]), one[at], 0)


def sums(
    one: np.ndarray, other: np.ndarray, held: np.ndarray | None, limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of one in each lane, and of one * other, (sets, lanes)."""
    first, second = np.zeros((2, one.shape[0], one.shape[2]))
    for at in _blocks(one):
        block = _counted(one, held, limits, at)
        rows = np.add.reduce(block, 3) if block.shape[3] > 1 else block[..., 0]
        first[at[0]] += np.add.reduce(rows, 1)
        second[at[0]] += np.einsum("srlb,srlb->sl", block, other[at])
    return first, second


def scaled(
    array: np.ndarray, scale: np.ndarray, shift: np.ndarray, made: np.ndarray, limits: Limits
) -> None:
    """Write array * scale + shift between limits; scale and shift are (sets, lanes)."""
    for at in _blocks(made):
        out = made[at]
        np.multiply(array[at], scale[at[0], None, :, None], out=out)
        out += shift[at[0], None, :, None]
        limits.clamp(out)


def mixed(
    one: np.ndarray,
    scale: np.ndarray,
    other: np.ndarray,
    share: np.ndarray,
    shift: np.ndarray,
    held: np.ndarray | None,
    made: np.ndarray,
    limits: Limits,
) -> None:
    """Write one * scale + other * share + shift."""
    for at in _blocks(made):
        a, b, c = (numbers[at[0], None, :, None] for numbers in (scale, share, shift))
        out = made[at]
        np.multiply(other[at], b, out=out)
        out += c
        out += _counted(one, held, limits, at) * a
