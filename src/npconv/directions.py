"""A direction by an algorithm: its own method where it has one, else the identity of problem/.

An algorithm that only knows `forward` has all three directions all the same: a gradient is a
convolution of other arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npconv import adjoints, phasing
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import NOTHING, Bound, Cost, Ending
from npconv.problem import (
    ConvProblem,
    few_phases,
    largest_phase,
    spans_padding,
    weight_grad_as_forward,
)


def own(problem: ConvProblem, name: str) -> bool:
    """Return whether the algorithm has a method for the problem's direction."""
    module = ALGORITHMS[name]
    if not hasattr(module, problem.direction):
        return False
    return not hasattr(module, "owns") or module.owns(problem)


def spreads(problem: ConvProblem, name: str) -> bool:
    """Return whether a NaN or Inf may reach elements that the direct sum keeps it from.

    Without a way of its own, the input gradient multiplies weight by zeros around grad_out.
    """
    return ALGORITHMS[name].SPREADS or meets_zeros(problem, name)


def weight_tells(problem: ConvProblem, name: str) -> bool:
    """Return whether a weight without NaN and Inf leaves those of grad_out where they belong."""
    return not (ALGORITHMS[name].SPREADS or own(problem, name) or phasing.merged_of(problem, name))


def meets_zeros(problem: ConvProblem, name: str) -> bool:
    """Return whether weight is multiplied by zeros around grad_out, or between its taps."""
    if problem.direction != "input_grad" or own(problem, name):
        return False
    few = few_phases(problem)
    if not few or phasing.merged_of(problem, name):
        return True
    return any(max(pair) > 0 for phase in few for pair in phase.problem.padding)


def ends(problem: ConvProblem, name: str) -> bool:
    """Return whether the algorithm does a result's Ending itself."""
    return problem.direction == "forward" and getattr(ALGORITHMS[name], "ENDS", False)


def quiet(problem: ConvProblem, name: str) -> bool:
    """Return whether NumPy computes nothing of a problem whose arrays have the compute dtype.

    Then there is no BLAS to hold to one thread, and no floating-point warning to keep back.
    """
    if not getattr(ALGORITHMS[name], "COMPILED", False) or problem.direction == "weight_grad":
        return False
    if spans_padding(problem):
        return problem.direction == "forward"
    if own(problem, name):
        return True
    few = few_phases(problem)
    alone = few and all(phasing.carried_out_by(phase.problem, name) == name for phase in few)
    return bool(alone or phasing.merged_of(problem, name))


def why_not(problem: ConvProblem, name: str) -> str:
    """Return "" when the algorithm can compute the problem, else its reason."""
    module = ALGORITHMS[name]
    if own(problem, name):
        return module.why_not(problem)
    if problem.direction == "weight_grad":
        return module.why_not(weight_grad_as_forward(problem))
    phase = largest_phase(problem)
    return module.why_not(phase.problem) if phase else ""


def cost(problem: ConvProblem, name: str) -> Cost:
    """Return what the algorithm would spend; nobody is asked to compute nothing."""
    if problem.macs == 0:
        return Cost(0, problem.result_nbytes, 0, 1)
    module = ALGORITHMS[name]
    if own(problem, name):
        method = "cost" if problem.direction == "forward" else f"{problem.direction}_cost"
        return getattr(module, method)(problem)
    if problem.direction == "weight_grad":
        spent = module.cost(weight_grad_as_forward(problem))
        copied = _turned_x_nbytes(problem)
        return spent._replace(nbytes=spent.nbytes + 2 * copied, workspace=spent.workspace + copied)
    return phasing.cost(problem, name)


def run(
    problem: ConvProblem,
    name: str,
    operands: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    ending: Ending = NOTHING,
    packed: Any = None,
) -> bool | None:
    """Write the result of two canonical operands to out, a canonical view.

    ending: for what `ends`; packed: the weight as the algorithm's pack_weight returned it.
    Returns whether every sum was finite, None where nobody looked.
    """
    module: Any = ALGORITHMS[name]
    first, second = operands
    if problem.direction == "forward":
        more = (ending,) if ends(problem, name) else ()
        if packed is None:
            return module.forward(problem, first, second, out, *more)
        return module.forward_packed(problem, first, packed, out, *more)
    if own(problem, name):
        return getattr(module, problem.direction)(problem, first, second, out)
    if problem.direction == "weight_grad":
        _weight_grad(problem, name, first, second, out)
    elif spans_padding(problem):
        shape = (problem.batch, *problem.padded_size, problem.in_channels)
        padded = np.empty_like(out, problem.compute_dtype, shape=shape, subok=False)
        phasing.run(problem, name, first, second, padded)
        adjoints.unpad(problem, padded, out)
    else:
        return phasing.run(problem, name, first, second, out)
    return None


def bind(
    problem: ConvProblem,
    name: str,
    operands: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    ending: Ending,
) -> Bound | None:
    """Return `run` for arrays that lie as these do, each aligned; None where there is no such."""
    module: Any = ALGORITHMS[name]
    if not hasattr(module, "bind"):
        return None
    if problem.direction == "forward" or own(problem, name):
        return module.bind(problem, *operands, out, ending)
    if problem.direction == "weight_grad":
        return None
    return phasing.bind(problem, name, operands, out)


def _weight_grad(
    problem: ConvProblem, name: str, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> None:
    d, groups, channels = problem.ndim, problem.groups, problem.group_channels
    convolution = weight_grad_as_forward(problem)
    if groups == 1:
        turned = np.swapaxes(x, 0, -1)
    else:
        # (N, *size, groups, C // groups) to (C // groups, *size, groups, N), laid as x lies
        split = x.reshape(*x.shape[:-1], groups, channels)
        split = split.transpose([d + 2, *range(1, d + 1), d + 1, 0])
        if problem.channels_last:
            turned = np.ascontiguousarray(split).reshape(convolution.x_shape)
        else:
            dense = np.ascontiguousarray(np.moveaxis(split, (-2, -1), (1, 2)))
            dense = dense.reshape(channels, groups * problem.batch, *problem.size)
            turned = np.moveaxis(dense, 1, -1)
    kernel = np.moveaxis(grad_out, 0, d)
    target = np.moveaxis(out, d, 0)
    ALGORITHMS[name].forward(convolution, turned, kernel, target)


def _turned_x_nbytes(problem: ConvProblem) -> int:
    if problem.groups == 1:
        return 0
    return math.prod(problem.x_shape) * problem.x_dtype.itemsize
