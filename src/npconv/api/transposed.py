"""The transposed convolution: the input gradient of conv, used as a layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from npconv.api import shortcut
from npconv.arguments import bias_array, example, facts
from npconv.door import Door
from npconv.dtypes import as_array
from npconv.errors import ProblemError, UnsupportedError
from npconv.integers import integer
from npconv.layout import in_canonical, in_letters
from npconv.problem import Pairs, transposed_size
from npconv.views import find_axes


def conv_transpose(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    out_size: Any = None,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    algorithm: str = "auto",
    precision: str = "strict",
    activation: str | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the transposed convolution of x: the adjoint of conv, which upsamples by stride.

    ::

        out[n, c, i*stride + u*dilation - before] += x[n, o, i] * weight[o, c, u]
        out_size = (size - 1)*stride - before - after + dilation*(kernel_size - 1)
                   + output_padding + 1

    Parameters
    ----------
    x : array_like
        Input.  Its channels are weight's O.
    weight : array_like
        The kernel of the convolution this is the adjoint of: by default (O, C // groups,
        *kernel_size) with O the channels of x and C those of the result.  That is PyTorch's
        (in_channels, out_channels // groups, *kernel_size), and beside a channels-last x
        TensorFlow's (*kernel_size, out_channels, in_channels).
    bias : array_like, optional
        Added to each channel of the result, shape (C,) or a single number.
    stride, dilation, groups
        Those of the convolution: stride is the factor of upsampling.
    padding : int, sequence, or str
        Of the convolution: it is cropped from the result.  "same" and "same_lower" crop to
        size * stride, or to `out_size`, by ONNX's auto_pad rule: an odd element is cropped at the
        end, or at the start; a result larger than there is ends in zeros.
    output_padding : int or sequence of int
        Elements added to the end, which no window of the convolution reached: less than stride or
        than dilation.
    out_size : int or sequence of int, optional
        Spatial size of the result, in place of output_padding (padding in integers) or of padding
        ("same", "same_lower").
    layout, weight_layout, algorithm, precision, activation, out
        As in `conv`.

    Returns
    -------
    ndarray
        The result, in x's memory order; its dtype follows `conv`'s rule.

    Raises
    ------
    ProblemError
        Where shapes, geometry, names or dtypes do not fit; `out` is left as it was.
    UnsupportedError
        Where the algorithm named cannot do it.
    MemoryError
        Where nothing fits in memory, with the bytes needed.

    Notes
    -----
    ``conv_transpose(x, weight, **g)`` is ``conv_input_grad(x, weight, shape_of_the_result, **g)``
    with a bias.  For its own gradients see `conv_transpose_geometry`.  A kernel whose size is no
    multiple of the stride covers neighbouring outputs unequally (checkerboards).  Source: Zeiler
    et al., Deconvolutional networks, 2010; Dumoulin and Visin, A guide to convolution arithmetic,
    2016.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.conv_transpose([[1.0, 2.0]], np.ones((1, 3)), layout="HW", stride=(1, 2))
    array([[1., 1., 3., 2., 2.]])
    >>> x, weight = np.ones((8, 64, 14, 14), "float32"), np.ones((64, 32, 4, 4), "float32")
    >>> npconv.conv_transpose(x, weight, stride=2, padding=1).shape
    (8, 32, 28, 28)
    """
    arguments = (stride, padding, output_padding, out_size, dilation, groups)
    settings = (
        "transpose", layout, weight_layout, algorithm, precision, activation,
        *arguments, *(argument.__class__ for argument in arguments),
    )  # fmt: skip
    if (made := shortcut.take(x, weight, bias, out, settings)) is not None:
        return made
    try:
        grad_out, kernel = as_array(x, "x"), as_array(weight, "weight")
        shape, pads = _solve(grad_out, kernel, layout, weight_layout, *arguments)
        door = Door(
            example(shape, np.float32, "the result"), kernel, layout, weight_layout,
            "input_grad", grad_out, like_grad=True,
        )  # fmt: skip
        added = bias_array(bias, *(a.dtype for a in door.operands))
        chosen = door.plan(
            algorithm, None, precision, None if added is None else added.dtype,
            (stride, pads, dilation, groups, "zeros"),
        )  # fmt: skip
        result = door.run(chosen, added, out, activation)
        shortcut.remember(x, weight, chosen, door, settings, activation)
        return result
    except (ProblemError, UnsupportedError) as error:
        given = {"x": x, "weight": weight}
        raise error.at("conv_transpose", facts(given, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"conv_transpose: {error}") from None


class TransposedGeometry(NamedTuple):
    """What `conv_transpose` comes to: its result's shape, and the convolution it is the adjoint of.

    padding is one (before, after) an axis; a side is negative where the result ends in zeros.
    """

    shape: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


def conv_transpose_geometry(
    x_shape: ArrayLike,
    weight_shape: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    out_size: Any = None,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
) -> TransposedGeometry:
    """Return the shape that `conv_transpose` gives, and the padding of its adjoint.

    With that padding, and the same stride, dilation and groups, `conv` takes an array of the
    result's shape back to x's: so the gradients of ``conv_transpose(x, weight)`` are
    ``conv(grad, weight)`` and ``conv_weight_grad(x, grad, weight)``.

    Parameters
    ----------
    x_shape, weight_shape : tuple of int, or ndarray
        Shapes, or the arrays themselves.
    stride, padding, output_padding, out_size, dilation, groups, layout, weight_layout
        As in `conv_transpose`.

    Returns
    -------
    TransposedGeometry
        A named tuple (shape, padding).

    Raises
    ------
    ProblemError
        Where shapes or geometry do not fit.

    Examples
    --------
    >>> import npconv
    >>> npconv.conv_transpose_geometry((8, 64, 7, 7), (64, 32, 3, 3), stride=2, padding="same")
    TransposedGeometry(shape=(8, 32, 14, 14), padding=((0, 1), (0, 1)))
    """
    arguments = (stride, padding, output_padding, out_size, dilation, groups)
    try:
        x = example(x_shape, np.float32, "x_shape")
        weight = example(weight_shape, np.float32, "weight_shape")
        return TransposedGeometry(*_solve(x, weight, layout, weight_layout, *arguments))
    except ProblemError as error:
        given = {"x_shape": x_shape, "weight_shape": weight_shape}
        raise error.at("conv_transpose_geometry", facts(given, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"conv_transpose_geometry: {error}") from None


def _solve(
    x: np.ndarray,
    weight: np.ndarray,
    layout: str | None,
    weight_layout: str | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    out_size: Any,
    dilation: Any,
    groups: Any,
) -> tuple[tuple[int, ...], Pairs]:
    """Return the result's shape in layout's letters, and the padding it is the adjoint of."""
    axes = find_axes(x, weight, layout, weight_layout)
    batch, *size, channels = in_canonical(x.shape, axes.x_letters, axes.order)
    letters, order = axes.weight_letters, axes.weight_order
    *kernel_size, inputs, outputs = in_canonical(weight.shape, letters, order)
    if channels != outputs:
        raise ProblemError(
            f"x has {channels} channels, weight wants {outputs}.",
            rule="channels of x == weight's O: weight is that of the convolution transposed",
        )
    sizes, pads = transposed_size(
        size, kernel_size, stride=stride, padding=padding, output_padding=output_padding,
        out_size=out_size, dilation=dilation,
    )  # fmt: skip
    shape = (batch, *sizes, inputs * integer(groups, "groups", least=1))
    return in_letters(shape, axes.order, axes.x_letters), pads
