"""Reading along one axis of an array in the order that its memory has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npconv.channelwise import Limits, pass_between

BLOCK = 1 << 15  # elements that a few passes find in a core's cache


class Lying:
    """In which order the axes of x (N, C, *spatial) lie in memory.

    Arrays are seen with their axes in that order, so that what NumPy makes of them lies alike.
    """

    def __init__(self, x: np.ndarray) -> None:
        axes = range(x.ndim)
        self.axes: tuple[int, ...] = (0, *axes[2:], 1) if x.ndim > 1 else tuple(axes)
        if not x.transpose(self.axes).flags.c_contiguous:
            # NumPy allows any stride on an axis of length 1.
            self.axes = (
                tuple(axes)
                if x.flags.c_contiguous
                else tuple(sorted(axes, key=lambda axis: -abs(x.strides[axis])))
            )

    def seen(self, array: np.ndarray) -> np.ndarray:
        """Return an array with its axes as they are seen."""
        return np.ascontiguousarray(array.transpose(self.axes))

    def as_x(self, seen: np.ndarray) -> np.ndarray:
        """Return what is seen with its axes in x's order."""
        return seen.transpose(np.argsort(self.axes))

    def place(self, axis: int) -> int:
        """Return where one of x's axes is seen."""
        return self.axes.index(axis)

    def along(self, axis: int, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return one number for each place of one of x's axes, to go with what is seen."""
        shape = [1] * len(self.axes)
        shape[self.place(axis)] = -1
        return numbers.astype(dtype).reshape(shape)


@np.errstate(all="ignore")
def each(fill: Callable[..., None], *arrays: np.ndarray, inplace: bool = False) -> np.ndarray:
    """Return what ``fill(out, *parts)`` writes, a block after the other, as the first array lies.

    inplace: whether the first array is written over, where it lies without gaps.
    """

    def blocks(first: np.ndarray, *others: np.ndarray) -> np.ndarray:
        made = first if inplace and first.flags.writeable else np.empty_like(first)
        rows = [array.reshape(-1) for array in (made, first, *others)]
        for begin in range(0, first.size, BLOCK):
            fill(*(row[begin : begin + BLOCK] for row in rows))
        return made

    return gapless(blocks, *arrays)


def gapless(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """Return what a function makes of arrays without gaps, as the first array lies."""
    lying = Lying(arrays[0])
    return lying.as_x(function(*map(lying.seen, arrays)))


def let_through(grad: np.ndarray, y: np.ndarray, limits: Limits) -> np.ndarray:
    """Return the way back of clamping: grad where y is between limits, else 0, as y lies."""
    return gapless(lambda held, given: pass_between(given, held, limits), y, grad)


def run_sums(array: np.ndarray, axis: int, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the sums of runs along an axis, which may overlap, or be empty."""
    lengths = stops - starts
    total = array.take(np.minimum(starts, array.shape[axis] - 1), axis)
    before = (slice(None),) * axis
    if not lengths.all():
        total[(*before, lengths == 0)] = 0
    for step in range(1, int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > step)
        part = array.take(starts[longer] + step, axis)
        if longer.size == lengths.size:
            total += part
        else:
            total[(*before, longer)] += part
    return total
