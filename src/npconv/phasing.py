"""The input gradient by an algorithm that knows `forward`: a phase of the stride at a time.

Each phase is a convolution of grad_out.  Where each alone has few outputs for the algorithm, all
are one convolution, with zeros between the taps.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import adjoints, relayout, spare
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import NOTHING, Bound, Cost
from npconv.memory import address
from npconv.problem import (
    ConvProblem,
    Merged,
    Phase,
    best_span,
    covers,
    few_phases,
    largest_phase,
    merge_phases,
    phase_count,
    phases,
    spans_padding,
)
from npconv.threads import forget_when_changed

_ONE_TAP = ("indirect", "taps")  # what computes phases of one tap where the algorithm does not


def bind(
    problem: ConvProblem, name: str, operands: tuple[np.ndarray, np.ndarray], out: np.ndarray
) -> Bound | None:
    """Return `run` for arrays that lie as these do; None where more than its phases is needed."""
    if spans_padding(problem) or merged_of(problem, name):
        return None
    grad_out, weight = operands

    def make(grad_out: np.ndarray, out: np.ndarray) -> Bound | None:
        return _bind(problem, name, grad_out, weight, out)

    return make(grad_out, out) or relayout.bind_around(problem, grad_out, out, make)


def _bind(
    problem: ConvProblem, name: str, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> Bound | None:
    steps = []
    for phase in few_phases(problem):
        module: Any = ALGORITHMS[carried_out_by(phase.problem, name)]
        if not hasattr(module, "bind"):
            return None
        kernel = adjoints.turned_weight(phase, weight, False)
        if not np.may_share_memory(kernel, weight):
            return None
        target = out[(slice(None), *phase.at)]
        step = module.bind(phase.problem, grad_out, kernel, target, NOTHING)
        if step is None:
            return None
        steps.append((step, address(kernel) - address(weight), address(target) - address(out)))
    cleared = 0 if _covered(problem) else out.nbytes
    if not steps or (cleared and not _is_dense(out)):
        return None

    def run(grad_out: int, weight: int, out: int, _: int, packed: Any) -> bool | None:
        if cleared:
            ctypes.memset(out, 0, cleared)
        return _all_known(
            step(grad_out, weight + kernel, out + target, 0, None) for step, kernel, target in steps
        )

    return run


def _is_dense(array: np.ndarray) -> bool:
    """Return whether an array's elements fill its memory from its first element on."""
    order = sorted(range(array.ndim), key=array.strides.__getitem__, reverse=True)
    return array.transpose(order).flags.c_contiguous


def run(
    problem: ConvProblem, name: str, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> bool | None:
    """Write the gradient, or that in padded x; return whether all is finite, None if unknown."""
    if merged := merged_of(problem, name):
        kernel = adjoints.merged_weight(merged, weight)
        result = spare.empty(merged.problem.out_shape, problem.compute_dtype)
        found = ALGORITHMS[name].forward(merged.problem, grad_out, kernel, result)
        adjoints.spread_channels(merged, result, out)
        return found
    if not _covered(problem):
        out[...] = 0

    def step(phase: Phase) -> bool | None:
        module = ALGORITHMS[carried_out_by(phase.problem, name)]
        kernel = adjoints.turned_weight(phase, weight, not hasattr(module, "pack_weight"))
        return module.forward(phase.problem, grad_out, kernel, out[(slice(None), *phase.at)])

    return _all_known(map(step, _found(problem)))


def _all_known(found: Iterable[bool | None]) -> bool | None:
    """Return whether all steps found their sums finite, None where one did not look."""
    each = set(found)
    return None if None in each else False not in each


def _found(problem: ConvProblem) -> Iterable[Phase]:
    """Return the phases of an input gradient, the same objects each time where they are few."""
    return few_phases(problem) or phases(problem)


_covered = lru_cache(maxsize=64)(covers)


@lru_cache(maxsize=64)
def merged_of(problem: ConvProblem, name: str) -> Merged | None:
    """Return the phases as one convolution, where each alone has few outputs for the algorithm."""
    lanes = getattr(ALGORITHMS[name], "FILLED_NBYTES", 0) // problem.itemsize
    span = best_span(problem, lanes)
    merged = merge_phases(problem, span) if span else None
    return merged if merged and not ALGORITHMS[name].why_not(merged.problem) else None


forget_when_changed(merged_of.cache_clear)


def carried_out_by(problem: ConvProblem, name: str) -> str:
    """Return which algorithm computes a phase."""
    return next(n for n in (name, *_ONE_TAP) if not ALGORITHMS[n].why_not(problem))


def cost(problem: ConvProblem, name: str) -> Cost:
    """Return what the phases and the copies around them take."""
    phase = largest_phase(problem)
    merged = merged_of(problem, name)
    if phase is None:
        return Cost(0, 0, 0, 1)
    if merged:
        spent = ALGORITHMS[name].cost(merged.problem)
        whole, extra = merged.problem, merged.problem.result_nbytes
        calls = spent.calls + 10 + 2 * problem.taps
    else:
        spent, whole, extra = _sum_of_phases(problem, name, phase.problem), phase.problem, 0
        calls = spent.calls + 10 * phase_count(problem)
    dense = merged or problem.groups > 1 or not hasattr(ALGORITHMS[name], "pack_weight")
    kernel = math.prod(whole.weight_shape) * problem.itemsize if dense else 0
    written = 2 * math.prod(problem.weight_shape) * problem.itemsize if kernel else 0
    padded = 0
    if spans_padding(problem):
        elements = problem.batch * math.prod(problem.padded_size) * problem.in_channels
        padded = elements * problem.itemsize
    zeros = 0 if merged or covers(problem) else problem.result_nbytes
    around = 0  # the gradient once more, where several phases write it channels last
    several = phase_count(problem) > 1 and not merged
    if several and not problem.channels_last and hasattr(ALGORITHMS[name], "bind"):
        around = math.prod(problem.x_shape) * problem.itemsize
    return spent._replace(
        nbytes=spent.nbytes + written + 2 * padded + zeros + 2 * extra,
        workspace=spent.workspace + kernel + padded + extra + around,
        calls=calls,
    )


def _sum_of_phases(problem: ConvProblem, name: str, largest: ConvProblem) -> Cost:
    """Return what the phases take together, each as long as the largest where they are many."""
    module, few = ALGORITHMS[name], few_phases(problem)
    if not few:
        count, spent = phase_count(problem), module.cost(largest)
        return spent._replace(
            flops=count * spent.flops, nbytes=count * spent.nbytes, calls=count * spent.calls
        )
    each = [ALGORITHMS[carried_out_by(p.problem, name)].cost(p.problem) for p in few]
    return max(each, key=lambda cost: cost.held)._replace(
        flops=sum(cost.flops for cost in each),
        nbytes=sum(cost.nbytes for cost in each),
        calls=sum(cost.calls for cost in each),
    )
