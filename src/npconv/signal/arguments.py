"""What scipy.signal's arguments may be: checked and brought to one form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MODES = ("full", "same", "valid")
METHODS = ("auto", "direct", "fft")
_BOUNDARIES = {
    "fill": "constant",
    "pad": "constant",
    "circular": "wrap",
    "wrap": "wrap",
    "symmetric": "symmetric",
    "symm": "symmetric",
}


def check_mode(mode: Any) -> None:
    """Raise ValueError unless mode is one of SciPy's three."""
    if mode not in MODES:
        raise ValueError(
            f"acceptable mode flags are 'valid', 'same', or 'full' (Acceptable mode flags), "
            f"not {mode!r}"
        )


def check_method(method: Any) -> None:
    """Raise ValueError unless method is one of SciPy's three."""
    if method not in METHODS:
        raise ValueError(f"Acceptable method flags are 'auto', 'direct', or 'fft', not {method!r}.")


def check_rank(in1: np.ndarray, in2: np.ndarray) -> None:
    """Raise ValueError unless both arrays have as many axes."""
    if in1.ndim != in2.ndim:
        raise ValueError(
            f"in1 and in2 should have the same dimensionality, they have {in1.ndim} and "
            f"{in2.ndim} axes"
        )


def needs_swap(
    mode: str, shape1: Sequence[int], shape2: Sequence[int], axes: Iterable[int]
) -> bool:
    """Whether "valid" makes in2 the array that in1 slides over; ValueError if neither fits."""
    if mode != "valid":
        return False
    pairs = [(shape1[a], shape2[a]) for a in axes]
    if all(n >= k for n, k in pairs):
        return False
    if all(n <= k for n, k in pairs):
        return True
    raise ValueError(
        "For 'valid' mode, one must be at least as large as the other in every dimension, "
        f"shapes are {tuple(shape1)} and {tuple(shape2)}"
    )


def edge_mode(boundary: Any) -> str:
    """Return numpy.pad's name of a boundary of convolve2d."""
    try:
        return _BOUNDARIES[boundary]
    except (KeyError, TypeError):
        raise ValueError(
            "Acceptable boundary flags are 'fill', 'circular' (or 'wrap'), and 'symmetric' "
            f"(or 'symm'), not {boundary!r}."
        ) from None


def fill_constant(fillvalue: Any, dtype: np.dtype) -> np.ndarray:
    """Return fillvalue as one element of the result's dtype, or raise SciPy's ValueError."""
    value = np.asarray(fillvalue)
    if value.size == 0:
        raise ValueError("`fillvalue` cannot be an empty array.")
    if value.size > 1:
        raise ValueError(
            f"`fillvalue` must be scalar or an array with one element, not {value.size}."
        )
    value = value.reshape(())
    if dtype.kind == "O":
        return value.astype(object)
    number = complex(value.item())
    lost = number.imag != 0 and dtype.kind != "c"
    if dtype.kind in "iu" and not lost:
        bounds = np.iinfo(dtype)
        lost = not bounds.min <= number.real <= bounds.max
    if lost:
        raise ValueError(
            f"could not cast `fillvalue` directly to the output type: {number} does not fit "
            f"in {dtype}"
        )
    if dtype.kind == "c":
        return np.asarray(number).astype(dtype)
    return np.asarray(number.real).astype(dtype)


def transform_axes(axes: Any, shape1: Sequence[int], shape2: Sequence[int]) -> list[int]:
    """Return the axes that fftconvolve convolves along: those asked for where both have length.

    The others are broadcast.
    """
    ndim = len(shape1)
    if axes is None:
        chosen = list(range(ndim))
    else:
        chosen = _integers(axes)
        if not chosen:
            raise ValueError("when provided, axes cannot be empty")
        if any(not -ndim <= a < ndim for a in chosen):
            raise ValueError(f"axes exceeds dimensionality of input: {chosen}, {ndim} axes")
        chosen = [a % ndim for a in chosen]
        if len(set(chosen)) != len(chosen):
            raise ValueError(f"all axes must be unique, {chosen} are not")
    chosen = [a for a in chosen if shape1[a] != 1 and shape2[a] != 1]
    for a, (n, k) in enumerate(zip(shape1, shape2, strict=True)):
        if a not in chosen and n != k and 1 not in (n, k):
            raise ValueError(
                f"incompatible shapes for in1 and in2: {tuple(shape1)} and {tuple(shape2)}"
            )
    return chosen


def _integers(axes: Any) -> list[int]:
    values = list(axes) if np.iterable(axes) else [axes]
    if not all(isinstance(a, (int, np.integer)) for a in values):
        raise ValueError(f"axes must be a scalar or iterable of integers, not {axes!r}")
    return [int(a) for a in values]
