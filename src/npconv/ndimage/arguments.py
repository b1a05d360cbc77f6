"""What scipy.ndimage's arguments may be, and what they mean: checked and brought to one form."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

Output: TypeAlias = np.ndarray | DTypeLike | None
Mode: TypeAlias = str | Sequence[str]

# npconv.conv's (and numpy.pad's) name of each mode.
_PADDING_MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}
_REAL_KINDS = "biuf"


def padding_mode(mode: Any) -> str:
    """Return numpy.pad's name of a boundary mode."""
    try:
        return _PADDING_MODES[mode]
    except (KeyError, TypeError):
        known = ", ".join(_PADDING_MODES)
        raise RuntimeError(f"boundary mode not supported: {mode!r} is none of {known}") from None


def per_axis(value: Any, count: int) -> list[Any]:
    """Return one value for each of `count` axes."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError(
            f"sequence argument must have length equal to input rank: {values!r} has "
            f"{len(values)} entries, {count} axes are filtered"
        )
    return values


def axis_tuple(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes to filter, none negative; None means all."""
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        axes = (axes,)
    elif not isinstance(axes, Iterable):
        raise ValueError("axes must be an integer, iterable of integers, or None")
    numbers = [operator.index(axis) for axis in axes]
    for axis in numbers:
        if not -ndim <= axis < ndim:
            raise ValueError(f"specified axis: {axis} is out of range for {ndim} axes")
    found = tuple(axis % ndim for axis in numbers)
    if len(set(found)) != len(found):
        raise ValueError(f"axes must be unique, {tuple(numbers)} are not")
    return found


def start_offset(origin: Any, length: int, name: str = "weights") -> int:
    """Return how many elements of a window of `length` lie before the one it is written to."""
    origin = operator.index(origin)
    if not -(length // 2) <= origin <= (length - 1) // 2:
        raise ValueError(
            f"Invalid origin {origin}; origin must satisfy -(len({name}) // 2) <= origin <= "
            f"(len({name})-1) // 2, here {-(length // 2)} to {(length - 1) // 2} (invalid origin)"
        )
    return length // 2 + origin


def flipped_origin(origin: Any, length: int) -> int:
    """Return the origin that makes a correlation with the flipped window a convolution."""
    return -operator.index(origin) - (1 - length % 2)


def constants(cval: Any, complex_input: bool, complex_weights: bool) -> tuple[float, float]:
    """Return the real and imaginary part of cval, or raise SciPy's TypeError or ValueError."""
    if complex_input:
        return float(np.real(cval)), float(np.imag(cval))
    if complex_weights and np.iscomplexobj(cval):
        raise ValueError("Cannot provide a complex-valued cval when the input is real.")
    if isinstance(cval, (str, bytes, complex, np.complexfloating)):
        raise TypeError(f"cval must be real number, not {type(cval).__name__}")
    return float(cval), 0.0


def input_array(input: ArrayLike) -> np.ndarray:
    """Return input as an array of a dtype that SciPy filters."""
    array = np.asarray(input)
    check_dtype(array.dtype)
    return array


def check_dtype(dtype: np.dtype) -> None:
    """Raise RuntimeError for a dtype that scipy.ndimage does not filter."""
    fits = dtype.kind in _REAL_KINDS and (dtype.kind != "f" or dtype.itemsize in (4, 8))
    if not fits and dtype.kind + str(dtype.itemsize) not in ("c8", "c16"):
        raise RuntimeError(
            f"array type dtype({str(dtype)!r}) not supported: bool, integers, float32, float64, "
            "complex64 and complex128 are"
        )


class Target:
    """Where a filter's result goes: a dtype, and the caller's array if there is one."""

    def __init__(self, output: Output, input: np.ndarray, complex_result: bool) -> None:
        self.array: np.ndarray | None = None
        if output is None:
            dtype = input.dtype.newbyteorder("=")
            self.dtype = np.promote_types(dtype, np.complex64) if complex_result else dtype
        elif isinstance(output, (type, np.dtype, str)):
            self.dtype = np.dtype(output)
            if isinstance(output, str) and self.dtype.kind not in "iufc":
                raise RuntimeError(f"output must have numeric dtype, not {self.dtype}")
            if complex_result and self.dtype.kind != "c":
                if isinstance(output, str):
                    raise RuntimeError(f"output must have complex dtype, not {self.dtype}")
                warnings.warn("promoting specified output dtype to complex", stacklevel=4)
                self.dtype = np.promote_types(self.dtype, np.complex64)
        else:
            self.array = np.asarray(output)
            self.dtype = self.array.dtype
            if self.array.shape != input.shape:
                raise RuntimeError(
                    f"output shape not correct: {self.array.shape}, input has {input.shape}"
                )
            if complex_result and self.dtype.kind != "c":
                raise RuntimeError(f"output must have complex dtype, not {self.dtype}")
            if not self.array.flags.writeable:
                raise ValueError("output array is read-only.")
        check_dtype(self.dtype)
        if self.dtype.kind == "c" and not complex_result:
            raise RuntimeError(
                f"array type dtype({str(self.dtype)!r}) not supported for a real result"
            )

    @property
    def work(self) -> np.dtype:
        """The dtype between passes: SciPy keeps a bool output's bytes, whatever they hold."""
        return np.dtype(np.uint8) if self.dtype.kind == "b" else self.dtype.newbyteorder("=")

    def take(self, result: np.ndarray) -> np.ndarray:
        """Return `result` in its place: the caller's array if one was given."""
        if self.array is None:
            return result.astype(self.dtype, copy=False)
        self.array[...] = result
        return self.array
