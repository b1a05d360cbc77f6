"""A direction by an algorithm: its own method where it has one, else the identity of problem/.

An algorithm that only knows `forward` has all three directions all the same: a gradient is a
convolution of other arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import adjoints, spare
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.problem import (
    ConvProblem,
    Merged,
    Phase,
    best_span,
    covers,
    largest_phase,
    merge_phases,
    phase_count,
    phases,
    spans_padding,
    weight_grad_as_forward,
)
from npconv.threads import forget_when_changed

_ONE_TAP = "taps"  # computes the phases of one tap, which are a matmul each, for every algorithm
_KEPT = 64  # phases of a problem that are remembered


def own(problem: ConvProblem, name: str) -> bool:
    """Return whether the algorithm has a method for the problem's direction."""
    module = ALGORITHMS[name]
    if not hasattr(module, problem.direction):
        return False
    return not hasattr(module, "owns") or module.owns(problem)


def spreads(problem: ConvProblem, name: str) -> bool:
    """Return whether a NaN or Inf may reach elements that the direct sum keeps it from.

    The identity of the input gradient multiplies weight by zeros around grad_out.
    """
    through_zeros = problem.direction == "input_grad" and not own(problem, name)
    return ALGORITHMS[name].SPREADS or through_zeros


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
    few = _few_phases(problem)
    alone = few and all(_of_phase(phase.problem, name) == name for phase in few)
    return bool(alone or _merged(problem, name))


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
    return _phases_cost(problem, name)


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
        _phases(problem, name, first, second, padded)
        adjoints.unpad(problem, padded, out)
    else:
        return _phases(problem, name, first, second, out)
    return None


def _phases(
    problem: ConvProblem, name: str, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> bool | None:
    if merged := _merged(problem, name):
        kernel = adjoints.merged_weight(merged, weight)
        result = spare.empty(merged.problem.out_shape, problem.compute_dtype)
        found = ALGORITHMS[name].forward(merged.problem, grad_out, kernel, result)
        adjoints.spread_channels(merged, result, out)
        return found
    if not _covered(problem):
        out[...] = 0
    finite: bool | None = True
    for phase in _found(problem):
        module = ALGORITHMS[_of_phase(phase.problem, name)]
        kernel = adjoints.turned_weight(phase, weight, not hasattr(module, "pack_weight"))
        target = out[(slice(None), *phase.at)]
        found = module.forward(phase.problem, grad_out, kernel, target)
        finite = None if found is None or finite is None else finite and found
    return finite


def _found(problem: ConvProblem) -> Iterable[Phase]:
    """Return the phases of an input gradient, the same objects each time where they are few."""
    return _few_phases(problem) or phases(problem)


@lru_cache(maxsize=64)
def _few_phases(problem: ConvProblem) -> tuple[Phase, ...]:
    return tuple(phases(problem)) if phase_count(problem) <= _KEPT else ()


_covered = lru_cache(maxsize=64)(covers)


@lru_cache(maxsize=64)
def _merged(problem: ConvProblem, name: str) -> Merged | None:
    """Return the phases as one convolution, where each alone has few outputs for the algorithm."""
    lanes = getattr(ALGORITHMS[name], "FILLED_NBYTES", 0) // problem.itemsize
    span = best_span(problem, lanes)
    merged = merge_phases(problem, span) if span else None
    return merged if merged and not ALGORITHMS[name].why_not(merged.problem) else None


forget_when_changed(_merged.cache_clear)


def _of_phase(problem: ConvProblem, name: str) -> str:
    return _ONE_TAP if ALGORITHMS[name].why_not(problem) else name


def _phases_cost(problem: ConvProblem, name: str) -> Cost:
    phase = largest_phase(problem)
    if phase is None:
        return Cost(0, 0, 0, 1)
    merged = _merged(problem, name)
    if merged:
        spent = ALGORITHMS[name].cost(merged.problem)
        count, largest, extra = 1, merged.problem, merged.problem.result_nbytes
    else:
        spent = ALGORITHMS[name].cost(phase.problem)
        count, largest, extra = phase_count(problem), phase.problem, 0
    kernel = math.prod(largest.weight_shape) * problem.itemsize
    padded = 0
    if spans_padding(problem):
        elements = problem.batch * math.prod(problem.padded_size) * problem.in_channels
        padded = elements * problem.itemsize
    zeros = 0 if merged or covers(problem) else problem.result_nbytes
    return spent._replace(
        flops=count * spent.flops,
        nbytes=count * (spent.nbytes + 2 * kernel) + 2 * padded + zeros + 2 * extra,
        workspace=spent.workspace + kernel + padded + extra,
        calls=count * (spent.calls + 10) + (2 * problem.taps if merged else 0),
    )


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
