"""correlate, convolve and their 1-D forms, as scipy.ndimage has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike

from npconv.ndimage.arguments import (
    Output,
    Target,
    axis_tuple,
    constants,
    flipped_origin,
    input_array,
    per_axis,
    start_offset,
)
from npconv.ndimage.sums import filtered


def correlate(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Correlate an array with weights: ``out[i] = sum_t conj(weights[t]) x[i + t - centre]``.

    Parameters
    ----------
    input : array_like
        Any rank; bool, integers, float32, float64, complex64 or complex128.
    weights : array_like
        One axis for each of `axes`. Its centre is ``weights.shape[k] // 2``.
    output : array, dtype or str, optional
        Where the result goes, or its dtype; by default the input's. It may be the input itself.
    mode : str
        What lies beyond the edge: "reflect" (d c b a | a b c d | d c b a, also "grid-mirror"),
        "mirror" (d c b | a b c d | c b a), "nearest", "wrap" (also "grid-wrap"), or
        "constant" (also "grid-constant").
    cval : scalar
        The value beyond the edge for mode "constant".
    origin : int or sequence of int
        Moves the window: 1 moves it one element to the left, so the result one to the right.
    axes : int or sequence of int, optional
        The axes to filter; the others are a batch.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For an unknown mode, a dtype SciPy does not filter, or an output that does not fit.
    ValueError
        For an origin outside the window, or axes out of range or named twice.

    Notes
    -----
    scipy.ndimage.correlate's meaning and numbers. A float32 input with a float32 output is summed
    in float32 and agrees to float32 rounding; all else is summed in float64 as in SciPy. A result
    of integers is cut off, not rounded, and wraps. Takes ``weights.size`` multiply-adds an element,
    or an FFT where npconv's planner finds that faster. Not for separable weights: `gaussian_filter`
    and its kind run one axis after another.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.correlate([1, 2, 3, 4], [1, 0, -1])
    array([-1, -2, -2, -1])
    """
    return _filter(input, weights, output, mode, cval, origin, axes, flip=False)


def convolve(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
) -> np.ndarray:
    """Convolve an array with weights: ``out[i] = sum_t weights[t] x[i - t + centre]``.

    `correlate` with the weights flipped and not conjugated; everything else is as there. A positive
    `origin` moves the result to the left.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.convolve([1, 2, 3, 4], [1, 0, -1])
    array([1, 2, 2, 1])
    """
    return _filter(input, weights, output, mode, cval, origin, axes, flip=True)


def correlate1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Correlate along one axis: ``out[i] = sum_t conj(weights[t]) x[i + t - centre]``.

    Parameters
    ----------
    input : array_like
        Any rank from 1 on; bool, integers, float32, float64, complex64 or complex128.
    weights : array_like
        One axis.
    axis : int
        The axis of the input to filter.
    output, mode, cval, origin
        As in `correlate`.

    Returns
    -------
    array
        Of the input's shape.

    Raises
    ------
    RuntimeError
        For weights that are not 1-D, an unknown mode, a dtype SciPy does not filter, or an output
        that does not fit.
    ValueError
        For an origin outside the window, or an axis out of range.

    Notes
    -----
    The numbers are `correlate`'s. Unlike there, and as in SciPy, a weight of 0 meets every element:
    0 * NaN is NaN.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.correlate1d([[1, 2], [3, 5]], [-1, 1], axis=0)
    array([[0, 0],
           [2, 3]])
    """
    return _line(input, weights, axis, output, mode, cval, origin, flip=False)


def convolve1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Convolve along one axis: ``out[i] = sum_t weights[t] x[i - t + centre]``.

    `correlate1d` with the weights flipped and not conjugated; everything else is as there.

    Examples
    --------
    >>> from npconv import ndimage
    >>> ndimage.convolve1d([1, 2, 3, 5], [1, -1])
    array([1, 1, 2, 0])
    """
    return _line(input, weights, axis, output, mode, cval, origin, flip=True)


def line_sums(
    x: np.ndarray, taps: ArrayLike, axis: int, dtype: np.dtype, mode: str, cval: Any, origin: Any
) -> np.ndarray:
    """Return one pass of a 1-D filter: ``sum_t taps[t] x[i + t - centre]`` along `axis`.

    `dtype` is a Target's `work`. The taps are neither flipped nor conjugated.
    """
    weights = np.asarray(taps)
    axis = normalize_axis_index(axis, x.ndim)
    before = [0] * x.ndim
    before[axis] = start_offset(origin, len(weights))
    shape = [1] * x.ndim
    shape[axis] = len(weights)
    return filtered(x, weights.reshape(shape), before, dtype, mode, cval, axis)


def _line(
    input: ArrayLike,
    weights: ArrayLike,
    axis: int,
    output: Output,
    mode: str,
    cval: Any,
    origin: Any,
    flip: bool,
) -> np.ndarray:
    x, taps = input_array(input), np.asarray(weights)
    target = Target(output, x, x.dtype.kind == "c" or taps.dtype.kind == "c")
    constants(cval, x.dtype.kind == "c", taps.dtype.kind == "c")
    if taps.ndim != 1 or taps.size == 0:
        raise RuntimeError(f"no filter weights given: weights must be 1-D, got shape {taps.shape}")
    if flip:
        taps, origin = taps[::-1], flipped_origin(origin, len(taps))
    elif taps.dtype.kind == "c":
        taps = taps.conj()
    return target.take(line_sums(x, taps, axis, target.work, mode, cval, origin))


def _filter(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output,
    mode: str,
    cval: Any,
    origin: Any,
    axes: Any,
    flip: bool,
) -> np.ndarray:
    x, w = input_array(input), np.asarray(weights)
    target = Target(output, x, x.dtype.kind == "c" or w.dtype.kind == "c")
    chosen = axis_tuple(axes, x.ndim)
    if w.ndim != len(chosen) or w.size == 0:
        raise RuntimeError(
            f"weights.ndim ({w.ndim}) must match len(axes) ({len(chosen)}), and no axis of "
            f"weights may be empty; its shape is {w.shape}"
        )
    if not isinstance(mode, str) and np.iterable(mode):
        raise RuntimeError("A sequence of modes is not supported")
    if len(chosen) == x.ndim:  # in SciPy the order of `axes` then means nothing
        chosen = tuple(range(x.ndim))
    origins = dict(zip(chosen, per_axis(origin, len(chosen)), strict=True))
    lengths = dict(zip(sorted(chosen), w.shape, strict=True))
    if flip:
        w = np.flip(w)
        origins = {a: flipped_origin(o, lengths[a]) for a, o in origins.items()}
    elif w.dtype.kind == "c":
        w = w.conj()
    before = [start_offset(origins[a], lengths[a]) if a in origins else 0 for a in range(x.ndim)]
    shape = [lengths.get(a, 1) for a in range(x.ndim)]
    return target.take(filtered(x, w.reshape(shape), before, target.work, mode, cval))
