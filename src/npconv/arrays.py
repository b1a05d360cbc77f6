"""What several algorithms share: padded pieces of x, windows, patch matrices, tiles.

Canonical views in, canonical views out: x ``(N, *size, C)``, weight ``(*kernel_size, C // groups,
O)``, out ``(N, *out_size, O)``.  Coordinates called *padded* count from the first padded element.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from npconv import borders
from npconv.problem import ConvProblem
from npconv.threads import for_each

TILE_NBYTES = 1 << 22  # of a tile: in cache, and long enough to be worth handing to a thread
WORTH_SHARING = 1 << 21  # multiply-adds a thread should have, for what waking it costs
WORTH_POOLING = 1 << 24  # the same, where it takes turns at the interpreter
_SHARES = 8  # of one product
_RUN_START = 8  # elements that could have been copied in the time a run takes to begin


def region(
    problem: ConvProblem,
    x: np.ndarray,
    start: Sequence[int] | None = None,
    stop: Sequence[int] | None = None,
    dtype: np.dtype | None = None,
) -> np.ndarray:
    """Return padded x from `start` to `stop` (padded coordinates) in the compute dtype.

    A view of x where that will do, else a new array in x's memory order.  `stop` is by default
    where the last window ends, and may lie past the end: the padding mode goes on there.
    """
    dtype = dtype or problem.compute_dtype
    stop = stop or problem.reach(problem.out_size, problem.out_size)[1]
    low = [a - b for a, (b, _) in zip(start or [0] * problem.ndim, problem.padding, strict=True)]
    high = [z - b for z, (b, _) in zip(stop, problem.padding, strict=True)]
    if all(a >= 0 and z <= n for a, z, n in zip(low, high, problem.size, strict=True)):
        inside = x[(slice(None), *map(slice, low, high))]
        return inside if x.dtype == dtype else inside.astype(dtype, order="K")
    shape = (x.shape[0], *(z - a for a, z in zip(low, high, strict=True)), x.shape[-1])
    if problem.padding_mode == "zeros":
        piece = np.zeros_like(x, dtype, shape=shape, subok=False)
    else:
        piece = np.empty_like(x, dtype, shape=shape, subok=False)
    segments = [
        _segments(problem.padding_mode, n, a, z)
        for n, a, z in zip(problem.size, low, high, strict=True)
    ]
    for parts in itertools.product(*segments):
        values = x
        for axis, (_, read) in enumerate(parts, 1):
            if isinstance(read, slice):
                values = values[(slice(None),) * axis + (read,)]
            else:
                values = values.take(read, axis)
        piece[(slice(None), *(write for write, _ in parts))] = values
    return piece


def _segments(mode: str, size: int, low: int, high: int) -> list[tuple[slice, slice | np.ndarray]]:
    """Split positions low .. high-1 into (where they stand, what they read)."""
    first = min(max(low, 0), high)
    last = max(min(high, size), first)
    parts: list[tuple[slice, slice | np.ndarray]] = []
    if last > first:
        parts.append((slice(first - low, last - low), slice(first, last)))
    if mode != "zeros":
        for a, z in ((low, first), (last, high)):
            if z > a:
                parts.append((slice(a - low, z - low), borders.source(mode, size, a, z)))
    return parts


def windows(
    problem: ConvProblem, padded: np.ndarray, out_size: Sequence[int], writeable: bool = False
) -> np.ndarray:
    """Return every window of `padded` as a view (N, *out_size, *kernel_size, C)."""
    n_stride, *steps, c_stride = padded.strides
    shape = (padded.shape[0], *out_size, *problem.kernel_size, padded.shape[-1])
    # A step along an axis of one window is never taken; a huge one would overflow a C integer.
    move = [t * s if n > 1 else 0 for t, s, n in zip(steps, problem.stride, out_size, strict=True)]
    holes = [t * d for t, d in zip(steps, problem.dilation, strict=True)]
    return as_strided(padded, shape, (n_stride, *move, *holes, c_stride), writeable=writeable)


def tap_view(
    problem: ConvProblem, padded: np.ndarray, tap: Sequence[int], out_size: Sequence[int]
) -> np.ndarray:
    """Return what the kernel's position `tap` meets: a view (N, *out_size, C) of `padded`."""
    cut = [
        slice(i * d, i * d + (n - 1) * s + 1, s)
        for i, d, n, s in zip(tap, problem.dilation, out_size, problem.stride, strict=True)
    ]
    return padded[(slice(None), *cut)]


def patch_matrix(problem: ConvProblem, view: np.ndarray) -> np.ndarray:
    """Copy windows (N, *out, *kernel, C) to the im2col matrix (groups, N * pixels, K).

    K runs over taps, then channels when x is channels-last in memory, and over channels, then taps
    when it is not; the copy lies in memory as x does, so that it reads and writes in runs.
    """
    d, groups = problem.ndim, problem.groups
    view = view.reshape(*view.shape[:-1], groups, problem.group_channels)
    pixels, taps = range(d + 1), range(d + 1, 2 * d + 1)
    group, channel = 2 * d + 1, 2 * d + 2
    rows = math.prod(view.shape[: d + 1])
    if problem.channels_last:
        order = [group, *pixels, *taps, channel]
    else:
        order = [group, channel, *taps, *pixels]
    dense = np.empty([view.shape[a] for a in order], problem.compute_dtype)
    dense[...] = view.transpose(order)
    if problem.channels_last:
        return dense.reshape(groups, rows, problem.terms)
    return dense.reshape(groups, problem.terms, rows).swapaxes(1, 2)


def weight_matrix(problem: ConvProblem, weight: np.ndarray, taps_first: bool) -> np.ndarray:
    """Return weight as (groups, K, O // groups), K over taps, then channels, or the reverse."""
    d = problem.ndim
    split = weight.reshape(*weight.shape[:-1], problem.groups, problem.group_outputs)
    order = [d + 1, *range(d), d, d + 2] if taps_first else [d + 1, d, *range(d), d + 2]
    shape = (problem.groups, problem.terms, problem.group_outputs)
    split = split.transpose(order)
    if split.dtype != problem.compute_dtype:
        split = split.astype(problem.compute_dtype, order="C")  # so that reshape copies no more
    return split.reshape(shape)


def multiply(
    problem: ConvProblem, patches: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    """Write patches @ weights to a canonical piece of out, multiplied the way x lies in memory."""
    groups, rows, _ = patches.shape
    outputs = weights.shape[2]
    if problem.channels_last:
        product = np.empty((groups, rows, outputs), problem.compute_dtype)
        matmul(patches, weights, product)
    else:
        turned = np.empty((groups, outputs, rows), problem.compute_dtype)
        matmul(weights.swapaxes(1, 2), patches.swapaxes(1, 2), turned)
        product = turned.swapaxes(1, 2)
    split = product.reshape(groups, *out.shape[:-1], outputs)
    target = out.reshape(*out.shape[:-1], groups, outputs)
    target[...] = np.moveaxis(split, 0, -2)


def matmul(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Write left (groups, M, K) @ right (groups, K, N) to out, several threads sharing it."""
    groups, rows, terms = left.shape
    columns = right.shape[2]
    by_rows = rows >= columns  # the larger side is shared out: the other's operand is read often

    def step(span: slice) -> None:
        if by_rows:
            np.matmul(left[:, span], right, out=out[:, span])
        else:
            np.matmul(left, right[:, :, span], out=out[:, :, span])

    length = max(rows, columns)
    shares = max(min(groups * rows * terms * columns // WORTH_POOLING, length // 16, _SHARES), 1)
    each = -(-length // shares)
    for_each([slice(a, min(a + each, length)) for a in range(0, length, each)], step)


def im2col_nbytes(problem: ConvProblem, tile: Sequence[int]) -> tuple[int, int]:
    """Return the bytes of the patch matrix and of its product for a tile (N, *out)."""
    rows = math.prod(tile)
    patches = rows * problem.terms * problem.groups * problem.itemsize
    return patches, rows * problem.out_channels * problem.itemsize


def copy_nbytes(problem: ConvProblem, nbytes: int) -> float:
    """Return what copying so many bytes of patches moves, the start of each short run included."""
    if not problem.channels_last:
        run = problem.out_size[-1]
    elif problem.groups > 1:
        run = problem.group_channels
    else:
        run = problem.in_channels * (problem.kernel_size[-1] if problem.dilation[-1] == 1 else 1)
    return in_runs(nbytes, run)


def in_runs(nbytes: float, run: int) -> float:
    """Return the bytes that could be moved while copying `nbytes` in runs of `run` elements."""
    return nbytes * (1 + _RUN_START / max(run, 1))


def weight_copy_nbytes(problem: ConvProblem, taps_first: bool) -> int:
    """Return the bytes `weight_matrix` copies: none where weight already lies in that order."""
    mixed = problem.taps > 1 and problem.group_channels > 1
    if problem.weight_dtype == problem.compute_dtype and not (
        mixed and taps_first != problem.weight_channels_last
    ):
        return 0
    return math.prod(problem.weight_shape) * problem.itemsize


def tile_shape(
    problem: ConvProblem, nbytes: Callable[[Sequence[int]], int], limit: int
) -> tuple[int, ...]:
    """Return an (N, *out) extent of at most `limit` by `nbytes`, halved from the outside in."""
    shape = [problem.batch, *problem.out_size]
    for axis in range(len(shape)):
        while shape[axis] > 1 and nbytes(shape) > limit:
            shape[axis] = -(-shape[axis] // 2)
    return tuple(shape)


def tiles(problem: ConvProblem, shape: Sequence[int]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield (start, stop) for N and for each out axis, covering out in pieces of `shape`."""
    extents = (problem.batch, *problem.out_size)
    return itertools.product(
        *(
            [(a, min(a + step, n)) for a in range(0, n, max(step, 1))]
            for n, step in zip(extents, shape, strict=True)
        )
    )


def tile_count(problem: ConvProblem, shape: Sequence[int]) -> int:
    """Return how many tiles of `shape` cover out."""
    extents = problem.out_shape[:-1]
    return math.prod(-(-n // step) for n, step in zip(extents, shape, strict=True) if step)


def region_nbytes(problem: ConvProblem, tile: Sequence[int], itemsize: int | None = None) -> int:
    """Return the bytes of the padded piece of x that a tile (N, *out) reads, if it is copied."""
    start, stop = problem.reach([0] * problem.ndim, tile[1:])
    extent = math.prod(z - a for a, z in zip(start, stop, strict=True))
    return tile[0] * extent * problem.in_channels * (itemsize or problem.itemsize)
