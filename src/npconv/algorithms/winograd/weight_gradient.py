"""The weight gradient: tiles of x times tiles of grad_out, summed before they are transformed.

Either all the tiles are transformed first, and then each thread takes some channels of x and some
outputs through the products; or each thread takes tiles, channels and outputs through everything,
and where tiles are shared out, sums of their own are added up in order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import compiler, relayout, spare
from npconv.algorithms.contract import Cost
from npconv.algorithms.winograd import gradient_cut
from npconv.algorithms.winograd.gradient_layer import (
    Steps,
    items,
    shared_nbytes,
    steps,
    tables_nbytes,
)
from npconv.memory import LINE, address
from npconv.problem import ConvProblem

_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 2e6  # steps
_KEPT = 1 << 15  # bytes of tables that are kept between calls


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the products, the transforms and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    copied = sum(_copied(problem))
    if problem.macs < _LITTLE and not compiler.ready("winograd_gradient"):
        return Cost(2 * problem.macs, 0, copied + _little_nbytes(problem), _COMPILING)
    work = gradient_cut.cut(problem)
    shared = shared_nbytes(problem, work)
    taps = problem.taps // math.prod(problem.kernel_size[-2:])
    runs = problem.groups * taps
    result = math.prod(problem.weight_shape) * problem.itemsize
    moved = 2 * (copied + result) + (0 if work.whole else runs * shared)
    workspace = copied + tables_nbytes(problem, work) + shared + 3 * LINE
    if problem.weight_dtype != problem.compute_dtype:
        workspace += result
    each = work.thread_nbytes
    flops = runs * gradient_cut.flops(problem, work)
    helpers = items(problem, work) - 1
    return Cost(flops, moved, workspace + each, 60 + 20 * runs, each=each, helpers=helpers)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> bool:
    """Write out, one tap of the depth and one group after the other; return whether it is finite.

    Depths that lie in the padding are passed over.  A NaN of grad_out that meets only those zeros
    is not in out, where the direct sum has it: False says that there may be one.
    """
    x, grad_out = relayout.dense(problem, x), relayout.dense(problem, grad_out)
    result = out
    if out.dtype != problem.compute_dtype or not out.flags.aligned:
        result = np.empty(out.shape, problem.compute_dtype)
    made = steps_for(problem, grad_out, x, result, address(result) % LINE == 0)
    for tap in made.empty:
        result[tap] = 0
    finite = run_steps(made, address(x), address(grad_out), address(result))
    if result is not out:
        out[...] = result
    if problem.ndim < 3:
        return finite
    return finite and bool(np.isfinite(grad_out.sum()) or np.isfinite(grad_out).all())


def steps_for(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray, aligned: bool
) -> Steps:
    """Return the steps for dense arrays that lie as these do; aligned: out to a cache line."""
    work = gradient_cut.cut(problem)
    key = problem, work, x.strides, grad_out.strides, out.strides, aligned
    return (_kept_steps if tables_nbytes(problem, work) <= _KEPT else steps)(*key)


def run_steps(made: Steps, x: int, grad_out: int, out: int) -> bool:
    """Do the steps on arrays at these addresses; return whether all sums were finite."""
    from npconv.kernels.winograd_gradient_layer import FINITE

    shared = spare.room(made.shared)
    places = x, grad_out, out, address(shared)
    finite = True
    for run in range(min(made.runs, 1) if made.joined else made.runs):
        for step in made.steps:
            finite &= step.run(*places, run).item(FINITE) != 0
    return finite


@lru_cache(maxsize=64)
def _kept_steps(*key: Any) -> Steps:
    return steps(*key)


def _little_nbytes(problem: ConvProblem) -> int:
    """Return bytes that little work stays below, without asking how it would be cut up."""
    return min(64 * problem.macs, 7 << 20) + (1 << 18)


def _copied(problem: ConvProblem) -> tuple[int, int]:
    """Return the bytes of x and of grad_out once more, where they must be laid channels last."""
    last = problem.channels_last
    same = (last or problem.in_channels == 1) and problem.x_dtype == problem.compute_dtype
    x = 0 if same else math.prod(problem.x_shape)
    same = (last or problem.out_channels == 1) and problem.out_dtype == problem.compute_dtype
    grad = 0 if same else math.prod(problem.out_shape)
    return x * problem.itemsize, grad * problem.itemsize
