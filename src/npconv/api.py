"""The public calls: from arrays and spellings to a plan that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npconv import planner
from npconv.algorithms import ALGORITHMS
from npconv.door import Door, bias_array, byte_count, example, facts, filled
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
    try:
        door = Door(x, weight, layout, weight_layout)
        added = bias_array(bias, door)
        chosen = door.plan(
            algorithm, None, precision, None if added is None else added.dtype,
            (stride, padding, dilation, groups, padding_mode),
        )  # fmt: skip
        return door.run(chosen, added, out)
    except (ProblemError, UnsupportedError) as error:
        raise error.at("conv", facts(x, weight, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"conv: {error}") from None


def plan(
    x_shape: ArrayLike,
    weight_shape: ArrayLike,
    dtype: DTypeLike = "float32",
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    precision: str = "strict",
    effort: str = "estimate",
    memory_limit: int | None = None,
) -> CallablePlan:
    """Choose the algorithm for a convolution, and say why.

    Parameters
    ----------
    x_shape, weight_shape : tuple of int, or ndarray
        Shapes, or the arrays themselves: then their dtypes and memory order count too.
    dtype : dtype
        Of what is given by its shape alone.
    effort : {"estimate", "measure"}
        Estimate from costs, or time the candidates (on random data where only shapes are given).
    memory_limit : int, optional
        Most bytes of workspace an algorithm may hold; leaner ones are taken instead.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode, precision
        As in `conv`.

    Returns
    -------
    Plan
        ``print(plan)`` shows one row an algorithm: chosen, seconds, workspace, or the reason it
        cannot.  ``plan(x, weight, bias)`` runs it.

    Raises
    ------
    ProblemError
        Where shapes or geometry do not fit.
    MemoryError
        Where no algorithm fits in `memory_limit` or in memory.

    Examples
    --------
    >>> import npconv
    >>> p = npconv.plan((8, 64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> p.problem.out_size
    (56, 56)
    >>> p.algorithm in npconv.algorithms()
    True
    """
    try:
        if effort not in planner.EFFORTS:
            raise ProblemError(f'effort {effort!r} is not "estimate" or "measure".')
        limit = None if memory_limit is None else byte_count(memory_limit)
        door = Door(
            example(x_shape, dtype, "x_shape"), example(weight_shape, dtype, "weight_shape"),
            layout, weight_layout,
        )  # fmt: skip
        chosen = door.plan(
            "auto", limit, precision, None,
            (stride, padding, dilation, groups, padding_mode),
        )  # fmt: skip
        if effort == "measure":
            if not isinstance(x_shape, np.ndarray):
                door.x = filled(door.x)
            if not isinstance(weight_shape, np.ndarray):
                door.weight = filled(door.weight)
            chosen = door.measure(chosen)
    except (ProblemError, UnsupportedError) as error:
        raise error.at("plan", facts(x_shape, weight_shape, layout, weight_layout, True)) from None
    except MemoryError as error:
        raise MemoryError(f"plan: {error}") from None
    letters = (door.axes.x_letters, door.axes.weight_letters)
    return CallablePlan(chosen.problem, chosen.rows, chosen.effort, letters)


@dataclass(frozen=True, repr=False)
class CallablePlan(planner.Plan):
    """A plan that knows the layouts it was made for, so that it can be called on arrays."""

    letters: tuple[str, str] = ("NCHW", "OIHW")

    __str__ = planner.Plan.__str__

    def __call__(
        self,
        x: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Convolve arrays of the plan's shapes and dtypes.

        Raises ProblemError where they are others; shapes and errors are otherwise `conv`'s.
        """
        layout, weight_layout = self.letters
        try:
            door = Door(x, weight, layout, weight_layout)
            added = bias_array(bias, door)
            problem = self.problem
            given = (door.x.shape, door.weight.shape, door.x.dtype, door.weight.dtype)
            planned = (problem.x_shape, problem.weight_shape, problem.x_dtype, problem.weight_dtype)
            if given != planned:
                raise ProblemError(
                    "the plan was made for other arrays.",
                    rule=f"planned for {problem.describe()}",
                    fix="make a plan for these arrays, or call npconv.conv",
                )
            return door.run(self, added, out)
        except (ProblemError, UnsupportedError) as error:
            raise error.at("plan", facts(x, weight, layout, weight_layout)) from None
