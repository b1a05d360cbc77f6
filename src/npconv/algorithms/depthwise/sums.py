"""The forward direction, and the input gradient as such."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from npconv import adjoints, arrays, relayout, spare
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.depthwise import places
from npconv.problem import (
    ConvProblem,
    covers,
    few_phases,
    largest_phase,
    phase_count,
    phases,
    spans_padding,
)
from npconv.templates import Template

_VECTOR = 64  # bytes, likewise
_FIND = 1.0  # vectors' products in the time that an address is written


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, the addresses, and what is read, written and copied."""
    x = places.nbytes(problem, problem.x_shape)
    out = places.nbytes(problem, problem.out_shape)
    weight = places.nbytes(problem, problem.weight_shape)
    turned = places.planned_turn_nbytes(problem)
    if turned:
        moved, held = 0, 0
    elif problem.in_channels == problem.out_channels:
        piece = relayout.planned_piece(problem)
        moved, held = (sum(relayout.copied_nbytes(p)) for p in (problem, piece))
    else:
        held = 0 if places.lies_well(problem, problem.x_dtype, problem.in_channels) else x
        held += 0 if places.lies_well(problem, problem.out_dtype, problem.out_channels) else out
        moved = held
    each = places.planned_room_nbytes(problem) + turned
    tables = places.table_nbytes(problem)
    return Cost(
        _flops(problem), x + out + 3 * moved, 2 * weight + held + tables + each,
        places.waiting(problem) + 12, each=each, helpers=places.shares(problem) - 1,
    )  # fmt: skip


def _flops(problem: ConvProblem) -> float:
    """Return the flops of whole tiles, and those in whose time addresses are found."""
    lanes = _VECTOR // problem.itemsize
    vectors = -(-problem.groups // lanes)
    lines = problem.batch * math.prod(problem.out_size[:-1])
    tiles = lines * -(-problem.out_size[-1] // places.PIXELS)
    products = tiles * places.PIXELS * problem.terms * (vectors * problem.group_outputs + _FIND)
    return 2 * lanes * products


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight (outputs of a group, channels of a group, taps, groups)."""
    return _packed(problem, weight, False)


def _packed(problem: ConvProblem, weight: np.ndarray, swaps: bool) -> np.ndarray:
    """Return the same, or with channels and outputs exchanged, of a part of the kernel."""
    channels, groups = weight.shape[-2], problem.groups
    split = weight.reshape(-1, channels, groups, weight.shape[-1] // groups)
    turned = split.transpose((1, 3, 0, 2) if swaps else (3, 1, 0, 2))
    return np.ascontiguousarray(turned, problem.compute_dtype)


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out, tile by tile of pixels and block by block of groups."""
    forward_packed(problem, x, pack_weight(problem, weight), out, ending)


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out from the packed weight."""
    if ending.bias is not None and (problem.group_outputs > 1 or not ending.bias.flags.aligned):
        ending = ending._replace(bias=places.split(problem, ending.bias).copy())
    if problem.in_channels == problem.out_channels:
        if relayout.lies_well(problem, x) and relayout.lies_well(problem, out):
            _sum(problem, x[None], packed, out[None], ending)
            return
        if places.turns(problem, x, out):
            _sum(problem, x[None], packed, out[None], ending, turns=True)
            return
        for piece, source, goal in relayout.pieces(problem, x, out):
            _sum(piece, source[None], packed, goal[None], ending)
        return
    given, wanted = places.dense(problem, x), places.split(problem, out)
    if relayout.lies_well(problem, wanted):
        _sum(problem, given, packed, wanted, ending)
        return
    made = spare.empty(wanted.shape, problem.compute_dtype)
    _sum(problem, given, packed, made, ending)
    for plane, view in zip(made, wanted, strict=True):
        relayout.copy(plane, view)


def _sum(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
    skips: bool = False,
    turns: bool = False,
) -> None:
    """Write planes of out from planes of x.

    skips: what stands in the padding is not multiplied.  turns: both lie channels first.
    """
    template = work(problem, x, out, ending, (skips, turns))
    bias = 0 if ending.bias is None else ending.bias.ctypes.data
    template.run(x.ctypes.data, packed.ctypes.data, out.ctypes.data, bias)


def work(
    problem: ConvProblem, x: np.ndarray, out: np.ndarray, ending: Ending, how: tuple[bool, bool]
) -> Template:
    """Return the work of `_sum`; how: skips, turns."""
    find = _template if places.remembered(problem) else _template.__wrapped__
    limits = ending.least, ending.most
    return find(problem, x.strides, out.strides, limits, how, arrays.WORTH_SHARING)


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem,
    x_strides: tuple[int, ...],
    out_strides: tuple[int, ...],
    limits: tuple[float, float],
    how: tuple[bool, bool],
    worth: int,
) -> Template:
    """Return the work for planes of these strides; how: skips, turns; worth: as arrays has it."""
    from npconv.kernels import depthwise as kernels
    from npconv.kernels.depthwise_layer import Call, Layer
    from npconv.kernels.fields import words

    skips, turns = how
    form = places.form(problem, () if skips else kernels.FORMS)
    rows, columns = problem.terms // form.taps, (places.PIXELS - 1) * form.stride + form.taps
    slots = 0 if skips else places.slots(problem, rows, columns)
    span, strip = (problem.groups, problem.out_size[-1]) if skips else places.near(problem)
    each = places.room_nbytes(rows, columns, slots)
    block, wanted = places.block(problem), places.shares(problem)
    steps, turn = [x_strides, out_strides], places.unturned()
    if turns:
        turn, steps = places.turn(problem, x_strides[1:], out_strides[1:], each)
        each += places.turned_nbytes(problem)
        grid = places.turned_grid(problem, wanted)
    else:
        lines = problem.batch * math.prod(problem.out_size[:-1])
        grid = places.grid(lines, -(-problem.groups // block), wanted)
    source, kept = places.source(problem, steps[0])
    layer = Layer(
        Call(0, 0, 0, 0), source, places.target(problem, steps[1]), places.windows(problem), form,
        turn, block, span, strip, slots, int(skips), float(limits[0]),
        float(limits[1]), grid, each,
    )  # fmt: skip
    entry = kernels.convolve[problem.compute_dtype.char]
    return Template(entry, words(layer), grid.items, each, kept)


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return the cost of the phases, and of the copies of what lies otherwise."""
    largest = largest_phase(problem)
    if largest is None:
        return Cost(0, problem.result_nbytes, 0, 1)
    count = phase_count(problem)
    grad = places.nbytes(problem, problem.out_shape)
    target = problem.batch * math.prod(problem.padded_size) * problem.in_channels * problem.itemsize
    copied = 0 if places.lies_well(problem, problem.out_dtype, problem.out_channels) else grad
    alone = places.lies_well(problem, problem.x_dtype, problem.in_channels)
    spans = spans_padding(problem)
    wanted = 0 if alone and not spans else target
    zeros = 0 if covers(problem) else target
    each = places.planned_room_nbytes(largest.problem)
    if count == 1 and not zeros and not spans and problem.x_dtype == problem.compute_dtype:
        turned = places.planned_turn_nbytes(largest.problem)
        if turned:
            copied, wanted, each = 0, 0, each + turned
    weight = places.nbytes(problem, problem.weight_shape)
    return Cost(
        count * _flops(largest.problem), count * grad + target + 3 * (copied + wanted) + zeros,
        copied + 2 * wanted + 2 * weight + places.table_nbytes(largest.problem) + each,
        places.waiting(problem) + 8 + 12 * count, each=each,
        helpers=places.shares(largest.problem) - 1,
    )  # fmt: skip


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out, a phase of the stride at a time."""
    # Zeros around grad_out are multiplied too, where that makes no difference.
    skips = not np.isfinite(weight).all()
    found = few_phases(problem)
    if len(found) == 1 and covers(problem) and not spans_padding(problem):
        alone = found[0].problem
        if places.turns(alone, grad_out, out):
            packed = _packed(problem, weight[found[0].taps], True)
            _sum(alone, grad_out[None], packed, out[None], skips=skips, turns=True)
            return
    given = places.dense(problem, grad_out)
    spans, whole, goal = spans_padding(problem), out, out
    if spans:
        shape = problem.batch, *problem.padded_size, problem.in_channels
        goal = whole = np.empty_like(out, problem.compute_dtype, shape=shape, subok=False)
    wanted = places.split(problem, whole)
    target = wanted
    if not relayout.lies_well(problem, wanted):
        target = spare.empty(wanted.shape, problem.compute_dtype)
    if not covers(problem):
        target[...] = 0
    for phase in found or phases(problem):
        packed = _packed(problem, weight[phase.taps], True)
        _sum(phase.problem, given, packed, target[(slice(None), slice(None), *phase.at)],
             skips=skips)  # fmt: skip
    if target is not wanted:
        for plane, view in zip(target, wanted, strict=True):
            relayout.copy(plane, view)
    if spans:
        adjoints.unpad(problem, goal, out)
