"""im2col by strided view: the same buffer seen as windows, copied in one call, multiplied once.

::

    padded   (N, H, W, C)                strides (n, h, w, c)
    windows  (N, OH, OW, kh, kw, C)      strides (n, h*s, w*s, h*d, w*d, c)      no byte moved
    patches = windows.reshape(N*OH*OW, kh*kw*C)                                  the one copy
    out     = patches @ weight                                                   (N*OH*OW, O)

Cost: the definition's flops in one matmul a group, and the patch matrix written and read.
Memory: the padded x, the patch matrix (taps / stride**2 times x) and the product.
Error: that of the direct sum.
When not to use it: when the patch matrix leaves the cache, im2col_tiled does the same in pieces.
"""

from __future__ import annotations

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "im2col_view"
SPREADS = False


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return one matmul a group and the patch matrix written and read."""
    tile = problem.out_shape[:-1]
    padded = arrays.region_nbytes(problem, tile) if problem.copies_x else 0
    patches, product = arrays.im2col_nbytes(problem, tile)
    weights = arrays.weight_copy_nbytes(problem, taps_first=problem.channels_last)
    moved = padded + 2 * arrays.copy_nbytes(problem, patches) + 2 * product
    moved += arrays.in_runs(weights, 1)
    workspace = padded + patches + product + weights
    return Cost(2 * problem.macs, moved, workspace, 10 + problem.groups // 2)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out from one strided view."""
    view = arrays.windows(problem, arrays.region(problem, x), problem.out_size)
    weights = arrays.weight_matrix(problem, weight, taps_first=problem.channels_last)
    arrays.multiply(problem, arrays.patch_matrix(problem, view), weights, out)
