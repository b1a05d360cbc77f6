"""The directions of groups of one channel and one output, for arrays that lie as others did."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from npconv import packing, relayout, spare
from npconv.algorithms.contract import NOTHING, Bound, Ending
from npconv.algorithms.depthwise import places, sums, weights
from npconv.memory import address, shown
from npconv.problem import ConvProblem, Phase, covers, few_phases, spans_padding
from npconv.templates import Template


def bind(
    problem: ConvProblem, first: np.ndarray, second: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    """Return a direction for arrays that lie as these do; None where one has to be copied first."""
    if problem.group_channels > 1 or problem.group_outputs > 1:
        return None
    if problem.direction == "weight_grad":
        return _weight_grad(problem, first, second, out)
    if second.dtype != problem.compute_dtype:
        return None
    if problem.direction == "input_grad":
        return _input_grad(problem, first, second, out)
    return _forward(problem, first, second, out, ending)


def _turns(problem: ConvProblem, x: np.ndarray, out: np.ndarray) -> bool | None:
    """Return whether both lie channels first; None where they lie neither so nor channels last."""
    if relayout.lies_well(problem, x) and relayout.lies_well(problem, out):
        return False
    return True if places.turns(problem, x, out) else None


def _forward(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    turns = _turns(problem, x, out)
    if turns is None:
        return None
    template = sums.work(problem, x[None], out[None], ending, (False, turns))
    pack, elements, dtype = _pack(weight), weight.size, problem.compute_dtype

    def run(x: int, weight: int, out: int, bias: int, packed: Any) -> None:
        if packed is None:
            packed = np.empty(elements, dtype)
            pack.run(weight, address(packed))
        template.run(x, address(packed), out, bias)

    return run


def _input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> Bound | None:
    found = few_phases(problem)
    if not found or not covers(problem) or spans_padding(problem):
        return None
    steps: list[_Step] = []
    elements, dtype = 0, problem.compute_dtype
    for phase in found:
        step = _step(phase, grad_out, weight, out, elements * problem.itemsize)
        if step is None:
            return None
        steps.append(step)
        elements += phase.problem.taps * problem.groups

    def run(grad_out: int, weight: int, out: int, _: int, packed: Any) -> None:
        packed = np.empty(elements, dtype)
        at = address(packed)
        for step in steps:
            step.pack.run(weight + step.kernel, at + step.place)
        # Zeros around grad_out are multiplied too, where that makes no difference.
        skips = not np.isfinite(packed).all()
        for step in steps:
            step.work[skips].run(grad_out, at + step.place, out + step.target, 0)

    return run


class _Step(NamedTuple):
    """A phase: its packing, and its work where zeros are multiplied and where they are skipped.

    kernel, place and target are where it begins in weight, what is packed and out, in bytes.
    """

    pack: Template
    work: tuple[Template, Template]
    kernel: int
    place: int
    target: int


def _step(
    phase: Phase, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray, place: int
) -> _Step | None:
    alone, kernel, target = phase.problem, weight[phase.taps], out[(slice(None), *phase.at)]
    turns = _turns(alone, grad_out, target)
    if turns is None:
        return None
    planes = grad_out[None], target[None], NOTHING
    work = sums.work(alone, *planes, (False, turns)), sums.work(alone, *planes, (True, turns))
    begins = address(kernel) - address(weight), place, address(target) - address(out)
    return _Step(_pack(kernel), work, *begins)


def _pack(weight: np.ndarray) -> Template:
    """Return what writes a weight (*kernel, 1, groups) as (taps, groups)."""
    from npconv.kernels import blocks as kernels
    from npconv.kernels.fields import words

    *kernel, _, groups = weight.shape
    size = weight.itemsize
    steps = [s if n > 1 else size for n, s in zip(weight.shape, weight.strides, strict=True)]
    taps = packing.tap_offsets(kernel, steps[:-2], [1] * len(kernel))
    record = kernels.Weights(
        0, 0, taps.ctypes.data, len(taps), 0, steps[-1], 1, groups, groups, 1, 1
    )
    return Template(kernels.pack[weight.dtype.char], words(record), 1, kept=taps)


def _weight_grad(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> Bound | None:
    turns = _turns(problem, x, grad_out)
    if turns is None:
        return None
    template, cut = weights.work(problem, x[None], grad_out[None], turns)
    like = shown((cut.shares, cut.rows * cut.taps, problem.groups), problem.compute_dtype)
    add, nbytes = _add(like), like.nbytes
    goal = out.reshape(problem.taps, problem.groups)
    copy = relayout.bind(like[0, : problem.taps], goal)
    if add is None or copy is None or not np.may_share_memory(goal, out):
        return None

    def run(grad_out: int, x: int, out: int, _: int, packed: Any) -> None:
        sums = spare.room(nbytes)
        at = address(sums)
        template.run(x, grad_out, at)
        add.run(at)
        copy(at, out)

    return run


def _add(sums: np.ndarray) -> Template | None:
    """Return what adds to the first share's sums the others', None where they fill no vectors."""
    from npconv.kernels import gradient as kernels
    from npconv.kernels import simd
    from npconv.kernels.fields import words

    elements = sums[0].size
    if elements % simd.lanes(sums.dtype.name):
        return None
    total = kernels.Total(0, 1, len(sums), elements, 1)
    return Template(kernels.add_up[sums.dtype.char], words(total), 1)
