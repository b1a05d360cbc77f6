"""The forward direction."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from npconv import addresses, arrays, compiler, lines, spare
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.problem import ConvProblem
from npconv.templates import Template

_VECTOR = 64  # bytes, as costs are reckoned
_KEPT = 1 << 13  # numbers of a template's tables
# In multiply-adds of a vector: what a tap takes where no lines share what is loaded, a tile to
# begin and end, a vector to be made in scratch, a number of it that lies apart, and each line.
_ALONE, _START, _MADE, _APART, _LINE = 1.6, 13, 7, 6, 200


def why_not(problem: ConvProblem) -> str:
    """Return "" for groups of one channel without a stride, in float32 and float64."""
    if reason := compiler.missing():
        return reason
    if problem.group_channels > 1:
        return f"it is for groups of one channel, not of {problem.group_channels}"
    if any(step > 1 for step in addresses.strides(problem)):
        return "its vectors hold neighbours, and a stride leaves some out"
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    return addresses.unlisted(problem)


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole vectors and of lines made in scratch, and the bytes moved."""
    lanes = _VECTOR // problem.itemsize
    rows = problem.batch * problem.out_channels * math.prod(problem.out_size[:-1])
    vectors = rows * -(-problem.out_size[-1] // lanes)
    together = lines.rows(problem)
    products = vectors * (problem.taps * (_ALONE if together == 1 else 1) + _START / together)
    apart = problem.channels_last and problem.in_channels > 1
    made = vectors * (lanes * _APART if apart else _MADE) + rows * _LINE
    deep, high, _ = addresses.three(problem.kernel_size)
    again = 1 + (high - 1) / addresses.three(problem.out_size)[1]
    products += deep * again * made + rows * _LINE
    x = math.prod(problem.x_shape) * problem.itemsize
    out = math.prod(problem.out_shape) * problem.itemsize
    weight = math.prod(problem.weight_shape) * problem.itemsize
    copied = 0 if problem.x_dtype == problem.compute_dtype else x
    each = lines.scratch_nbytes(problem, lanes)
    *listed, _ = problem.reach(problem.out_size, problem.out_size)[1]
    beyond = sum(max(side, 0) for side in problem.padding[-1])
    tables = 32 * (sum(listed) + beyond) + 8192
    return Cost(
        2 * lanes * products, x + out + 3 * copied,
        weight + copied + tables + each,
        lines.waiting(problem) + 12, each=each, helpers=lines.shares(problem) - 1,
    )  # fmt: skip


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight (outputs, *kernel_size): a copy, which stays as it is."""
    return np.array(np.moveaxis(weight[..., 0, :], -1, 0), problem.compute_dtype, order="C")


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out, section by section of lines."""
    forward_packed(problem, x, pack_weight(problem, weight), out, ending)


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out from the packed weight."""
    given = x if lines.fits(x, problem.compute_dtype) else _dense(problem, x.shape)
    target = out if lines.fits(out, problem.compute_dtype) else _dense(problem, out.shape)
    if given is not x:
        given[...] = x
    bias = ending.bias
    if bias is not None and not bias.flags.aligned:
        bias = bias.copy()
    find = _template if _remembered(problem) else _template.__wrapped__
    limits = ending.least, ending.most
    made = find(problem, given.strides, target.strides, limits, arrays.WORTH_SHARING)
    start = 0 if bias is None else bias.ctypes.data
    made.run(given.ctypes.data, packed.ctypes.data, target.ctypes.data, start)
    if target is not out:
        out[...] = target


def _dense(problem: ConvProblem, shape: tuple[int, ...]) -> np.ndarray:
    """Return a new array of a canonical shape whose planes lie whole."""
    batch, *size, channels = shape
    made = spare.empty((batch, channels, *size), problem.compute_dtype)
    return np.moveaxis(made, 1, -1)


@lru_cache(maxsize=1024)
def _remembered(problem: ConvProblem) -> bool:
    """Return whether templates are kept: not those with tables of many offsets."""
    *high, _ = problem.reach(problem.out_size, problem.out_size)[1]
    return sum(high) + 2 * problem.dilated_size[-1] + problem.out_size[-1] // 16 <= _KEPT


@lru_cache(maxsize=64)
def _template(
    problem: ConvProblem,
    x_strides: tuple[int, ...],
    out_strides: tuple[int, ...],
    limits: tuple[float, float],
    worth: int,
) -> Template:
    """Return the work for arrays of these strides; worth: as arrays has it."""
    dtype = problem.compute_dtype
    x, out = lines.Lie(dtype, x_strides), lines.Lie(dtype, out_strides)
    return lines.template(problem, x, out, lines.Ended(*limits))
