"""convolve2d and correlate2d, as scipy.signal has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import conv
from npconv.signal.arguments import check_mode, edge_mode, fill_constant, needs_swap
from npconv.signal.windows import Spans, convolved, geometry, one_padding, pieces


def convolve2d(
    in1: ArrayLike,
    in2: ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
) -> np.ndarray:
    """Convolve two 2-D arrays: ``out[i, j] = sum_kl in1[k, l] in2[i - k, j - l]``.

    Parameters
    ----------
    in1, in2 : array_like
        2-D; bool, integers, floats, complex numbers, longdouble, or Python numbers.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}
        What lies beyond in1: `fillvalue`, in1 again, or in1 mirrored with its edge repeated. Also
        "pad", "circular" and "symmetric".
    fillvalue : scalar
        For boundary "fill".

    Returns
    -------
    array
        Of dtype ``np.result_type(in1, in2)``. Integers are exact, wrapped into that dtype; bools
        are or-ed.

    Raises
    ------
    ValueError
        For arrays that are not 2-D, an unknown mode or boundary, a fillvalue that does not fit the
        result's dtype, or shapes that have no "valid".

    Notes
    -----
    scipy.signal.convolve2d's meaning and numbers, at one multiply-add for each element of in2, or
    by an FFT where npconv's planner finds that faster. bool, float16 and object arrays work here
    and not in SciPy.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.convolve2d([[1, 2], [3, 4]], [[1, 1]], boundary="wrap")
    array([[3, 3, 3],
           [7, 7, 7]])
    """
    return _planar(in1, in2, mode, boundary, fillvalue, correlates=False)


def correlate2d(
    in1: ArrayLike,
    in2: ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
) -> np.ndarray:
    """Correlate two 2-D arrays: ``out[i, j] = sum_kl in1[i + k, j + l] conj(in2[k, l])``.

    `convolve2d` with in2 reversed and conjugated; arguments, result and errors are as there.

    Notes
    -----
    As in SciPy, "valid" with in2 the larger array gives the reversed correlation of in2 with in1:
    for complex arrays that is the conjugate of what `correlate` gives. "same" puts the centre of an
    even in2 at ``k // 2``, where `correlate` has it at ``(k - 1) // 2``.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.correlate2d([[1, 2, 4]], [[1, -1]], mode="valid")
    array([[-1, -2]])
    """
    return _planar(in1, in2, mode, boundary, fillvalue, correlates=True)


def _planar(
    in1: ArrayLike, in2: ArrayLike, mode: str, boundary: str, fillvalue: Any, correlates: bool
) -> np.ndarray:
    a, b = np.asarray(in1), np.asarray(in2)
    name = "correlate2d" if correlates else "convolve2d"
    if not a.ndim == b.ndim == 2:
        raise ValueError(
            f"{name} inputs must both be 2-D arrays, they have {a.ndim}, {b.ndim} axes"
        )
    plain = fillvalue.__class__ is int and fillvalue == 0
    if plain and a.dtype == b.dtype and mode.__class__ is boundary.__class__ is str:
        pads = _all_of_it(mode, boundary, a.shape, b.shape, a.dtype, correlates)
        if pads is not None:
            kernel = b if correlates else b[::-1, ::-1].copy()
            return conv(a, kernel, layout="HW", padding=pads, padding_mode=edge_mode(boundary))
    check_mode(mode)
    edge = edge_mode(boundary)
    swapped = needs_swap(mode, a.shape, b.shape, (0, 1))
    if swapped:
        a, b = b, a
    fill = None if plain else fill_constant(fillvalue, np.result_type(a, b))
    if correlates:
        b = np.flip(b).conj() if b.dtype.kind in "cO" else np.flip(b)
    spans = _spans(mode, a.shape, b.shape, correlates)
    if fill is not None and (edge != "constant" or fill == 0):
        fill = None
    out = convolved(a, b, spans, edge=edge, fill=fill)
    return np.flip(out) if correlates and swapped else out


def _spans(
    mode: str, size: tuple[int, ...], kernel_size: tuple[int, ...], correlates: bool
) -> Spans:
    """Return the piece of the full convolution, a span an axis."""
    if correlates and mode == "same":
        return tuple((k // 2, k // 2 + n) for n, k in zip(size, kernel_size, strict=True))
    return pieces(mode, size, kernel_size)


@lru_cache(maxsize=1024)
def _all_of_it(
    mode: str, boundary: str, size: tuple[int, ...], kernel_size: tuple[int, ...],
    dtype: np.dtype, correlates: bool,
) -> int | Spans | None:  # fmt: skip
    """Return what conv pads where it makes all of the result of two arrays of a dtype, else None.

    What `convolved` asks of small arrays takes as long as their convolution.
    """
    check_mode(mode)
    edge_mode(boundary)
    pairs = list(zip(size, kernel_size, strict=True))
    if dtype.char not in "fd" or not dtype.isnative or any(k > n or k == 0 for n, k in pairs):
        return None
    made = geometry(size, kernel_size, _spans(mode, size, kernel_size, correlates))
    return None if made.thin or made.folds else one_padding(made.pads)
