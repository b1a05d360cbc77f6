"""How two arrays are seen: the canonical view of each, and where its axes lie in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npconv import layout as axes


class Axes(NamedTuple):
    """What two layouts and two arrays' strides come to, found once."""

    x_letters: str
    weight_letters: str
    order: str
    weight_order: str
    memory: str
    weight_memory: str
    x_view: axes.View
    weight_view: axes.View
    channels_last: bool
    weight_channels_last: bool


@lru_cache(maxsize=1024)
def _find_axes(
    x_shape: tuple[int, ...],
    x_strides: tuple[int, ...],
    weight_shape: tuple[int, ...],
    weight_strides: tuple[int, ...],
    layout: str | None,
    weight_layout: str | None,
) -> Axes:
    x_letters = axes.parse_layout(layout, len(x_shape))
    letters = axes.parse_weight_layout(weight_layout, x_letters, len(weight_shape))
    order, weight_order = axes.canonical_order(x_letters)
    memory = axes.memory_order(x_shape, x_strides, x_letters)
    weight_memory = axes.memory_order(weight_shape, weight_strides, letters)
    many = "C" in x_letters and x_shape[x_letters.index("C")] > 1
    # I after the taps in memory: a tap's inputs then lie together.
    taps_first = "I" in weight_memory and weight_memory.index("I") > max(
        weight_memory.index(a) for a in axes.spatial(x_letters)
    )
    return Axes(
        x_letters, letters, order, weight_order, memory, weight_memory,
        axes.canonical_view(x_letters, order), axes.canonical_view(letters, weight_order),
        many and memory[-1] == "C", taps_first,
    )  # fmt: skip


def find_axes(
    x: np.ndarray, weight: np.ndarray, layout: str | None, weight_layout: str | None
) -> Axes:
    """Return what the layouts and the arrays' strides come to."""
    key = (x.shape, x.strides, weight.shape, weight.strides, layout, weight_layout)
    try:
        return _find_axes(*key)
    except TypeError:
        return _find_axes.__wrapped__(*key)  # a layout that cannot be hashed
