"""The one thread pool: tiles of work from a queue that the caller's thread empties too.

A worker that the system wakes late, or that another call keeps busy, costs nothing but its help:
nobody waits for work that has not begun.  BLAS keeps to one thread meanwhile, so there is one level
of parallelism.  What is computed does not depend on who computes it.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import LibController, ThreadpoolController

_T = TypeVar("_T")
_here = threading.local()


@lru_cache(maxsize=1)
def num_threads() -> int:
    """Return how many threads share a call: NPCONV_NUM_THREADS, or this process's CPUs."""
    try:
        asked = int(os.environ.get("NPCONV_NUM_THREADS", ""))
    except ValueError:
        asked = 0
    if asked >= 1:
        return asked
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_each(items: Iterable[_T], step: Callable[[_T], None]) -> None:
    """Call step(item) for every item, on several threads; raise what a step raises."""
    queue = deque(items)
    if len(queue) == 1:  # the threads are left to what the step itself shares out
        step(queue.pop())
        return
    helpers = min(num_threads(), len(queue)) - 1

    def work() -> None:
        _here.working = True
        try:
            while queue:
                try:
                    item = queue.popleft()
                except IndexError:
                    return
                step(item)
        finally:
            _here.working = False

    if getattr(_here, "working", False):
        for item in queue:
            step(item)
        return
    if helpers < 1:
        work()
        return
    pool = _pool()
    _keep_off_this_cpu()
    futures = [pool.submit(contextvars.copy_context().run, work) for _ in range(helpers)]
    try:
        work()
    finally:
        queue.clear()
        for future in futures:
            if not future.cancel():
                future.result()


class _Workers:
    """The pool's threads by the system's numbers, and the CPU they were last kept off."""

    ids: tuple[int, ...] = ()
    avoided: tuple[int, int] = (-1, 0)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    def note() -> None:
        _Workers.ids += (threading.get_native_id(),)

    return ThreadPoolExecutor(max(num_threads() - 1, 1), "npconv", initializer=note)


@lru_cache(maxsize=1)
def _getcpu() -> Callable[[], int] | None:
    try:
        return ctypes.CDLL(None).sched_getcpu if hasattr(os, "sched_setaffinity") else None
    except (OSError, AttributeError, TypeError):
        return None


def _keep_off_this_cpu() -> None:
    """Keep the workers off the caller's CPU: Linux may wake them there, behind the caller."""
    getcpu = _getcpu()
    if getcpu is None:
        return
    cpu = getcpu()
    if (cpu, len(_Workers.ids)) == _Workers.avoided:
        return
    others = os.sched_getaffinity(0) - {cpu}
    for worker in _Workers.ids if others else ():
        try:
            os.sched_setaffinity(worker, others)
        except OSError:
            continue  # the thread has ended, or the system forbids it: help may come later
    _Workers.avoided = (cpu, len(_Workers.ids))


@lru_cache(maxsize=1)
def _blas() -> list[LibController]:
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


class _Holders:
    """Who holds BLAS to one thread, and how many threads it had before the first."""

    lock = threading.Lock()
    count = 0
    before: tuple[int, ...] = ()


@contextmanager
def serial_blas() -> Iterator[None]:
    """Hold BLAS to one thread until the last of the calls that want it so has ended."""
    with _Holders.lock:
        if _Holders.count == 0:
            _Holders.before = tuple(library.get_num_threads() for library in _blas())
            for library in _blas():
                library.set_num_threads(1)
        _Holders.count += 1
    try:
        yield
    finally:
        with _Holders.lock:
            _Holders.count -= 1
            if _Holders.count == 0:
                _release_blas()


def _release_blas() -> None:
    for library, threads in zip(_blas(), _Holders.before, strict=True):
        library.set_num_threads(threads)


def _after_fork() -> None:
    """Forget in a forked child what belongs to the parent's threads: the pool, and the holders."""
    _pool.cache_clear()
    _Workers.ids = ()
    _here.working = False
    _Holders.lock = threading.Lock()
    if _Holders.count:
        _Holders.count = 0
        _release_blas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
