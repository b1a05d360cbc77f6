"""The gradient of the weight."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npconv import arrays, spare
from npconv.algorithms.contract import Cost
from npconv.algorithms.depthwise import places
from npconv.memory import whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

_SUMS = 10  # taps of a tile, as the kernels have it
_VECTOR = 64  # bytes, as costs are reckoned


class _Cut(NamedTuple):
    """How work is shared out: shares of the lines, rows of sums of each, `held` at a time.

    taps    of a row, and from pixel to pixel `stride`
    each    bytes of a thread's scratch
    """

    shares: int
    rows: int
    held: int
    taps: int
    stride: int
    each: int


@lru_cache(maxsize=256)
def _cut(problem: ConvProblem, form: tuple[int, int], turns: bool, worth: int) -> _Cut:
    """Return how work is shared out; turns: of arrays channels first; worth: as arrays has it."""
    taps, stride = form
    lines = problem.batch * (1 if turns else math.prod(problem.out_size[:-1]))
    item = -(-lines // min(places.shares(problem), lines))
    held = max(_SUMS // taps, 1)
    rows = -(-problem.terms // taps // held) * held
    wide = (places.PIXELS - 1) * stride + taps
    each = whole_lines(8 * rows * (wide + taps))
    return _Cut(-(-lines // item), rows, held, taps, stride, each)


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, and what is read, and copied of what lies otherwise."""
    turned = places.planned_turn_nbytes(problem)
    cut = _cut(problem, (1, 1), turned > 0, arrays.WORTH_SHARING)
    x = places.nbytes(problem, problem.x_shape)
    grad = places.nbytes(problem, problem.out_shape)
    held = 0
    if not turned:
        held += 0 if places.lies_well(problem, problem.x_dtype, problem.in_channels) else x
        held += 0 if places.lies_well(problem, problem.out_dtype, problem.out_channels) else grad
    sums = (cut.shares + 2) * cut.rows * problem.out_channels * problem.itemsize
    lanes = _VECTOR // problem.itemsize
    vectors = -(-problem.groups // lanes)
    pixels = problem.batch * problem.pixels
    flops = 2 * lanes * pixels * cut.rows * (vectors * problem.group_outputs + 1)
    each, tables = cut.each + turned, places.table_nbytes(problem)
    return Cost(
        flops, x + grad + 3 * held + 2 * sums, held + sums + tables + each,
        places.waiting(problem) + 20, each=each, helpers=places.shares(problem) - 1,
    )  # fmt: skip


def weight_grad(problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write out: x at each tap times grad_out, lane by lane."""
    turns = places.turns(problem, x, grad_out)
    given, grads = x[None], grad_out[None]
    if not turns:
        given, grads = places.dense(problem, x), places.dense(problem, grad_out)
    template, cut = work(problem, given, grads, turns)
    shape = cut.shares, problem.group_outputs, cut.rows * cut.taps, problem.groups
    sums = spare.empty(shape, problem.compute_dtype)
    template.run(given.ctypes.data, grads.ctypes.data, sums.ctypes.data)
    read = sums[:, :, : problem.terms]
    total = read[0] if cut.shares == 1 else read.sum(axis=0)
    if problem.group_outputs == problem.group_channels == 1:
        out[...] = total[0].reshape(out.shape)
        return
    parts = problem.group_outputs, problem.group_channels, problem.taps, problem.groups
    goal = out.reshape(*out.shape[:-1], problem.groups, problem.group_outputs)
    split = total.reshape(parts)
    goal[...] = split.transpose(2, 1, 3, 0).reshape(goal.shape)


def work(
    problem: ConvProblem, x: np.ndarray, grad_out: np.ndarray, turns: bool
) -> tuple[Template, _Cut]:
    """Return the work for planes of x and grad_out that lie so, and how it is shared out."""
    from npconv.kernels.depthwise_gradient import FORMS

    cut = _cut(problem, places.form(problem, FORMS), turns, arrays.WORTH_SHARING)
    find = _template if places.remembered(problem) else _template.__wrapped__
    return find(problem, cut, x.strides, grad_out.strides, turns, arrays.WORTH_SHARING), cut


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem, cut: _Cut, x: tuple[int, ...], grad: tuple[int, ...], turns: bool,
    worth: int,
) -> Template:  # fmt: skip
    """Return the work for planes of these strides; worth: as arrays has it."""
    from npconv.kernels import depthwise_gradient as kernels
    from npconv.kernels.depthwise_layer import Form, Gradient, GradientCall
    from npconv.kernels.fields import words

    each, block, wanted = cut.each, places.block(problem), places.shares(problem)
    steps, turn = [x, grad], places.unturned()
    if turns:
        turn, steps = places.turn(problem, x[1:], grad[1:], each)
        each += places.turned_nbytes(problem)
        block, grid = turn.block, places.turned_grid(problem, wanted)
    else:
        lines = problem.batch * math.prod(problem.out_size[:-1])
        grid = places.grid(lines, -(-problem.groups // block), wanted)
    source, kept = places.source(problem, steps[0])
    layer = Gradient(
        GradientCall(0, 0, 0), source, places.target(problem, steps[1]), places.windows(problem),
        Form(cut.taps, cut.stride), turn, cut.rows, cut.held, block, grid, each,
    )  # fmt: skip
    entry = kernels.accumulate[problem.compute_dtype.char]
    return Template(entry, words(layer), grid.items, each, kept)
