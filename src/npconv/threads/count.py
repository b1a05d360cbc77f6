"""How many threads share a call: what was asked for, or the CPUs that this process may use."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from npconv.errors import ProblemError

_VARIABLE = "NPCONV_NUM_THREADS"
_MOST = 1024
_RULE = f"a whole number from 1 to {_MOST}"


class _Setting:
    """What set_num_threads was given, and what has to be made anew after it."""

    asked: int | None = None
    listeners: tuple[Callable[[], object], ...] = ()


def set_num_threads(n: int | None) -> None:
    """Let later calls be shared by n threads, the caller's own among them.

    Results have the same bits for any n.

    Parameters
    ----------
    n : int or None
        From 1 to 1024; None goes back to where npconv started: the variable NPCONV_NUM_THREADS, or
        the CPUs that affinity and container (cgroup quota, rounded up) leave to this process.

    Raises
    ------
    ProblemError
        Where n is none of these.

    Notes
    -----
    Calls that are under way keep what they began with, and so do plans that were made before: they
    report the workspace of that number.  More threads than CPUs make nothing faster.  A program
    that calls npconv from as many threads as it has CPUs should give it 1.

    Examples
    --------
    >>> import npconv
    >>> npconv.set_num_threads(2)
    >>> npconv.get_num_threads()
    2
    >>> npconv.set_num_threads(None)
    """
    number = None if n is None else _valid(n)
    _Setting.asked = number
    num_threads.cache_clear()
    forget_plans()


def get_num_threads() -> int:
    """Return how many threads share a call.

    Examples
    --------
    >>> import npconv
    >>> npconv.get_num_threads() >= 1
    True
    """
    return num_threads()


@lru_cache(maxsize=1)
def num_threads() -> int:
    """Return how many threads share a call; see set_num_threads."""
    if _Setting.asked is not None:
        return _Setting.asked
    text = os.environ.get(_VARIABLE, "").strip()
    try:
        return _valid(int(text)) if text else _cpus()
    except ValueError:
        number = _cpus()
        warnings.warn(
            f"npconv takes {number} threads: {_VARIABLE} is {text!r}, and must be {_RULE}.",
            RuntimeWarning,
            stacklevel=2,
        )
        return number


def forget_when_changed(forget: Callable[[], object]) -> None:
    """Have `forget` called whenever plans may be others: it drops what was planned before.

    That is when the number of threads is set, and when more or less is known of what was measured.
    """
    _Setting.listeners += (forget,)


def forget_plans() -> None:
    """Call what `forget_when_changed` was given."""
    for forget in _Setting.listeners:
        forget()


def _valid(n: Any) -> int:
    try:
        number = operator.index(n)
    except TypeError:
        number = 0
    if not 1 <= number <= _MOST:
        raise ProblemError(
            f"n is {n!r}.", rule=_RULE, fix="None takes the CPUs of this process"
        ).at("set_num_threads", ())
    return number


def _cpus() -> int:
    """Return how many CPUs this process may use at once, at least 1."""
    try:
        number = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        number = os.cpu_count() or 1
    quota = _quota(Path("/"))
    return max(number if quota is None else min(number, quota), 1)


def _quota(root: Path) -> int | None:
    """Return the CPUs that this process's control groups grant, rounded up; None for no limit.

    A group has at most what those above it have.  In a container the path that Linux names may lie
    outside of what is mounted: then the mounted root is the container's own group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    granted = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mounts: tuple[str, ...] = ("", "unified")
            read = _quota_of_v2
        elif "cpu" in controllers.split(","):
            mounts, read = ("cpu", "cpu,cpuacct", "cpuacct,cpu"), _quota_of_v1
        else:
            continue
        own = PurePosixPath("/", path)
        for group in (own, *own.parents):
            for mount in mounts:
                folder = root / "sys/fs/cgroup" / mount / group.relative_to("/")
                try:
                    quota, period = read(folder)
                except (OSError, ValueError):
                    continue
                if quota > 0 and period > 0:
                    granted.append(-(-quota // period))
    return min(granted, default=None)


def _quota_of_v2(folder: Path) -> tuple[int, int]:
    """Return the microseconds of CPU time in each period of so many; ValueError for no limit."""
    quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    return int(quota), int(period)


def _quota_of_v1(folder: Path) -> tuple[int, int]:
    """Return the same as `_quota_of_v2`; the quota is -1 for no limit."""
    quota, period = (
        int((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii"))
        for name in ("quota", "period")
    )
    return quota, period
