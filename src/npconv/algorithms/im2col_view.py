"""im2col by strided view: the same buffer seen as windows, copied in one call, multiplied once.

::

    padded   (N, H, W, C)                strides (n, h, w, c)
    windows  (N, OH, OW, kh, kw, C)      strides (n, h*s, w*s, h*d, w*d, c)      no byte moved
    patches = windows.reshape(N*OH*OW, kh*kw*C)                                  the one copy
    out     = patches @ weight                                                   (N*OH*OW, O)

    grad_weight  = patches.T @ grad_out
    grad_patches = grad_out @ weight.T, added to grad_padded[:, u*d :: s, v*d :: s] tap by tap

Cost: the definition's flops in one matmul a group, and the patch matrix written and read.
Memory: the padded x, the patch matrix (taps / stride**2 times x) and the product.
Error: that of the direct sum.
When not to use it: when the patch matrix leaves the cache, im2col_tiled does the same in pieces.
"""

from __future__ import annotations

import math

import numpy as np

from npconv import adjoints, arrays
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
    workspace = weights + patches + max(padded, product)
    return Cost(2 * problem.macs, moved, workspace, 10 + problem.groups // 2)


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return one matmul a group, and a pass over its product that adds it tap by tap."""
    return _grad_cost(
        problem,
        adjoints.padded_grad_nbytes(problem),
        arrays.weight_copy_nbytes(problem, taps_first=problem.channels_last),
        3 * problem.taps,
        4 * adjoints.added_nbytes(problem),
    )


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the patch matrix, and itself turned times grad_out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    return _grad_cost(problem, padded, math.prod(problem.weight_shape) * problem.itemsize)


def _grad_cost(
    problem: ConvProblem, padded: int, weights: int, steps: int = 0, added: float = 0
) -> Cost:
    patches, _ = arrays.im2col_nbytes(problem, problem.out_shape[:-1])
    grads = adjoints.grads_copied_nbytes(problem)
    workspace = padded + patches + grads + weights
    moved = 2 * (padded + arrays.copy_nbytes(problem, patches) + grads)
    moved += 2 * weights + added
    return Cost(2 * problem.macs, moved, workspace, 15 + problem.groups // 2 + steps)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out from one strided view."""
    weights = arrays.weight_matrix(problem, weight, taps_first=problem.channels_last)
    arrays.multiply(problem, _patches(problem, x), weights, out)


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out by col2im: the patches' gradient, added a tap at a time."""
    grads = adjoints.grad_matrix(problem, grad_out)
    weights = arrays.weight_matrix(problem, weight, taps_first=problem.channels_last)
    patches = adjoints.patch_grads(problem, grads, weights)
    with adjoints.padded_grad(problem, out) as grad:
        adjoints.add_patches(problem, patches, grad)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out as the patch matrix, turned, times grad_out."""
    patches = _patches(problem, x)
    grads = adjoints.grad_matrix(problem, grad_out)
    product = np.empty(adjoints.product_shape(problem), problem.compute_dtype)
    adjoints.multiply_patches(problem, patches, grads, product)
    adjoints.write_weight(problem, product, out, taps_first=problem.channels_last)


def _patches(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    view = arrays.windows(problem, arrays.region(problem, x), problem.out_size)
    return arrays.patch_matrix(problem, view)
