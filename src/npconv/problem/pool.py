"""PoolProblem: everything about one pooling but the numbers in its arrays.

::

    dilated  = dilation * (kernel_size - 1) + 1
    padded   = before + size + after
    out_size = (padded - dilated) // stride + 1            rounded up with ceil_mode,
                                                           less a window that starts past x
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from npconv.errors import ProblemError
from npconv.integers import per_axis
from npconv.memory import nbytes_text
from npconv.problem.padding import Pairs, read_padding
from npconv.problem.windows import Windows, ceil_div


@dataclass(frozen=True)
class PoolProblem:
    """A validated pooling: windows slide over each image and channel apart.

    x    (batch, *size, channels)
    out  (batch, *out_size, channels)

    Negative padding crops: the elements of x that are left are called visible.  Without
    `count_include_pad` padding is nothing, and each window must hold an element of x; with it
    padding is zeros that count, but for what only ceil_mode reaches.
    """

    batch: int
    channels: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    ceil_mode: bool
    count_include_pad: bool

    @classmethod
    def create(
        cls,
        x_shape: tuple[int, ...],
        kernel_size: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
    ) -> PoolProblem:
        """Build a problem from x's canonical shape and any spelling of the geometry."""
        batch, *size, channels = x_shape
        ndim = len(size)
        kernel = per_axis(kernel_size, ndim, "size", least=1)
        strides = kernel if stride is None else per_axis(stride, ndim, "stride", least=1)
        dilations = per_axis(dilation, ndim, "dilation", least=1)
        dilated = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        problem = cls(
            batch, channels, tuple(size), kernel, strides,
            read_padding(padding, size, dilated, strides), dilations,
            bool(ceil_mode), bool(count_include_pad),
        )  # fmt: skip
        problem._check()
        return problem

    @classmethod
    def whole(cls, x_shape: tuple[int, ...]) -> PoolProblem:
        """Build the problem with one window, all of x."""
        size = x_shape[1:-1]
        for axis, n in enumerate(size):
            if n == 0:
                raise ProblemError(
                    f"spatial axis {axis} of x is empty: there is nothing to pool.",
                    rule="every window holds an element of x",
                )
        return cls.create(x_shape, size)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @cached_property
    def dilated_size(self) -> tuple[int, ...]:
        """Extent of the window with its holes, an axis."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))

    @cached_property
    def padded_size(self) -> tuple[int, ...]:
        """Extent of x once padded (or cropped), an axis."""
        return tuple(n + b + a for n, (b, a) in zip(self.size, self.padding, strict=True))

    @cached_property
    def visible(self) -> tuple[tuple[int, int], ...]:
        """The (start, stop) of what cropping leaves of x, an axis."""
        spans = []
        for n, (before, after) in zip(self.size, self.padding, strict=True):
            start, stop = max(-before, 0), min(n + after, n)
            spans.append((start, stop) if start < stop else (0, 0))
        return tuple(spans)

    @cached_property
    def lead(self) -> tuple[int, ...]:
        """Padded positions before the first visible element, an axis."""
        return tuple(max(before, 0) for before, _ in self.padding)

    @cached_property
    def out_size(self) -> tuple[int, ...]:
        """Number of windows, an axis."""
        counts = []
        for axis, (n, e, s) in enumerate(
            zip(self.padded_size, self.dilated_size, self.stride, strict=True)
        ):
            count = (n - e + (s - 1 if self.ceil_mode else 0)) // s + 1
            start, stop = self.visible[axis]
            if self.ceil_mode and (count - 1) * s >= min(self.lead[axis] + stop - start, n):
                count -= 1
            counts.append(count)
        return tuple(counts)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Canonical shape of x."""
        return (self.batch, *self.size, self.channels)

    @cached_property
    def out_shape(self) -> tuple[int, ...]:
        """Canonical shape of out."""
        return (self.batch, *self.out_size, self.channels)

    @cached_property
    def overlap(self) -> bool:
        """Whether two windows share an element of x."""
        return any(self._windows(axis).overlap for axis in range(self.ndim))

    def read(self, axis: int, start: int, stop: int) -> tuple[slice, Windows]:
        """Return the elements that windows start .. stop-1 of an axis span, and these windows."""
        low, high = self.visible[axis]
        origin = low - self.lead[axis]  # where padded position 0 lies in x, seen from x[0]
        first = origin + start * self.stride[axis]
        last = origin + (stop - 1) * self.stride[axis] + self.dilated_size[axis]
        held = min(max(first, low), high)
        end = max(min(last, high), held)
        return slice(held, end), self._windows(axis, stop - start, end - held, held - first)

    def reached(self, axis: int, start: int, stop: int) -> tuple[slice, Windows]:
        """Return the windows of an axis that span any of the elements start .. stop-1, and how.

        These elements are visible ones.
        """
        origin, s = self.visible[axis][0] - self.lead[axis], self.stride[axis]
        last = min(ceil_div(stop - origin, s), self.out_size[axis])
        first = min(max(ceil_div(start - origin - self.dilated_size[axis] + 1, s), 0), last)
        lead = start - origin - first * s
        return slice(first, last), self._windows(axis, last - first, stop - start, lead)

    def tile_size(self, counts: Sequence[int]) -> list[int]:
        """Return the most elements an axis that so many windows span or are."""
        spans = zip(counts, self.stride, self.dilated_size, self.size, strict=True)
        return [max(min((count - 1) * s + e, n), count) for count, s, e, n in spans]

    def counts(self, axis: int, start: int, stop: int) -> np.ndarray:
        """Return by how many positions of an axis each of the windows start .. stop-1 divides."""
        padded = self.padded_size[axis]
        begin = np.arange(start, stop, dtype=np.int64) * min(self.stride[axis], padded)
        low, high = 0, padded
        if not self.count_include_pad:
            low = self.lead[axis]
            high = low + self.visible[axis][1] - self.visible[axis][0]
        # Beyond padded x is beyond, however far: nothing here need overflow.
        d, most = min(self.dilation[axis], padded), min(self.kernel_size[axis], padded)
        first = np.clip(-((begin - low) // d), 0, most)
        last = np.clip(-((begin - high) // d), 0, most)
        return last - first

    def first_taps(self, axis: int, start: int, stop: int) -> np.ndarray:
        """Return where in x the first tap of each of the windows start .. stop-1 of an axis is."""
        origin = self.visible[axis][0] - self.lead[axis]
        step = min(self.stride[axis], self.padded_size[axis])
        return np.arange(start, stop, dtype=np.int64) * step + origin

    @cached_property
    def units(self) -> tuple[int, ...]:
        """Elements of the spatial block, row-major, in a step along each axis."""
        return tuple(math.prod(self.size[axis + 1 :]) for axis in range(self.ndim))

    @cached_property
    def offset_dtype(self) -> np.dtype:
        """The least integer that counts from a window's first tap to any other within x."""
        spans = zip(self.dilated_size, self.padded_size, self.units, strict=True)
        farthest = sum(min(e, n) * unit for e, n, unit in spans)
        if farthest > sys.maxsize:
            raise MemoryError(f"positions in padded x go up to {farthest}, beyond 64 bits.")
        return np.min_scalar_type(-farthest)

    def _windows(
        self, axis: int, count: int | None = None, size: int | None = None, lead: int | None = None
    ) -> Windows:
        start, stop = self.visible[axis]
        return Windows(
            self.out_size[axis] if count is None else count,
            stop - start if size is None else size,
            self.kernel_size[axis], self.stride[axis], self.dilation[axis],
            self.lead[axis] if lead is None else lead,
        )  # fmt: skip

    def _check(self) -> None:
        """Raise where there is no window, a size would overflow, or a window holds nothing."""
        for axis in range(self.ndim):
            n, (before, after) = self.size[axis], self.padding[axis]
            padded, e = self.padded_size[axis], self.dilated_size[axis]
            if padded > sys.maxsize:
                raise MemoryError(
                    f"padded x is {nbytes_text(padded)} or more along spatial axis {axis}."
                )
            if self.out_size[axis] < 1:
                raise ProblemError(
                    f"the window spans {e} and padded x only {padded} "
                    f"on spatial axis {axis} ({n} + {before} + {after}).",
                    rule="dilation * (size - 1) + 1 <= x's size + before + after",
                    fix="pad more, dilate less, or take a smaller window",
                )
            windows = self._windows(axis)
            at = None if self.count_include_pad else windows.empty_window()
            if at is not None:
                start = at * self.stride[axis] - before
                step = f" in steps of {self.dilation[axis]}" if self.dilation[axis] > 1 else ""
                raise ProblemError(
                    f"window {at} on spatial axis {axis} spans positions {start} to "
                    f"{start + e - 1}{step}, and holds none of x's {n} elements.",
                    rule="every window holds an element of x",
                    fix="pad or crop less",
                )
