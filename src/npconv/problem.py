"""ConvProblem: everything about one convolution but the numbers in its arrays.

The only room with shape formulas.  All of them run in Python integers, so nothing overflows::

    dilated  = dilation * (kernel_size - 1) + 1
    padded   = before + size + after
    out_size = (padded - dilated) // stride + 1
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from npconv.borders import canonical_mode
from npconv.dtypes import compute_dtype_of
from npconv.errors import ProblemError
from npconv.integers import integer, is_many, per_axis
from npconv.memory import nbytes_text

PRECISIONS = ("strict", "fast")
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ConvProblem:
    """A validated convolution.

    x       (batch, *size, in_channels)
    weight  (*kernel_size, in_channels // groups, out_channels)
    out     (batch, *out_size, out_channels)

    `dtype` is the result's; `compute_dtype` is what sums are kept in.  `channels_last` and
    `weight_channels_last` say which way the arrays lie in memory; they steer cost, not meaning.
    """

    batch: int
    in_channels: int
    out_channels: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str
    x_dtype: np.dtype
    weight_dtype: np.dtype
    dtype: np.dtype
    compute_dtype: np.dtype
    precision: str = "strict"
    channels_last: bool = True
    weight_channels_last: bool = True

    @classmethod
    def create(
        cls,
        x_shape: tuple[int, ...],
        weight_shape: tuple[int, ...],
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
        x_dtype: np.dtype,
        weight_dtype: np.dtype,
        dtype: np.dtype,
        precision: str = "strict",
        channels_last: bool = True,
        weight_channels_last: bool = True,
    ) -> ConvProblem:
        """Build a problem from canonical shapes and any spelling of the geometry."""
        batch, *size, in_channels = x_shape
        *kernel_size, _, out_channels = weight_shape
        ndim = len(size)
        strides = per_axis(stride, ndim, "stride", least=1)
        dilations = per_axis(dilation, ndim, "dilation", least=1)
        groups = integer(groups, "groups", least=1)
        if any(k < 1 for k in kernel_size):
            raise ProblemError(f"the kernel {_times(kernel_size)} has an axis of length 0.")
        _check_channels(in_channels, weight_shape[-2], out_channels, groups)
        dilations = tuple(d if k > 1 else 1 for d, k in zip(dilations, kernel_size, strict=True))
        dilated = [d * (k - 1) + 1 for d, k in zip(dilations, kernel_size, strict=True)]
        pads = _padding(padding, size, dilated, strides)
        mode = canonical_mode(padding_mode)
        _check_sizes(size, pads, dilated, mode)
        if precision not in PRECISIONS:
            raise ProblemError(f'precision {precision!r} is not "strict" or "fast".')
        return cls(
            batch, in_channels, out_channels, tuple(size), tuple(kernel_size), strides, pads,
            dilations, groups, mode, x_dtype, weight_dtype, dtype, compute_dtype_of(dtype),
            precision, channels_last, weight_channels_last,
        )  # fmt: skip

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__dataclass_fields__))

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @cached_property
    def dilated_size(self) -> tuple[int, ...]:
        """Extent of the kernel with its holes, an axis."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))

    @cached_property
    def padded_size(self) -> tuple[int, ...]:
        """Extent of x once padded (or cropped), an axis."""
        return tuple(n + b + a for n, (b, a) in zip(self.size, self.padding, strict=True))

    @cached_property
    def out_size(self) -> tuple[int, ...]:
        """Number of windows, an axis."""
        return tuple(
            (n - e) // s + 1
            for n, e, s in zip(self.padded_size, self.dilated_size, self.stride, strict=True)
        )

    def reach(self, start: Sequence[int], stop: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the part of padded x that the outputs start .. stop-1 (an axis) read."""
        return (
            [a * s for a, s in zip(start, self.stride, strict=True)],
            [(b - 1) * s + e for b, s, e in zip(stop, self.stride, self.dilated_size, strict=True)],
        )

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Canonical shape of x."""
        return (self.batch, *self.size, self.in_channels)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Canonical shape of weight."""
        return (*self.kernel_size, self.group_channels, self.out_channels)

    @cached_property
    def out_shape(self) -> tuple[int, ...]:
        """Canonical shape of out."""
        return (self.batch, *self.out_size, self.out_channels)

    @property
    def group_channels(self) -> int:
        """Input channels that one output channel sees."""
        return self.in_channels // self.groups

    @property
    def group_outputs(self) -> int:
        """Output channels of one group."""
        return self.out_channels // self.groups

    @cached_property
    def taps(self) -> int:
        """Positions in the kernel."""
        return math.prod(self.kernel_size)

    @cached_property
    def terms(self) -> int:
        """Products summed for one output element."""
        return self.taps * self.group_channels

    @cached_property
    def pixels(self) -> int:
        """Windows in one image of the batch."""
        return math.prod(self.out_size)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of the definition."""
        return self.batch * self.pixels * self.out_channels * self.terms

    @property
    def itemsize(self) -> int:
        """Bytes of one number while it is computed with."""
        return self.compute_dtype.itemsize

    @cached_property
    def out_nbytes(self) -> int:
        """Bytes of the result."""
        return math.prod(self.out_shape) * self.dtype.itemsize

    @cached_property
    def copies_x(self) -> bool:
        """Whether reading x, padded and in the compute dtype, needs a copy."""
        grows = any(side > 0 for pair in self.padding for side in pair)
        return grows or self.x_dtype != self.compute_dtype

    def describe(self) -> str:
        """Return the problem in one line."""
        parts = [
            f"x {_times((self.batch, self.in_channels, *self.size))}",
            f"weight {_times((self.out_channels, self.group_channels, *self.kernel_size))}",
            f"out {_times((self.batch, self.out_channels, *self.out_size))}",
        ]
        for name, values, plain in (("stride", self.stride, 1), ("dilation", self.dilation, 1)):
            if any(v != plain for v in values):
                parts.append(f"{name} {_times(values)}")
        if any(pair != (0, 0) for pair in self.padding):
            sides = ", ".join(str(b) if b == a else f"{b}+{a}" for b, a in self.padding)
            same = len(set(self.padding)) == 1
            sides = sides.split(", ")[0] if same else sides
            parts.append(f"padding {sides} {self.padding_mode}")
        if self.groups > 1:
            parts.append(f"groups {self.groups}")
        return ", ".join([*parts, str(self.dtype), self.precision])


def _padding(padding: Any, size: list[int], dilated: list[int], stride: tuple[int, ...]) -> Pairs:
    if isinstance(padding, str):
        return _named_padding(padding, size, dilated, stride)
    if not is_many(padding) or not any(map(is_many, padding)):
        if is_many(padding) and len(size) == 1 and len(padding) == 2:
            raise ProblemError(
                f"padding {tuple(padding)} has 2 entries, there is 1 spatial axis.",
                fix=f"for (before, after) on that axis write padding=({tuple(padding)},)",
            )
        return tuple((p, p) for p in per_axis(padding, len(size), "padding"))
    if len(padding) != len(size):
        raise ProblemError(
            f"padding has {len(padding)} entries, there are {len(size)} spatial axes.",
            rule="padding is one integer, one an axis, or one (before, after) an axis",
        )
    pairs = []
    for entry in padding:
        before, after = per_axis(entry, 2, "a (before, after) of padding")
        pairs.append((before, after))
    return tuple(pairs)


def _named_padding(
    name: str, size: list[int], dilated: list[int], stride: tuple[int, ...]
) -> Pairs:
    if name == "valid":
        return ((0, 0),) * len(size)
    if name == "full":
        return tuple((e - 1, e - 1) for e in dilated)
    if name not in ("same", "same_lower"):
        raise ProblemError(
            f"padding {name!r} is not known.", rule="valid, same, same_lower, full, or integers"
        )
    pairs = []
    for n, e, s in zip(size, dilated, stride, strict=True):
        total = max((-(-n // s) - 1) * s + e - n, 0)
        low, high = total // 2, total - total // 2
        pairs.append((low, high) if name == "same" else (high, low))
    return tuple(pairs)


def _check_channels(in_channels: int, per_group: int, out_channels: int, groups: int) -> None:
    if in_channels != per_group * groups:
        raise ProblemError(
            f"x has {in_channels} channels, weight wants {per_group * groups} "
            f"({per_group} per group, groups={groups}).",
            rule="channels of x == weight's I * groups",
            fix=f"pass weight with I = {in_channels // groups}"
            if in_channels % groups == 0 and groups > 1
            else f"pass weight with I = {in_channels}, or groups that divide both channel counts",
        )
    if out_channels % groups:
        raise ProblemError(
            f"weight has {out_channels} output channels, which groups={groups} does not divide.",
            rule="weight's O is a multiple of groups",
        )


def _check_sizes(size: list[int], padding: Pairs, dilated: list[int], mode: str) -> None:
    for axis, (n, (before, after), e) in enumerate(zip(size, padding, dilated, strict=True)):
        if n + before + after < e:
            raise ProblemError(
                f"the kernel spans {e} and padded x only {n + before + after} "
                f"on spatial axis {axis} ({n} + {before} + {after}).",
                rule="dilation * (kernel_size - 1) + 1 <= size + before + after",
                fix="pad more, dilate less, or take a smaller kernel",
            )
        if n + before + after > sys.maxsize:
            needs = nbytes_text(n + before + after)
            raise MemoryError(f"padded x is {needs} or more along spatial axis {axis}.")
        if n == 0 and mode != "zeros":
            raise ProblemError(
                f"spatial axis {axis} of x is empty: padding_mode {mode!r} has nothing to repeat.",
                fix='padding_mode="zeros"',
            )


def _times(values: Sequence[int]) -> str:
    return "x".join(map(str, values))
