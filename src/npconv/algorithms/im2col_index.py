"""im2col by integer index: write down which element each entry of the matrix reads, and gather.

::

    index[(i, j), (u, v)] = (i*s + u*d) * W + (j*s + v*d)        (OH*OW, kh*kw), made once
    patches = padded.reshape(N, H*W, C)[:, index]                (N, OH*OW, kh*kw, C)
    out     = patches.reshape(N*OH*OW, kh*kw*C) @ weight         (N*OH*OW, O)

Cost: the definition's flops in one matmul a group, and one indexed read for each entry.
Memory: the padded x, the index (8 bytes for each pixel and tap), and the patch matrix and product
of one group.  Error: that of the direct sum.
When not to use it: the index is read from memory for what a stride says in one number;
im2col_view gathers faster.  The index form is the one that works for windows of any shape.
"""

from __future__ import annotations

import math

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "im2col_index"
SPREADS = False


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return one matmul a group, the gather and the index."""
    tile = problem.out_shape[:-1]
    padded = arrays.region_nbytes(problem, tile)
    patches, product = (n // problem.groups for n in arrays.im2col_nbytes(problem, tile))
    index = 8 * problem.pixels * problem.taps
    turns = problem.in_channels > 1 and not problem.channels_last
    held = padded if problem.copies_x or turns else 0
    turned = padded if problem.copies_x and turns else 0
    one_group = padded // problem.groups if problem.groups > 1 else 0
    weights = arrays.weight_copy_nbytes(problem, True)
    workspace = held + max(turned, one_group + index + patches + product + weights)
    moved: float = padded + problem.groups * (2 * patches + 2 * product + index)
    moved += arrays.in_runs(weights, 1)
    return Cost(2 * problem.macs, moved, workspace, 10 + 8 * problem.groups)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out by gathering the patch matrix with `patch_index`."""
    padded = np.ascontiguousarray(arrays.region(problem, x))
    flat = padded.reshape(problem.batch, -1, problem.in_channels)
    index = patch_index(problem)
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    rows, outputs = problem.batch * problem.pixels, problem.group_outputs
    for g in range(problem.groups):
        channels = slice(g * problem.group_channels, (g + 1) * problem.group_channels)
        columns = slice(g * outputs, (g + 1) * outputs)
        arrays.multiply(
            problem,
            flat[..., channels].take(index, axis=1).reshape(1, rows, problem.terms),
            weights[g : g + 1],
            out[..., columns],
        )


def patch_index(problem: ConvProblem) -> np.ndarray:
    """Return for each (window, tap) the flat position it reads in one padded image, int64."""
    index = np.zeros((1, 1), np.int64)
    _, extent = problem.reach(problem.out_size, problem.out_size)
    for axis in range(problem.ndim):
        stride, dilation = problem.stride[axis], problem.dilation[axis]
        window = np.array([i * stride for i in range(problem.out_size[axis])], np.int64)
        tap = np.array([u * dilation for u in range(problem.kernel_size[axis])], np.int64)
        step = math.prod(extent[axis + 1 :])
        index = index[:, None, :, None] + (window[:, None, None] + tap) * step
        index = index.reshape(index.shape[0] * index.shape[1], -1)
    return index
