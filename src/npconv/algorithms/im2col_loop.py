"""im2col as first taught: copy each window to a row of a matrix, then multiply once.

::

    patches (N*OH*OW, kh*kw*C)  @  weight (kh*kw*C, O)  =  out (N*OH*OW, O)

    row (n, i, j) of patches  =  padded[n, i*s : i*s + kh, j*s : j*s + kw, :] laid flat

Cost: the definition's flops in one matmul a group, and an interpreted step for each window.
Memory: the padded x, the patch matrix (taps / stride**2 times x) and the product.
Error: that of the direct sum.
When not to use it: the loop is for reading; im2col_view does the same copy in one call.
"""

from __future__ import annotations

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "im2col_loop"
SPREADS = False


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return one matmul, the patch matrix written and read, a step for each window."""
    tile = problem.out_shape[:-1]
    padded = arrays.region_nbytes(problem, tile) if problem.copies_x else 0
    patches, product = arrays.im2col_nbytes(problem, tile)
    weights = arrays.weight_copy_nbytes(problem, taps_first=True)
    moved = padded + 2 * patches + 2 * product + arrays.in_runs(weights, 1)
    workspace = padded + patches + product + weights
    return Cost(2 * problem.macs, moved, workspace, 3 * problem.batch * problem.pixels)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out by copying windows one at a time."""
    view = arrays.windows(problem, arrays.region(problem, x), problem.out_size)
    rows = problem.batch * problem.pixels
    groups, per_group = problem.groups, problem.group_channels
    patches = np.empty((groups, rows, problem.taps, per_group), problem.compute_dtype)
    for row, at in enumerate(np.ndindex(problem.batch, *problem.out_size)):
        window = view[at].reshape(problem.taps, groups, per_group)
        patches[:, row] = window.swapaxes(0, 1)
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    arrays.multiply(problem, patches.reshape(groups, rows, problem.terms), weights, out)
