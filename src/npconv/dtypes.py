"""What the numbers mean: which dtypes are taken, what comes out, what sums are kept in."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import ArrayLike

from npconv.errors import ProblemError

NUMERIC_KINDS = "biufc"
_RULE = "bool, integers, floats and complex numbers"
_EXACT_BELOW = ((np.dtype(np.float32), 1 << 24), (np.dtype(np.float64), 1 << 53))


def as_array(value: ArrayLike, name: str) -> np.ndarray:
    """Return value as a plain ndarray of numbers; its strides and byte order stay."""
    # NumPy loads it on first use; while another thread does, there is no masked array yet.
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if masked is not None and isinstance(value, masked):
        raise ProblemError(
            f"{name} is a masked array, and its mask would be lost.",
            fix=f"fill it first, as in {name}.filled(0)",
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ProblemError(f"{name} is not an array: {error}") from None
    if array.dtype.kind not in NUMERIC_KINDS:
        raise ProblemError(
            f"{name} has dtype {array.dtype}, which cannot be convolved.",
            rule=_RULE,
            fix=f"convert it first, as in np.asarray({name}, np.float64)",
        )
    return array


def result_dtype(*dtypes: np.dtype) -> np.dtype:
    """Return the result's dtype: np.result_type, integers and bool widened to 64 bits."""
    for dtype in dtypes:
        if dtype.kind not in NUMERIC_KINDS:
            raise ProblemError(
                f"dtype {dtype} cannot be convolved.",
                rule=_RULE,
                fix="convert the array first, as in x.astype(np.float64)",
            )
    dtype = np.result_type(*dtypes)
    if dtype.kind in "bi" or (dtype.kind == "u" and dtype.itemsize < 8):
        return np.dtype(np.int64)
    return np.dtype(dtype.type)  # NumPy's own object: others take slower paths in ufunc.at


def compute_dtype_of(dtype: np.dtype) -> np.dtype:
    """Return the dtype sums are kept in: float32 for float16, else the result's own."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def exact_float(terms: int, largest_x: int, largest_weight: int) -> np.dtype | None:
    """Return a float dtype that sums so many products of such integers exactly, or None.

    Every partial sum is at most terms * max|x| * max|weight|; below 2**24 float32 holds them all,
    below 2**53 float64 does, and both multiply matrices many times faster than int64.
    """
    bound = terms * largest_x * largest_weight
    return next((dtype for dtype, limit in _EXACT_BELOW if bound < limit), None)


def largest(array: np.ndarray) -> int:
    """Return the largest magnitude in an array of integers; 0 where it is empty."""
    return max(abs(int(array.min())), abs(int(array.max()))) if array.size else 0


def largest_of(dtype: np.dtype) -> int:
    """Return the largest magnitude that an integer dtype holds."""
    return 1 if dtype.kind == "b" else max(np.iinfo(dtype).max, -np.iinfo(dtype).min)
