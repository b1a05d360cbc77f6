"""Average pooling: the mean of each window, and its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.dtypes import as_array
from npconv.pooling import shortcut
from npconv.pooling.common import array_and_door, door_for_shape, problem_of, told, whole
from npconv.pooling.means import means, means_grad


def avg_pool(
    x: ArrayLike,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    layout: str | None = None,
) -> np.ndarray:
    """Return the mean of each window of each image and channel.

    ::

        out[n, c, i] = sum over u of x[n, c, i*stride + u*dilation] / count[i]

    with i and u running over every spatial axis, u from 0 to size - 1, and x padded with zeros.

    Parameters
    ----------
    x : array_like
        Numbers.  `layout` names its axes; by default (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        Any strides, any byte order; never written.
    size, stride, padding, dilation, ceil_mode, layout
        As in `max_pool`.
    count_include_pad : bool
        Whether count[i] takes in the window's places in the padding, or x's elements alone.
        Places past the padding, which ceil_mode reaches, never count.

    Returns
    -------
    ndarray
        The means, in x's layout and memory order.  Floats and complex numbers keep their dtype,
        float16 is summed in float32 and rounded once, integers and bool give float64.

    Raises
    ------
    ProblemError
        Where the geometry does not fit x, or, without `count_include_pad`, a window would hold
        padding alone.
    MemoryError
        Where the result does not fit in memory.

    Notes
    -----
    The sum is divided once.  float32 and float64 go through compiled kernels as in `max_pool`, but
    for windows longer than 256 elements along an axis, unless they are whole images that lie dense:
    of those NumPy's passes add along one axis after another, and round less.  Beside the result
    either holds a few MiB a thread at most.

    Source: Y. LeCun et al., "Handwritten digit recognition with a back-propagation network", 1989.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> x = np.array([[1, 3, 2, 0], [4, 2, 2, 9]])
    >>> npconv.avg_pool(x, 2, layout="HW")
    array([[2.5 , 3.25]])
    >>> npconv.avg_pool(np.array([1.0, 2.0]), 2, stride=1, padding=1, layout="W",
    ...                 count_include_pad=False)
    array([1. , 1.5, 2. ])
    """
    settings = size, stride, padding, dilation, ceil_mode, count_include_pad, layout
    if (quick := shortcut.take("avg_pool", settings, x)) is not None:
        return quick
    with told("avg_pool", layout, {"x": x}, size=size):
        view, door = array_and_door(x, layout)
        problem = problem_of(
            door.x_shape, size, stride=stride, padding=padding, dilation=dilation,
            ceil_mode=ceil_mode, count_include_pad=count_include_pad,
        )  # fmt: skip
        return shortcut.keep(means(problem, door, view), "avg_pool", settings, x)


def global_avg_pool(x: ArrayLike, *, layout: str | None = None) -> np.ndarray:
    """Return the mean of each image and channel: `avg_pool` with one window, all of x.

    Parameters
    ----------
    x, layout
        As in `avg_pool`.

    Returns
    -------
    ndarray
        As of `avg_pool`; the spatial axes are kept, with length 1.

    Raises
    ------
    ProblemError
        Where a spatial axis of x is empty.

    Notes
    -----
    Reads x once.

    Source: M. Lin, Q. Chen, S. Yan, "Network in network", 2014.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.global_avg_pool(np.arange(24.0).reshape(1, 2, 3, 4)).tolist()
    [[[[5.5]], [[17.5]]]]
    """
    settings = (layout,)
    if (quick := shortcut.take("global_avg_pool", settings, x)) is not None:
        return quick
    with told("global_avg_pool", layout, {"x": x}):
        view, door = array_and_door(x, layout)
        made = means(whole(door.x_shape), door, view)
        return shortcut.keep(made, "global_avg_pool", settings, x)


def avg_pool_grad(
    grad_out: ArrayLike,
    x_shape: ArrayLike,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    layout: str | None = None,
) -> np.ndarray:
    """Return the gradient of `avg_pool` for x: its exact adjoint.

    ::

        grad_x[n, c, p] = sum of grad_out[n, c, i] / count[i] over the windows i that hold p

    Parameters
    ----------
    grad_out : array_like
        The gradient for the result, of its shape.
    x_shape : tuple of int, or ndarray
        x's shape, or x itself: then the gradient lies in memory as x does, else as grad_out does.
    size, stride, padding, dilation, ceil_mode, count_include_pad, layout
        As in `avg_pool`.

    Returns
    -------
    ndarray
        The gradient, of x's shape.  Floats and complex numbers keep grad_out's dtype, float16 is
        summed in float32 and rounded once, integers and bool give float64.  Elements that no
        window holds have exact 0.

    Raises
    ------
    ProblemError
        Where the geometry does not fit x_shape, or grad_out not the geometry.
    MemoryError
        Where the result does not fit in memory.

    Notes
    -----
    Costs what `avg_pool` does, and a copy of grad_out where it lies otherwise than x.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.avg_pool_grad(np.array([[8.0, 4.0]]), (2, 5), 2, layout="HW")
    array([[2., 2., 1., 1., 0.],
           [2., 2., 1., 1., 0.]])
    """
    name = "avg_pool_grad", *shortcut.like(x_shape)
    settings = size, stride, padding, dilation, ceil_mode, count_include_pad, layout
    if (quick := shortcut.take(name, settings, grad_out)) is not None:
        return quick
    with told("avg_pool_grad", layout, {"grad_out": grad_out, "x_shape": x_shape}, size=size):
        grad = as_array(grad_out, "grad_out")
        door = door_for_shape(x_shape, grad, layout)
        problem = problem_of(
            door.x_shape, size, stride=stride, padding=padding, dilation=dilation,
            ceil_mode=ceil_mode, count_include_pad=count_include_pad,
        )  # fmt: skip
        return shortcut.keep(means_grad(problem, door, grad), name, settings, grad_out)


def global_avg_pool_grad(
    grad_out: ArrayLike, x_shape: ArrayLike, *, layout: str | None = None
) -> np.ndarray:
    """Return the gradient of `global_avg_pool` for x: an equal share for each element.

    Parameters
    ----------
    grad_out, x_shape, layout
        As in `avg_pool_grad`; grad_out's spatial axes have length 1.

    Returns
    -------
    ndarray
        As of `avg_pool_grad`.

    Raises
    ------
    ProblemError
        Where a spatial axis of x is empty, or grad_out has not the result's shape.

    Notes
    -----
    Writes the result once.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.global_avg_pool_grad(np.array([[[6.0]]]), (1, 1, 3))
    array([[[2., 2., 2.]]])
    """
    name, settings = ("global_avg_pool_grad", *shortcut.like(x_shape)), (layout,)
    if (quick := shortcut.take(name, settings, grad_out)) is not None:
        return quick
    given = {"grad_out": grad_out, "x_shape": x_shape}
    with told("global_avg_pool_grad", layout, given):
        grad = as_array(grad_out, "grad_out")
        door = door_for_shape(x_shape, grad, layout)
        made = means_grad(whole(door.x_shape), door, grad)
        return shortcut.keep(made, name, settings, grad_out)
