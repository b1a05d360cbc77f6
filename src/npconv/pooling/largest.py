"""Max pooling: the largest of each window, where it stood, and the gradient that goes there."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from npconv.dtypes import as_array
from npconv.pooling import shortcut
from npconv.pooling.common import array_and_door, check_rank, problem_of, told, whole
from npconv.pooling.winners import largest, scattered


@overload
def max_pool(
    x: ArrayLike, size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, layout: str | None = None, return_indices: Literal[False] = False,
) -> np.ndarray: ...  # fmt: skip
@overload
def max_pool(
    x: ArrayLike, size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, layout: str | None = None, return_indices: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...  # fmt: skip
def max_pool(
    x: ArrayLike,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    layout: str | None = None,
    return_indices: bool = False,
) -> Any:
    """Return the largest element of each window of each image and channel.

    ::

        out[n, c, i] = max over u of x[n, c, i*stride + u*dilation]

    with i and u running over every spatial axis, u from 0 to size - 1.  Padding never wins.

    Parameters
    ----------
    x : array_like
        Real numbers or bool.  `layout` names its axes; by default (N, C, W), (N, C, H, W) or
        (N, C, D, H, W).  Any strides, any byte order; never written.
    size : int or sequence of int
        The window's extent, one number or one an axis.
    stride : int or sequence of int, optional
        Step between windows; by default the window's size.
    padding : int, sequence, or str
        As in `conv`: one number, one an axis, one (before, after) an axis, "valid", "same",
        "same_lower" (the last two are ONNX's auto_pad) or "full".  Negative numbers crop.
    dilation : int or sequence of int
        Step between the window's elements; 1 is a dense window.
    ceil_mode : bool
        Round the number of windows up: the last may reach past the padding, but is left out where
        it would start after x's end (PyTorch's rule, and ONNX's).
    layout : str, optional
        x's axes by letter, as in `conv`.
    return_indices : bool
        Return where each largest element stood, too.

    Returns
    -------
    ndarray, or (ndarray, ndarray)
        The largest elements, in x's dtype, layout and memory order; and with `return_indices`
        their int64 positions, flat in the unpadded spatial block of their image and channel, in
        the layout's order of axes.  Of equal elements the first counts.  A window that holds NaN
        gives NaN, and the index of its last NaN.  These are PyTorch's rules.

    Raises
    ------
    ProblemError
        Where the geometry does not fit x, a window would hold padding alone, or x is complex.
    MemoryError
        Where the result does not fit in memory.

    Notes
    -----
    float32 and float64 go through compiled kernels, with channels in any place: x is read and the
    result written once, and indices cost little more.  For everything else, and where NumPy is
    quicker (few channels and images; an element in more than 36 to 256 windows), its passes slide
    along one axis at a time, so that the time grows with the sum of the window's extents, not with
    their product; with indices they take about four times as long.  What is little waits for no
    compiler.  Beside the result either holds a few MiB a thread at most.  For long windows that
    overlap much, a running maximum (scipy.ndimage.maximum_filter1d) does fewer comparisons.

    Source: Y.-T. Zhou, R. Chellappa, "Computation of optical flow using a neural network", 1988.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> x = np.array([[1, 3, 2, 0], [4, 2, 2, 9]])
    >>> npconv.max_pool(x, 2, layout="HW", return_indices=True)
    (array([[4, 9]]), array([[4, 7]]))
    """
    name = "max_pool", bool(return_indices)
    settings = size, stride, padding, dilation, ceil_mode, layout
    if (quick := shortcut.take(name, settings, x)) is not None:
        return quick
    with told("max_pool", layout, {"x": x}, size=size):
        view, door = array_and_door(x, layout)
        problem = problem_of(
            door.x_shape, size, stride=stride, padding=padding, dilation=dilation,
            ceil_mode=ceil_mode,
        )  # fmt: skip
        made = largest(problem, door, view, return_indices)
        return shortcut.keep(made, name, settings, x)


@overload
def global_max_pool(
    x: ArrayLike, *, layout: str | None = None, return_indices: Literal[False] = False
) -> np.ndarray: ...
@overload
def global_max_pool(
    x: ArrayLike, *, layout: str | None = None, return_indices: Literal[True]
) -> tuple[np.ndarray, np.ndarray]: ...
def global_max_pool(
    x: ArrayLike, *, layout: str | None = None, return_indices: bool = False
) -> Any:
    """Return the largest element of each image and channel: `max_pool` with one window, all of x.

    Parameters
    ----------
    x, layout, return_indices
        As in `max_pool`.

    Returns
    -------
    ndarray, or (ndarray, ndarray)
        As of `max_pool`; the spatial axes are kept, with length 1.

    Raises
    ------
    ProblemError
        Where a spatial axis of x is empty, or x is complex.

    Notes
    -----
    Reads x once.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.global_max_pool(np.arange(24.0).reshape(1, 2, 3, 4)).tolist()
    [[[[11.0]], [[23.0]]]]
    """
    name, settings = ("global_max_pool", bool(return_indices)), (layout,)
    if (quick := shortcut.take(name, settings, x)) is not None:
        return quick
    with told("global_max_pool", layout, {"x": x}):
        view, door = array_and_door(x, layout)
        made = largest(whole(door.x_shape), door, view, return_indices)
        return shortcut.keep(made, name, settings, x)


def max_pool_grad(
    grad_out: ArrayLike,
    x: ArrayLike,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    layout: str | None = None,
    indices: ArrayLike | None = None,
) -> np.ndarray:
    """Return the gradient of `max_pool` for x: each window's goes to its largest element.

    ::

        grad_x[n, c, p] = sum of grad_out[n, c, i] over the windows i whose largest stands at p

    Parameters
    ----------
    grad_out : array_like
        The gradient for the result, of its shape.
    x : array_like
        What `max_pool` was given.
    size, stride, padding, dilation, ceil_mode, layout
        As in `max_pool`.
    indices : array_like of int, optional
        What `max_pool` returned with ``return_indices=True``: it saves the search, and of x only
        the shape and memory order count.

    Returns
    -------
    ndarray
        The gradient, of x's shape and in its memory order, in grad_out's dtype (integers and bool
        as int64; float16 is summed in float32 and rounded once).  Elements that are no window's
        largest have exact 0.

    Raises
    ------
    ProblemError
        Where the geometry does not fit x, or grad_out or indices not the geometry.
    MemoryError
        Where the result does not fit in memory.

    Notes
    -----
    Without `indices` it costs `max_pool` with indices once more, and a scattered addition a window.
    Compiled kernels serve where grad_out has x's dtype, or by `indices` float32 or float64, as in
    `max_pool`.  The sums go in one order, whatever the number of threads.  Beside the result it
    holds a few MiB a thread, and grad_out once more where it lies otherwise than x; where windows
    of float16 overlap, all of the gradient in float32.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> x = np.array([[1, 3, 2, 0], [4, 2, 2, 9]])
    >>> npconv.max_pool_grad(np.array([[5, 7]]), x, 2, layout="HW")
    array([[0, 0, 0, 0],
           [5, 0, 0, 7]])
    """
    settings = size, stride, padding, dilation, ceil_mode, layout
    if indices is None:
        name, given = ("max_pool_grad",), (grad_out, x)
    else:
        name, given = ("max_pool_grad", *shortcut.like(x)), (grad_out, indices)
    if (quick := shortcut.take(name, settings, *given)) is not None:
        return quick
    with told("max_pool_grad", layout, {"grad_out": grad_out, "x": x}, size=size):
        grad = as_array(grad_out, "grad_out")
        view, door = array_and_door(x, layout)
        check_rank(grad, len(door.letters))
        problem = problem_of(
            door.x_shape, size, stride=stride, padding=padding, dilation=dilation,
            ceil_mode=ceil_mode,
        )  # fmt: skip
        made = scattered(problem, door, grad, view, indices)
        return shortcut.keep(made, name, settings, *given)


def global_max_pool_grad(
    grad_out: ArrayLike, x: ArrayLike, *, layout: str | None = None
) -> np.ndarray:
    """Return the gradient of `global_max_pool` for x.

    Parameters
    ----------
    grad_out, x, layout
        As in `max_pool_grad`; grad_out's spatial axes have length 1.

    Returns
    -------
    ndarray
        As of `max_pool_grad`: zeros, but where each image's and channel's largest element stands.

    Raises
    ------
    ProblemError
        Where a spatial axis of x is empty, or grad_out has not the result's shape.

    Notes
    -----
    Reads x once and writes the result once.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.global_max_pool_grad(np.array([[[2.0]]]), np.array([[[3.0, 8.0, 8.0]]]))
    array([[[0., 2., 0.]]])
    """
    settings = (layout,)
    if (quick := shortcut.take("global_max_pool_grad", settings, grad_out, x)) is not None:
        return quick
    with told("global_max_pool_grad", layout, {"grad_out": grad_out, "x": x}):
        grad = as_array(grad_out, "grad_out")
        view, door = array_and_door(x, layout)
        check_rank(grad, len(door.letters))
        made = scattered(whole(door.x_shape), door, grad, view)
        return shortcut.keep(made, "global_max_pool_grad", settings, grad_out, x)
