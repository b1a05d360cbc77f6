"""The scratch that transforms and products need, and how sums are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.tile import Store
    from npconv.kernels.winograd_layer import Layer, Room


class Rooms:
    """Scratch, made as threads ask for it: each has some of its own while it works."""

    def __init__(self, layer: Layer, work: Work, values: int = 0) -> None:
        self._layer, self._work, self._values = layer, work, values
        self._idle: list[tuple[np.ndarray, tuple[Room, np.ndarray, Store]]] = []

    @contextmanager
    def one(self) -> Iterator[tuple[Room, np.ndarray, Store]]:
        """Give a room, a table of addresses, and how products are stored there."""
        try:
            scratch, given = self._idle.pop()
        except IndexError:
            scratch, given = self._make()
        yield given
        self._idle.append((scratch, given))

    def _make(self) -> tuple[np.ndarray, tuple[Room, np.ndarray, Store]]:
        from npconv.kernels import winograd_layer as kernels

        scratch = np.empty(self._work.room_nbytes, np.uint8)
        room, _ = kernels.room(line(scratch), self._work.sizes, self._values)
        table = np.empty(self._work.entries, np.int64)
        return scratch, (room, table, store_of(self._layer, room.zeros))


def line(array: np.ndarray) -> int:
    """Return the address of the first whole cache line of an array."""
    from npconv.kernels.winograd_layer import LINE

    return -(-array.ctypes.data // LINE) * LINE


def store_of(layer: Layer, start: int, least: float = -math.inf, most: float = math.inf) -> Store:
    """Return how a kernel stores sums: with the row at the address `start` added, and clamped."""
    from npconv.kernels.tile import Store

    dtype = type(layer.zero)
    return Store(start, 0, dtype(least), dtype(most))
