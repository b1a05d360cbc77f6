"""The gradient of the weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from npconv import arrays, packing, relayout
from npconv.algorithms.contract import Cost
from npconv.algorithms.indirect import places
from npconv.problem import ConvProblem
from npconv.threads import for_each

if TYPE_CHECKING:
    from npconv.kernels import gradient

_SUMS_NBYTES = 1 << 19  # of sums so small that each share of the pixels has its own
_PANEL_NBYTES = 1 << 15  # of lines of a block of grad_out held at once
_PANELS_NBYTES = 1 << 18  # of lines of all the blocks
_LINES_NBYTES = 1 << 17  # of whole lines of grad_out, where they are read in place


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, and the copies of x padded, grad_out and the sums."""
    cut = _cut(problem, places.planned_block(problem), places.planned_rows(problem))
    outputs = cut.blocks * cut.block
    padded = arrays.region_nbytes(problem, problem.out_shape[:-1])
    turns = not (problem.channels_last or problem.in_channels == 1)
    held = padded if problem.copies_x or turns else 0
    turned = padded if problem.copies_x and turns else 0
    grads = 0
    if not problem.channels_last or problem.out_dtype != problem.compute_dtype:
        grads = problem.batch * problem.pixels * problem.out_channels * problem.itemsize
    whole = 0
    if not cut.gathers and (outputs != problem.group_outputs or problem.groups > 1):
        whole = problem.batch * problem.pixels * outputs * problem.itemsize
    sums = cut.sums * cut.tiles * cut.rows * outputs * problem.itemsize
    filled = outputs / max(problem.group_outputs, 1)
    moved = 2 * (held + turned + grads + whole * problem.groups) + 4 * sums * problem.groups
    steps = places.waiting(problem) + 25 + problem.groups * 25
    each = 8 * cut.entries
    workspace = held + max(turned, grads + whole + sums + each)
    return Cost(
        2 * problem.macs * filled * 1.3, moved, workspace, steps, each=each, helpers=cut.shares - 1
    )


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: the rows (tap, channel) of x, each an address, times grad_out."""
    from npconv.kernels import gradient

    padded = relayout.dense(problem, arrays.region(problem, x))
    dense = relayout.dense(problem, grad_out)
    cut = _cut(problem, places.block(problem), places.rows(problem))
    taps = packing.tap_offsets(problem.kernel_size, padded.strides[1:-1], problem.dilation)
    steps = zip(places.strides(problem), padded.strides[1:-1], strict=True)
    moves = places.three([s * t for s, t in steps], 0)
    size = (problem.batch, *places.three(problem.out_size))
    sizes = [problem.group_channels, problem.group_outputs, cut.held, cut.blocks, cut.gathers]
    counts = np.array(sizes, np.int64)
    zero = problem.compute_dtype.type(0)
    shape = (cut.sums, cut.tiles * cut.rows, cut.blocks * cut.block)
    for g in range(problem.groups):
        channels, outputs = g * problem.group_channels, g * problem.group_outputs
        columns = slice(outputs, outputs + problem.group_outputs)
        at = padded[..., channels:].ctypes.data
        met = gradient.Lines(at, padded.strides[0], *moves)
        grads = dense[..., columns]
        if not cut.gathers:
            grads = _whole_blocks(problem, grads, shape[-1])
        image, *spatial = grads.strides[:-1]
        given = gradient.Lines(grads.ctypes.data, image, *places.three(spatial, 0))
        sums = np.zeros(shape, problem.compute_dtype)

        def step(
            item: tuple[int, gradient.Part],
            met: gradient.Lines = met,
            given: gradient.Lines = given,
            sums: np.ndarray = sums,
        ) -> None:
            which, part = item
            scratch = np.empty(cut.entries, np.int64)
            gradient.weight_gradient(
                met, given, taps, size, counts, sums[which].ctypes.data, part, cut.block, scratch,
                zero,
            )  # fmt: skip

        for_each(_parts(cut), step)
        for share in sums[1:]:
            sums[0] += share
        weights = sums[0, : problem.terms, : problem.group_outputs]
        out[..., columns] = weights.reshape(*out.shape[:-1], problem.group_outputs)
        del sums, weights, grads, step  # before the next group's are made


class _Cut(NamedTuple):
    """How the work is shared out: by lines of pixels, each share with sums of its own, or by tiles.

    gathers: whether a block's part of some lines is copied side by side first.
    """

    block: int
    rows: int
    lines: int
    tiles: int
    blocks: int
    held: int
    shares: int
    sums: int
    gathers: int
    entries: int


def _cut(problem: ConvProblem, block: int, rows: int) -> _Cut:
    lines = problem.batch * problem.pixels // problem.out_size[-1]
    tiles, blocks = -(-problem.terms // rows), -(-problem.group_outputs // block)
    macs = problem.macs // problem.groups
    shares = max(min(macs // arrays.WORTH_SHARING * 2, places.SHARES), 1)
    row = block * problem.itemsize
    line = problem.out_size[-1] * row
    gathers = tiles * rows * blocks * row <= _SUMS_NBYTES
    if gathers:
        shares = min(shares, lines)
        held = max(min(_PANEL_NBYTES // line, _PANELS_NBYTES // (line * blocks), lines), 1)
    else:
        shares = min(shares, max(blocks, tiles))
        held = max(min(_LINES_NBYTES // (line * blocks), lines), 1)
    entries = (held + 1) * rows + gathers * -(-blocks * held * line // 8)
    sums = shares if gathers else 1
    return _Cut(block, rows, lines, tiles, blocks, held, shares, sums, int(gathers), entries)


def _parts(cut: _Cut) -> list[tuple[int, gradient.Part]]:
    """Return the parts, and which of the sums each adds to."""
    from npconv.kernels.gradient import Part

    spans = [(0, cut.lines), (0, cut.tiles), (0, cut.blocks)]
    axis = 0 if cut.gathers else 1 if cut.tiles >= cut.blocks else 2
    length = spans[axis][1]
    each = -(-length // cut.shares)
    parts = []
    for number, a in enumerate(range(0, length, each)):
        spans[axis] = (a, min(a + each, length))
        ends = [end for span in spans for end in span]
        parts.append((number if cut.gathers else 0, Part(*ends)))
    return parts


def _whole_blocks(problem: ConvProblem, grad_out: np.ndarray, outputs: int) -> np.ndarray:
    """Return grad_out (1, lines, width, outputs), zeros after the last output of a pixel."""
    shape = (1, -1, problem.out_size[-1], outputs)
    if grad_out.shape[-1] == outputs and grad_out.flags.c_contiguous:
        return grad_out.reshape(shape)
    whole = np.zeros((*grad_out.shape[:-1], outputs), problem.compute_dtype)
    whole[..., : grad_out.shape[-1]] = grad_out
    return whole.reshape(shape)
