"""Sobel, Prewitt and the Laplacians, as scipy.ndimage has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike

from npconv.ndimage.arguments import Mode, Output, Target, axis_tuple, input_array, per_axis
from npconv.ndimage.both import both_passes
from npconv.ndimage.correlation import correlate1d, line_sums
from npconv.ndimage.gaussian import gaussian_filter
from npconv.ndimage.sums import filtered


def sobel(
    input: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
) -> np.ndarray:
    """Differentiate along one axis by [-1, 0, 1] and smooth along the others by [1, 2, 1].

    Parameters
    ----------
    input : array_like
        Any rank from 1 on; bool, integers, float32, float64, complex64 or complex128.
    axis : int
        The axis to differentiate along.
    output, cval
        As in `correlate`.
    mode : str or sequence of str
        As in `correlate`; one, or one an axis.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For an unknown mode, a sequence of the wrong length, a dtype SciPy does not filter, or an
        output that does not fit.
    ValueError
        For an axis out of range.

    Notes
    -----
    Unsigned integers wrap: differences of an image of bytes want ``output=float`` or a signed
    integer.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.sobel([[0, 0, 5], [0, 0, 5], [0, 0, 5]])
    array([[ 0, 20, 20],
           [ 0, 20, 20],
           [ 0, 20, 20]])
    """
    return _gradient(input, axis, output, mode, cval, [1, 2, 1])


def prewitt(
    input: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
) -> np.ndarray:
    """Differentiate along one axis by [-1, 0, 1] and smooth along the others by [1, 1, 1].

    Arguments, result and errors are `sobel`'s.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.prewitt([[0, 0, 5], [0, 0, 5], [0, 0, 5]])
    array([[ 0, 15, 15],
           [ 0, 15, 15],
           [ 0, 15, 15]])
    """
    return _gradient(input, axis, output, mode, cval, [1, 1, 1])


def generic_laplace(
    input: ArrayLike,
    derivative2: Callable[..., Any],
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Sum a second derivative over the axes, with your own function for the derivative.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    derivative2 : callable
        Called once an axis as ``derivative2(input, axis, output, mode, cval, *extra_arguments,
        **extra_keywords)``. `output` is an array to fill the first time, a dtype afterwards; it
        returns its result.
    output, cval
        As in `correlate`.
    mode : str or sequence of str
        As in `correlate`; one, or one for each of `axes`.
    extra_arguments, extra_keywords
        Handed to `derivative2`.
    axes : int or sequence of int, optional
        The axes to sum over.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For a sequence of the wrong length or an output that does not fit.
    ValueError
        For axes out of range or named twice.

    Examples
    --------
    >>> from npconv import ndimage
    >>> def second(x, axis, output, mode, cval):
    ...     return ndimage.correlate1d(x, [1, -2, 1], axis, output, mode, cval)
    >>> ndimage.generic_laplace([1, 4, 9, 16], second)
    array([ 3,  2,  2, -7])
    """
    x = input_array(input)
    target = Target(output, x, x.dtype.kind == "c")
    chosen = axis_tuple(axes, x.ndim)
    if not chosen:
        return target.take(x.copy())
    keywords = dict(extra_keywords or {})
    modes = per_axis(mode, len(chosen))
    total = np.zeros(x.shape, target.dtype)
    derivative2(x, chosen[0], total, modes[0], cval, *extra_arguments, **keywords)
    for axis, edge in zip(chosen[1:], modes[1:], strict=True):
        total += derivative2(x, axis, total.dtype, edge, cval, *extra_arguments, **keywords)
    return target.take(total)


def laplace(
    input: ArrayLike,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Sum the second differences [1, -2, 1] over the axes.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    output, cval
        As in `correlate`.
    mode : str or sequence of str
        As in `correlate`; one, or one for each of `axes`.
    axes : int or sequence of int, optional
        The axes to sum over.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For an unknown mode, a sequence of the wrong length, a dtype SciPy does not filter, or an
        output that does not fit.
    ValueError
        For axes out of range or named twice.

    Notes
    -----
    Unsigned integers wrap, as in `sobel`.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.laplace([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    """
    x = input_array(input)
    chosen = axis_tuple(axes, x.ndim)
    modes = set(per_axis(mode, len(chosen)))
    exact = x.dtype.kind == "f" or (x.dtype.kind in "iu" and x.dtype.itemsize <= 4)
    if len(chosen) == 2 and len(modes) == 1 and exact and cval == 0:
        target = Target(output, x, False)
        return target.take(_cross(x, chosen, target.work, modes.pop()))

    def second(x: np.ndarray, axis: int, output: Output, mode: str, cval: complex) -> np.ndarray:
        return correlate1d(x, [1, -2, 1], axis, output, mode, cval)

    return generic_laplace(input, second, output, mode, cval, axes=axes)


def gaussian_laplace(
    input: ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Sequence[int] | None = None,
    **kwargs: Any,
) -> np.ndarray:
    """Sum the Gaussian second derivatives over the axes: the Laplacian of a smoothed array.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    sigma : float or sequence of float
        Standard deviation, in elements; one, or one for each of `axes`.
    output, cval
        As in `correlate`.
    mode : str or sequence of str
        As in `correlate`; one, or one for each of `axes`.
    axes : int or sequence of int, optional
        The axes to sum over.
    **kwargs
        Handed to `gaussian_filter`: truncate, radius.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError, ValueError
        As in `gaussian_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import ndimage
    >>> ndimage.gaussian_laplace(np.array([0.0, 0, 1, 0, 0]), 1).round(3)
    array([ 0.197,  0.002, -0.399,  0.002,  0.197])
    """
    x = input_array(input)
    chosen = axis_tuple(axes, x.ndim)
    given = per_axis(sigma, len(chosen))
    if len(chosen) == x.ndim:  # in SciPy the order of `axes` then means nothing for sigma
        sigmas = given
    else:
        where = dict(zip(chosen, given, strict=True))
        sigmas = [where.get(axis, 0.0) for axis in range(x.ndim)]

    def second(
        x: np.ndarray, axis: int, output: Output, mode: str, cval: complex, **more: Any
    ) -> np.ndarray:
        order = [2 if a == axis else 0 for a in range(x.ndim)]
        return gaussian_filter(x, sigmas, order, output, mode, cval, **more)

    return generic_laplace(x, second, output, mode, cval, extra_keywords=kwargs, axes=axes)


def _cross(x: np.ndarray, axes: Sequence[int], dtype: np.dtype, mode: str) -> np.ndarray:
    """Return the sum of second differences along two axes, as one sum."""
    weights = np.zeros([3 if axis in axes else 1 for axis in range(x.ndim)])
    middle = [n // 2 for n in weights.shape]
    for axis in axes:
        weights[(*middle[:axis], slice(None), *middle[axis + 1 :])] += [1, -2, 1]
    return filtered(x, weights, middle, dtype, mode, 0.0)


def _gradient(
    input: ArrayLike, axis: int, output: Output, mode: Any, cval: Any, smooth: list[int]
) -> np.ndarray:
    x = input_array(input)
    axis = normalize_axis_index(axis, x.ndim)
    target = Target(output, x, x.dtype.kind == "c")
    modes = per_axis(mode, x.ndim)
    if x.ndim == 2:
        taps = [np.array([-1, 0, 1] if a == axis else smooth, float) for a in (0, 1)]
        if (both := both_passes(x, taps, (1, 1), modes, target.work, cval)) is not None:
            return target.take(both)
    x = line_sums(x, [-1, 0, 1], axis, target.work, modes[axis], cval, 0)
    for other in range(x.ndim):
        if other != axis:
            x = line_sums(x, smooth, other, target.work, modes[other], cval, 0)
    return target.take(x)
