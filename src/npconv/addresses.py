"""Where x has what the windows of an output read, as tables of byte offsets, an axis each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv import borders
from npconv.problem import ConvProblem

_REACH = 1 << 24  # positions along an axis


def unlisted(problem: ConvProblem) -> str:
    """Return "" where three axes' tables list every position in reach, else the reason."""
    if problem.ndim > 3:
        return f"its tables have three spatial axes, not {problem.ndim}"
    reach = max(problem.reach(problem.out_size, problem.out_size)[1], default=0)
    if reach > _REACH:
        return f"the windows reach over {reach} positions, and its tables list each"
    return ""


def strides(problem: ConvProblem) -> list[int]:
    """Return the strides, 0 where there is no second window: any integer may stand there."""
    return [s if n > 1 else 0 for s, n in zip(problem.stride, problem.out_size, strict=True)]


def three(values: Sequence[int], fill: int = 1) -> tuple[int, int, int]:
    """Return one number for each of three axes, those before the first filled up."""
    depth, height, width = (*[fill] * (3 - len(values)), *values)
    return depth, height, width


def offsets(problem: ConvProblem, axis: int, stride: int) -> np.ndarray:
    """Return the byte offset of each padded position of an axis, int64; -1 where it is a zero."""
    _, reach = problem.reach(problem.out_size, problem.out_size)
    size, before = problem.size[axis], problem.padding[axis][0]
    source = borders.source(problem.padding_mode, size, -before, reach[axis] - before)
    return np.where(source < 0, -1, source * (stride if size > 1 else 0))


def inside(problem: ConvProblem, axis: int = -1) -> tuple[int, int]:
    """Return the outputs along an axis, first and last + 1, that read nothing but x's own."""
    before, step = problem.padding[axis][0], problem.stride[axis]
    first = -(-max(before, 0) // step)
    last = (problem.size[axis] + before - problem.dilated_size[axis]) // step + 1
    return first, min(last, problem.out_size[axis])
