"""What a kernel is: its numbers, its purpose, and whether it splits into two 1-D passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from npconv import ProblemError

Signed = Literal["clip", "abs", "offset"]
MAX_TAPS = 1 << 20
KEPT_TAPS = 1 << 14  # of each of the kernels of which is kept what was found out
_FAR = 1e-14  # of the largest number, times rows or columns squared: more than rounding leaves


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel that knows its name and its purpose.

    Attributes
    ----------
    name : str
        As `kernel` accepts it, settings included: ``"gaussian:sigma=2"``.
    numbers : ndarray, shape (rows, columns), float64, read-only
        Laid on the image as written (cross-correlation, never flipped).
    purpose : str
        What it is for, in a few words.
    signed : {"clip", "abs", "offset"}
        How `apply` shows results below zero in an image of whole numbers.
    cross : ndarray, shape (rows, columns), float64, or None
        The second direction of a magnitude filter, whose result is
        ``sqrt(numbers' result ** 2 + cross's result ** 2)``.

    Examples
    --------
    >>> from npconv.images import kernel
    >>> kernel("sobel").numbers
    array([[-1., -2., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  2.,  1.]])
    """

    name: str
    numbers: np.ndarray
    purpose: str
    signed: Signed = "clip"
    cross: np.ndarray | None = None

    def __post_init__(self) -> None:
        for attribute in ("numbers", "cross"):
            given = getattr(self, attribute)
            if given is not None:
                object.__setattr__(self, attribute, _checked(given))
        if self.cross is not None and self.cross.shape != self.numbers.shape:
            raise ProblemError(
                f"images: kernel {self.name!r} has {self.numbers.shape} numbers one way "
                f"and {self.cross.shape} the other; they must be alike."
            )

    @cached_property
    def separable(self) -> tuple[np.ndarray, np.ndarray] | None:
        """A column and a row whose product is the kernel, or None when there is no such pair.

        Found by the singular values: a kernel of numerical rank one has all but the first below
        ``max(rows, columns) * eps`` of the first, eps being float64's.

        Examples
        --------
        >>> from npconv.images import kernel
        >>> column, row = kernel("box", size=3).separable
        >>> column.shape, row.shape
        ((3, 1), (1, 3))
        >>> kernel("laplacian").separable is None
        True
        """
        return None if self.cross is not None else separate(self.numbers)


def separate(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Split a rank-one matrix into a column and a row, with whole numbers kept whole.

    Returns None when the numerical rank, from the SVD and float64's eps, is not one.
    """
    find = _separated if numbers.size <= KEPT_TAPS else _separated.__wrapped__
    return find(numbers.tobytes(), numbers.shape)


@lru_cache(maxsize=16)
def _separated(data: bytes, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    numbers = np.frombuffer(data).reshape(shape)
    if _crosses(numbers):
        return None
    left, sizes, right = np.linalg.svd(numbers, full_matrices=False)
    if sizes[0] == 0 or np.any(sizes[1:] > sizes[0] * max(numbers.shape) * np.finfo(float).eps):
        return None
    if np.array_equal(numbers, np.rint(numbers)) and np.abs(numbers).max() < 2**53:
        across = numbers[np.argmax(np.abs(numbers).sum(axis=1))]
        row = across / math.gcd(*(int(value) for value in across))
        pivot = int(np.argmax(np.abs(row)))
        column = numbers[:, pivot] / row[pivot]
        pair = column[:, None], row[None, :]
    else:
        scale = math.sqrt(sizes[0])
        pair = left[:, :1] * scale, right[:1] * scale
    for part in pair:
        part.flags.writeable = False
    return pair


def _crosses(numbers: np.ndarray) -> bool:
    """Return whether a matrix is far from what the row and column of its largest number span.

    One whose rank is one but for rounding is not: an SVD, some hundred times as long, is for those.
    """
    i, j = np.unravel_index(np.argmax(np.abs(numbers)), numbers.shape)
    pivot = numbers[i, j]
    if pivot == 0:
        return True
    spanned = np.outer(numbers[:, j], numbers[i] / pivot)
    return bool(np.abs(numbers - spanned).max() > _FAR * max(numbers.shape) ** 2 * abs(pivot))


def _checked(numbers: Any) -> np.ndarray:
    try:
        if np.iscomplexobj(numbers):
            raise TypeError("these are complex.")
        array = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"images: a kernel needs rows of real numbers: {error}") from error
    if array.ndim != 2 or array.size == 0:
        raise ProblemError(
            f"images: a kernel needs rows and columns; this one has the shape {array.shape}."
        )
    if array.size > MAX_TAPS:
        raise ProblemError(
            f"images: a kernel of {array.shape[0]} x {array.shape[1]} numbers is larger than "
            f"the {MAX_TAPS} allowed."
        )
    if not np.isfinite(array).all():
        raise ProblemError("images: a kernel's numbers must be finite; this one has NaN or Inf.")
    array.flags.writeable = False
    return array
