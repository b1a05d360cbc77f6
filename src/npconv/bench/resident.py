"""How much memory a process has in use, and the most of it while calls run: Linux can say."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

CALLS = 5  # the first of them makes what the others keep, as momentum is


def peak_beyond(
    prepare: Callable[..., Callable[[], object]], tiny: dict[str, Any], given: dict[str, Any]
) -> float:
    """Return the most bytes resident in calls, beyond those that a tiny call leaves.

    `prepare(**tiny)` gives the tiny call, which loads and starts what every call needs, and
    `prepare(**given)` the other; NaN where the system does not say. For a fresh process: what
    earlier calls left behind would be taken for the tiny one's.
    """
    prepare(**tiny)()
    gc.collect()
    before = _said("VmRSS")
    call = prepare(**given)
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # which sets the peak to what is resident now
    except OSError:
        return math.nan
    for _ in range(CALLS):
        call()
    return _said("VmHWM") - before


def _said(name: str) -> float:
    """Return one of the kernel's figures of this process, in bytes."""
    try:
        with open("/proc/self/status") as lines:
            words = next((line.split() for line in lines if line.startswith(f"{name}:")), [])
    except OSError:
        return math.nan
    return float(words[1]) * 1024 if words else math.nan
