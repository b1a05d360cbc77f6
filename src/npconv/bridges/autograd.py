"""HIPS autograd: npconv's calls as primitives, so that `autograd.grad` goes through them.

::

    from autograd import grad
    from npconv.bridges.autograd import conv, max_pool

    def loss(weight):
        return np.sum(max_pool(conv(x, weight, padding=1), 2) ** 2)     # np is autograd.numpy

    grad(loss)(weight)

The functions have npconv's names, arguments and results; each differentiates to any order.  That
takes no more than the calls npconv has: ``<grad_out, conv(x, weight)>`` is linear in each of three
arrays, so the derivatives of any of `conv`, `conv_input_grad` and `conv_weight_grad` are the other
two; `unfold` and `fold` are each other's, `avg_pool` and its gradient as well; maximum pooling
picks elements by index, and its gradient puts them back there.

A gradient has the dtype of its array.  With complex arrays nothing is conjugated, which is
autograd's convention too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import npconv

try:
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.tracer import getval, isbox
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "autograd":
        raise  # something that it needs itself
    raise ModuleNotFoundError(
        'npconv.bridges.autograd needs autograd: pip install "npconv[autograd]"', name="autograd"
    ) from error

__all__ = [
    "conv",
    "conv_input_grad",
    "conv_weight_grad",
    "conv_transpose",
    "unfold",
    "fold",
    "max_pool",
    "avg_pool",
    "global_max_pool",
    "global_avg_pool",
]

_conv = primitive(npconv.conv)
_input_grad = primitive(npconv.conv_input_grad)
_weight_grad = primitive(npconv.conv_weight_grad)
_conv_transpose = primitive(npconv.conv_transpose)
_unfold = primitive(npconv.unfold)
_fold = primitive(npconv.fold)
_avg_pool = primitive(npconv.avg_pool)
_avg_pool_grad = primitive(npconv.avg_pool_grad)
_global_avg_pool = primitive(npconv.global_avg_pool)
_global_avg_pool_grad = primitive(npconv.global_avg_pool_grad)


def _like_npconv(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the signature of npconv's, but for `out`, and refuse that one."""
    name = function.__name__
    signature = inspect.signature(getattr(npconv, name))
    parameters = [p for p in signature.parameters.values() if p.name != "out"]

    @functools.wraps(function)
    def checked(*arrays: Any, **keywords: Any) -> Any:
        if keywords.pop("out", None) is not None:
            raise npconv.ProblemError(
                "out is written in place, which autograd does not follow.",
                fix="leave out away and take the result",
                where=name,
            )
        bound = signature.bind(*arrays, **keywords)
        return function(*bound.args, **bound.kwargs)

    checked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return checked


@_like_npconv
def conv(x: Any, weight: Any, bias: Any = None, **keywords: Any) -> Any:
    """`npconv.conv`, differentiable in x, weight and bias.

    `algorithm` names the one of this call; its derivatives are planned.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from npconv.bridges.autograd import conv
    >>> image, kernel = np.arange(36.0).reshape(6, 6), np.arange(9.0).reshape(3, 3)
    >>> grad(lambda kernel: np.sum(conv(image, kernel, layout="HW")))(kernel)
    array([[168., 184., 200.],
           [264., 280., 296.],
           [360., 376., 392.]])
    """
    return _conv(x, weight, bias, **keywords)


@_like_npconv
def conv_input_grad(grad_out: Any, weight: Any, x_shape: Any, **keywords: Any) -> Any:
    """`npconv.conv_input_grad`, differentiable in grad_out and weight."""
    return _input_grad(grad_out, weight, getval(x_shape), **keywords)


@_like_npconv
def conv_weight_grad(grad_out: Any, x: Any, weight_shape: Any, **keywords: Any) -> Any:
    """`npconv.conv_weight_grad`, differentiable in grad_out and x."""
    return _weight_grad(grad_out, x, getval(weight_shape), **keywords)


@_like_npconv
def conv_transpose(x: Any, weight: Any, bias: Any = None, **keywords: Any) -> Any:
    """`npconv.conv_transpose`, differentiable in x, weight and bias."""
    return _conv_transpose(x, weight, bias, **keywords)


@_like_npconv
def unfold(x: Any, kernel_size: Any, **keywords: Any) -> Any:
    """`npconv.unfold`, differentiable in x."""
    return _unfold(x, kernel_size, **keywords)


@_like_npconv
def fold(columns: Any, size: Any, kernel_size: Any, **keywords: Any) -> Any:
    """`npconv.fold`, differentiable in columns."""
    return _fold(columns, size, kernel_size, **keywords)


@_like_npconv
def max_pool(x: Any, size: Any, *, return_indices: bool = False, **keywords: Any) -> Any:
    """`npconv.max_pool`, differentiable in x; indices, if asked for, are plain integers.

    Its second derivative in x is zero, as that of a function that picks elements.
    """
    if not (isbox(x) or return_indices):
        return npconv.max_pool(x, size, **keywords)
    out, indices = npconv.max_pool(getval(x), size, return_indices=True, **keywords)
    out = _gather(x, indices, out, size, **keywords)
    return (out, indices) if return_indices else out


@_like_npconv
def avg_pool(x: Any, size: Any, **keywords: Any) -> Any:
    """`npconv.avg_pool`, differentiable in x."""
    return _avg_pool(x, size, **keywords)


@_like_npconv
def global_max_pool(x: Any, *, layout: Any = None, return_indices: bool = False) -> Any:
    """`npconv.global_max_pool`, differentiable in x; indices, if asked for, are plain integers."""
    if not (isbox(x) or return_indices):
        return npconv.global_max_pool(x, layout=layout)
    out, indices = npconv.global_max_pool(getval(x), layout=layout, return_indices=True)
    out = _gather(x, indices, out, _size(x, layout), layout=layout)
    return (out, indices) if return_indices else out


@_like_npconv
def global_avg_pool(x: Any, **keywords: Any) -> Any:
    """`npconv.global_avg_pool`, differentiable in x."""
    return _global_avg_pool(x, **keywords)


@primitive
def _gather(x: Any, indices: Any, out: Any, size: Any, layout: Any = None, **geometry: Any) -> Any:
    """Return the elements of x that `indices` (flat, an image and channel) name: `out` if known."""
    if out is not None:
        return out
    axes = _spatial(x, layout)
    last = range(x.ndim - len(axes), x.ndim)
    elements, picks = (np.moveaxis(a, axes, last) for a in (x, indices))
    planes = elements.shape[: last.start]
    taken = np.take_along_axis(elements.reshape(*planes, -1), picks.reshape(*planes, -1), -1)
    return np.moveaxis(taken.reshape(picks.shape), last, axes)


@primitive
def _scatter(grad_out: Any, indices: Any, x: Any, size: Any, **geometry: Any) -> Any:
    """Return grad_out added up at the elements of x that `indices` name."""
    return npconv.max_pool_grad(grad_out, x, size, indices=indices, **geometry)


def _spatial(x: Any, layout: str | None) -> list[int]:
    """Return the spatial axes of x."""
    if layout is None:
        return list(range(2, x.ndim))
    return [axis for axis, letter in enumerate(layout) if letter not in "NC"]


def _size(x: Any, layout: str | None = None, **geometry: Any) -> list[int]:
    """Return the spatial extents of x."""
    return [x.shape[axis] for axis in _spatial(x, layout)]


def _fit(array: Any, gradient: Any) -> Any:
    """Return a gradient in its array's dtype: of real numbers where that one is real."""
    dtype = np.result_type(getval(array))
    if dtype.kind not in "fc" or gradient.dtype == dtype:
        return gradient
    if dtype.kind == "f" and gradient.dtype.kind == "c":
        gradient = anp.real(gradient)
    return gradient.astype(dtype)


def _bias_grad(bias: Any, grad_out: Any, layout: str | None) -> Any:
    """Return grad_out summed over all axes but the channels, or over all for a single number."""
    shape = np.shape(getval(bias))
    channel = 1 if layout is None else layout.find("C")
    others = tuple(axis for axis in range(grad_out.ndim) if axis != channel)
    wide = np.result_type(grad_out.dtype, np.float64)
    total = anp.sum(grad_out, axis=others, dtype=wide)
    return _fit(bias, anp.reshape(total if shape == total.shape else anp.sum(total), shape))


def _of(argnum: int, derivative: Callable[..., Any]) -> Callable[..., Any]:
    """Return what defvjp wants from `derivative(v, *arguments)`, fitted to the argument's dtype.

    An algorithm was named for one call, not for its derivatives: those are planned.
    """

    def make(out: Any, *arguments: Any, **keywords: Any) -> Callable[[Any], Any]:
        keywords.pop("algorithm", None)
        return lambda v: _fit(arguments[argnum], derivative(v, *arguments, **keywords))

    return make


def _adjoint(x: Any, weight: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of the convolution that a transposed one is the adjoint of."""
    numbers = ("algorithm", "precision")
    geometry = {name: value for name, value in keywords.items() if name not in numbers}
    padding = npconv.conv_transpose_geometry(x.shape, weight.shape, **geometry).padding
    once = ("output_padding", "out_size", "algorithm")
    kept = {name: value for name, value in keywords.items() if name not in once}
    return {**kept, "padding": padding}


def _of_bias(
    out: Any, x: Any, weight: Any, bias: Any, *, layout: str | None = None, **geometry: Any
) -> Callable[[Any], Any]:
    return lambda v: _bias_grad(bias, v, layout)


# <grad_out, conv(x, weight)>: two of the three go in, and the derivatives give the third.
defvjp(
    _conv,
    _of(0, lambda v, x, weight, bias, **k: _input_grad(v, weight, getval(x), **k)),
    _of(1, lambda v, x, weight, bias, **k: _weight_grad(v, x, getval(weight), **k)),
    _of_bias,
)
defvjp(
    _input_grad,
    _of(0, lambda v, grad_out, weight, x_shape, **k: _conv(v, weight, None, **k)),
    _of(
        1, lambda v, grad_out, weight, x_shape, **k: _weight_grad(grad_out, v, getval(weight), **k)
    ),
)
defvjp(
    _weight_grad,
    _of(0, lambda v, grad_out, x, weight_shape, **k: _conv(x, v, None, **k)),
    _of(1, lambda v, grad_out, x, weight_shape, **k: _input_grad(grad_out, v, getval(x), **k)),
)
defvjp(
    _conv_transpose,
    lambda out, x, weight, bias, **k: (
        lambda v: _fit(x, _conv(v, weight, None, **_adjoint(x, weight, k)))
    ),
    lambda out, x, weight, bias, **k: (
        lambda v: _fit(weight, _weight_grad(x, v, getval(weight), **_adjoint(x, weight, k)))
    ),
    _of_bias,
)
defvjp(_unfold, _of(0, lambda v, x, kernel_size, **k: _fold(v, _size(x, **k), kernel_size, **k)))
defvjp(_fold, _of(0, lambda v, columns, size, kernel_size, **k: _unfold(v, kernel_size, **k)))
defvjp(_gather, _of(0, lambda v, x, at, out, size, **k: _scatter(v, at, getval(x), size, **k)))
defvjp(_scatter, _of(0, lambda v, grad_out, at, x, size, **k: _gather(v, at, None, size, **k)))
defvjp(_avg_pool, _of(0, lambda v, x, size, **k: _avg_pool_grad(v, getval(x), size, **k)))
defvjp(_avg_pool_grad, _of(0, lambda v, grad_out, x, size, **k: _avg_pool(v, size, **k)))
defvjp(_global_avg_pool, _of(0, lambda v, x, **k: _global_avg_pool_grad(v, getval(x), **k)))
defvjp(_global_avg_pool_grad, _of(0, lambda v, grad_out, x, **k: _global_avg_pool(v, **k)))
