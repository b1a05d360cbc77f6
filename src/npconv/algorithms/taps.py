"""One matmul for each position in the kernel: the convolution as a sum of shifted images.

::

    for each tile of out, small enough for a core's cache:
        for each tap (u, v):
            shifted = padded[:, u*d :: s, v*d :: s, :]     a view   (N, OH, OW, C)
            out    += shifted @ weight[u, v]                        (C, O)

Cost: the definition's flops in taps * groups matmuls a tile, and taps passes over out.
Memory: the padded x and a tile's product.  Error: that of the direct sum.
When not to use it: when taps are many and channels few, the passes over out cost more than the
arithmetic; prefer toeplitz or fft there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npconv import arrays
from npconv.algorithms.contract import Cost
from npconv.problem import ConvProblem
from npconv.threads import for_each, num_threads

NAME = "taps"
SPREADS = False
_TILE_NBYTES = 1 << 18  # a product stays in one core's cache while the taps pass over it


def why_not(problem: ConvProblem) -> str:
    """Return "": it applies to every problem."""
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the matmuls, and taps passes that read a product and read and write out."""
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1]) if problem.copies_x else 0
    product = math.prod(problem.out_shape) * problem.itemsize
    weights = math.prod(problem.weight_shape) * problem.itemsize
    row = max(problem.out_size[-1], 1)
    tile = _tile(problem)
    count = arrays.tile_count(problem, tile)
    apart = problem.taps > 1 and problem.group_channels > 1 and not problem.weight_channels_last
    copied = weights if apart or problem.weight_dtype != problem.compute_dtype else 0
    workspace = padded + copied + min(num_threads(), count) * _nbytes(problem, tile)
    if problem.group_channels == 1:
        run = problem.out_channels if problem.channels_last else problem.out_size[-1]
        passes = problem.taps * product * (5 + 150 / max(run, 1))
        steps: float = 3 * problem.taps * count
    else:
        # The weight is read for each row of pixels, and gathered first where it lies apart.
        passes = problem.taps * product * 4 + weights * problem.batch * problem.pixels // row
        passes += 5 * arrays.in_runs(weights, 1) if apart else 0
        rows = problem.batch * problem.pixels // row  # a stacked matmul each, begun in C
        steps = problem.taps * problem.groups * (3 * count + rows / 16)
    return Cost(2 * problem.macs, padded + passes, workspace, steps)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out as the sum of its taps."""
    padded = arrays.region(problem, x)
    weights = [
        _for_matmul(weight[tap].astype(problem.compute_dtype, copy=False))
        for tap in np.ndindex(*problem.kernel_size)
    ]

    def step(tile: tuple[tuple[int, int], ...]) -> None:
        images, *spans = tile
        start, stop = problem.reach([a for a, _ in spans], [z for _, z in spans])
        piece = padded[(slice(*images), *map(slice, start, stop))]
        target = out[(slice(*images), *(slice(*span) for span in spans))]
        in_place = target.dtype == problem.compute_dtype
        total = target if in_place else np.empty_like(target, problem.compute_dtype)
        product = np.empty_like(total)
        for number, tap in enumerate(np.ndindex(*problem.kernel_size)):
            shifted = arrays.tap_view(problem, piece, tap, [z - a for a, z in spans])
            _product(problem, shifted, weights[number], product if number else total)
            if number:
                total += product
        if not in_place:
            target[...] = total

    for_each(arrays.tiles(problem, _tile(problem)), step)


def _for_matmul(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix that BLAS can read: its rows or its columns in one piece."""
    return matrix if matrix.itemsize in matrix.strides else np.ascontiguousarray(matrix)


def _tile(problem: ConvProblem) -> tuple[int, ...]:
    limit = _TILE_NBYTES if problem.macs > arrays.WORTH_SHARING else arrays.TILE_NBYTES
    return arrays.tile_shape(problem, lambda tile: _nbytes(problem, tile), limit)


def _nbytes(problem: ConvProblem, tile: Sequence[int]) -> int:
    one = math.prod(tile) * problem.out_channels * problem.itemsize
    return one * (2 if problem.dtype.kind in "iu" else 1)


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
