"""im2col by integer index: write down which element each entry of the matrix reads, and gather.

::

    index[(i, j), (u, v)] = (i*s + u*d) * W + (j*s + v*d)        (OH*OW, kh*kw), made once
    patches = padded.reshape(N, H*W, C)[:, index]                (N, OH*OW, kh*kw, C)
    out     = patches.reshape(N*OH*OW, kh*kw*C) @ weight         (N*OH*OW, O)

    grad_weight = patches.T @ grad_out
    np.add.at(grad_padded, index, grad_out @ weight.T)     an element named twice is added twice

Cost: the definition's flops in one matmul a group, and one indexed read for each entry.
Memory: the padded x, the index (8 bytes for each pixel and tap), and the patch matrix and product
of one group.  Error: that of the direct sum.
When not to use it: the index is read from memory for what a stride says in one number;
im2col_view gathers faster.  The index form is the one that works for windows of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from npconv import adjoints, arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem

NAME = "im2col_index"
SPREADS = False
_ADD = 30  # passes over memory in the time that an indexed add takes


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


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return one matmul a group, and an indexed add for each entry of its product."""
    padded = adjoints.padded_grad_nbytes(problem)
    padded += arrays.region_nbytes(problem, problem.out_shape[:-1])
    return _grad_cost(problem, padded, arrays.weight_copy_nbytes(problem, True), _ADD)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the gather and the index, and the patches turned times grad_out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1])
    turns = problem.in_channels > 1 and not problem.channels_last
    held = padded if problem.copies_x or turns else 0
    turned = padded if problem.copies_x and turns else 0
    one_group = padded // problem.groups if problem.groups > 1 else 0
    weights = math.prod(problem.weight_shape) * problem.itemsize
    spent = _grad_cost(problem, held + one_group, weights, 2)
    return spent._replace(workspace=max(spent.workspace, held + turned))


def _grad_cost(problem: ConvProblem, padded: int, weights: int, passes: int) -> Cost:
    patches = arrays.im2col_nbytes(problem, problem.out_shape[:-1])[0] // problem.groups
    index = 8 * problem.pixels * problem.taps
    grads = adjoints.grads_copied_nbytes(problem)
    workspace = padded + patches + index + grads + weights
    moved: float = padded + 2 * grads + problem.groups * (passes * patches + index)
    moved += 2 * weights
    return Cost(2 * problem.macs, moved, workspace, 10 + 8 * problem.groups)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out by gathering the patch matrix with `patch_index`."""
    flat, index = _flat(problem, x), patch_index(problem)
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    for g, channels, columns in _groups(problem):
        arrays.multiply(
            problem,
            _patches(problem, flat, index, channels),
            weights[g : g + 1],
            out[..., columns],
        )


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out by adding at `patch_index`, which names an element once for each of its windows."""
    grads = adjoints.grad_matrix(problem, grad_out)
    weights = arrays.weight_matrix(problem, weight, taps_first=True)
    index = patch_index(problem)
    shape = (problem.batch, *index.shape, problem.group_channels)
    with adjoints.padded_grad(problem, out) as grad:
        flat = np.zeros(
            (problem.batch, math.prod(grad.shape[1:-1]), problem.in_channels), grad.dtype
        )
        for g, channels, _ in _groups(problem):
            patches = adjoints.patch_grads(problem, grads[g : g + 1], weights[g : g + 1])
            where: Any = (slice(None), index)
            np.add.at(flat[..., channels], where, patches.reshape(shape))
            del patches  # before the next group's are made
        grad += flat.reshape(grad.shape)


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out as the gathered patches, turned, times grad_out."""
    flat, index = _flat(problem, x), patch_index(problem)
    grads = adjoints.grad_matrix(problem, grad_out)
    product = np.empty(adjoints.product_shape(problem), problem.compute_dtype)
    for g, channels, _ in _groups(problem):
        patches = _patches(problem, flat, index, channels)
        adjoints.multiply_patches(problem, patches, grads[g : g + 1], product[g : g + 1])
        del patches  # before the next group's are gathered
    adjoints.write_weight(problem, product, out, taps_first=True)


def _flat(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    """Return padded x with its spatial axes as one (N, H * W, C)."""
    padded = np.ascontiguousarray(arrays.region(problem, x))
    return padded.reshape(problem.batch, -1, problem.in_channels)


def _patches(
    problem: ConvProblem, flat: np.ndarray, index: np.ndarray, channels: slice
) -> np.ndarray:
    rows = problem.batch * problem.pixels
    return flat[..., channels].take(index, axis=1).reshape(1, rows, problem.terms)


def _groups(problem: ConvProblem) -> Iterator[tuple[int, slice, slice]]:
    """Yield each group with its slices of the input and of the output channels."""
    for g in range(problem.groups):
        yield (
            g,
            slice(g * problem.group_channels, (g + 1) * problem.group_channels),
            slice(g * problem.group_outputs, (g + 1) * problem.group_outputs),
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
