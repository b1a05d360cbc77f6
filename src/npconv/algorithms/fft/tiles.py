"""Where the tiles of a problem lie, in words that the compiled transforms read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from npconv.algorithms.fft.cut import Cut, leading
from npconv.problem import ConvProblem

WORDS = 12  # of a tile, as in kernels/fourier_columns.py


def write_spans(table: np.ndarray, spans: Sequence[Any]) -> None:
    """Write (first, last, count) of each axis of a tile where the kernel looks for them."""
    table[..., WORDS - 9 :] = 0, 1, 1, 0, 1, 1, 0, 1, 1
    places = {1: [3], 2: [3, 9], 3: [3, 6, 9]}[len(spans)]
    for place, span in zip(places, spans, strict=True):
        for i, values in enumerate(span):
            table[..., place + i] = values


@lru_cache(maxsize=64)
def tile_table(
    problem: ConvProblem,
    made: Cut,
    before: tuple[int, ...],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    out_strides: tuple[int, ...],
) -> np.ndarray:
    """Return the words of all tiles, but for addresses: bytes from x's and out's begin."""
    counts = made.counts(problem)
    before_tiles = [problem.batch, problem.out_channels]
    before_tiles += [problem.out_size[a] for a in leading(problem, made)]
    table = np.zeros((*before_tiles, *counts, WORDS), np.int64)
    ndim = table.ndim - 1

    def along(axis: int, values: np.ndarray) -> np.ndarray:
        return values.reshape(*(-1 if i == axis else 1 for i in range(ndim)))

    for axis, n in enumerate(before_tiles):
        index = np.arange(n)
        table[..., 0] += along(
            axis, index // (problem.group_outputs if axis == 1 else 1) * strides[axis]
        )
        table[..., 1] += along(axis, index * out_strides[axis])
        if axis == 1:
            table[..., 2] += along(axis, index)
    spans = []
    for i, (a, length, step, count) in enumerate(
        zip(made.axes, made.lengths, made.steps, counts, strict=True)
    ):
        begin = np.arange(count) * step
        outputs = problem.out_size[a]
        need = outputs + problem.dilated_size[a] - 1
        inside = min(before[a] + shape[2 + a], need)
        table[..., 0] += along(len(before_tiles) + i, (begin - before[a]) * strides[2 + a])
        table[..., 1] += along(len(before_tiles) + i, begin * out_strides[2 + a])
        end = length or outputs
        values = (
            np.clip(before[a] - begin, 0, end),
            np.clip(inside - begin, 0, end),
            np.minimum(step, outputs - begin),
        )
        spans.append([along(len(before_tiles) + i, v) for v in values])
    write_spans(table, spans)
    table = table.reshape(-1, WORDS)
    table.flags.writeable = False
    return table
