"""ConvProblem: everything about one convolution but the numbers in its arrays.

::

    dilated  = dilation * (kernel_size - 1) + 1
    padded   = before + size + after
    out_size = (padded - dilated) // stride + 1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from npconv.borders import canonical_mode
from npconv.dtypes import compute_dtype_of
from npconv.errors import ProblemError
from npconv.integers import integer, per_axis
from npconv.problem.padding import Pairs, check_sizes, read_padding

PRECISIONS = ("strict", "fast")
# The two arrays each direction is given; out stands for its gradient.
_GIVEN = {
    "forward": ("x", "weight"),
    "input_grad": ("out", "weight"),
    "weight_grad": ("out", "x"),
}
DIRECTIONS = tuple(_GIVEN)


@dataclass(frozen=True)
class ConvProblem:
    """A validated convolution, or one of its gradients.

    x       (batch, *size, in_channels)
    weight  (*kernel_size, in_channels // groups, out_channels)
    out     (batch, *out_size, out_channels)

    `direction` says which of the three is sought: out ("forward"), x's gradient from out's and
    weight ("input_grad"), or weight's from out's and x ("weight_grad"); a gradient has the shape of
    what it belongs to.  `dtype` is the result's; `compute_dtype` is what sums are kept in.
    `channels_last` and `weight_channels_last` say which way the arrays lie in memory; they steer
    cost, not meaning.
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
    out_dtype: np.dtype
    compute_dtype: np.dtype
    precision: str = "strict"
    channels_last: bool = True
    weight_channels_last: bool = True
    direction: str = "forward"

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
        out_dtype: np.dtype,
        precision: str = "strict",
        channels_last: bool = True,
        weight_channels_last: bool = True,
        direction: str = "forward",
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
        pads = read_padding(padding, size, dilated, strides)
        mode = canonical_mode(padding_mode)
        check_sizes(size, pads, dilated, mode)
        if precision not in PRECISIONS:
            raise ProblemError(f'precision {precision!r} is not "strict" or "fast".')
        dtype = {"input_grad": x_dtype, "weight_grad": weight_dtype}.get(direction, out_dtype)
        return cls(
            batch, in_channels, out_channels, tuple(size), tuple(kernel_size), strides, pads,
            dilations, groups, mode, x_dtype, weight_dtype, out_dtype, compute_dtype_of(dtype),
            precision, channels_last, weight_channels_last, direction,
        )  # fmt: skip

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__dataclass_fields__))

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: text has another hash in another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

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

    @cached_property
    def result_shape(self) -> tuple[int, ...]:
        """Canonical shape of what is sought."""
        shapes = {"input_grad": self.x_shape, "weight_grad": self.weight_shape}
        return shapes.get(self.direction, self.out_shape)

    @cached_property
    def dtype(self) -> np.dtype:
        """The result's dtype."""
        dtypes = {"input_grad": self.x_dtype, "weight_grad": self.weight_dtype}
        return dtypes.get(self.direction, self.out_dtype)

    @cached_property
    def operand_shapes(self) -> list[tuple[int, ...]]:
        """Canonical shapes of the two arrays given, in the order that algorithms take them."""
        shapes = {"x": self.x_shape, "weight": self.weight_shape, "out": self.out_shape}
        return [shapes[name] for name in _GIVEN[self.direction]]

    @cached_property
    def operand_dtypes(self) -> list[np.dtype]:
        """Their dtypes."""
        dtypes = {"x": self.x_dtype, "weight": self.weight_dtype, "out": self.out_dtype}
        return [dtypes[name] for name in _GIVEN[self.direction]]

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
    def summands(self) -> int:
        """The most products summed for one element of the result."""
        if self.direction == "forward":
            return self.terms
        if self.direction == "weight_grad":
            return self.batch * self.pixels
        # An element of x stands in at most so many windows, once more for each copy in the padding.
        met = math.prod(min(k, n) for k, n in zip(self.kernel_size, self.out_size, strict=True))
        if self.padding_mode != "zeros":
            met *= math.prod(1 + max(b, 0) + max(a, 0) for b, a in self.padding)
        return met * self.group_outputs

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
    def result_nbytes(self) -> int:
        """Bytes of the result."""
        return math.prod(self.result_shape) * self.dtype.itemsize

    @cached_property
    def remainder(self) -> tuple[int, ...]:
        """Padded elements after the last window, an axis: no window reaches them."""
        reached = self.reach([0] * self.ndim, self.out_size)[1]
        return tuple(n - z for n, z in zip(self.padded_size, reached, strict=True))

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


def _times(values: Sequence[int]) -> str:
    return "x".join(map(str, values))
