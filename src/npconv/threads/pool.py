"""The pool: tiles of work from a queue that the caller's thread empties too.

A worker that the system wakes late costs nothing but its help: nobody waits for work that has not
begun, and workers that help another call are not asked.  What is computed does not depend on who
computes it.
"""

from __future__ import annotations

import atexit
import contextvars
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from npconv.threads.blas import serial_worker
from npconv.threads.count import num_threads

_T = TypeVar("_T")
_here = threading.local()
_EXIT_SECONDS = 10.0  # that the interpreter waits for a worker's last item


def for_each(items: Iterable[_T], step: Callable[[_T], None]) -> None:
    """Call step(item) for every item, on several threads; raise what a step raises.

    After an error, or Ctrl-C, no further item is begun, and those under way are waited for.
    """
    queue = deque(items)
    if len(queue) == 1:  # the threads are left to what the step itself shares out
        step(queue.pop())
        return
    helpers = min(num_threads(), len(queue)) - 1
    if helpers < 1 or working():
        for item in queue:
            step(item)
        return
    job = _Job(queue, step)
    try:
        try:
            _here.working = True
            _ask(job, helpers)
            job.work()
        finally:
            _end(job)
    finally:  # an interrupt may have come before the first _end was under way
        _end(job)
    if job.errors:
        raise job.errors.pop()


def working() -> bool:
    """Return whether this thread is at work that is shared already."""
    return getattr(_here, "working", False)


class _Job:
    """What one call has to do, and who is at it.

    A helper says so in `begun` before it looks into the queue: once the caller has seen the queue
    empty, whoever is not in `begun` will find nothing there.
    """

    def __init__(self, queue: deque[Any], step: Callable[[Any], None]) -> None:
        self.queue = queue
        self.step = step
        self.context = contextvars.copy_context()
        self.begun: list[None] = []
        self.ended: list[None] = []
        self.news: SimpleQueue[None] = SimpleQueue()
        self.errors: list[BaseException] = []

    def work(self) -> None:
        """Take items until there are none."""
        while self.queue:
            try:
                item = self.queue.popleft()
            except IndexError:
                return
            self.step(item)

    def help(self, worker: _Worker) -> None:
        """Take items as a worker: with the caller's context, and errors kept for it."""
        if not self.queue:  # it is over: the next caller need not find this worker busy
            return
        worker.idle = False
        self.begun.append(None)
        try:
            self.context.copy().run(self.work)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self.queue.clear()
            self.errors.append(error)
        finally:
            worker.idle = True  # before the caller goes on to its next job
            self.ended.append(None)
            self.news.put(None)

    def end(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self.queue.clear()
        while len(self.ended) < len(self.begun):
            self.news.get()
        self.step = _nothing  # a worker that wakes late must not hold the caller's arrays till then


def _nothing(item: Any) -> None:
    """Do nothing."""


def _end(job: _Job) -> None:
    """End a job, and only then let an interrupt through: helpers know its arrays by address only.

    May be interrupted itself, and called again.
    """
    _here.working = False
    interrupt = None
    while True:
        try:
            job.end()
            break
        except BaseException as error:  # noqa: BLE001 - raised below
            interrupt = error
    if interrupt is not None:
        raise interrupt


class _Worker(threading.Thread):
    """A thread that helps one job after another."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"npconv_{number}", daemon=True)
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.idle = True
        self.avoided = -1  # the CPU it is kept off

    def run(self) -> None:
        """Help until there is None to help."""
        _here.working = True
        serial_worker()
        while (job := self.jobs.get()) is not None:
            job.help(self)
            del job  # and with it the caller's arrays


class _Pool:
    """The workers of this process, started one by one as they are asked for."""

    lock = threading.Lock()
    workers: tuple[_Worker, ...] = ()
    closed = False


def _ask(job: _Job, helpers: int) -> None:
    """Give the job to so many idle workers, or to those there are."""
    asked = 0
    cpu = _this_cpu()
    if len(_Pool.workers) < helpers:
        _grow(helpers)
    for worker in _Pool.workers:
        if worker.idle and not _Pool.closed:
            _keep_off(worker, cpu)
            worker.jobs.put(job)
            asked += 1
            if asked == helpers:
                return


def _grow(number: int) -> None:
    """Have so many workers, or as many as the system lets start."""
    with _Pool.lock, suppress(RuntimeError):
        while len(_Pool.workers) < number and not _Pool.closed:
            worker = _Worker(len(_Pool.workers))
            worker.start()
            _Pool.workers += (worker,)


@lru_cache(maxsize=1)
def _getcpu() -> Callable[[], int] | None:
    try:
        return ctypes.CDLL(None).sched_getcpu if hasattr(os, "sched_setaffinity") else None
    except (OSError, AttributeError, TypeError):
        return None


def _this_cpu() -> int:
    getcpu = _getcpu()
    return -1 if getcpu is None else getcpu()


class _Kept(Protocol):
    avoided: int

    @property
    def native_id(self) -> int | None: ...


def keep_off(workers: Sequence[_Kept]) -> None:
    """Keep workers off the CPU of this thread: Linux may wake them there, behind it."""
    cpu = _this_cpu()
    for worker in workers:
        _keep_off(worker, cpu)


def _keep_off(worker: _Kept, cpu: int) -> None:
    """Keep a worker off the caller's CPU: Linux may wake it there, behind the caller."""
    if cpu in (-1, worker.avoided) or worker.native_id is None:
        return
    mine = os.sched_getaffinity(0)
    with suppress(OSError):  # where the system forbids it, help may come later
        os.sched_setaffinity(worker.native_id, mine - {cpu} or mine)
    worker.avoided = cpu


def _close() -> None:
    """Let the workers go before the interpreter does: BLAS may not be pulled from under them."""
    _Pool.closed = True
    for worker in _Pool.workers:
        worker.jobs.put(None)
    for worker in _Pool.workers:
        worker.join(_EXIT_SECONDS)


def _after_fork() -> None:
    """Forget in a forked child the parent's threads."""
    _Pool.lock = threading.Lock()
    _Pool.workers = ()
    _here.working = False


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
