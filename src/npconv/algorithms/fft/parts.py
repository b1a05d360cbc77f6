"""Complex numbers as two real ones: every part of x by every part of the weight.

The parts of x are images of a batch, those of the weight outputs, and so a problem of real numbers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from npconv import spare
from npconv.algorithms.contract import Cost
from npconv.algorithms.fft import compiled
from npconv.algorithms.fft.cut import Cut, cut
from npconv.problem import ConvProblem

_REAL = {"F": np.dtype(np.float32), "D": np.dtype(np.float64)}


def of_parts(problem: ConvProblem) -> tuple[ConvProblem, Cut] | None:
    """Return the problem of the parts and its tiles; None where it is not for the kernels."""
    real = _REAL.get(problem.compute_dtype.char)
    if real is None or problem.group_channels > 1:
        return None
    kinds: dict[str, Any] = dict.fromkeys(
        ("x_dtype", "weight_dtype", "out_dtype", "compute_dtype"), real
    )
    counts = _counts(problem)
    parts = replace(
        problem,
        batch=problem.batch * counts[0],
        out_channels=problem.out_channels * counts[1],
        channels_last=False,
        **kinds,
    )
    made = cut(parts)
    return None if made is None else (parts, made)


def _counts(problem: ConvProblem) -> tuple[int, int]:
    """Return how many parts x and the weight have."""
    x, weight = (2 if dtype.kind == "c" else 1 for dtype in (problem.x_dtype, problem.weight_dtype))
    return x, weight


def cost(problem: ConvProblem, parts: ConvProblem, made: Cut) -> Cost:
    """Return what the parts cost, and taking apart and putting together."""
    found = compiled.cost(parts, made)
    copied = math.prod(parts.x_shape) + math.prod(parts.out_shape) + math.prod(parts.weight_shape)
    copied *= parts.itemsize
    return found._replace(
        nbytes=found.nbytes + 3 * copied, workspace=found.workspace + copied, calls=found.calls + 20
    )


def forward(
    problem: ConvProblem,
    parts: ConvProblem,
    made: Cut,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write out from the results of all parts."""
    real = parts.compute_dtype
    counts = _counts(problem)
    planes = np.moveaxis(x, -1, 1)
    apart = spare.empty((counts[0], *planes.shape), real)
    kernels = np.empty((*weight.shape[:-1], problem.groups, counts[1], problem.group_outputs), real)
    split = weight.reshape(*weight.shape[:-1], problem.groups, problem.group_outputs)
    for i, part in enumerate(_parts(planes, counts[0])):
        apart[i] = part
    for i, part in enumerate(_parts(split, counts[1])):
        kernels[..., i, :] = part
    sums = spare.empty((parts.batch, parts.out_channels, *parts.out_size), real)
    compiled.forward(
        parts,
        made,
        np.moveaxis(apart.reshape(parts.batch, *planes.shape[1:]), 1, -1),
        kernels.reshape(parts.weight_shape),
        np.moveaxis(sums, 1, -1),
    )
    each = sums.reshape(
        counts[0], problem.batch, problem.groups, counts[1], problem.group_outputs, *parts.out_size
    )
    for group in range(problem.groups):
        first = group * problem.group_outputs
        mine = np.moveaxis(out[..., first : first + problem.group_outputs], -1, 1)
        _put_together(mine, each[:, :, group], counts)


def _put_together(out: np.ndarray, each: np.ndarray, counts: tuple[int, int]) -> None:
    """Write a group's outputs (N, O, *size) from (part of x, N, part of the weight, O, *size)."""
    out.real = each[0, :, 0]
    if counts == (2, 2):
        out.real -= each[1, :, 1]
        out.imag = each[0, :, 1]
        out.imag += each[1, :, 0]
    else:
        out.imag = each[1, :, 0] if counts[0] == 2 else each[0, :, 1]


def _parts(array: np.ndarray, count: int) -> list[np.ndarray]:
    return [array.real, array.imag][:count]
