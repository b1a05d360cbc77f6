"""The directions for arrays that lie as others did: channels last, in the compute dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from npconv import relayout, spare, tiling
from npconv.algorithms.contract import Bound, Ending
from npconv.algorithms.winograd import sums
from npconv.algorithms.winograd.weight_gradient import run_steps, steps_for
from npconv.memory import LINE, address
from npconv.problem import ConvProblem


def bind(
    problem: ConvProblem, first: np.ndarray, second: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    """Return a direction for arrays that lie as these do; None where one has to be copied first."""
    if problem.direction == "weight_grad":
        return relayout.bind_operands(
            problem, first, second, lambda grad, x: _weight_grad(problem, grad, x, out)
        )
    if second.dtype != problem.compute_dtype:
        return None
    return relayout.bind_around(
        problem, first, out, lambda x, out: _forward(problem, x, second, out, ending)
    )


def _forward(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound:
    late = tiling.cut(problem, fresh=True).whole
    usual = [sums.steps_for(problem, problem, x, out, at) for at in (False, True)]
    fresh = [sums.steps_for(problem, problem, x, out, at, fresh=late) for at in (False, True)]
    work = tiling.cut(problem)
    pack, nbytes = sums.packing(problem, work), problem.groups * work.weight_nbytes
    lies, limits = sums.lies(problem, weight), sums.limits_of(ending)

    def run(x: int, weight: int, out: int, bias: int, packed: Any) -> bool:
        comes_late = late and packed is None
        steps = (fresh if comes_late else usual)[out % LINE == 0]
        added = sums.added(steps, bias)
        ends = out, address(added), limits
        if comes_late:
            return sums.by_outputs(steps, x, (0, weight, *lies), *ends)
        if packed is None:
            packed = spare.room(nbytes)
            pack.run(0, 0, address(packed), 0, 0, *sums.NO_LIMITS, weight, *lies)
        if steps.gather is None:
            return sums.by_tiles(steps, x, address(packed), *ends)
        return sums.by_outputs(steps, x, (address(packed),), *ends)

    return run


def _weight_grad(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> Bound | None:
    if problem.ndim > 2:
        return None
    both = [steps_for(problem, grad_out, x, out, aligned) for aligned in (False, True)]
    if any(steps.empty for steps in both):
        return None

    def run(grad_out: int, x: int, out: int, _: int, packed: Any) -> bool:
        return run_steps(both[out % LINE == 0], x, grad_out, out)

    return run
