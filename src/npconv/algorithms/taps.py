"""One matmul for each position in the kernel: the convolution as a sum of shifted images.

::

    for each tap (u, v):
        shifted = padded[:, u*d :: s, v*d :: s, :]     a view   (N, OH, OW, C)
        out    += shifted @ weight[u, v]                        (C, O)

Cost: the definition's flops in taps * groups matmuls, and taps passes over out.
Memory: the padded x and one product the size of out.  Error: that of the direct sum.
When not to use it: when taps are many and channels few, the passes over out cost more than the
arithmetic; prefer toeplitz or fft there.
"""

from __future__ import annotations

import math

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "taps"
SPREADS = False


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and taps passes that read a product and read and write out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    product = math.prod(problem.out_shape) * problem.itemsize
    row = max(problem.out_size[-1], 1)
    workspace = padded + product * (2 if problem.dtype.kind in "iu" else 1)
    if problem.weight_dtype != problem.compute_dtype:
        workspace += problem.group_channels * problem.out_channels * problem.itemsize
    if problem.group_channels == 1:
        run = problem.out_channels if problem.channels_last else problem.out_size[-1]
        passes = problem.taps * product * (5 + 40 / max(run, 1))
        steps = 3 * problem.taps
    else:
        passes = problem.taps * product * 4
        if problem.taps > 1 and not problem.weight_channels_last:
            # matmul cannot read a tap whose inputs and outputs are both apart in memory.
            weight = math.prod(problem.weight_shape) * problem.itemsize
            passes += 5 * arrays.in_runs(weight, 1)
        steps = problem.taps * problem.groups * (3 + problem.batch * problem.pixels // row)
    return Cost(2 * problem.macs, padded + passes, workspace, steps)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out as the sum of its taps."""
    padded = arrays.region(problem, x)
    total = out if out.dtype == problem.compute_dtype else np.empty_like(out, problem.compute_dtype)
    product = np.empty_like(total)
    for number, tap in enumerate(np.ndindex(*problem.kernel_size)):
        shifted = arrays.tap_view(problem, padded, tap, problem.out_size)
        target = product if number else total
        _product(problem, shifted, weight[tap].astype(problem.compute_dtype, copy=False), target)
        if number:
            total += product
    if total is not out:
        out[...] = total


def _product(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write the 1x1 convolution of x (N, *out_size, C) with weight (C // groups, O)."""
    groups, outputs = problem.groups, problem.group_outputs
    if problem.group_channels == 1:
        split = out.reshape(*out.shape[:-1], groups, outputs)
        np.multiply(x[..., None], weight.reshape(groups, outputs), out=split)
        return
    for g in range(groups):
        channels = slice(g * problem.group_channels, (g + 1) * problem.group_channels)
        columns = slice(g * outputs, (g + 1) * outputs)
        np.matmul(x[..., channels], weight[:, columns], out=out[..., columns])
