"""Gaussian filters and their derivatives, one 1-D pass an axis, as scipy.ndimage has them."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.ndimage.arguments import Mode, Output, Target, axis_tuple, input_array, per_axis
from npconv.ndimage.both import both_passes
from npconv.ndimage.correlation import line_sums


def gaussian_filter1d(
    input: ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> np.ndarray:
    """Smooth along one axis with a Gaussian, or with one of its derivatives.

    Parameters
    ----------
    input : array_like
        Any rank from 1 on; bool, integers, float32, float64, complex64 or complex128.
    sigma : float
        Standard deviation, in elements.
    axis : int
        The axis to filter.
    order : int
        0 for the Gaussian, n for its n-th derivative.
    output, mode, cval
        As in `correlate`.
    truncate : float
        Where the window ends, in standard deviations: it has ``2 * int(truncate * sigma + .5) + 1``
        taps.
    radius : int, optional
        Half the window, in elements, whatever `truncate` says.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    ValueError
        For a negative order or radius.
    RuntimeError
        For an unknown mode, a dtype SciPy does not filter, or an output that does not fit.

    Notes
    -----
    The taps are the sampled Gaussian, divided by their sum; a derivative's are the taps times
    ``(-1/sigma)^n He_n(x/sigma)``, He the Hermite polynomials of probability. Numbers, dtypes and
    cost are `correlate`'s.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.gaussian_filter1d([0.0, 0.0, 1.0, 0.0, 0.0], sigma=0.5).round(3)
    array([0.   , 0.106, 0.787, 0.106, 0.   ])
    """
    x = input_array(input)
    target = Target(output, x, x.dtype.kind == "c")
    return target.take(
        _gaussian_pass(x, sigma, axis, order, target.work, mode, cval, truncate, radius)
    )


def gaussian_filter(
    input: ArrayLike,
    sigma: float | Sequence[float],
    order: int | Sequence[int] = 0,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Smooth an array with a Gaussian, or with its derivatives, one axis after another.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    sigma, order, mode, radius
        As in `gaussian_filter1d`; each is one value, or one for each of `axes`. An axis whose sigma
        is 0 is left as it is.
    output, cval, truncate
        As in `gaussian_filter1d`.
    axes : int or sequence of int, optional
        The axes to filter; the others are a batch.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    ValueError
        For a negative order or radius, or axes out of range or named twice.
    RuntimeError
        For an unknown mode, a sequence of the wrong length, a dtype SciPy does not filter, or an
        output that does not fit.

    Notes
    -----
    Each pass leaves its result in the output's dtype, as in SciPy, so integers are cut off once an
    axis: ask for ``output=float`` to round only at the end.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import ndimage
    >>> spot = np.zeros((3, 3))
    >>> spot[1, 1] = 1
    >>> ndimage.gaussian_filter(spot, 0.5).round(3)
    array([[0.011, 0.084, 0.011],
           [0.084, 0.619, 0.084],
           [0.011, 0.084, 0.011]])
    """
    x = input_array(input)
    target = Target(output, x, x.dtype.kind == "c")
    chosen = axis_tuple(axes, x.ndim)
    count = len(chosen)
    each = zip(
        chosen,
        per_axis(sigma, count),
        per_axis(order, count),
        per_axis(mode, count),
        per_axis(radius, count),
        strict=True,
    )
    passes = [values for values in each if values[1] > 1e-15]
    if [values[0] for values in passes] == [0, 1]:
        taps = [_taps(*values[1:3], truncate, values[4]) for values in passes]
        before = [len(each) // 2 for each in taps]
        modes = [values[3] for values in passes]
        both = both_passes(x, taps, before, modes, target.work, cval)
        if both is not None:
            return target.take(both)
    for axis, deviation, n, edge, half in passes:
        x = _gaussian_pass(x, deviation, axis, n, target.work, edge, cval, truncate, half)
    return target.take(x if passes else x.copy())


@lru_cache(maxsize=64)
def _gaussian_taps(sigma: float, order: int, radius: int) -> np.ndarray:
    """Return the taps of a Gaussian's derivative, in the order a correlation wants them."""
    x = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 / (sigma * sigma) * x**2)
    bell /= bell.sum()
    below, hermite = np.zeros_like(bell), np.ones_like(bell)
    for n in range(order):
        below, hermite = hermite, x / sigma * hermite - n * below
    taps = (-1.0 / sigma) ** order * hermite * bell
    taps.flags.writeable = False
    return taps[::-1]


def _gaussian_pass(
    x: np.ndarray,
    sigma: Any,
    axis: int,
    order: int,
    dtype: np.dtype,
    mode: str,
    cval: Any,
    truncate: float,
    radius: int | None,
) -> np.ndarray:
    taps = _taps(sigma, order, truncate, radius)
    return line_sums(x, taps, axis, dtype, mode, cval, 0)


def _taps(sigma: Any, order: int, truncate: float, radius: int | None) -> np.ndarray:
    """Return the taps that arguments ask for, or raise what SciPy does."""
    sigma = float(sigma)
    if radius is None:
        radius = int(truncate * sigma + 0.5)
    if not isinstance(radius, numbers.Integral) or radius < 0:
        raise ValueError(f"Radius must be a nonnegative integer. It is {radius!r}")
    order = operator.index(order)
    if order < 0:
        raise ValueError(f"order must be non-negative, not {order}")
    return _gaussian_taps(sigma, order, int(radius))
