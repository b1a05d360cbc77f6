"""The forward direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from npconv import packing, relayout
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.indirect import places, pointwise
from npconv.problem import ConvProblem
from npconv.threads import for_each

if TYPE_CHECKING:
    from npconv.kernels import direct

_KEPT = 1 << 11  # positions along an axis whose offsets are remembered
_HELD = 8  # tiles whose addresses are known at once
_FEW = 16  # channels
_STREAMED = 8 << 20  # bytes of out


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, the packing, and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    if pointwise.suits(problem):
        return pointwise.cost(problem)
    piece = relayout.planned_piece(problem)
    packed = _packed_nbytes(problem) * (1 if piece is problem else problem.groups)
    moved, copied = (sum(relayout.copied_nbytes(p)) for p in (problem, piece))
    block = places.planned_block(problem)
    filled = -(-problem.group_outputs // block) * block / max(problem.group_outputs, 1)
    cast = 0
    if problem.weight_dtype != problem.compute_dtype:
        cast = math.prod(problem.weight_shape) * problem.itemsize // problem.groups
    tables = 3 * 8 * max(problem.reach(problem.out_size, problem.out_size)[1])
    moved = 3 * _packed_nbytes(problem) + 2 * moved + tables
    tiles = problem.batch * problem.pixels / 13 + 1
    merged = problem.kernel_size[-1] if _may_merge(problem) else 1
    read = tiles * problem.taps / merged / 20  # addresses written
    steps = places.waiting(problem) + 25 + problem.groups * (10 + read)
    held = cast + packed + copied + tables
    rows = places.planned_rows(problem)
    each = 8 * _entries(problem, rows, block, merged)
    return Cost(
        2 * problem.macs * filled, moved, held + each, steps, each=each, helpers=places.SHARES - 1
    )


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> list[np.ndarray]:
    """Return each group's weight packed."""
    if pointwise.suits(problem):
        return [matrix.copy() for matrix in pointwise.weights(problem, weight)]
    return list(_packed_groups(problem, weight))


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out, tile by tile of pixels and block by block of outputs."""
    if pointwise.suits(problem):
        pointwise.forward(problem, x, pointwise.weights(problem, weight), out, ending)
        return
    packed: Iterable[np.ndarray] = _packed_groups(problem, weight)
    if relayout.splits(problem, x, out):
        packed = list(packed)
    forward_packed(problem, x, packed, out, ending)


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    weights: Iterable[np.ndarray],
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out from each group's packed weight."""
    if pointwise.suits(problem):
        pointwise.forward(problem, x, weights, out, ending)
        return
    streams = relayout.lies_well(problem, out) and _streams(problem, out)  # no copy of it is read
    for piece, source, goal in relayout.pieces(problem, x, out):
        _forward(piece, source, weights, goal, ending, streams)


def _forward(
    problem: ConvProblem,
    x: np.ndarray,
    weights: Iterable[np.ndarray],
    out: np.ndarray,
    ending: Ending,
    streams: bool,
) -> None:
    """Write a piece: x and out have their channels side by side."""
    from npconv.kernels import direct
    from npconv.kernels.tile import Store

    block = places.block(problem)
    blocks = -(-problem.group_outputs // block)
    merged = _merged(problem, x)
    zeros = np.zeros(problem.group_channels * merged, problem.compute_dtype)
    starts = np.zeros((problem.groups, blocks * block), problem.compute_dtype)
    if ending.bias is not None:
        starts[:, : problem.group_outputs] = ending.bias.reshape(problem.groups, -1)
    number = problem.compute_dtype.type
    spatial = [0] * (3 - problem.ndim)
    reach = max(problem.reach(problem.out_size, problem.out_size)[1])
    find = _tables if reach <= _KEPT else _tables.__wrapped__
    (depth, height, width), windows = find(problem, x.strides[1:-1], merged)
    inside = places.inside(problem)
    counts = np.array(
        [problem.batch, problem.group_channels, problem.group_outputs, _HELD], np.int64
    )
    rows = places.rows(problem)
    tiles = -(-problem.batch * problem.pixels // rows)
    entries = _entries(problem, rows, block, merged)
    for g, packed in enumerate(weights):
        channels, outputs = g * problem.group_channels, g * problem.group_outputs
        at = x[..., channels:].ctypes.data
        source = direct.Source(
            at, x.strides[0], depth.ctypes.data, height.ctypes.data, width.ctypes.data,
            zeros.ctypes.data, x.strides[-2], *inside,
        )  # fmt: skip
        at = out[..., outputs:].ctypes.data
        goal = direct.Target(at, out.strides[0], *spatial, *out.strides[1:-1])
        store = Store(
            starts[g].ctypes.data, int(streams), number(ending.least), number(ending.most)
        )

        def step(
            part: direct.Part,
            source: direct.Source = source,
            goal: direct.Target = goal,
            store: Store = store,
            weights: int = packed.ctypes.data,
        ) -> None:
            scratch = np.empty(entries, np.int64)
            direct.convolve(source, goal, windows, part, counts, weights, store, block, scratch)

        for_each([direct.Part(*p) for p in places.parts(problem, tiles, blocks)], step)


@lru_cache(maxsize=256)
def _tables(
    problem: ConvProblem, steps: tuple[int, ...], merged: int
) -> tuple[Sequence[np.ndarray], direct.Windows]:
    """Return the offsets along each of three axes, not to be written, and the windows."""
    from npconv.kernels import direct

    offsets = [np.zeros(1, np.int64)] * (3 - problem.ndim) + [
        places.offsets(problem, axis, step) for axis, step in enumerate(steps)
    ]
    windows = direct.Windows(
        places.three(problem.out_size),
        places.three(problem.kernel_size),
        places.three(places.strides(problem)),
        places.three(problem.dilation),
        merged,
    )
    return offsets, windows


def _merged(problem: ConvProblem, x: np.ndarray) -> int:
    """Return how many taps of the width are read as one: all, where each has few channels."""
    beside = x.strides[-2] == problem.group_channels * problem.itemsize and x.shape[-2] > 1
    return problem.kernel_size[-1] if beside and _may_merge(problem) else 1


def _may_merge(problem: ConvProblem) -> bool:
    return problem.group_channels < _FEW and problem.dilation[-1] == 1


def _streams(problem: ConvProblem, out: np.ndarray) -> bool:
    """Return whether out outgrows the caches, and each group's rows begin at whole vectors."""
    from npconv.kernels import simd

    vector = simd.MACHINE.vector_nbytes
    steps = [s for n, s in zip(out.shape[:-1], out.strides[:-1], strict=True) if n > 1]
    apart = out.shape[-1] * out.itemsize
    group = problem.group_outputs * out.itemsize
    aligned = all(s % vector == 0 for s in (out.ctypes.data, apart, group, *steps))
    return out.nbytes >= _STREAMED and aligned and all(abs(s) >= apart for s in steps)


def _packed_groups(problem: ConvProblem, weight: np.ndarray) -> Iterator[np.ndarray]:
    for g in range(problem.groups):
        first = g * problem.group_outputs
        yield packing.pack(
            problem, places.block(problem), weight[..., first : first + problem.group_outputs]
        )


def _entries(problem: ConvProblem, rows: int, block: int, merged: int) -> int:
    """Return how many int64 a part needs: addresses, a tile of outputs, and patches of x."""
    patches = _HELD * problem.taps * problem.group_channels if merged > 1 else 0
    elements = (block + patches) * rows * problem.itemsize
    return (_HELD * (problem.taps // merged + 1) + 1) * rows + -(-elements // 8)


def _packed_nbytes(problem: ConvProblem) -> int:
    block = places.planned_block(problem)
    blocks = -(-problem.group_outputs // block)
    return blocks * block * problem.taps * problem.group_channels * problem.itemsize
