"""fftconvolve and oaconvolve, as scipy.signal has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import conv
from npconv.signal.arguments import check_mode, check_rank, needs_swap, transform_axes
from npconv.signal.windows import LETTERS, convolved, padding, piece, pieces


def fftconvolve(in1: ArrayLike, in2: ArrayLike, mode: str = "full", axes: Any = None) -> Any:
    """Convolve two arrays along some of their axes, and broadcast them along the others.

    Parameters
    ----------
    in1, in2 : array_like
        Of the same rank. Integers and bools are computed in float64, float16 in float32.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    axes : int or sequence of int, optional
        The axes to convolve along, by default all. Along the others, and along those where one
        array has length 1, the arrays are broadcast.

    Returns
    -------
    array
        A float or complex array; float32 stays float32.

    Raises
    ------
    ValueError
        For arrays of different rank, an unknown mode, axes that do not exist or are named twice,
        shapes that do not broadcast, or shapes that have no "valid".

    Notes
    -----
    The name is SciPy's. Whether a transform is used is npconv's choice; what it gives is at least
    as close to the exact sum, and a NaN reaches only the elements whose sums hold it. longdouble
    takes one NumPy pass for each element of the smaller array: use short kernels there.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.fftconvolve([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0]], axes=1).round(6)
    array([[1., 3., 2.],
           [3., 7., 4.]])
    """
    a, b = np.asarray(in1), np.asarray(in2)
    if a.ndim == b.ndim == 0:
        return a * b
    check_rank(a, b)
    if a.size == 0 or b.size == 0:
        return np.array([])
    along = transform_axes(axes, a.shape, b.shape)
    check_mode(mode)
    if needs_swap(mode, a.shape, b.shape, along):
        a, b = b, a
    if len(along) == a.ndim:
        return convolved(_as_floats(a), _as_floats(b), pieces(mode, a.shape, b.shape))
    if along:
        spans = [piece(mode, a.shape[axis], b.shape[axis]) for axis in along]
        out = _broadcast(_as_floats(a), _as_floats(b), along, spans)
    else:
        out = a * b
    if mode == "same":
        out = out[tuple(_middle(n, size) for n, size in zip(out.shape, a.shape, strict=True))]
    return np.ascontiguousarray(out)


def oaconvolve(in1: ArrayLike, in2: ArrayLike, mode: str = "full", axes: Any = None) -> Any:
    """Convolve two arrays, one of them much longer: `fftconvolve` by SciPy's other name.

    Arguments, result and errors are `fftconvolve`'s. There is no need to choose between the two:
    npconv's planner cuts the longer array into overlapping tiles wherever that is faster.

    Examples
    --------
    >>> from npconv import signal
    >>> signal.oaconvolve([1.0, 2.0, 3.0, 4.0], [1.0, -1.0], mode="valid").round(6)
    array([1., 1., 1.])
    """
    return fftconvolve(in1, in2, mode, axes)


def _as_floats(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "fc":
        return array.astype(np.float32) if array.dtype == np.float16 else array
    if array.dtype.kind != "O":
        return array.astype(np.float64)
    try:
        return array.astype(np.float64)
    except TypeError:
        return array.astype(np.complex128)


def _middle(n: int, size: int) -> slice:
    """Return the middle `size` of n elements, as SciPy's "same" has it on broadcast axes too."""
    start = (n - size) // 2
    return slice(start, start + size)


def _broadcast(
    a: np.ndarray, b: np.ndarray, along: list[int], spans: list[tuple[int, int]]
) -> np.ndarray:
    """Convolve along some axes, each pair of lines that broadcasting brings together.

    In conv's terms an axis that only a has is batch N, one that only b has is outputs O, and one
    that both have is groups: channels that do not mix.
    """
    others = [axis for axis in range(a.ndim) if axis not in along]
    if all(b.shape[axis] == 1 for axis in others):
        where = dict(zip(along, spans, strict=True))
        places = tuple(where.get(axis, (0, n)) for axis, n in enumerate(a.shape))
        return convolved(a, b, places)
    dtype = np.result_type(a, b)
    if dtype.char in "gG":
        return _line_by_line(a, b, along, spans, dtype)
    batch = [axis for axis in others if b.shape[axis] == 1]
    both = [axis for axis in others if axis not in batch and a.shape[axis] == b.shape[axis]]
    outputs = [axis for axis in others if axis not in batch and axis not in both]
    n, g, o = (
        math.prod(array.shape[axis] for axis in group)
        for array, group in ((a, batch), (a, both), (b, outputs))
    )
    size = [a.shape[axis] for axis in along]
    lengths = [b.shape[axis] for axis in along]
    x = a.transpose(*batch, *both, *outputs, *along).reshape(n, g, *size)
    kernel = b.transpose(*batch, *both, *outputs, *along).reshape(g * o, 1, *lengths)
    letters = LETTERS[: len(along)]
    out = conv(
        x.astype(dtype, copy=False),
        np.flip(kernel, tuple(range(2, kernel.ndim))).astype(dtype, copy=False),
        groups=g,
        layout="NC" + letters,
        weight_layout="OI" + letters,
        padding=padding(spans, size, lengths),
    )
    placed = [*batch, *both, *outputs, *along]
    shape = [max(a.shape[axis], b.shape[axis]) for axis in (*batch, *both, *outputs)]
    return out.reshape(*shape, *out.shape[2:]).transpose(np.argsort(placed))


def _line_by_line(
    a: np.ndarray,
    b: np.ndarray,
    along: list[int],
    spans: list[tuple[int, int]],
    dtype: np.dtype,
) -> np.ndarray:
    where = dict(zip(along, spans, strict=True))
    others = [axis for axis in range(a.ndim) if axis not in where]
    shape = np.maximum(a.shape, b.shape)
    shape[along] = [stop - start for start, stop in spans]
    out = np.empty(shape, dtype)
    cut = tuple(where[axis] for axis in sorted(along))
    for index in np.ndindex(*shape[others]):
        lines = []
        for array in (out, a, b):
            place: list[Any] = [slice(None)] * array.ndim
            for axis, i in zip(others, index, strict=True):
                place[axis] = i if array.shape[axis] > 1 else 0
            lines.append(tuple(place))
        out[lines[0]] = convolved(a[lines[1]], b[lines[2]], cut)
    return out
