"""The definition, as loops: the oracle that every other algorithm is held against.

::

    out[n, i, j, o] = sum over u, v, c of  padded[n, i*s + u*d, j*s + v*d, c] * weight[u, v, c, o]

    x (N, H, W, C)    weight (kh, kw, C, O)    out (N, OH, OW, O)       any number of axes

    each product's gradient:  grad_padded[n, i*s + u*d, j*s + v*d, c] += grad_out * weight
                              grad_weight[u, v, c, o]                 += grad_out * padded

Cost: one interpreted step for each product, about 0.2 us.  Memory: the padded x.
Error: the textbook bound of a sum in order, n * u * conv(|x|, |w|).
When not to use it: for anything but checking; a photo takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from npconv import adjoints, arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "naive"
SPREADS = False


def why_not(problem: ConvProblem) -> str:
    """Return "": the definition always applies."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return a step for each multiply-add."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    return Cost(2 * problem.macs, padded, padded, problem.macs)


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return a step for each multiply-add."""
    padded = adjoints.padded_grad_nbytes(problem)
    return Cost(2 * problem.macs, padded, padded, problem.macs)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return a step for each multiply-add."""
    return cost(problem)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, one product at a time."""
    padded = arrays.region(problem, x)
    zero, number = problem.compute_dtype.type(0), problem.compute_dtype.type
    for window in _windows(problem):
        total = zero
        for at, tap in _terms(problem, window):
            total = total + padded[at] * number(weight[tap])
        out[window] = total


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out: each product that made grad_out goes back to where x was read."""
    number = problem.compute_dtype.type
    with adjoints.padded_grad(problem, out) as grad:
        for window in _windows(problem):
            g = number(grad_out[window])
            for at, tap in _terms(problem, window):
                grad[at] += g * number(weight[tap])


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: each product that made grad_out goes back to the tap that was read."""
    padded = arrays.region(problem, x)
    number = problem.compute_dtype.type
    out[...] = 0
    for window in _windows(problem):
        g = number(grad_out[window])
        for at, tap in _terms(problem, window):
            out[tap] += out.dtype.type(g * padded[at])


def _windows(problem: ConvProblem) -> Iterator[tuple[int, ...]]:
    """Yield the index (n, i, j, o) of each output."""
    return np.ndindex(*problem.out_shape)


def _terms(
    problem: ConvProblem, window: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the indices in padded x and in weight of each product of one output."""
    n, *position, o = window
    origin = [i * s for i, s in zip(position, problem.stride, strict=True)]
    first = o // problem.group_outputs * problem.group_channels
    for tap in np.ndindex(*problem.kernel_size):
        at = tuple(a + u * d for a, u, d in zip(origin, tap, problem.dilation, strict=True))
        for c in range(problem.group_channels):
            yield (n, *at, first + c), (*tap, c, o)
