"""Integers as people write them: one, or one for each spatial axis."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from npconv.errors import ProblemError


def integer(value: Any, name: str, least: int | None = None) -> int:
    """Return value as an int of at least `least`, or raise ProblemError by that name."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ProblemError(f"{name} is {value!r}, not an integer.") from None
    if least is not None and number < least:
        raise ProblemError(f"{name} is {number}, and must be at least {least}.")
    return number


def is_many(value: Any) -> bool:
    """Return whether an argument is one value an axis rather than one for all."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def per_axis(value: Any, ndim: int, name: str, least: int | None = None) -> tuple[int, ...]:
    """Return `ndim` ints from one, or from one an axis."""
    if not is_many(value):
        return (integer(value, name, least),) * ndim
    if len(value) != ndim:
        raise ProblemError(
            f"{name} {tuple(value)} has {len(value)} entries, there are {ndim} spatial axes.",
            rule=f"{name} is one integer, or one an axis",
        )
    return tuple(integer(v, name, least) for v in value)
