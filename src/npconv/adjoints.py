"""The adjoints of arrays.py, for the gradients: adding patches up, and taking padding back.

Where the forward direction copies an element to several places, the gradient adds them there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from npconv import arrays, borders
from npconv.problem import ConvProblem, Merged, Phase, spans_padding
from npconv.threads import for_each

_SHARES = 4  # of a batch, or of a sum
_Tile = tuple[tuple[int, int], ...]


@contextmanager
def padded_grad(problem: ConvProblem, out: np.ndarray) -> Iterator[np.ndarray]:
    """Give a padded x of zeros to add to, as far as the windows reach; then write out from it.

    It is a part of out itself where nothing is padded and out is in the compute dtype.
    """
    _, reach = problem.reach(problem.out_size, problem.out_size)
    if not holds_padded(problem) and out.dtype == problem.compute_dtype:
        out[...] = 0
        cut = [slice(-b, z - b) for z, (b, _) in zip(reach, problem.padding, strict=True)]
        yield out[(slice(None), *cut)]
        return
    shape = (problem.batch, *reach, problem.in_channels)
    grad = np.zeros_like(out, problem.compute_dtype, shape=shape, subok=False)
    yield grad
    unpad(problem, grad, out)


def holds_padded(problem: ConvProblem) -> bool:
    """Return whether windows reach into padding, so that padded x has a gradient of its own."""
    _, reach = problem.reach(problem.out_size, problem.out_size)
    sides = zip(reach, problem.padding, problem.size, strict=True)
    return any(b > 0 or z - b > n for z, (b, _), n in sides)


def padded_grad_nbytes(problem: ConvProblem) -> int:
    """Return the bytes that `padded_grad` takes."""
    if not holds_padded(problem) and problem.dtype.kind not in "iu":
        return 0
    own = arrays.region_nbytes(problem, problem.out_shape[:-1])
    _, reach = problem.reach(problem.out_size, problem.out_size)
    sides = zip(reach, problem.padding, problem.size, strict=True)
    apart = any(b < 0 or z < b + n for z, (b, _), n in sides)
    return own * (2 if apart and spans_padding(problem) else 1)


def unpad(problem: ConvProblem, grad: np.ndarray, out: np.ndarray) -> None:
    """Write to out the sum, for each element of x, of the places in padded x that read it.

    `grad` begins where padded x begins, may end before it does, and is written to.
    """
    if spans_padding(problem):
        for axis in range(problem.ndim):
            grad = _fold(problem, axis, grad)
        out[...] = grad
        return
    out[...] = 0
    inside = [_inside(problem, axis, n) for axis, n in enumerate(grad.shape[1:-1])]
    place = [_shift(i, -b) for i, (b, _) in zip(inside, problem.padding, strict=True)]
    out[(slice(None), *place)] = grad[(slice(None), *inside)]


def _fold(problem: ConvProblem, axis: int, grad: np.ndarray) -> np.ndarray:
    """Return grad with the padding of one axis added to what it repeats."""
    before, size, length = problem.padding[axis][0], problem.size[axis], grad.shape[1 + axis]
    inside = _inside(problem, axis, length)
    folded = grad[_along(axis, inside)]  # a part of grad, which is added to in place
    if folded.shape[1 + axis] < size:
        shape = (*grad.shape[: 1 + axis], size, *grad.shape[2 + axis :])
        folded = np.zeros_like(grad, shape=shape)
        folded[_along(axis, _shift(inside, -before))] = grad[_along(axis, inside)]
    read = borders.source(problem.padding_mode, size, -before, length - before)
    for start, stop in ((0, max(min(before, length), 0)), (max(before + size, 0), length)):
        for first, last, step in _runs(read[start:stop]):
            part = grad[_along(axis, slice(start + first, start + last))]
            at = int(read[start + first])
            if step == 0:
                folded[_along(axis, slice(at, at + 1))] += part.sum(1 + axis, keepdims=True)
                continue
            if step < 0:
                part, at = np.flip(part, 1 + axis), int(read[start + last - 1])
            folded[_along(axis, slice(at, at + last - first))] += part
    return folded


def _runs(read: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last + 1, step) of the parts of an index that go on by the same -1, 0 or 1."""
    steps = np.diff(read)
    ends = np.flatnonzero((np.abs(steps) > 1) | (np.diff(steps, append=2) != 0)) + 1
    first = 0
    for end in [*ends.tolist(), len(read)]:
        if first >= end:
            continue  # one element, the turn between two runs, went with the run before it
        step = int(steps[first]) if first < len(steps) else 0
        jumps = abs(step) > 1
        step, last = (0, first + 1) if jumps else (step, min(end + 1, len(read)))
        yield first, last, step
        first = last


def _inside(problem: ConvProblem, axis: int, length: int) -> slice:
    """Return which of `length` padded positions are x's own."""
    before, size = problem.padding[axis][0], problem.size[axis]
    start = min(max(before, 0), length)
    return slice(start, max(min(before + size, length), start))


def _shift(index: slice, by: int) -> slice:
    """Return the slice moved, an empty one to 0."""
    return slice(index.start + by, index.stop + by) if index.stop > index.start else slice(0, 0)


def _along(axis: int, index: slice | int | np.integer) -> tuple[slice | int | np.integer, ...]:
    return (slice(None),) * (1 + axis) + (index,)


def grad_matrix(problem: ConvProblem, grad_out: np.ndarray) -> np.ndarray:
    """Return a canonical piece of grad_out as (groups, N * pixels, O // groups).

    It lies in memory as `arrays.patch_matrix` lays the patches that it is multiplied with.
    """
    groups, outputs = problem.groups, problem.group_outputs
    rows = math.prod(grad_out.shape[:-1])
    if grad_out.dtype != problem.compute_dtype:
        grad_out = grad_out.astype(problem.compute_dtype, order="K")
    if problem.channels_last:
        return grad_out.reshape(rows, groups, outputs).swapaxes(0, 1)
    split = np.moveaxis(grad_out.reshape(*grad_out.shape[:-1], groups, outputs), (-2, -1), (0, 1))
    return split.reshape(groups, outputs, rows).swapaxes(1, 2)


def product_shape(problem: ConvProblem) -> tuple[int, int, int]:
    """Return the shape of a product for `multiply_patches`, its axes as weight's lie in memory."""
    rows, columns = problem.terms, problem.group_outputs
    sides = (rows, columns) if problem.weight_channels_last else (columns, rows)
    return (problem.groups, *sides)


def multiply_patches(
    problem: ConvProblem, patches: np.ndarray, grads: np.ndarray, product: np.ndarray
) -> None:
    """Write patches (groups, rows, K), turned, times grads (groups, rows, O // groups)."""
    if problem.weight_channels_last:
        arrays.matmul(patches.swapaxes(1, 2), grads, product)
    else:
        arrays.matmul(grads.swapaxes(1, 2), patches, product)


def write_weight(
    problem: ConvProblem, product: np.ndarray, out: np.ndarray, taps_first: bool
) -> None:
    """Write a product to weight's shape: `arrays.weight_matrix` the other way."""
    if not problem.weight_channels_last:
        product = product.swapaxes(1, 2)
    d, groups = problem.ndim, problem.groups
    kernel, channels, outputs = problem.kernel_size, problem.group_channels, problem.group_outputs
    target = out.reshape(*kernel, channels, groups, outputs)
    if taps_first:
        split = product.reshape(groups, *kernel, channels, outputs)
        target[...] = np.moveaxis(split, 0, d + 1)
    else:
        split = product.reshape(groups, channels, *kernel, outputs)
        target[...] = np.moveaxis(split, (0, 1), (d + 1, d))


def patch_grads(problem: ConvProblem, grads: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the patches' gradient (groups, rows, K): grads times weights turned.

    It lies in memory as grads do: rows after K where x is channels-first.
    """
    groups, rows, _ = grads.shape
    terms = weights.shape[1]
    if problem.channels_last:
        patches = np.empty((groups, rows, terms), problem.compute_dtype)
        arrays.matmul(grads, weights.swapaxes(1, 2), patches)
        return patches
    turned = np.empty((groups, terms, rows), problem.compute_dtype)
    arrays.matmul(weights, grads.swapaxes(1, 2), turned)
    return turned.swapaxes(1, 2)


def add_patches(problem: ConvProblem, patches: np.ndarray, grad: np.ndarray) -> None:
    """Add a gradient of patches, as `patch_grads` lays it, to padded x's: col2im, tap by tap."""
    d, groups, channels = problem.ndim, problem.groups, problem.group_channels
    pixels = grad.shape[:1] + problem.out_size
    if problem.channels_last:
        split = patches.reshape(groups, *pixels, *problem.kernel_size, channels)
        split = np.moveaxis(split, 0, -2)  # (N, *out, *kernel, groups, C // groups)
    else:
        turned = patches.swapaxes(1, 2).reshape(groups, channels, *problem.kernel_size, *pixels)
        order = [*range(d + 2, 2 * d + 3), *range(2, d + 2), 0, 1]
        split = turned.transpose(order)

    def step(images: slice) -> None:
        for tap in np.ndindex(*problem.kernel_size):
            met = arrays.tap_view(problem, grad[images], tap, problem.out_size)
            # Splitting an axis is a view of any array.
            met = met.reshape(*met.shape[:-1], groups, channels)
            met += split[(images, *(slice(None),) * d, *tap)]

    for_each(image_shares(problem), step)


def image_shares(problem: ConvProblem) -> list[slice]:
    """Return the batch in as many parts as are worth a thread each."""
    shares = max(min(problem.macs // arrays.WORTH_POOLING, problem.batch, _SHARES), 1)
    each = -(-problem.batch // shares)
    return [slice(a, min(a + each, problem.batch)) for a in range(0, problem.batch, each)]


def turned_weight(phase: Phase, weight: np.ndarray, dense: bool) -> np.ndarray:
    """Return the phase's part of weight, flipped and swapped, in the compute dtype.

    A view where groups and dtype allow, unless it has to be dense.
    """
    problem = phase.problem
    swapped = swap_channels(problem, weight[phase.taps])
    if not dense and problem.groups == 1 and weight.dtype == problem.compute_dtype:
        return swapped[..., 0, :]
    if problem.channels_last:
        whole = np.empty(swapped.shape, problem.compute_dtype)
    else:
        first = np.empty(
            (swapped.shape[-3], *swapped.shape[:-3], *swapped.shape[-2:]), problem.compute_dtype
        )
        whole = np.moveaxis(first, 0, problem.ndim)
    whole[...] = swapped
    return whole.reshape(problem.weight_shape)


def merged_weight(merged: Merged, weight: np.ndarray) -> np.ndarray:
    """Return the kernel of an input gradient in one convolution, zeros where there is no tap."""
    problem = merged.problem
    channels = weight.shape[-2]
    kernel = np.zeros(problem.weight_shape, problem.compute_dtype)
    slots = kernel.reshape(*kernel.shape[:-1], *merged.span, channels)
    for position, residue, tap in merged.combined():
        to: Any = (*position, slice(None), *residue)
        slots[to] = weight[tap].T
    return kernel


def spread_channels(merged: Merged, result: np.ndarray, out: np.ndarray) -> None:
    """Write the result (N, *counts, span * C) of such a convolution to out, (N, *size, C)."""
    split = result.reshape(*result.shape[:-1], *merged.span, out.shape[-1])
    for residue in np.ndindex(*merged.span):
        at = tuple(slice(r, None, m) for r, m in zip(residue, merged.span, strict=True))
        target = out[(slice(None), *at)]
        inside = [slice(n) for n in target.shape[1:-1]]
        target[...] = split[(slice(None), *inside, *residue)]


def swap_channels(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return weight (..., C // groups, O) as a view (..., O // groups, groups, C // groups).

    `problem` is the one that takes the result: its inputs are weight's outputs.
    """
    split = weight.reshape(*weight.shape[:-1], problem.groups, problem.group_channels)
    return np.swapaxes(split, -1, -3)


def sum_tiles(
    tiles: Sequence[_Tile],
    shape: Sequence[int],
    dtype: np.dtype,
    step: Callable[[_Tile, np.ndarray], None],
) -> np.ndarray:
    """Return the sum of what step(tile, total) adds to total for every tile.

    Tiles are dealt into a number of shares that does not depend on the threads, so neither do the
    bits.
    """
    shares = share_count(len(tiles), math.prod(shape) * dtype.itemsize)
    totals = np.zeros((shares, *shape), dtype)

    def work(share: int) -> None:
        for tile in tiles[share::shares]:
            step(tile, totals[share])

    for_each(range(shares), work)
    for part in totals[1:]:
        totals[0] += part
    return totals[0]


def share_count(tiles: int, nbytes: int) -> int:
    """Return how many partial sums of `nbytes` each `sum_tiles` keeps."""
    return max(min(tiles, _SHARES, 2 * arrays.TILE_NBYTES // max(nbytes, 1)), 1)


def grads_copied_nbytes(problem: ConvProblem, tile: Sequence[int] | None = None) -> int:
    """Return the bytes that `grad_matrix` copies of a tile (N, *out), or of all, at most."""
    tile = tile or problem.out_shape[:-1]
    in_place = problem.channels_last or tile[0] == 1
    if in_place and problem.out_dtype == problem.compute_dtype:
        return 0
    return math.prod(tile) * problem.out_channels * problem.itemsize


def added_nbytes(problem: ConvProblem) -> float:
    """Return the bytes that could be moved while each tap's products are added to grad_x."""
    nbytes = problem.taps * problem.batch * problem.pixels * problem.in_channels * problem.itemsize
    return arrays.in_runs(
        nbytes, problem.in_channels if problem.channels_last else problem.out_size[-1]
    )
