"""convolve and correlate, as scipy.signal has them."""

from __future__ import annotations

import time
import warnings
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from npconv import plan
from npconv.signal.arguments import check_method, check_mode, check_rank, needs_swap
from npconv.signal.windows import LETTERS, convolved, padding, pieces


def convolve(in1: ArrayLike, in2: ArrayLike, mode: str = "full", method: str = "auto") -> Any:
    """Convolve two arrays of any rank: ``out[i] = sum_j in1[j] in2[i - j]``.

    Parameters
    ----------
    in1, in2 : array_like
        Of the same rank; bool, integers, floats, complex numbers, longdouble, or Python numbers
        (object arrays of Decimal, say).
    mode : {"full", "same", "valid"}
        "full" is all n + k - 1 elements an axis; "same" the middle of them, of in1's size; "valid"
        those that need no zeros from outside, where one array is at least as large as the other in
        every dimension.
    method : {"auto", "direct", "fft"}
        "direct" sums products, never through a transform. "fft" and "auto" leave the choice to
        npconv's planner.

    Returns
    -------
    array
        Of dtype ``np.result_type(in1, in2)``. Integers are exact, wrapped into that dtype; bools
        are or-ed.

    Raises
    ------
    ValueError
        For arrays of different rank, an unknown mode or method, an empty array, or shapes that have
        no "valid".

    Notes
    -----
    A NaN or an infinity reaches the elements whose sums hold it, whatever the method; SciPy's
    method="fft" spreads it over the whole result. Both warn. Integers too large for a transform are
    summed directly, and short 1-D arrays by numpy.convolve. longdouble and object arrays take one
    NumPy pass for each element of the smaller array. bool, float16 and object arrays work in any
    rank; in SciPy only in one dimension.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> signal.convolve([1, 2, 3], [0, 1, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    """
    a, b = np.asarray(in1), np.asarray(in2)
    if a.ndim == b.ndim == 0:
        return a * b
    return _convolve(a, b, mode, method)


def correlate(in1: ArrayLike, in2: ArrayLike, mode: str = "full", method: str = "auto") -> Any:
    """Correlate two arrays of any rank: ``out[i] = sum_j in1[j] conj(in2[j - i + k - 1])``.

    `convolve` with in2 reversed and conjugated; arguments, result and errors are as there. Element
    i belongs to the lag ``correlation_lags(...)[i]``.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    a, b = np.asarray(in1), np.asarray(in2)
    if a.ndim == b.ndim == 0:
        return a * b.conj()
    check_rank(a, b)
    return _convolve(a, np.flip(b).conj() if b.dtype.kind in "cO" else np.flip(b), mode, method)


def correlation_lags(in1_len: int, in2_len: int, mode: str = "full") -> np.ndarray:
    """Return the lag that each element of a 1-D `correlate` belongs to.

    Parameters
    ----------
    in1_len, in2_len : int
        The lengths of the arrays.
    mode : {"full", "same", "valid"}
        As given to `correlate`.

    Returns
    -------
    array of int64
        One lag an element.

    Raises
    ------
    ValueError
        For an unknown mode.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.correlation_lags(3, 2)
    array([-1,  0,  1,  2])
    """
    if mode == "full":
        return np.arange(1 - in2_len, in1_len)
    if mode == "same":
        first = (in1_len + in2_len - 1) // 2 - in1_len // 2 - in2_len + 1
        return np.arange(first, first + in1_len)
    if mode == "valid":
        spare = in1_len - in2_len
        return np.arange(min(spare, 0), max(spare, 0) + 1)
    raise ValueError(f"Mode {mode} is invalid")


@overload
def choose_conv_method(
    in1: ArrayLike, in2: ArrayLike, mode: str = "full", measure: Literal[False] = False
) -> str: ...
@overload
def choose_conv_method(
    in1: ArrayLike, in2: ArrayLike, mode: str = "full", *, measure: Literal[True]
) -> tuple[str, dict[str, float]]: ...
def choose_conv_method(
    in1: ArrayLike, in2: ArrayLike, mode: str = "full", measure: bool = False
) -> str | tuple[str, dict[str, float]]:
    """Say whether `convolve` would go through a transform ("fft") or not ("direct").

    Parameters
    ----------
    in1, in2, mode
        As given to `convolve`.
    measure : bool
        Time both, instead of asking npconv's planner.

    Returns
    -------
    str, or (str, dict of str to seconds) with `measure`

    Raises
    ------
    ValueError
        As `convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import signal
    >>> signal.choose_conv_method(np.ones(20), np.ones(5))
    'direct'
    """
    a, b = np.asarray(in1), np.asarray(in2)
    if measure:
        seconds = {method: _seconds(a, b, mode, method) for method in ("fft", "direct")}
        return min(seconds, key=lambda method: seconds[method]), seconds
    check_rank(a, b)
    check_mode(mode)
    dtype = np.result_type(a, b)
    if a.ndim == 0 or dtype.kind not in "fc" or dtype.char in "gG" or 0 in (a.size, b.size):
        return "direct"
    if needs_swap(mode, a.shape, b.shape, range(a.ndim)):
        a, b = b, a
    spans = pieces(mode, a.shape, b.shape)
    if a.size < b.size:
        a, b = b, a
    pads = padding(spans, a.shape, b.shape)
    chosen = plan(a.shape, b.shape, dtype, layout=LETTERS[: a.ndim], padding=pads).algorithm
    return "fft" if chosen == "fft" else "direct"


def _convolve(a: np.ndarray, b: np.ndarray, mode: str, method: str) -> np.ndarray:
    check_rank(a, b)
    check_mode(mode)
    check_method(method)
    if needs_swap(mode, a.shape, b.shape, range(a.ndim)):
        a, b = b, a
    if (a.size == 0 or b.size == 0) and (b.size == 0 or mode != "same"):
        raise ValueError(f"in1 and in2 cannot be empty, shapes are {a.shape} and {b.shape}")
    if method == "fft" and not (_finite(a) and _finite(b)):
        warnings.warn(
            "Use of fft convolution on input with NAN or inf: npconv keeps them to the elements "
            "whose sums hold them, SciPy does not.",
            RuntimeWarning,
            stacklevel=3,
        )
    spans = pieces(mode, a.shape, b.shape)
    return convolved(a, b, spans, direct=method == "direct")


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _seconds(a: np.ndarray, b: np.ndarray, mode: str, method: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        convolve(a, b, mode, method)
        best = min(best, time.perf_counter() - start)
    return best
