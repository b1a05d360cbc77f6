"""What a contender is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[[], Any]


def able(**given: Any) -> str:
    """Answer "" to whatever is asked: the contender can do it."""
    return ""


@dataclass(frozen=True)
class Contender:
    """A way to compute `operation`: `prepare(**given)` gives the call to time.

    `why_not(**given)` is "" where it can do what is given, else the reason. `array` makes an array
    of what the call returns, after the clock is stopped. `channels_last` says that a layer's result
    comes with its channels last, `timed` that its time is of interest.
    """

    operation: str
    package: str
    prepare: Callable[..., Call]
    why_not: Callable[..., str] = able
    array: Callable[[Any], np.ndarray] = np.asarray
    channels_last: bool = False
    timed: bool = True
