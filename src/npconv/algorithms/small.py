"""The definition as compiled loops, over a table of where each tap of each pixel lies.

::

    for each output:  total = bias
        for each tap, each channel:  total += x[offset of the tap under this pixel] * weight[tap]

The table is made once for a shape and kept; a call reads the arrays as they lie.

Cost: about a nanosecond for each product, and next to nothing before the first.
Memory: the table, 8 bytes for each tap of each pixel of an image.
Error: that of the direct sum, in order of taps and channels.
When not to use it: for more than some thousand products the registers of `indirect` are faster.
Source: the definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from npconv import borders, compiler
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.problem import ConvProblem

NAME = "small"
SPREADS = False
ENDS = True
COMPILED = True
_MOST = 1 << 13  # entries of a table
_COMPILING = 1e6  # steps
_NOWHERE = 1 << 60  # the offset of a zero


def why_not(problem: ConvProblem) -> str:
    """Return "" for float32 and float64, where the table is small."""
    if reason := compiler.missing():
        return reason
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its loops are compiled for float32 and float64, not {problem.dtype}"
    if (entries := problem.pixels * problem.taps) > _MOST:
        return f"its table lists each tap of each pixel, {entries} here, and up to {_MOST} in all"
    if max(problem.reach(problem.out_size, problem.out_size)[1], default=0) > _MOST:
        return "the windows reach too far for its table"
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the products, and the copies of what has another dtype; it waits for no compiler."""
    steps = 3 if compiler.ready("small") else _COMPILING
    copied = 8 * problem.pixels * problem.taps
    for dtype, shape in (
        (problem.x_dtype, problem.x_shape),
        (problem.weight_dtype, problem.weight_shape),
    ):
        copied += math.prod(shape) * problem.itemsize if dtype != problem.compute_dtype else 0
    return Cost(2 * problem.macs, copied, copied, steps)


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out, one sum at a time."""
    from npconv.kernels import small as kernels

    x, weight = _usable(problem, x), _usable(problem, weight)
    target = out if _is_usable(problem, out) else np.empty(out.shape, problem.compute_dtype)
    table = offsets(problem, x.strides, weight.strides, target.strides)
    bias = ending.bias
    if bias is None:
        bias = np.zeros(problem.out_channels, problem.compute_dtype)
    kernels.convolve(
        x.ctypes.data, weight.ctypes.data, bias.ctypes.data, target.ctypes.data, table,
        limits(problem, ending),
    )  # fmt: skip
    if target is not out:
        out[...] = target


def on_arrays() -> Callable[..., None]:
    """Return what computes arrays (x, weight, bias, out) by `offsets` and `limits`."""
    from npconv.kernels.small import convolve_arrays

    return convolve_arrays


def limits(problem: ConvProblem, ending: Ending) -> np.ndarray:
    """Return what the kernel is told of an ending."""
    return np.array([0, ending.least, ending.most], problem.compute_dtype)


@lru_cache(maxsize=128)
def offsets(
    problem: ConvProblem,
    x_strides: tuple[int, ...],
    weight_strides: tuple[int, ...],
    out_strides: tuple[int, ...],
) -> np.ndarray:
    """Return the kernel's table for canonical views with these strides; it must not be written."""
    taps = _sums([_steps(*pair) for pair in zip(problem.kernel_size, weight_strides, strict=False)])
    spatial = zip(problem.out_size, out_strides[1:-1], strict=True)
    pixels = _sums([_steps(*pair) for pair in spatial])
    # Along each axis (outputs, taps): what each output's taps read.
    reads = [_reads(problem, axis, x_strides[1 + axis]) for axis in range(problem.ndim)]
    missing = _sums([at == _NOWHERE for at in reads])
    places = np.where(missing > 0, -1, _sums(reads))
    counts = [
        problem.batch, problem.pixels, problem.taps,
        problem.groups, problem.group_channels, problem.group_outputs,
        x_strides[0], x_strides[-1], weight_strides[-2], weight_strides[-1],
        out_strides[0], out_strides[-1],
    ]  # fmt: skip
    return np.concatenate([counts, pixels.ravel(), taps.ravel(), places.ravel()]).astype(np.int64)


def _reads(problem: ConvProblem, axis: int, stride: int) -> np.ndarray:
    """Return the byte offset that each tap of each output of an axis reads."""
    reach = problem.reach(problem.out_size, problem.out_size)[1][axis]
    before = problem.padding[axis][0]
    source = borders.source(problem.padding_mode, problem.size[axis], -before, reach - before)
    places = np.where(source < 0, _NOWHERE, source * stride)
    outputs = _steps(problem.out_size[axis], problem.stride[axis])
    taps = _steps(problem.kernel_size[axis], problem.dilation[axis])
    return places[outputs[:, None] + taps]


def _steps(count: int, step: int) -> np.ndarray:
    """Return 0, step, 2*step ...; of one, any integer may be the step."""
    return np.arange(count, dtype=np.int64) * (step if count > 1 else 0)


def _sums(along: list[np.ndarray]) -> np.ndarray:
    """Return the sums of one offset an axis, over (outputs of every axis, taps of every axis)."""
    ndim, rank = len(along), along[0].ndim
    total = np.zeros((1,) * (ndim * rank), np.int64)
    for axis, values in enumerate(along):
        shape = [1] * (ndim * rank)
        for i, n in enumerate(values.shape):
            shape[i * ndim + axis] = n
        total = total + values.reshape(shape)
    return total


def _usable(problem: ConvProblem, array: np.ndarray) -> np.ndarray:
    return array if _is_usable(problem, array) else array.astype(problem.compute_dtype)


def _is_usable(problem: ConvProblem, array: np.ndarray) -> bool:
    return array.dtype == problem.compute_dtype and array.flags.aligned
