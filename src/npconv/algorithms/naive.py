"""The definition, as loops: the oracle that every other algorithm is held against.

::

    out[n, i, j, o] = sum over u, v, c of  padded[n, i*s + u*d, j*s + v*d, c] * weight[u, v, c, o]

    x (N, H, W, C)    weight (kh, kw, C, O)    out (N, OH, OW, O)       any number of axes

Cost: one interpreted step for each product, about 0.2 us.  Memory: the padded x.
Error: the textbook bound of a sum in order, n * u * conv(|x|, |w|).
When not to use it: for anything but checking; a photo takes minutes.
"""

from __future__ import annotations

import numpy as np

from npconv import arrays
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


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, one product at a time."""
    padded = arrays.region(problem, x)
    w = weight.astype(problem.compute_dtype, copy=False)
    per_group, group_outputs = problem.group_channels, problem.group_outputs
    for n in range(problem.batch):
        for position in np.ndindex(*problem.out_size):
            origin = [i * s for i, s in zip(position, problem.stride, strict=True)]
            for o in range(problem.out_channels):
                first = o // group_outputs * per_group
                total = problem.compute_dtype.type(0)
                for tap in np.ndindex(*problem.kernel_size):
                    at = tuple(
                        a + u * d for a, u, d in zip(origin, tap, problem.dilation, strict=True)
                    )
                    for c in range(per_group):
                        total = total + padded[(n, *at, first + c)] * w[(*tap, c, o)]
                out[(n, *position, o)] = total
