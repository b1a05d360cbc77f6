"""BLAS held to one thread while npconv's own threads share a call: one level of parallelism."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from threadpoolctl import LibController, ThreadpoolController


class _Library(NamedTuple):
    """A BLAS: how its threads are read and set, and whether each thread sets its own number."""

    get: Callable[[], int]
    set: Callable[[int], Any]
    for_thread: bool


def serial_blas() -> AbstractContextManager[None]:
    """Hold BLAS to one thread until the last of the calls that want it so has ended."""
    return _Hold()


def serial_worker() -> None:
    """Hold BLAS to one thread in this thread, for good, where each thread has its own number."""
    for library in _libraries():
        if library.for_thread:
            library.set(1)


class _Holders:
    """Which calls hold BLAS to one thread, and what to set it to after the last.

    An interrupt may come between any two steps: a call that was cut off holds no longer than its
    `_Hold` lives.
    """

    lock = threading.Lock()
    now: ClassVar[weakref.WeakSet[_Hold]] = weakref.WeakSet()
    before: list[tuple[_Library, int]] | None = None


class _Hold:
    """One call's hold."""

    mine: Sequence[tuple[_Library, int]] = ()

    def __enter__(self) -> None:
        shared, own = _by_kind()
        try:
            with _Holders.lock:
                _Holders.now.add(self)
                if _Holders.before is None:
                    _Holders.before = _numbers(shared)
                if len(_Holders.now) == 1:
                    for library, _ in _Holders.before:
                        library.set(1)
            if own:
                self.mine = _numbers(own)
                for library, _ in self.mine:
                    library.set(1)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with _Holders.lock:
            _Holders.now.discard(self)
            if not _Holders.now:
                _release()
        for library, number in self.mine:
            library.set(number)


def _release() -> None:
    for library, number in _Holders.before or ():
        library.set(number)
    _Holders.before = None


def _numbers(libraries: Sequence[_Library]) -> list[tuple[_Library, int]]:
    """Return those that have more than one thread now, with their numbers."""
    return [(library, number) for library in libraries if (number := library.get()) > 1]


@lru_cache(maxsize=1)
def _libraries() -> tuple[_Library, ...]:
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(_library(controller) for controller in found)


@lru_cache(maxsize=1)
def _by_kind() -> tuple[tuple[_Library, ...], tuple[_Library, ...]]:
    """Return the libraries with one number for the process, and those with one a thread."""
    shared = tuple(library for library in _libraries() if not library.for_thread)
    return shared, tuple(library for library in _libraries() if library.for_thread)


def _library(controller: LibController) -> _Library:
    for_thread = getattr(controller, "threading_layer", "") == "openmp"
    if controller.internal_api == "openblas" and not for_thread:
        # threadpoolctl lets only one thread of a process set OpenBLAS, and ignores all others.
        dynlib = ctypes.CDLL(controller.filepath)
        for prefix, suffix in itertools.product(("", "scipy_"), ("", "64_", "_64")):
            name = f"{prefix}openblas_{{}}_num_threads{suffix}"
            if hasattr(dynlib, name.format("get")) and hasattr(dynlib, name.format("set")):
                get, set_ = (getattr(dynlib, name.format(verb)) for verb in ("get", "set"))
                return _Library(get, set_, for_thread=False)
    return _Library(controller.get_num_threads, controller.set_num_threads, for_thread)


def _after_fork() -> None:
    """Forget in a forked child the holds of the parent's threads."""
    _Holders.lock = threading.Lock()
    _Holders.now = weakref.WeakSet()
    _release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
