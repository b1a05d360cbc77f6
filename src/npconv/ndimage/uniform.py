"""Box filters by moving sums, one 1-D pass an axis, as scipy.ndimage has them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike

from npconv.ndimage.arguments import (
    Mode,
    Output,
    Target,
    axis_tuple,
    constants,
    input_array,
    padding_mode,
    per_axis,
    start_offset,
)
from npconv.ndimage.both import BOX, both_passes, mean_along
from npconv.ndimage.moving import moving_mean


def uniform_filter1d(
    input: ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Replace each element by the mean of a window of `size` elements along one axis.

    Parameters
    ----------
    input : array_like
        Any rank from 1 on; bool, integers, float32, float64, complex64 or complex128.
    size : int
        Elements in the window; its centre is ``size // 2``.
    axis : int
        The axis to filter.
    output, mode, cval, origin
        As in `correlate`.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For a size below 1, an unknown mode, a dtype SciPy does not filter, or an output that does
        not fit.
    ValueError
        For an origin outside the window.

    Notes
    -----
    About ``2 * log2(size)`` additions an element; a sum of integers is exact. A NaN or an infinity
    reaches the windows that hold it and no others, where SciPy's running sum carries it to the end
    of the line.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.uniform_filter1d([2.0, 8.0, 0.0, 4.0, 1.0, 9.0, 9.0, 0.0], size=3).round(3)
    array([4.   , 3.333, 4.   , 1.667, 4.667, 6.333, 6.   , 3.   ])
    """
    x = input_array(input)
    axis = normalize_axis_index(axis, x.ndim)
    target = Target(output, x, x.dtype.kind == "c")
    return target.take(_box_pass(x, size, axis, target.work, mode, cval, origin))


def uniform_filter(
    input: ArrayLike,
    size: int | Sequence[int] = 3,
    output: Output = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Replace each element by the mean of a box around it, one axis after another.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    size, mode, origin
        As in `uniform_filter1d`; each is one value, or one for each of `axes`. An axis whose size
        is 1 or less is left as it is.
    output, cval
        As in `correlate`.
    axes : int or sequence of int, optional
        The axes to filter; the others are a batch.

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
        For an origin outside the window, or axes out of range or named twice.

    Notes
    -----
    Each pass leaves its result in the output's dtype, as in SciPy: integers are cut off once an
    axis.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import ndimage
    >>> ndimage.uniform_filter(np.arange(9.0).reshape(3, 3), 3)[1]
    array([3.33333333, 4.        , 4.66666667])
    """
    x = input_array(input)
    target = Target(output, x, x.dtype.kind == "c")
    chosen = axis_tuple(axes, x.ndim)
    count = len(chosen)
    each = zip(
        chosen,
        per_axis(size, count),
        per_axis(origin, count),
        per_axis(mode, count),
        strict=True,
    )
    passes = [values for values in each if values[1] > 1]
    if [values[0] for values in passes] == [0, 1]:
        both = _both(x, passes, target.work, cval)
        if both is not None:
            return target.take(both)
    for axis, length, shift, edge in passes:
        x = _box_pass(x, int(length), axis, target.work, edge, cval, shift)
    return target.take(x if passes else x.copy())


def _both(
    x: np.ndarray, passes: Sequence[tuple[Any, ...]], dtype: np.dtype, cval: Any
) -> np.ndarray | None:
    """Return the mean of a box in an image of floats; None where it has to be done otherwise."""
    _, sizes, origins, modes = zip(*passes, strict=True)
    if max(sizes) > BOX:
        return None
    lengths = [int(size) for size in sizes]
    taps = [np.full(length, 1 / length) for length in lengths]
    before = [start_offset(o, n, "window") for o, n in zip(origins, lengths, strict=True)]
    return both_passes(x, taps, before, modes, dtype, cval)


def _box_pass(
    x: np.ndarray, size: Any, axis: int, dtype: np.dtype, mode: str, cval: Any, origin: Any
) -> np.ndarray:
    size = operator.index(size)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: {size} is below 1")
    before = start_offset(origin, size, "window")
    edge = padding_mode(mode)
    real, imag = constants(cval, x.dtype.kind == "c", False)
    if x.dtype.kind != "c":
        quick = mean_along(x, size, axis, before, dtype, edge, real)
        return moving_mean(x, size, axis, before, dtype, edge, real) if quick is None else quick
    mean = np.empty(x.shape, dtype)
    mean.real = moving_mean(x.real, size, axis, before, mean.real.dtype, edge, real)
    mean.imag = moving_mean(x.imag, size, axis, before, mean.real.dtype, edge, imag)
    return mean
