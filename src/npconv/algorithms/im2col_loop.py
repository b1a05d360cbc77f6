"""im2col as first taught: copy each window to a row of a matrix, then multiply once.

::

    patches (N*OH*OW, kh*kw*C)  @  weight (kh*kw*C, O)  =  out (N*OH*OW, O)

    row (n, i, j) of patches  =  padded[n, i*s : i*s + kh, j*s : j*s + kw, :] laid flat

    grad_weight  = patches.T @ grad_out
    grad_patches = grad_out @ weight.T, each row added to the window it was copied from: col2im

Cost: the definition's flops in one matmul a group, and an interpreted step for each window.
Memory: the padded x, the patch matrix (taps / stride**2 times x) and the product.
Error: that of the direct sum.
When not to use it: the loop is for reading; im2col_view does the same copy in one call.
"""

from __future__ import annotations

import math

import numpy as np

from npconv import adjoints, arrays
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
    workspace = weights + patches + max(padded, product)
    return Cost(2 * problem.macs, moved, workspace, 3 * problem.batch * problem.pixels)


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return one matmul, its product added window by window."""
    return _grad_cost(
        problem,
        adjoints.padded_grad_nbytes(problem),
        arrays.weight_copy_nbytes(problem, taps_first=True),
    )


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the patch matrix, turned, times grad_out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    return _grad_cost(problem, padded, math.prod(problem.weight_shape) * problem.itemsize)


def _grad_cost(problem: ConvProblem, padded: int, weights: int) -> Cost:
    patches, _ = arrays.im2col_nbytes(problem, problem.out_shape[:-1])
    grads = adjoints.grads_copied_nbytes(problem)
    workspace = padded + patches + grads + weights
    moved = 2 * (padded + patches + grads + weights)
    return Cost(2 * problem.macs, moved, workspace, 3 * problem.batch * problem.pixels)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out by copying windows one at a time."""
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    arrays.multiply(problem, _patches(problem, x), weights, out)


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out by adding windows one at a time: col2im."""
    grads = adjoints.grad_matrix(problem, grad_out)
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    patches = adjoints.patch_grads(problem, grads, weights)
    split = (problem.groups, *problem.kernel_size, problem.group_channels)
    with adjoints.padded_grad(problem, out) as grad:
        view = arrays.windows(problem, grad, problem.out_size, writeable=True)
        for row, at in enumerate(np.ndindex(problem.batch, *problem.out_size)):
            window = view[at].reshape(*problem.kernel_size, *split[:1], *split[-1:])
            window += np.moveaxis(patches[:, row].reshape(split), 0, -2)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out as the patch matrix, turned, times grad_out."""
    patches = _patches(problem, x)
    grads = adjoints.grad_matrix(problem, grad_out)
    product = np.empty(adjoints.product_shape(problem), problem.compute_dtype)
    adjoints.multiply_patches(problem, patches, grads, product)
    adjoints.write_weight(problem, product, out, taps_first=True)


def _patches(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    """Return the patch matrix (groups, N * pixels, taps * C // groups), filled row by row."""
    view = arrays.windows(problem, arrays.region(problem, x), problem.out_size)
    rows = problem.batch * problem.pixels
    groups, per_group = problem.groups, problem.group_channels
    patches = np.empty((groups, rows, problem.taps, per_group), problem.compute_dtype)
    for row, at in enumerate(np.ndindex(problem.batch, *problem.out_size)):
        window = view[at].reshape(problem.taps, groups, per_group)
        patches[:, row] = window.swapaxes(0, 1)
    return patches.reshape(groups, rows, problem.terms)
