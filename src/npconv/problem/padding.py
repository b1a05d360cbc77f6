"""Padding as it may be spelt, as one (before, after) an axis; and whether a window is left."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from npconv.errors import ProblemError
from npconv.integers import is_many, per_axis
from npconv.memory import nbytes_text

Pairs = tuple[tuple[int, int], ...]


def read_padding(
    padding: Any, size: Sequence[int], dilated: Sequence[int], stride: Sequence[int]
) -> Pairs:
    """Return one (before, after) an axis, or raise ProblemError with the spellings there are."""
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
    name: str, size: Sequence[int], dilated: Sequence[int], stride: Sequence[int]
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


def check_sizes(size: Sequence[int], padding: Pairs, dilated: Sequence[int], mode: str) -> None:
    """Raise where no window fits, a size would overflow, or a mode has nothing to repeat."""
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
