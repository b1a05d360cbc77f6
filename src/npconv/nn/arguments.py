"""What layers ask of their arguments, and the numbers that they begin with."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.layer import Layer, Parameter

Seed = int | np.random.Generator | None
_AXES = {1: "W", 2: "HW", 3: "DHW"}


def whole(layer: Layer, name: str, value: Any, least: int = 1) -> int:
    """Return an integer that is least or more."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ProblemError(
            f"{name} is {value!r}.",
            rule=f"an integer of {least} or more",
            where=type(layer).__name__,
        )
    return number


def per_axis(layer: Layer, name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return one integer for each spatial axis, from one for all or from one each."""
    if not isinstance(value, (tuple, list, np.ndarray)):
        return (whole(layer, name, value, least),) * axes
    if len(value) != axes:
        raise ProblemError(
            f"{name} {tuple(value)} has {len(value)} entries.",
            rule=f"one integer, or one for each of {', '.join(_AXES[axes])}",
            where=type(layer).__name__,
        )
    return tuple(whole(layer, name, each, least) for each in value)


def divides(layer: Layer, **counts: int) -> None:
    """Check that the first of two counts divides the second."""
    (part, n), (name, count) = counts.items()
    if count % n:
        raise ProblemError(
            f"{name} {count} is no multiple of {part} {n}.", where=type(layer).__name__
        )


def real(layer: Layer, name: str, value: Any, least: float, most: float = np.inf) -> float:
    """Return a number from least to most."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or not least <= value <= most:
        upper = "or more" if most == np.inf else f"to {most:g}"
        raise ProblemError(
            f"{name} is {value!r}.", rule=f"a number of {least:g} {upper}",
            where=type(layer).__name__,
        )  # fmt: skip
    return float(value)


def check_x(
    layer: Layer, x: np.ndarray, spatial: tuple[int, ...], channels: int | None = None
) -> None:
    """Check that x is (N, C, *spatial) with as many spatial axes as one of these, and its C."""
    if x.ndim - 2 not in spatial:
        wanted = [f"({', '.join('NC' + _AXES.get(n, ''))})" for n in spatial]
        fix = "x[None] makes one image a batch" if x.ndim + 1 - 2 in spatial else ""
        raise ProblemError(
            f"x has {x.ndim} axes.",
            rule=f"x is {' or '.join(wanted)}",
            fix=fix,
            where=type(layer).__name__,
            facts=(("x", str(x.shape)), ("layer", repr(layer))),
        )
    if channels is not None and x.shape[1] != channels:
        raise ProblemError(
            f"x has {x.shape[1]} channels, the layer takes {channels}.",
            rule="channels are axis 1 of x, whatever its memory order",
            where=type(layer).__name__,
            facts=(("x", str(x.shape)), ("layer", repr(layer))),
        )


def filled(shape: tuple[int, ...], value: float, dtype: DTypeLike) -> Parameter:
    """Return a parameter that begins with one value everywhere."""
    return Parameter(np.full(shape, value, float_type(dtype)))


def uniform(rng: Seed, shape: tuple[int, ...], bound: float, dtype: DTypeLike) -> Parameter:
    """Return a parameter that begins with numbers drawn evenly between -bound and bound."""
    kind = float_type(dtype)
    generator = np.random.default_rng(rng)
    values = generator.random(shape, dtype=kind.type)
    values -= 0.5
    values *= 2 * bound
    return Parameter(values)


def float_type(dtype: DTypeLike) -> np.dtype:
    """Return float32 or float64."""
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ProblemError(f"dtype {kind} is none that layers learn in.", rule="float32 or float64")
    return kind
