"""A kernel's work, shared by threads that need the interpreter neither to wake nor to go on."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from npconv.memory import LINE, whole_lines
from npconv.threads import pool
from npconv.threads.count import num_threads

if TYPE_CHECKING:
    from npconv.kernels.entry import Entry

_MOST = 1024  # threads of a job: the caller, and a team's workers
_EXIT_SECONDS = 10.0  # that the interpreter waits for a worker's last item


def share(work: Entry, record: np.ndarray, count: int, threads: int | None = None) -> None:
    """Call work(address of record, item, thread) for every item below `count`, on several threads.

    `thread` is below `threads`, by default `sharers(count)`, and no two at work have the same: who
    has made scratch for so many threads says so here.  Ctrl-C comes out between two items, a
    fraction of a second after it came.
    """
    helpers = (sharers(count) if threads is None else min(threads, max(count, 1))) - 1
    team = _Team.here
    if team is None or len(team.workers) < helpers:
        team = _Team.grown(helpers)
    if not team.address:
        _share_in_pool(work, record, count, helpers + 1)
        return
    if helpers:
        pool.keep_off(team.workers[:helpers])
    begin, at = 0, record.ctypes.data
    while begin < count:
        begin = team.share(team.address, work.address, at, begin, count, helpers)


def sharers(count: int) -> int:
    """Return how many threads may share so many items."""
    return 1 if pool.working() else max(min(num_threads(), count, _MOST), 1)


def _share_in_pool(work: Entry, record: np.ndarray, count: int, threads: int) -> None:
    """Do the same by the pool, where the system has no semaphore that a kernel can wait in."""
    free, at = list(range(threads)), record.ctypes.data

    def step(first: int) -> None:
        thread = free.pop()
        for item in range(first, count, threads):
            work(at, item, thread)
        free.append(thread)

    pool.for_each(range(threads), step)


class _Team:
    """Workers, and the memory in which they find work; address 0: this system has no such team."""

    lock = threading.Lock()
    here: _Team | None = None
    closed = False

    def __init__(self) -> None:
        from npconv.kernels import team as kernels

        self.workers: tuple[_Worker, ...] = ()
        self.address = 0
        self.share, self.close = kernels.share, kernels.close_team
        if not kernels.why_not():
            self._memory = np.zeros(kernels.NBYTES + LINE, np.uint8)
            self.address = whole_lines(self._memory.ctypes.data)
            kernels.open_team(self.address)

    @classmethod
    def grown(cls, number: int) -> _Team:
        """Return the team with so many workers, or as many as the system lets start."""
        from npconv.kernels import team as kernels

        # Compiled here: a worker must not be the first, and who compiles may wait for no lock of
        # ours.
        if not kernels.why_not():
            kernels.warm()
        with cls.lock:
            if cls.here is None:
                cls.here = _Team()
            team = cls.here
            with suppress(RuntimeError):
                while len(team.workers) < number and team.address:
                    if cls.closed:
                        break
                    worker = _Worker(team, len(team.workers))
                    worker.start()
                    team.workers += (worker,)
            return team


class _Worker(threading.Thread):
    """A thread that helps a team with one job after another."""

    def __init__(self, team: _Team, number: int) -> None:
        super().__init__(name=f"npconv_team_{number}", daemon=True)
        self.team, self.number = team, number
        self.avoided = -1  # the CPU it is kept off

    def run(self) -> None:
        """Help until the team is closed."""
        from npconv.kernels import team as kernels

        kernels.serve(self.team.address, self.number)


def _close() -> None:
    """Let the workers go before the interpreter does."""
    _Team.closed = True
    team = _Team.here
    if team is not None and team.workers:
        team.close(team.address)
        for worker in team.workers:
            worker.join(_EXIT_SECONDS)


def _after_fork() -> None:
    """Forget in a forked child the parent's threads."""
    _Team.lock = threading.Lock()
    _Team.here = None


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
