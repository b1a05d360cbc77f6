"""Arguments beside the arrays: shapes in their stead, a bias, a memory limit; rows to show them."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, DTypeLike

from npconv import layout as axes
from npconv.dtypes import as_array, result_dtype
from npconv.errors import ProblemError
from npconv.memory import nbytes_text

_ACTIVATIONS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def example(shape: ArrayLike, dtype: DTypeLike, name: str) -> np.ndarray:
    """Return the array given; for a shape, one that has its strides and no memory to read."""
    if isinstance(shape, np.ndarray):
        return shape
    try:
        sizes = tuple(operator.index(n) for n in shape)  # type: ignore[union-attr, arg-type]
    except TypeError:
        raise ProblemError(
            f"{name} is {shape!r}.", rule="a shape is a tuple of integers, or the array itself"
        ) from None
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ProblemError(f"dtype is {dtype!r}, which NumPy does not know.") from None
    if any(n < 0 for n in sizes):
        raise ProblemError(f"{name} {sizes} has a negative length.")
    strides = [kind.itemsize * math.prod(n or 1 for n in sizes[i + 1 :]) for i in range(len(sizes))]
    try:
        return as_strided(np.empty(1, kind), sizes, strides, writeable=False)
    except (ValueError, OverflowError):
        needs = nbytes_text(math.prod(sizes) * kind.itemsize)
        raise MemoryError(f"{name} {sizes} takes {needs}.") from None


def filled(view: np.ndarray) -> np.ndarray:
    """Return an array like the view, in its memory order, holding small random numbers."""
    values = np.random.default_rng(0).integers(0, 5, view.shape)
    filled = np.empty_like(view)
    filled[...] = values
    return filled


def bias_array(bias: ArrayLike | None, *dtypes: np.dtype) -> np.ndarray | None:
    """Return bias as an array; a Python number does not widen the arrays' own dtypes."""
    if bias is None:
        return None
    array = as_array(bias, "bias")
    if type(bias) in (bool, int, float, complex):
        dtype = np.result_type(result_dtype(*dtypes), bias)
        return array.astype(dtype)
    return array


def limits(activation: str | None, dtype: np.dtype) -> tuple[float, float]:
    """Return the least and the most that an activation leaves of a number of this dtype."""
    if activation is None:
        return -math.inf, math.inf
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        names = ", ".join(f'"{name}"' for name in _ACTIVATIONS)
        raise ProblemError(f"activation {activation!r} is not known.", rule=f"None, {names}")
    if dtype.kind == "c":
        raise ProblemError(f"activation {activation!r} orders numbers, and {dtype} has no order.")
    return _ACTIVATIONS[activation]


def byte_count(value: Any) -> int:
    """Return a memory limit as an int, or raise ProblemError."""
    try:
        limit = operator.index(value)
    except TypeError:
        raise ProblemError(f"memory_limit is {value!r}, not a number of bytes.") from None
    if limit < 0:
        raise ProblemError(f"memory_limit is {limit} bytes, and must be at least 0.")
    return limit


def facts(
    given: Mapping[str, Any], layout: str | None, weight_layout: str | None
) -> list[tuple[str, str]]:
    """Return the rows of a message that show each array, or each shape given in its stead.

    A name that begins with weight has weight's letters, one that ends with _shape may be a shape.
    """
    rows = []
    x_letters = ""
    for name, value in given.items():
        try:
            is_shape = name.endswith("_shape") and not isinstance(value, np.ndarray)
            shape = tuple(value) if is_shape else np.shape(value)
        except (ValueError, TypeError):
            rows.append((name, type(value).__name__))
            continue
        try:
            if name.startswith("weight"):
                letters = axes.parse_weight_layout(weight_layout, x_letters, len(shape))
            else:
                letters = x_letters = axes.parse_layout(layout, len(shape))
        except (ProblemError, TypeError, IndexError):
            letters = ""
        rows.append((name, f"{shape!s:<16}  {letters}".rstrip()))
    return rows
