"""The gradient of the weight."""

from __future__ import annotations

import ctypes
import math
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from npconv import addresses, arrays, packing, relayout, spare
from npconv.algorithms.contract import Bound, Cost
from npconv.algorithms.indirect import places
from npconv.memory import address, shown, whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

_SUMS_NBYTES = 1 << 17  # of sums so small that each share of the pixels has its own
_PANEL_NBYTES = 1 << 15  # of lines of a block of grad_out held at once
_PANELS_NBYTES = 1 << 18  # of lines of all the blocks
_LINES_NBYTES = 1 << 17  # of whole lines of grad_out, where they are read in place
_ADDED_NBYTES = 1 << 16  # of sums for a thread to add up
_ADDS = 16
_KEPT = 1 << 10  # taps, up to which it is remembered where they lie


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, and the copies of x padded, grad_out and the sums."""
    cut = _cut(problem, places.planned_block(problem), places.planned_rows(problem), _limits())
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
        whole = problem.batch * problem.pixels * problem.groups * outputs * problem.itemsize
    sums = problem.groups * cut.sums * problem.terms * outputs * problem.itemsize
    filled = outputs / max(problem.group_outputs, 1)
    moved = 2 * (held + turned + grads + whole) + sums
    steps = places.waiting(problem) + 40
    records = 4096 + 8 * problem.taps
    workspace = held + records + max(turned, grads + whole + sums + cut.each)
    return Cost(
        2 * problem.macs * filled * 1.3,
        moved,
        workspace,
        steps,
        each=cut.each,
        helpers=cut.most - 1,
    )


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: the rows (tap, channel) of x, each an address, times grad_out."""
    padded = relayout.dense(problem, arrays.region(problem, x))
    dense = relayout.dense(problem, grad_out)
    if _exchanges(problem, out):
        problem, dense, padded, out = _exchanged(problem, dense, padded, out)
    cut = _cut(problem, places.block(problem), places.rows(problem), _limits())
    shape = problem.groups, cut.sums, problem.terms, cut.blocks * cut.block
    grads = dense if cut.gathers else _whole_blocks(problem, dense, shape[-1])
    find = _work if problem.taps <= _KEPT else _work.__wrapped__
    accumulate, add = find(problem, cut, padded.strides, grads.strides)
    if _is_whole(cut, shape, out) and out.dtype == problem.compute_dtype and out.flags.aligned:
        accumulate.run(address(padded), address(grads), address(out))
        return
    sums = spare.empty(shape, problem.compute_dtype)
    accumulate.run(padded.ctypes.data, grads.ctypes.data, sums.ctypes.data)
    if add is not None:
        add.run(sums.ctypes.data)
    weights = sums[:, 0, :, : problem.group_outputs]
    taps, channels = out.shape[:-2], out.shape[-2]
    if problem.groups == 1:
        relayout.copy(weights.reshape(out.shape), out)
        return
    split = weights.reshape(problem.groups, *taps, channels, problem.group_outputs)
    goal = out.reshape(*taps, channels, problem.groups, problem.group_outputs)
    goal[...] = np.moveaxis(split, 0, -2)


def bind(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> Bound | None:
    """Return the same for arrays that lie as these do; None where one has to be copied first."""
    if problem.copies_x or problem.groups > 1:
        return None
    return relayout.bind_operands(
        problem, grad_out, x, lambda grad, x: _bind_dense(problem, grad, x, out)
    )


def _bind_dense(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> Bound | None:
    read = arrays.region(problem, x)
    begin, exchanges = address(read) - address(x), _exchanges(problem, out)
    if exchanges:
        problem, grad_out, read, out = _exchanged(problem, grad_out, read, out)
    cut = _cut(problem, places.block(problem), places.rows(problem), _limits())
    shape = 1, cut.sums, problem.terms, cut.blocks * cut.block
    if not (cut.gathers or _fills_blocks(problem, grad_out, shape[-1])):
        return None
    # What is here may have no memory to read: nothing but views of it are made.
    grads = grad_out if cut.gathers else _whole_blocks(problem, grad_out, shape[-1])
    find = _work if problem.taps <= _KEPT else _work.__wrapped__
    accumulate, add = find(problem, cut, read.strides, grads.strides)
    like, whole = shown(shape, problem.compute_dtype), _is_whole(cut, shape, out)
    copy = relayout.bind(like[0, 0, :, : problem.group_outputs].reshape(out.shape), out)
    if copy is None and like[0, 0].nbytes == out.nbytes and out.flags.c_contiguous:
        copy = partial(_move, out.nbytes)
    if copy is None and not whole:
        return None
    nbytes = like.nbytes

    def run(grad_out: int, x: int, out: int, _: int, packed: Any) -> None:
        first, second = x + begin, grad_out
        if exchanges:
            first, second = second, first
        if whole:
            accumulate.run(first, second, out)
            return
        sums = spare.room(nbytes)
        at = address(sums)
        accumulate.run(first, second, at)
        if add is not None:
            add.run(at)
        assert copy is not None
        copy(at, out)

    return run


def _move(nbytes: int, here: int, there: int) -> None:
    ctypes.memmove(there, here, nbytes)


def _exchanges(problem: ConvProblem, out: np.ndarray) -> bool:
    """Return whether x and grad_out change places: out then lies as the sums do, or nearly."""
    plain = problem.taps == problem.groups == 1 and max(addresses.strides(problem)) <= 1
    if not plain or out.strides[-2] != problem.itemsize:
        return False
    block = places.block(problem)
    inputs, outputs = (-(-n // block) * block / n for n in out.shape[-2:])
    return bool(inputs <= outputs)


def _exchanged(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> tuple[ConvProblem, np.ndarray, np.ndarray, np.ndarray]:
    """Return the problem with these arrays in each other's place; x is what the windows meet."""
    one = (1,) * problem.ndim
    turned = replace(
        problem, in_channels=problem.out_channels, out_channels=problem.in_channels,
        size=problem.out_size, stride=one, dilation=one, padding=((0, 0),) * problem.ndim,
    )  # fmt: skip
    return turned, x, grad_out, out.swapaxes(-1, -2)


def _is_whole(cut: _Cut, shape: tuple[int, ...], out: np.ndarray) -> bool:
    """Return whether the sums lie as out does, and nothing is added to them."""
    one = shape[0] == 1 and cut.sums == 1
    return one and math.prod(shape) == out.size and out.flags.c_contiguous


class _Limits(NamedTuple):
    """See _SUMS_NBYTES and those after it; multiply-adds worth a share."""

    sums: int
    panel: int
    panels: int
    lines: int
    added: int
    worth: int


def _limits() -> _Limits:
    nbytes = _SUMS_NBYTES, _PANEL_NBYTES, _PANELS_NBYTES, _LINES_NBYTES, _ADDED_NBYTES
    return _Limits(*nbytes, arrays.WORTH_SHARING)


class _Cut(NamedTuple):
    """How each group is shared out: by lines of pixels, each share with sums of its own, or not.

    block    outputs of a block, and `blocks` of these; rows of a tile, and `tiles`
    lines    of pixels, `held` of them at once
    items    (lines, tiles, blocks) of an item
    sums     how many sums a group has
    gathers  whether a block's part of some lines is copied side by side first
    most     items of all groups, and `adds` to add the sums of shares in
    each     bytes of a thread's scratch
    """

    block: int
    rows: int
    lines: int
    tiles: int
    blocks: int
    held: int
    items: tuple[int, int, int]
    sums: int
    gathers: int
    most: int
    adds: int
    each: int


@lru_cache(maxsize=256)
def _cut(problem: ConvProblem, block: int, rows: int, limits: _Limits) -> _Cut:
    lines = problem.batch * problem.pixels // problem.out_size[-1]
    tiles, blocks = -(-problem.terms // rows), -(-problem.group_outputs // block)
    # Of all the groups together: where these are many, each is one share.
    shares = max(min(problem.macs // limits.worth * 2, places.SHARES), 1)
    shares = -(-shares // problem.groups)
    row = block * problem.itemsize
    line = problem.out_size[-1] * row
    gathers = tiles * rows * blocks * row <= limits.sums
    items = [lines, tiles, blocks]
    if gathers:
        held = max(min(limits.panel // line, limits.panels // (line * blocks), lines), 1)
        axis = 0
    else:
        held = max(min(limits.lines // (line * blocks), lines), 1)
        axis = 1 if tiles >= blocks else 2
    length = items[axis]
    items[axis] = -(-length // min(shares, length))
    number = -(-length // items[axis])
    panels = gathers * blocks * held * problem.out_size[-1]
    each = whole_lines((2 + panels) * row + 8 * (held + 1) * rows)
    sums = number if gathers else 1
    added = (sums - 1) * problem.groups * problem.terms * blocks * row
    return _Cut(
        block, rows, lines, tiles, blocks, held, (items[0], items[1], items[2]), sums,
        int(gathers), problem.groups * number, min(-(-added // limits.added), _ADDS), each,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _work(
    problem: ConvProblem, cut: _Cut, x: tuple[int, ...], grad: tuple[int, ...]
) -> tuple[Template, Template | None]:
    """Return what sums, and what adds the sums of shares, for arrays of these strides."""
    from npconv.kernels import gradient as kernels
    from npconv.kernels.fields import Grid, words

    size = problem.itemsize
    taps = packing.tap_offsets(problem.kernel_size, x[1:-1], problem.dilation)
    steps = [s * t for s, t in zip(addresses.strides(problem), x[1:-1], strict=True)]
    met = kernels.Lines(problem.group_channels * size, x[0], *addresses.three(steps, 0))
    group = problem.group_outputs * size if cut.gathers else grad[0]
    given = kernels.Lines(group, grad[0], *addresses.three(grad[1:-1], 0))
    extent = kernels.Extent(problem.batch, *addresses.three(problem.out_size))
    sizes = kernels.Sizes(
        problem.group_channels, problem.group_outputs, cut.block, cut.held, cut.gathers, cut.sums
    )
    grid = Grid(cut.lines, cut.tiles, cut.blocks, *cut.items)
    layer = kernels.Layer(
        kernels.Call(0, 0, 0), met, given, extent, sizes, taps.ctypes.data, len(taps), grid,
        grid.items, cut.each,
    )  # fmt: skip
    letter = problem.compute_dtype.char
    made = Template(kernels.accumulate[letter], words(layer), cut.most, cut.each, taps)
    if not cut.adds:
        return made, None
    elements = problem.terms * cut.blocks * cut.block
    total = kernels.Total(0, problem.groups, cut.sums, elements, cut.adds)
    return made, Template(kernels.add_up[letter], words(total), cut.adds)


def _fills_blocks(problem: ConvProblem, grad_out: np.ndarray, outputs: int) -> bool:
    """Return whether pixels have so many outputs, one after the other."""
    alone = problem.groups == 1 and grad_out.shape[-1] == outputs
    return alone and grad_out.flags.c_contiguous


def _whole_blocks(problem: ConvProblem, grad_out: np.ndarray, outputs: int) -> np.ndarray:
    """Return grad_out (groups, lines, width, outputs), zeros after the last output of a pixel."""
    shape = (problem.groups, -1, problem.out_size[-1], outputs)
    if _fills_blocks(problem, grad_out, outputs):
        return grad_out.reshape(shape)
    pixels = grad_out.shape[:-1]
    whole = np.zeros((problem.groups, *pixels, outputs), problem.compute_dtype)
    split = grad_out.reshape(*pixels, problem.groups, problem.group_outputs)
    whole[..., : problem.group_outputs] = np.moveaxis(split, -2, 0)
    return whole.reshape(shape)
