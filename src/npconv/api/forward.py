"""The forward convolution, and the algorithms' names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.algorithms import ALGORITHMS
from npconv.api import shortcut
from npconv.arguments import bias_array, facts
from npconv.door import Door
from npconv.errors import ProblemError, UnsupportedError


def algorithms() -> tuple[str, ...]:
    """Return the names of the algorithms, in the table's order.

    Examples
    --------
    >>> import npconv
    >>> "im2col_view" in npconv.algorithms()
    True
    """
    return tuple(ALGORITHMS)


def conv(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
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
    activation: str | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve (cross-correlate) x with weight in one, two, three or more dimensions.

    ::

        out[n, o, i] = bias[o] + sum over c, u of x[n, c, i*stride + u*dilation] * weight[o, c, u]

    with i and u running over every spatial axis, c over the channels of o's group, and x padded.

    Parameters
    ----------
    x : array_like
        Input.  `layout` names its axes; by default (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        Any strides, any byte order; never written.
    weight : array_like
        Kernel, by default (O, C // groups, *kernel_size).
    bias : array_like, optional
        Added to each output channel, shape (O,) or a single number.
    stride : int or sequence of int
        Step between windows, one number or one an axis.
    padding : int, sequence, or str
        Elements added around x: one number, one an axis, one (before, after) an axis, "valid",
        "same", "same_lower" or "full".  Negative numbers crop.  "same" gives ceil(size / stride)
        outputs, the odd element at the end, as TensorFlow and ONNX have it.
    dilation : int or sequence of int
        Step between the kernel's taps; 1 is a dense kernel.
    groups : int
        Splits the channels: output group g sees input group g alone.
    layout : str, optional
        x's axes by letter: N batch, C channels, any other letter but O and I a spatial axis.
        "HW" is a grey image, "HWC" a colour one, "NHWC" a batch.  out has the same letters.
    weight_layout : str, optional
        weight's axes: O outputs, I inputs of a group, and layout's spatial letters, in any order.
        By default OI first beside a channels-first x, IO last beside a channels-last one, and
        neither where x has no C.
    padding_mode : str
        What stands in the padding, by numpy.pad's names: "zeros" ("constant"), "edge"
        ("replicate"), "reflect", "symmetric", "wrap" ("circular").
    algorithm : str
        "auto", or a name from `algorithms()`.
    precision : {"strict", "fast"}
        "strict" keeps each element within a small factor of the direct sum's rounding bound;
        "fast" bounds errors by the largest magnitude nearby instead, and allows float32 FFT.
    activation : {None, "relu", "relu6"}
        Done to the result in the same pass: max(result, 0), or that and no more than 6.  A NaN
        stays one.
    out : ndarray, optional
        Written and returned.  It may overlap x or weight.

    Returns
    -------
    ndarray
        The result, in x's memory order.  float32 stays float32, float64 float64, float16 is
        summed in float32 and rounded once, integers and bool give exact int64 (uint64 stays),
        mixed dtypes follow np.result_type.

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
    Kernels are not flipped; for the convolution of signal processing flip them, or take
    `npconv.signal`.  NaN and Inf appear exactly where the direct sum puts them.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.conv(np.arange(36).reshape(6, 6), np.arange(9).reshape(3, 3), layout="HW", stride=2)
    array([[366, 438],
           [798, 870]])
    >>> x, weight = np.ones((8, 3, 32, 32), "float32"), np.ones((16, 3, 3, 3), "float32")
    >>> npconv.conv(x, weight, padding="same").shape
    (8, 16, 32, 32)
    """
    settings = (
        stride, padding, dilation, groups, layout, weight_layout, padding_mode, algorithm,
        precision, activation,
        stride.__class__, padding.__class__, dilation.__class__, groups.__class__,
    )  # fmt: skip
    if (made := shortcut.take(x, weight, bias, out, settings)) is not None:
        return made
    try:
        door = Door(x, weight, layout, weight_layout)
        added = bias_array(bias, door.x.dtype, door.weight.dtype)
        chosen = door.plan(
            algorithm, None, precision, None if added is None else added.dtype,
            (stride, padding, dilation, groups, padding_mode),
        )  # fmt: skip
        result = door.run(chosen, added, out, activation)
        shortcut.remember(x, weight, chosen, door, settings, activation)
        return result
    except (ProblemError, UnsupportedError) as error:
        raise error.at("conv", facts({"x": x, "weight": weight}, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"conv: {error}") from None
