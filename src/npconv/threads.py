"""The one thread pool: tiles of work from a queue that the caller's thread empties too.

A worker that the system wakes late, or that another call keeps busy, costs nothing but its help:
nobody waits for work that has not begun.  What is computed does not depend on who computes it.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

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


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads() - 1, thread_name_prefix="npconv")


if hasattr(os, "register_at_fork"):
    # A forked child has none of the pool's threads: it builds a pool of its own.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def for_each(items: Iterable[_T], step: Callable[[_T], None], threads: int | None = None) -> None:
    """Call step(item) for every item, on several threads; raise what a step raises."""
    queue = deque(items)
    helpers = min(threads or num_threads(), num_threads(), len(queue)) - 1
    if helpers < 1 or getattr(_here, "working", False):
        for item in queue:
            step(item)
        return

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

    futures = [_pool().submit(contextvars.copy_context().run, work) for _ in range(helpers)]
    try:
        work()
    finally:
        queue.clear()
        for future in futures:
            if not future.cancel():
                future.result()
