"""The gradients of a convolution: with respect to its input, its weight and its bias."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from npconv.api import shortcut
from npconv.arguments import facts
from npconv.door import OPERANDS, open_door
from npconv.dtypes import as_array, compute_dtype_of, result_dtype
from npconv.errors import ProblemError, UnsupportedError
from npconv.layout import parse_layout


class ConvGrads(NamedTuple):
    """The gradients of a convolution, each of the shape of what it belongs to."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


def conv_input_grad(
    grad_out: ArrayLike,
    weight: ArrayLike,
    x_shape: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
    precision: str = "strict",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of a convolution with respect to its input: the adjoint of conv in x.

    ::

        grad_x[n, c, p] = sum over o, i, u with i*stride + u*dilation = p
                          of grad_out[n, o, i] * weight[o, c, u]

    for p in padded x; what stands in the padding is then added to the elements it repeats.  An
    element of x that no window reached gets exactly 0.

    Parameters
    ----------
    grad_out : array_like
        Gradient with respect to the convolution's output, of its shape.
    weight : array_like
        The kernel of the forward call.
    x_shape : tuple of int, or ndarray
        Shape of x, or x itself, whose values are not read: grad_x then lies in memory as x does,
        else as grad_out does.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode
        Those of the forward call.
    algorithm, precision, out
        As in `conv`.

    Returns
    -------
    ndarray
        grad_x, in x's shape.  Its dtype follows grad_out and weight by `conv`'s rule.

    Raises
    ------
    ProblemError
        Where grad_out is not of the shape that the forward call gives, or another argument does not
        fit; `out` is left as it was.
    UnsupportedError
        Where the algorithm named cannot do it.
    MemoryError
        Where nothing fits in memory, with the bytes needed.

    Notes
    -----
    About the forward call's cost.  With a stride it is computed a residue class at a time, as
    stride-1 convolutions with parts of the kernel: no zeros are multiplied.  Complex arrays are
    not conjugated.  Source: Dumoulin and Visin, A guide to convolution arithmetic, 2016, ch. 4.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.conv_input_grad(np.ones((2, 2)), [[1.0, 2.0], [3.0, 4.0]], (3, 3), layout="HW")
    array([[ 1.,  3.,  2.],
           [ 4., 10.,  6.],
           [ 3.,  7.,  4.]])
    """
    geometry = (stride, padding, dilation, groups, padding_mode)
    return _gradient(
        "input_grad", grad_out, weight, x_shape, geometry, layout, weight_layout, algorithm,
        precision, out,
    )  # fmt: skip


def conv_weight_grad(
    grad_out: ArrayLike,
    x: ArrayLike,
    weight_shape: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
    precision: str = "strict",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of a convolution with respect to its weight: the adjoint of conv in it.

    ::

        grad_weight[o, c, u] = sum over n, i of grad_out[n, o, i] * x[n, c, i*stride + u*dilation]

    with x padded.

    Parameters
    ----------
    grad_out : array_like
        Gradient with respect to the convolution's output, of its shape.
    x : array_like
        The input of the forward call.
    weight_shape : tuple of int, or ndarray
        Shape of weight, or weight itself, whose values are not read: grad_weight then lies in
        memory as weight does.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode
        Those of the forward call.
    algorithm, precision, out
        As in `conv`.

    Returns
    -------
    ndarray
        grad_weight, in weight's shape.  Its dtype follows grad_out and x by `conv`'s rule.

    Raises
    ------
    ProblemError, UnsupportedError, MemoryError
        As in `conv_input_grad`.

    Notes
    -----
    The forward call's flops.  Each element sums batch * out_size products: in float32 its error
    bound grows with them.  Complex arrays are not conjugated.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.conv_weight_grad(np.ones((2, 2)), np.arange(9.0).reshape(3, 3), (2, 2), layout="HW")
    array([[ 8., 12.],
           [20., 24.]])
    """
    geometry = (stride, padding, dilation, groups, padding_mode)
    return _gradient(
        "weight_grad", grad_out, x, weight_shape, geometry, layout, weight_layout, algorithm,
        precision, out,
    )  # fmt: skip


def conv_grad(
    grad_out: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
    precision: str = "strict",
) -> ConvGrads:
    """Return the gradients of a convolution with respect to x, weight and bias.

    Parameters
    ----------
    grad_out : array_like
        Gradient with respect to the convolution's output, of its shape.
    x, weight : array_like
        Those of the forward call.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode
        Those of the forward call.
    algorithm, precision
        As in `conv`.

    Returns
    -------
    ConvGrads
        A named tuple (x, weight, bias).  Each lies in memory as its array does; bias, (O,), is
        grad_out summed over all axes but the channels.

    Raises
    ------
    ProblemError, UnsupportedError, MemoryError
        As in `conv_input_grad`.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> x, weight = np.ones((8, 3, 32, 32), "float32"), np.ones((16, 3, 3, 3), "float32")
    >>> y = npconv.conv(x, weight, stride=2, padding=1)
    >>> grads = npconv.conv_grad(np.ones_like(y), x, weight, stride=2, padding=1)
    >>> grads.x.shape, grads.weight.shape, grads.bias
    ((8, 3, 32, 32), (16, 3, 3, 3), array([2048., ...], dtype=float32))
    """
    geometry = (stride, padding, dilation, groups, padding_mode)
    names = layout, weight_layout, algorithm, precision
    given = {"grad_out": grad_out, "x": x, "weight": weight}
    calls = [
        (weight, None, None, _settings("input_grad", x, geometry, names)),
        (x, None, None, _settings("weight_grad", weight, geometry, names)),
    ]
    try:
        g, a, w = (as_array(value, name) for name, value in given.items())
        grads = [shortcut.take(grad_out, *call) for call in calls]
        if grads[0] is not None and grads[1] is not None:
            return ConvGrads(grads[0], grads[1], _bias_grad(g, layout))
        doors = [
            open_door("input_grad", g, w, a, layout, weight_layout),
            open_door("weight_grad", g, a, w, layout, weight_layout),
        ]
        # What is not known is planned before it is computed.
        plans = [door.plan(algorithm, None, precision, None, geometry) for door in doors]
        grad_x, grad_weight = (
            door.run(chosen, None, None) if known is None else known
            for door, chosen, known in zip(doors, plans, grads, strict=True)
        )
        for door, chosen, (other, _, _, settings) in zip(doors, plans, calls, strict=True):
            shortcut.remember(grad_out, other, chosen, door, settings)
        return ConvGrads(grad_x, grad_weight, _bias_grad(g, layout))
    except (ProblemError, UnsupportedError) as error:
        raise error.at("conv_grad", facts(given, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"conv_grad: {error}") from None


def _bias_grad(grad_out: np.ndarray, layout: str | None) -> np.ndarray:
    """Return grad_out summed over all axes but C, float32 in float64."""
    letters = parse_layout(layout, grad_out.ndim)
    others = tuple(i for i, a in enumerate(letters) if a != "C")
    dtype = result_dtype(grad_out.dtype)
    wide = {"f": np.dtype(np.float64), "F": np.dtype(np.complex128)}
    sums_in = wide.get(compute_dtype_of(dtype).char, dtype)
    with np.errstate(all="ignore"):
        total = grad_out.sum(axis=others, dtype=sums_in)
        return np.atleast_1d(total).astype(dtype)


def _gradient(
    direction: str,
    first: ArrayLike,
    second: ArrayLike,
    shape: ArrayLike,
    geometry: tuple[Any, ...],
    layout: str | None,
    weight_layout: str | None,
    algorithm: str,
    precision: str,
    out: np.ndarray | None,
) -> np.ndarray:
    name = f"conv_{direction}"
    names = layout, weight_layout, algorithm, precision
    settings = _settings(direction, shape, geometry, names)
    if (made := shortcut.take(first, second, None, out, settings)) is not None:
        return made
    try:
        door = open_door(direction, first, second, shape, layout, weight_layout)
        chosen = door.plan(algorithm, None, precision, None, geometry)
        result = door.run(chosen, None, out)
        shortcut.remember(first, second, chosen, door, settings)
        return result
    except (ProblemError, UnsupportedError) as error:
        given = dict(zip(OPERANDS[direction], (first, second, shape), strict=True))
        raise error.at(name, facts(given, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"{name}: {error}") from None


def _settings(
    direction: str, shape: Any, geometry: tuple[Any, ...], names: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return what decides a gradient beside its two arrays, as a shortcut's settings."""
    return direction, shortcut.like(shape), *names, *geometry, *(g.__class__ for g in geometry)
