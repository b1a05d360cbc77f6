"""unfold and fold: the windows of an array as a matrix, and the adjoint that adds them back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import adjoints, arrays, spare
from npconv import layout as axes
from npconv.api import patch_kernels
from npconv.arguments import facts
from npconv.dtypes import as_array, result_dtype
from npconv.errors import ProblemError
from npconv.integers import per_axis
from npconv.memory import check_fits
from npconv.pooling import shortcut
from npconv.pooling.shortcut import Done, Made
from npconv.problem import ConvProblem


def unfold(
    x: ArrayLike,
    kernel_size: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    padding_mode: str = "zeros",
    layout: str | None = None,
) -> np.ndarray:
    """Return the windows of x as a matrix: im2col.

    ::

        channels first   columns[n, (c, u), i] = x[n, c, i*stride + u*dilation]
        channels last    columns[n, i, (u, c)] = x[n, i*stride + u*dilation, c]

    with x padded, u over the kernel and i over the windows, each in row-major order.

    Parameters
    ----------
    x : array_like
        Input.  `layout` names its axes as in `conv`.
    kernel_size : int or sequence of int
        Size of a window.
    stride, padding, dilation, padding_mode
        As in `conv`.
    layout : str, optional
        x's axes by letter, by default channels first.

    Returns
    -------
    ndarray
        (N, C * taps, L) for a channels-first x, channels slowest: PyTorch's order, and that of
        ONNX's Col2Im.  (N, L, taps * C) for a channels-last one, channels fastest.  Without N in
        layout the first axis is missing; without C it counts as one channel, first.  x's dtype.

    Raises
    ------
    ProblemError
        Where shapes or geometry do not fit.
    MemoryError
        Where the matrix would not fit in memory, with the bytes needed.

    Notes
    -----
    The matrix is taps / stride**ndim times as large as x; `conv` never holds all of it unless that
    is quickest.  It is copied once, line by line of windows, by compiled kernels for numbers of 4
    and 8 bytes.  Source: Chellapilla, Puri and Simard, High performance convolutional neural
    networks for document processing, 2006.

    Examples
    --------
    A convolution is one product with this matrix:

    >>> import numpy as np, npconv
    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> npconv.unfold(x, 2)
    array([[[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]]])
    >>> (weight.reshape(1, -1) @ npconv.unfold(x, 2)).reshape(1, 1, 2, 2)
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    settings = kernel_size, stride, padding, dilation, padding_mode, layout
    if (quick := shortcut.take("unfold", settings, x)) is not None:
        return quick
    try:
        a = as_array(x, "x")
        letters = axes.parse_layout(layout, a.ndim)
        order, _ = axes.canonical_order(letters)
        shape = axes.in_canonical(a.shape, letters, order)
        geometry = (stride, padding, dilation, padding_mode)
        problem = _problem(shape, kernel_size, geometry, np.dtype(a.dtype.type))
        check_fits(math.prod(problem.out_shape) * problem.taps * a.itemsize, "the matrix")
        turn, index = axes.to_canonical(letters, order)
        canonical = a.transpose(turn)[index]
        shape = _shape(problem, letters)
        if "N" not in letters:
            shape = shape[1:]
        matrix = spare.empty(shape, problem.dtype)
        if done := patch_kernels.unfold(problem, canonical, matrix, _channels_last(letters)):
            return shortcut.keep(Made((matrix,), done.work), "unfold", settings, x)
        padded = arrays.region(problem, canonical, dtype=problem.dtype)
        view = arrays.windows(problem, padded, problem.out_size)
        turned = view.transpose(_order(letters, problem.ndim))
        matrix.reshape(turned.shape)[...] = turned
        return matrix
    except ProblemError as error:
        raise error.at("unfold", facts({"x": x}, layout, None)) from None
    except MemoryError as error:
        raise MemoryError(f"unfold: {error}") from None


def fold(
    columns: ArrayLike,
    size: Any,
    kernel_size: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    padding_mode: str = "zeros",
    layout: str | None = None,
) -> np.ndarray:
    """Add the columns of a matrix of windows back to where `unfold` took them: col2im.

    The adjoint of `unfold`, not its inverse: an element that stands in several windows is the sum
    of as many entries, one that stands in none is 0.

    Parameters
    ----------
    columns : array_like
        Of the shape that `unfold` gives.
    size : int or sequence of int
        Spatial size of the result.
    kernel_size, stride, padding, dilation, padding_mode
        Those of `unfold`.
    layout : str, optional
        The result's axes by letter; by default channels first, one spatial axis for each entry of
        size.

    Returns
    -------
    ndarray
        Of the shape of unfold's x.  Floats keep their dtype, integers are summed in int64.

    Raises
    ------
    ProblemError
        Where columns is not of the shape that this geometry gives.
    MemoryError
        Where the result would not fit in memory, with the bytes needed.

    Notes
    -----
    Reads the matrix once, by compiled kernels for float32, float64 and zeros; otherwise tap by tap.
    The sums go in one order, whatever the number of threads.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> npconv.fold(np.ones((1, 4, 4)), (3, 3), 2)
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    settings = size, kernel_size, stride, padding, dilation, padding_mode, layout
    if (quick := shortcut.take("fold", settings, columns)) is not None:
        return quick
    try:
        a = as_array(columns, "columns")
        sizes = _sizes(size, layout)
        ndim = len(layout) if isinstance(layout, str) else len(sizes) + 2
        letters = axes.parse_layout(layout, ndim)
        order, _ = axes.canonical_order(letters)
        dtype = result_dtype(a.dtype)
        taps = math.prod(per_axis(kernel_size, len(sizes), "kernel_size", least=1))
        batch, channels = _counts(a, letters, taps)
        geometry = (stride, padding, dilation, padding_mode)
        problem = _problem((batch, *sizes, channels), kernel_size, geometry, dtype)
        shape = _shape(problem, letters)
        if a.shape != (shape if "N" in letters else shape[1:]):
            raise ProblemError(
                f"columns has shape {a.shape}, unfold of this size gives "
                f"{shape if 'N' in letters else shape[1:]}.",
                rule="(N, C * taps, L) channels first, (N, L, taps * C) channels last",
            )
        check_fits(problem.result_nbytes, "the result")
        out = axes.empty(dict(zip(order, problem.x_shape, strict=True)), letters, letters, dtype)
        done = _add(problem, a, letters, out)
        return shortcut.keep(Made((out,), done and done.work), "fold", settings, columns)
    except ProblemError as error:
        raise error.at("fold", [("columns", f"{np.shape(columns)}")]) from None
    except MemoryError as error:
        raise MemoryError(f"fold: {error}") from None


def _add(problem: ConvProblem, columns: np.ndarray, letters: str, out: np.ndarray) -> Done | None:
    """Write to out the sum of the columns, by kernels or tap by tap."""
    order, _ = axes.canonical_order(letters)
    view = _order(letters, problem.ndim)
    extents = (problem.batch, *problem.out_size, *problem.kernel_size, problem.in_channels)
    split = columns.reshape([extents[i] for i in view]).transpose(np.argsort(view))
    turn, index = axes.to_canonical(letters, order)
    canonical = out.transpose(turn)[index]
    if done := patch_kernels.fold(problem, columns, canonical, _channels_last(letters)):
        return done
    whole = (slice(None),) * (1 + problem.ndim)
    target = canonical
    if problem.dtype != problem.compute_dtype:
        target = np.empty_like(canonical, problem.compute_dtype)
    with np.errstate(all="ignore"):
        with adjoints.padded_grad(problem, target) as grad:
            for tap in np.ndindex(*problem.kernel_size):
                met = arrays.tap_view(problem, grad, tap, problem.out_size)
                met += split[(*whole, *tap)]
        if target is not canonical:
            canonical[...] = target
    return None


def _problem(
    x_shape: tuple[int, ...], kernel_size: Any, geometry: tuple[Any, ...], dtype: np.dtype
) -> ConvProblem:
    """Return the problem whose windows are those: one output of each channel by itself."""
    stride, padding, dilation, padding_mode = geometry
    sizes = per_axis(kernel_size, len(x_shape) - 2, "kernel_size", least=1)
    channels = x_shape[-1]
    return ConvProblem.create(
        x_shape, (*sizes, 1 if channels else 0, channels), groups=max(channels, 1),
        stride=stride, padding=padding, dilation=dilation, padding_mode=padding_mode,
        x_dtype=dtype, weight_dtype=dtype, out_dtype=dtype, direction="input_grad",
    )  # fmt: skip


def _channels_last(letters: str) -> bool:
    return "C" in letters and letters.index("C") > letters.index(axes.spatial(letters)[0])


def _order(letters: str, ndim: int) -> list[int]:
    """Return how windows (N, *out, *kernel, C) are transposed to lie as the matrix does."""
    if _channels_last(letters):
        return list(range(2 * ndim + 2))
    return [0, 2 * ndim + 1, *range(1 + ndim, 1 + 2 * ndim), *range(1, 1 + ndim)]


def _shape(problem: ConvProblem, letters: str) -> tuple[int, int, int]:
    rows = problem.in_channels * problem.taps
    if _channels_last(letters):
        return (problem.batch, problem.pixels, rows)
    return (problem.batch, rows, problem.pixels)


def _sizes(size: Any, layout: str | None) -> tuple[int, ...]:
    """Return fold's size, one number an axis; a single one needs a layout to say how many."""
    ndim = len(axes.spatial(layout)) if isinstance(layout, str) else None
    if ndim is None:
        ndim = len(size) if isinstance(size, (tuple, list, np.ndarray)) else 2
    return per_axis(size, ndim, "size", least=0)


def _counts(columns: np.ndarray, letters: str, taps: int) -> tuple[int, int]:
    """Return the batch and the channels that columns holds."""
    ndim = 3 if "N" in letters else 2
    if columns.ndim != ndim:
        raise ProblemError(f"columns has {columns.ndim} axes, layout {letters} wants {ndim}.")
    rows = columns.shape[-1 if _channels_last(letters) else -2]
    if rows % taps:
        raise ProblemError(
            f"columns has {rows} rows a window, which {taps} taps do not divide.",
            rule="C * taps rows for each window",
        )
    return (columns.shape[0] if "N" in letters else 1), rows // taps
