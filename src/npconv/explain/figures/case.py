"""What a figure shows: one image through one convolution, every number of it computed by npconv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import npconv
from npconv import ProblemError

from .asked import check_size, index_of, place_of

_BY_RANK = {3: "NCW", 4: "NCHW", 5: "NCDHW"}


@dataclass(frozen=True)
class Case:
    """A convolution as two spatial axes (a line is one row), and the window that is looked at.

    images (N, C, H, W); weight (O, C // groups, kh, kw); bias (O,) or None.  stride and dilation
    are pairs, padding two pairs (before, after).  channel, row and column name an element of out.
    letters are the layout's, flat tells a layout without channels.
    """

    where: str
    images: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str
    out_size: tuple[int, int]
    image: int
    channel: int
    row: int
    column: int
    letters: str

    @property
    def order(self) -> str:
        """The letters of images and out, (N, C, H, W), as the layout names them."""
        spatial = "".join(a for a in self.letters if a not in "NC")
        return f"NC{spatial}" if self.planar else f"NC-{spatial}"

    @property
    def geometry(self) -> dict[str, Any]:
        """Conv's keywords for these arrays."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
        }

    @property
    def x(self) -> np.ndarray:
        """The image that is looked at, (C, H, W)."""
        return self.images[self.image]

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Taps down and across."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def spans(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last."""
        down, across = (
            d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True)
        )
        return down, across

    @property
    def outs(self) -> range:
        """The channels of out in the group of the one that is looked at."""
        each = len(self.weight) // self.groups
        first = self.channel // each * each
        return range(first, first + each)

    @property
    def channels(self) -> range:
        """The channels of x that the channel of out sees: its group's."""
        each = self.weight.shape[1]
        first = self.channel // (len(self.weight) // self.groups) * each
        return range(first, first + each)

    @cached_property
    def out(self) -> np.ndarray:
        """(O, *out_size), by npconv.conv."""
        return npconv.conv(self.x[None], self.weight, self.bias, **self.geometry)[0]

    @cached_property
    def patches(self) -> np.ndarray:
        """(C, kh * kw, windows): the window's elements a column, by npconv.unfold."""
        return self._unfold(self.x, self.kernel_size, self.stride, self.dilation, self.padding)

    @cached_property
    def patches_padded(self) -> np.ndarray:
        """(kh * kw, windows): which elements of the patch matrix stand in the padding."""
        inside = np.ones_like(self.x[:1], np.int64)
        args = self.kernel_size, self.stride, self.dilation, self.padding
        return self._unfold(inside, *args, mode="zeros")[0] == 0

    @cached_property
    def canvas(self) -> np.ndarray:
        """(C, rows, columns): x with its padding, and with what a negative padding cuts off."""
        size = tuple(n + b + a for n, (b, a) in zip(self.x.shape[1:], self.padding, strict=True))
        inner = self._unfold(self.x, (1, 1), (1, 1), (1, 1), self.padding)
        grown = [(max(b, 0), max(a, 0)) for b, a in self.padding]
        canvas = np.zeros(
            (len(self.x), *(n + b + a for n, (b, a) in zip(self.x.shape[1:], grown, strict=True))),
            self.x.dtype,
        )
        (top, bottom), (left, right) = grown
        canvas[:, top : canvas.shape[1] - bottom, left : canvas.shape[2] - right] = self.x
        canvas[(slice(None), *map(_from, self.shift, size))] = inner.reshape(-1, *size)
        return canvas

    @property
    def shift(self) -> tuple[int, int]:
        """Rows and columns of the canvas before the first window: what a negative padding cut."""
        return max(-self.padding[0][0], 0), max(-self.padding[1][0], 0)

    @cached_property
    def padded(self) -> np.ndarray:
        """(rows, columns): which cells of the canvas lie in the padding."""
        return ~self._block([(max(b, 0), max(a, 0)) for b, a in self.padding])

    @cached_property
    def cropped(self) -> np.ndarray:
        """(rows, columns): which cells of the canvas a negative padding cut off."""
        return ~self._block([(max(-b, 0), max(-a, 0)) for b, a in self.padding])

    def _block(self, around: list[tuple[int, int]]) -> np.ndarray:
        """Return a mask of the canvas: all but so many rows and columns at its sides."""
        mask: np.ndarray = np.zeros(self.canvas.shape[1:], bool)
        (top, bottom), (left, right) = around
        rows, columns = mask.shape
        mask[top : rows - bottom, left : columns - right] = True
        return mask

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return the canvas cell of the first tap of out's element (row, column)."""
        return row * self.stride[0] + self.shift[0], column * self.stride[1] + self.shift[1]

    def name(self, array: str, channel: int | None, *place: int) -> str:
        """Return how an element, or a plane, is written: out[1, 4, 2] of an "NCHW" x."""
        index = [] if self.flat else [channel]
        index += place if self.planar else place[1:]
        return f"{array}[{', '.join(map(str, index))}]" if index else array

    @property
    def flat(self) -> bool:
        """Whether the layout has no channels."""
        return "C" not in self.letters

    @property
    def planar(self) -> bool:
        """Whether there are two spatial axes."""
        return len(set(self.letters) - {"N", "C"}) == 2

    def kernel_name(self, out_channel: int, channel: int) -> str:
        """Return the name of a kernel's plane."""
        return "weight" if self.flat else f"weight[{out_channel}, {channel}]"

    def size_text(self, array: np.ndarray) -> str:
        """Return a shape (..., rows, columns) without the axes that the user's arrays lack."""
        channels = () if self.flat else array.shape[:-2]
        return self.times((*channels, *(array.shape[-2:] if self.planar else array.shape[-1:])))

    def pair_text(self, pair: Sequence[int]) -> str:
        """Return a number an axis, as one number where they agree."""
        pair = tuple(pair)[not self.planar :]
        return str(pair[0]) if len(set(pair)) == 1 else self.times(pair)

    @staticmethod
    def times(sizes: Sequence[int]) -> str:
        """Return sizes as 3 × 4."""
        return " × ".join(map(str, sizes))

    def _unfold(
        self, x: np.ndarray, kernel: Any, stride: Any, dilation: Any, padding: Any, mode: str = ""
    ) -> np.ndarray:
        made = npconv.unfold(
            x, kernel, stride=stride, dilation=dilation, padding=padding, layout="CHW",
            padding_mode=mode or self.padding_mode,
        )  # fmt: skip
        return made.reshape(len(x), -1, made.shape[-1])


def make_case(
    where: str, x: Any, weight: Any, bias: Any, at: Any, image: int, geometry: dict[str, Any],
    channel: int | None = None,
) -> Case:  # fmt: skip
    """Return a case from what the user gave, checked as conv checks it, and small enough."""
    try:
        problem = npconv.plan(x := np.asarray(x), weight := np.asarray(weight), **geometry).problem
    except (ProblemError, npconv.UnsupportedError) as error:
        raise error.at(where, error.facts) from None
    letters = (geometry.get("layout") or _BY_RANK[x.ndim]).replace("L", "W")
    spatial = [a for a in letters if a not in "NC"]
    if len(spatial) > 2:
        raise ProblemError(
            f"x has {len(spatial)} spatial axes, a figure shows one or two.",
            fix="take a slice, as x[:, :, 0] with weight[:, :, 0]", where=where,
        )  # fmt: skip
    if "c" in (x.dtype.kind, weight.dtype.kind):
        raise ProblemError(
            "complex numbers have no colour.", fix="draw x.real or x.imag", where=where
        )
    check_size(where, letters, problem)
    weight_letters = _weight_letters(geometry.get("weight_layout"), letters)
    line = len(spatial) == 1
    images = in_order(x, letters, f"NC{'-' * line}{''.join(spatial)}")
    out_size = 1 if line else problem.out_size[0], problem.out_size[-1]
    image = index_of(where, "image", image, len(images))
    if channel is not None:
        first = index_of(where, "channel", channel, problem.out_channels)
        at = (*(first,) * ("C" in letters), *(0,) * len(spatial))
    channel, row, column = place_of(where, letters, at, (problem.out_channels, *out_size))
    added = None if bias is None else np.broadcast_to(np.asarray(bias), (problem.out_channels,))
    ones, none = ((1,), ((0, 0),)) if line else ((), ())
    return Case(
        where, images, in_order(weight, weight_letters, f"OI{'-' * line}{''.join(spatial)}"), added,
        ones + problem.stride, none + problem.padding, ones + problem.dilation, problem.groups,
        problem.padding_mode, out_size, image, channel, row, column, letters,
    )  # fmt: skip


def _weight_letters(layout: str | None, letters: str) -> str:
    """Return weight's letters: conv's default beside x's, or those given."""
    spatial = "".join(a for a in letters if a not in "NC")
    if layout is not None:
        return layout.replace("L", "W") if "W" in spatial and "W" not in layout else layout
    if "C" not in letters:
        return spatial
    first = letters.index("C") < letters.index(spatial[0])
    return f"OI{spatial}" if first else f"{spatial}IO"


def in_order(array: np.ndarray, letters: str, wanted: str) -> np.ndarray:
    """Return a view with the axes wanted; those it lacks have length 1.  bool becomes int64."""
    view = array.transpose([letters.index(a) for a in wanted if a in letters])
    view = view[tuple(slice(None) if a in letters else None for a in wanted)]
    return view.astype(np.int64) if view.dtype.kind == "b" else view


def _from(start: int, length: int) -> slice:
    return slice(start, start + length)
