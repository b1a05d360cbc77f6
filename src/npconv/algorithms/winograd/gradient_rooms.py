"""The scratch of a weight gradient's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from npconv.algorithms.winograd.gradient_cut import LINE, Cut, up
from npconv.algorithms.winograd.rooms import line
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.winograd_gradient_layer import Desk, Planes, Sums


class Room(NamedTuple):
    """A thread's scratch."""

    values: Planes
    grads: Planes
    sums: Sums
    desk: Desk
    memory: np.ndarray


class Desks:
    """Scratch that a call's threads hand on from part to part."""

    def __init__(self, problem: ConvProblem, work: Cut) -> None:
        self._work = work
        self._zeros = np.zeros(work.block, problem.compute_dtype)
        self._free: list[Room] = []

    @contextmanager
    def lent(self) -> Iterator[Room]:
        """Lend what is free, or else new."""
        try:
            room = self._free.pop()
        except IndexError:
            room = self._new()
        try:
            yield room
        finally:
            self._free.append(room)

    def _new(self) -> Room:
        from npconv.kernels.winograd_gradient_layer import Desk, Planes, Sums

        work = self._work
        memory = np.empty(work.thread_nbytes, np.uint8)
        places = [line(memory)]
        for nbytes in work.lengths:
            places.append(places[-1] + up(nbytes, LINE))
        values, grads, sums, patch, middle, _ = places
        outputs = work.block if work.whole else work.outputs
        table = np.empty(2 * work.entries, np.int64)
        return Room(
            Planes(values, work.plane_nbytes(work.channels), work.held),
            Planes(grads, work.plane_nbytes(work.outputs), work.held),
            Sums(sums, work.sums_plane, outputs * work.itemsize),
            Desk(patch, middle, self._zeros.ctypes.data, table),
            memory,
        )
