"""Whether kernels can be compiled here, whether they are, and how to do it beforehand."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from npconv import kernels
from npconv.kernels import files

_READY: set[tuple[str, ...]] = set()
_LOOKED: dict[tuple[str, ...], int] = {}  # how many kernels had been compiled at the last look
_SUPPOSED: ContextVar[bool] = ContextVar("npconv kernels supposed ready", default=False)


def missing() -> str:
    """Return "" where Numba is installed, else the reason kernels give.

    That an installed Numba cannot be imported is known once kernels were needed; see `usable`.
    """
    return _absent() or kernels.Broken.reason


def usable() -> bool:
    """Return whether kernels can be compiled, by importing Numba: a fraction of a second."""
    if not missing():
        with suppress(ImportError):
            import_module("npconv.kernels.compile")
    return not missing()


@lru_cache(maxsize=1)
def _absent() -> str:
    try:
        found = importlib.util.find_spec("numba") and importlib.util.find_spec("llvmlite")
    except (ImportError, ValueError):
        found = None
    if not found:
        return "Numba is not installed"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "Numba's compiler is switched off by NUMBA_DISABLE_JIT"
    return ""


class Warmed(NamedTuple):
    """What it took to have a module's kernels ready: kernels compiled, kernels loaded, seconds."""

    module: str
    compiled: int
    loaded: int
    seconds: float


def warmup() -> list[Warmed]:
    """Compile every kernel that is not kept yet, and return what was done for each module.

    Takes some ten seconds the first time, and a fraction of one later.  A kernel's module says in
    its `warm` what calls are made of it.  Returns nothing where `missing` has a reason.
    """
    if not usable():
        return []
    from npconv.kernels.compile import Tally

    done = []
    for name in _modules():
        module = import_module(f"npconv.kernels.{name}")
        if hasattr(module, "warm"):
            compiled, loaded, began = Tally.compiled, Tally.loaded, time.perf_counter()
            module.warm()
            seconds = time.perf_counter() - began
            done.append(Warmed(name, Tally.compiled - compiled, Tally.loaded - loaded, seconds))
    return done


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(kernels.__path__))


def ready(module_name: str, *choices: str) -> bool:
    """Return whether the kernels of npconv.kernels.`module_name` can run without compiling.

    All that the module's `warm(*choices)` calls is meant.  The first look loads it where it is
    kept.  It waits for no other thread's compiling: the answer is "no" meanwhile.  Until this
    process compiles a kernel, a "no" is not looked into again, so that asking costs next to
    nothing.
    """
    if _SUPPOSED.get():
        return usable()
    asked = (module_name, *choices)
    if asked in _READY:
        return True
    # Without Tally another thread is importing it just now.
    tally = getattr(sys.modules.get("npconv.kernels.compile"), "Tally", None)
    count = tally.compiled if tally else 0
    if _LOOKED.get(asked) == count:
        return False
    found = _can_load(*asked)
    if found:
        _READY.add(asked)
    elif found is not None:
        _LOOKED[asked] = count
    return bool(found)


@contextmanager
def supposed_ready() -> Iterator[None]:
    """Let `ready` answer here as if all kernels were compiled: for costs only looked at."""
    token = _SUPPOSED.set(True)
    try:
        yield
    finally:
        _SUPPOSED.reset(token)


def _can_load(module_name: str, *choices: str) -> bool | None:
    """Load a module's kernels, compiling none; None where another thread is at it."""
    if missing() or ("numba" not in sys.modules and not _anything_kept()):
        return False
    try:
        from npconv.kernels.compile import Busy, NotKept, only_loading

        warm = getattr(import_module(f"npconv.kernels.{module_name}"), "warm", None)
    except ImportError:
        usable()  # says in `missing` what Numba said
        return False
    try:
        with only_loading():
            return warm is not None and warm(*choices) is None
    except NotKept:
        return False
    except Busy:
        return None


def _anything_kept() -> bool:
    place = files.user_directory()
    try:
        return place is not None and any(place.glob("kernels-*/*.kernel"))
    except OSError:
        return False


def kept() -> tuple[Path | None, list[Path]]:
    """Return the directory where kernels are kept (None: nowhere) and the files in it."""
    from npconv.kernels import compile as compiling

    return compiling.folder(), compiling.kept()


def remove_old() -> list[Path]:
    """Remove the kernels of other versions and other CPUs; return the directories removed."""
    from npconv.kernels import compile as compiling

    return compiling.remove_old()
