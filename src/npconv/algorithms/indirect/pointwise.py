"""Kernels of one tap where arrays lie in planes: outputs are rows of a tile, pixels its columns.

So neither x nor out is turned to channels last and back; the weight is read as it lies.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import arrays, relayout, spare
from npconv.algorithms.contract import Bound, Cost, Ending
from npconv.algorithms.indirect import places
from npconv.memory import address, whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

_PANELS_NBYTES = 1 << 17  # of panels held at once


@lru_cache(maxsize=1024)
def suits(problem: ConvProblem) -> bool:
    """Return whether every output is of one pixel, and x and out lie in planes."""
    alone = all(n == 1 or s == 1 for n, s in zip(problem.out_size, problem.stride, strict=True))
    same = problem.out_size == problem.size and not any(b for b, _ in problem.padding)
    planes = not problem.channels_last and problem.pixels > 1
    return problem.taps == 1 and alone and same and planes


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, and the copies of weight and x from other dtypes."""
    block = places.wide_block(problem)
    rows = 13
    filled = -(-problem.group_outputs // rows) * rows / max(problem.group_outputs, 1)
    filled *= -(-problem.pixels // block) * block / problem.pixels
    size = problem.itemsize
    x = 0 if problem.x_dtype == problem.compute_dtype else math.prod(problem.x_shape) * size
    weight = 0
    if problem.weight_dtype != problem.compute_dtype:
        weight = math.prod(problem.weight_shape) * size
    panels = problem.batch * problem.pixels * problem.in_channels * size
    each = _scratch_nbytes(problem, rows, block, _held(problem, block, _PANELS_NBYTES))
    steps = places.waiting(problem) + 20
    moved = 2 * (x + weight) + panels
    helpers = places.helpers(problem)
    return Cost(
        2 * problem.macs * filled, moved, x + weight + each, steps, each=each, helpers=helpers
    )


def matrix(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight (outputs, channels), a view where it can be one."""
    turned = weight[(0,) * problem.ndim].T.astype(problem.compute_dtype, copy=False)
    return turned if turned.flags.aligned else turned.copy()


def forward(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> None:
    """Write out from the weight (outputs, channels)."""
    source = x if _lies_in_planes(problem, x) else _planes(problem, x.shape)
    target = out if _lies_in_planes(problem, out) else _planes(problem, out.shape)
    if source is not x:
        relayout.copy(x, source)
    template = _work(problem, source, target, weight, ending)
    bias = 0 if ending.bias is None else ending.bias.ctypes.data
    template.run(source.ctypes.data, weight.ctypes.data, target.ctypes.data, bias)
    if target is not out:
        relayout.copy(target, out)


def bind(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    """Return the same for arrays that lie as these do; None where one has to be copied first."""
    turned = matrix(problem, weight)
    if not (_lies_in_planes(problem, x) and _lies_in_planes(problem, out)):
        return None
    template = _work(problem, x, out, turned, ending)
    own = turned.copy()
    after = _work(problem, x, out, own, ending)  # pack_weight's lies so

    def run(x: int, weight: int, out: int, bias: int, packed: Any) -> None:
        if packed is None:
            template.run(x, weight, out, bias)
        else:
            after.run(x, address(packed), out, bias)

    return run


def _work(
    problem: ConvProblem, x: np.ndarray, out: np.ndarray, weight: np.ndarray, ending: Ending
) -> Template:
    strides = x.strides, out.strides, weight.strides
    limits = ending.least, ending.most
    return _template(problem, strides, limits, (arrays.WORTH_SHARING, _PANELS_NBYTES))


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem,
    strides: tuple[tuple[int, ...], ...],
    limits: tuple[float, float],
    cut: tuple[int, int],
) -> Template:
    """Return the work for x, out and a weight (outputs, channels) of these strides.

    cut: the multiply-adds worth a share, and the bytes of panels held at once.
    """
    from npconv.kernels import pointwise as kernels
    from npconv.kernels import products
    from npconv.kernels.fields import words

    worth, panels_nbytes = cut
    x, out, weight = strides
    channels, outputs = problem.group_channels, problem.group_outputs
    block, rows = places.wide_block(problem), products.ROWS
    panels = problem.batch * -(-problem.pixels // block)
    held = _held(problem, block, panels_nbytes)
    shape = problem.out_channels, channels
    steps = [s if n > 1 else 0 for n, s in zip(shape, weight, strict=True)]
    grid = places.grid(problem, panels, -(-outputs // rows), worth)
    each = _scratch_nbytes(problem, rows, block, held)
    layer = kernels.Layer(
        kernels.Call(0, 0, 0, 0),
        kernels.Planes(x[0], x[-1]),
        kernels.Planes(out[0], out[-1]),
        kernels.Rows(*steps),
        kernels.Sizes(problem.pixels, channels, outputs, held),
        kernels.Limits(*map(float, limits)), grid, each,
    )  # fmt: skip
    entry = kernels.convolve[problem.compute_dtype.char]
    return Template(entry, words(layer), grid.items, each)


def _lies_in_planes(problem: ConvProblem, array: np.ndarray) -> bool:
    """Return whether the pixels of each channel lie side by side, in the compute dtype."""
    beside = _in_planes(array.shape, array.strides, problem.itemsize)
    return beside and array.dtype == problem.compute_dtype and array.flags.aligned


@lru_cache(maxsize=1024)
def _in_planes(shape: tuple[int, ...], strides: tuple[int, ...], step: int) -> bool:
    for n, stride in zip(shape[-2:0:-1], strides[-2:0:-1], strict=True):
        if n > 1 and stride != step:
            return False
        step *= n
    return True


def _planes(problem: ConvProblem, shape: tuple[int, ...]) -> np.ndarray:
    """Return a new canonical array that lies in planes."""
    planes = spare.empty((shape[0], shape[-1], *shape[1:-1]), problem.compute_dtype)
    return np.moveaxis(planes, 1, -1)


def _held(problem: ConvProblem, block: int, nbytes: int) -> int:
    """Return how many panels are held at once."""
    panels = problem.batch * -(-problem.pixels // block)
    panel = problem.group_channels * block * problem.itemsize
    return max(min(nbytes // panel, 8, panels), 1)


def _scratch_nbytes(problem: ConvProblem, rows: int, block: int, held: int) -> int:
    """Return the bytes of a thread: addresses, biases, a tile of outputs, and panels."""
    elements = block * (rows + held * problem.group_channels)
    return whole_lines(elements * problem.itemsize + 8 * 4 * rows)
