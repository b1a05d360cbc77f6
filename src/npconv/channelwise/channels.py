"""How an array (N, C, *spatial) is seen for passes over its channels, and the passes.

It is (sets, rows, lanes, run), in the order its memory has::

    channels last    (1, N * pixels / k, k * C, 1)      k pixels side by side: long inner loops
    channels first   (1, N, C, pixels)

with N sets instead of one where each image stands for itself.  Numbers a channel are (sets, C),
float64.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from npconv import spare
from npconv.channelwise import compiled, plain
from npconv.channelwise.limits import OPEN, Limits

_LANES = 1024
_VARIES = 64  # mean squares above this many variances hide too much of these
_VARIES_WIDE = 1 << 20  # the same where elements of float32 are summed in float64


@lru_cache(1024)
def _widest(n: int, most: int) -> int:
    """Return the largest divisor of n that is not above most."""
    return next((k for k in range(min(n, most), 1, -1) if n % k == 0), 1)


class Channels:
    """How arrays of a shape are seen, channels last in memory or first; see `of`.

    apart: whether each image is a set of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.channelwise import Channels
    >>> x = np.array([[[1.0, 3.0], [5.0, 5.0]]])
    >>> form = Channels.of(x)
    >>> mean, squares = form.moments(form.seen(x))
    >>> mean, squares
    (array([[2., 5.]]), array([[2., 0.]]))
    """

    def __init__(self, shape: tuple[int, ...], last: bool, apart: bool) -> None:
        images, self.channels, *size = shape
        axes = range(len(shape))
        self.axes = (0, *axes[2:], 1) if last else tuple(axes)
        self.back = (0, axes[-1], *axes[1:-1]) if last else tuple(axes)
        pixels = math.prod(size)
        self.count = pixels if apart else images * pixels  # elements of a channel in a set
        sets, rows = (images, 1) if apart else (1, images)
        self.together = 1
        self.shape = (sets, rows, self.channels, pixels)
        if last:
            rows *= pixels
            self.together = _widest(rows, _LANES // max(self.channels, 1))
            self.shape = (sets, rows // self.together, self.together * self.channels, 1)
        self.lying = tuple(shape[axis] for axis in self.axes)

    @classmethod
    def of(cls, x: np.ndarray, apart: bool = False) -> Channels:
        """Return how arrays that lie as x does are seen."""
        turned = x.transpose(0, *range(2, x.ndim), 1)
        return _form(x.shape, turned.flags.c_contiguous, apart)

    def seen(self, array: np.ndarray) -> np.ndarray:
        """Return an array of x's shape as it is seen, a copy where it lies otherwise."""
        return np.ascontiguousarray(array.transpose(self.axes)).reshape(self.shape)

    def _as_x(self, seen: np.ndarray) -> np.ndarray:
        return seen.reshape(self.lying).transpose(self.back)

    def _wide(self, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return (sets, C) as (sets, lanes), without gaps."""
        wide = np.empty((self.shape[0], self.together, self.channels), dtype)
        wide[...] = numbers[:, None]
        return wide.reshape(self.shape[0], self.shape[2])

    def _total(self, lanes: np.ndarray) -> np.ndarray:
        """Return (sets, lanes), added up, as (sets, C)."""
        return lanes.reshape(self.shape[0], self.together, self.channels).sum(1)

    @np.errstate(all="ignore")
    def products(
        self,
        one: np.ndarray,
        other: np.ndarray,
        held: np.ndarray | None = None,
        limits: Limits = OPEN,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of one in each channel, and of one * other.

        held: what is between the limits where `one` counts; else it is 0.
        """
        others = (other,) if held is None else (other, held)
        if compiled.serves(one.dtype, one.size, *others):
            first, second = compiled.sums(self.shape, one, other, held, limits)
        else:
            first, second = plain.sums(one, other, held, limits)
        return self._total(first), self._total(second)

    @np.errstate(all="ignore")
    def moments(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each channel's mean, and the sum of its squared distances from it.

        Reads array once; again, with the mean taken off, where that is far from 0 beside how much
        the elements vary, as the difference of the sums would be rounding.
        """
        total, squares = self.products(array, array)
        mean = total / self.count
        spread = squares - total * mean
        wide = array.dtype == np.float32 and compiled.serves(array.dtype, array.size)
        if (spread * (_VARIES_WIDE if wide else _VARIES) < squares).any():
            shift = mean.astype(array.dtype)
            less = array - self._wide(shift, array.dtype)[:, None, :, None]
            total, squares = self.products(less, less)
            mean = shift + total / self.count
            spread = squares - total * (mean - shift)
        return mean, np.maximum(spread, 0)

    @np.errstate(all="ignore")
    def scaled(
        self,
        array: np.ndarray,
        scale: np.ndarray,
        shift: np.ndarray,
        dtype: np.dtype,
        limits: Limits = OPEN,
    ) -> np.ndarray:
        """Return array * scale + shift between limits, as x lies."""
        a, b = self._wide(scale, dtype), self._wide(shift, dtype)
        made = spare.empty(self.shape, dtype)
        if compiled.serves(dtype, array.size, array):
            compiled.scaled(self.shape, array, a, b, made, limits)
        else:
            plain.scaled(array, a, b, made, limits)
        return self._as_x(made)

    @np.errstate(all="ignore")
    def mixed(
        self,
        one: np.ndarray,
        scale: np.ndarray,
        other: np.ndarray,
        share: np.ndarray,
        shift: np.ndarray,
        dtype: np.dtype,
        held: np.ndarray | None = None,
        limits: Limits = OPEN,
    ) -> np.ndarray:
        """Return one * scale + other * share + shift as x lies; held: as in `products`."""
        a, b, c = (self._wide(numbers, dtype) for numbers in (scale, share, shift))
        made = spare.empty(self.shape, dtype)
        arrays = (one, other) if held is None else (one, other, held)
        if compiled.serves(dtype, one.size, *arrays):
            compiled.mixed(self.shape, one, a, other, b, c, held, made, limits)
        else:
            plain.mixed(one, a, other, b, c, held, made, limits)
        return self._as_x(made)


@lru_cache(1024)
def _form(shape: tuple[int, ...], last: bool, apart: bool) -> Channels:
    return Channels(shape, last, apart)


def channel_sums(array: np.ndarray) -> np.ndarray:
    """Return the sum of each channel, (C,), in array's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.channelwise import channel_sums
    >>> channel_sums(np.ones((2, 3, 4, 4))).tolist()
    [32.0, 32.0, 32.0]
    """
    form = Channels.of(array)
    seen = form.seen(array)
    return form.products(seen, seen)[0][0].astype(array.dtype)
