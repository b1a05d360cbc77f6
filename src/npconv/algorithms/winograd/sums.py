"""The forward direction: by blocks of tiles, or by blocks of outputs."""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from npconv import relayout, spare, tiling
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.winograd.layer import layer, tables_nbytes
from npconv.algorithms.winograd.places import waiting, where
from npconv.memory import LINE, address
from npconv.packing import ready
from npconv.problem import ConvProblem
from npconv.templates import Template, bits
from npconv.threads import forget_when_changed
from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.entry import Entry
    from npconv.kernels.fields import Grid
    from npconv.kernels.winograd_layer import Place, Room

_SHARES = 16
_STREAMED = 4 << 20  # bytes of out
_STORED = 8  # products of a sum that take as long as it takes to store it
_KEPT = 1 << 15  # bytes of tables that are kept between calls
_MOST_KEPT = 128
NO_LIMITS = bits(-math.inf), bits(math.inf)


def cost(problem: ConvProblem) -> Cost:
    """Return the products and the transforms, and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    piece = relayout.planned_piece(problem)
    held = sum(relayout.copied_nbytes(piece))
    if steps := waiting(problem):
        return Cost(2 * problem.macs, 0, held + 64 * problem.macs, steps)
    work = tiling.cut(piece, problem, fresh=piece is problem)
    if work.whole and problem.weight_dtype != problem.compute_dtype:
        held += math.prod(problem.weight_shape) * problem.itemsize
    outputs = work.blocks * work.block
    products = tiling.products(problem, work.rows) * problem.groups
    length = tiling.depth_axis(problem).taps * problem.group_channels
    flops = 2 * products * (length + _STORED) * outputs
    lanes = work.block // 2
    wide = -(-problem.group_channels // lanes) * lanes + outputs
    # Each transform writes what the next step reads, whole vectors of them.
    passed = 2 * products * wide * problem.itemsize
    shared = problem.groups * work.shared_nbytes
    if piece is not problem and work.whole:
        shared += problem.groups * work.weight_nbytes
    packing = 6 * problem.groups * work.weight_nbytes
    moved = 2 * sum(relayout.copied_nbytes(problem)) + packing + passed
    # A thread that transforms the weight holds no more than one that takes columns.
    count = max(work.items, -(-work.blocks // _packed_at_once(work))) * problem.groups
    workspace = held + tables_nbytes(piece, work) + shared
    steps = 20 + 20 * problem.batch / max(piece.batch, 1)
    each = work.thread_nbytes
    return Cost(
        flops, moved, workspace + each, steps, each=each, helpers=count - 1, packing=packing
    )


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight transformed: (groups, blocks, planes, taps, channels, block), as bytes."""
    work = tiling.cut(problem)
    weight = ready(problem, weight)
    packed = spare.room(problem.groups * work.weight_nbytes)
    call = 0, 0, packed.ctypes.data, 0, 0, *NO_LIMITS
    packing(problem, work).run(*call, weight.ctypes.data, *lies(problem, weight))
    return packed


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Write out, and return whether every sum was finite before its ending."""
    if not tiling.cut(problem, fresh=True).whole or relayout.splits(problem, x, out):
        return forward_packed(problem, x, pack_weight(problem, weight), out, ending)
    weight = ready(problem, weight)
    kept, lying = True, (address(weight), *lies(problem, weight))
    for piece, source, goal in relayout.pieces(problem, x, out):  # one
        steps = _steps(piece, problem, source, goal, fresh=True)
        more = added(steps, _bias(ending))
        ends = address(goal), address(more), limits_of(ending)
        kept &= by_outputs(steps, address(source), (0, *lying), *ends)
    return kept


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Do the same with the transformed weight."""
    kept = True
    for piece, source, goal in relayout.pieces(problem, x, out):
        steps = _steps(piece, problem, source, goal)
        more = added(steps, _bias(ending))
        here, at = address(source), address(packed)
        ends = address(goal), address(more), limits_of(ending)
        if steps.gather is None:
            kept &= by_tiles(steps, here, at, *ends)
        else:
            kept &= by_outputs(steps, here, (at,), *ends)
    return kept


class Steps(NamedTuple):
    """How a piece is computed: its templates, and what else is the same in each call.

    gather  what transforms all of x first, into `shared` bytes of values; None where each thread
            takes blocks of columns through all three steps
    """

    problem: ConvProblem
    convolve: Template
    gather: Template | None
    shared: int
    zeros: np.ndarray  # (groups, outputs of all blocks): what is added to a row of sums


def _steps(
    problem: ConvProblem, planned: ConvProblem, x: np.ndarray, out: np.ndarray, fresh: bool = False
) -> Steps:
    """Return the steps for arrays that lie as these do, and are images of `planned`."""
    return steps_for(problem, planned, x, out, out.ctypes.data % LINE == 0, fresh)


def steps_for(
    problem: ConvProblem,
    planned: ConvProblem,
    x: np.ndarray,
    out: np.ndarray,
    aligned: bool,
    fresh: bool = False,
) -> Steps:
    """Return the same; aligned: whether out's begin at a cache line."""
    key = problem, planned, x.strides, out.strides, aligned, fresh
    steps = _kept_steps.get(key)
    if steps is None:
        work = tiling.cut(problem, planned, fresh)
        steps = _new_steps(problem, work, x.strides, out.strides, aligned)
        if tables_nbytes(problem, work) <= _KEPT:
            if len(_kept_steps) >= _MOST_KEPT:
                _kept_steps.clear()
            _kept_steps[key] = steps
    return steps


def by_tiles(
    steps: Steps, x: int, packed: int, out: int, added: int, limits: tuple[int, ...]
) -> bool:
    """Let each thread take blocks of columns through all three steps; arrays are addresses."""
    return _finite(steps.convolve.run(x, out, packed, 0, added, *limits))


def by_outputs(
    steps: Steps, x: int, weight: tuple[int, ...], out: int, added: int, limits: tuple[int, ...]
) -> bool:
    """Transform all of x; then let each thread take blocks of the weight through the rest.

    weight: the address of a transformed one; or 0 and how another one lies, which need never be
    whole: it is larger than any cache here.
    """
    assert steps.gather is not None
    values = spare.room(steps.shared)
    at = address(values)
    steps.gather.run(x, 0, 0, at)
    packed, *lying = weight
    limits = limits or NO_LIMITS if lying else limits
    return _finite(steps.convolve.run(0, out, packed, at, added, *limits, *lying))


def limits_of(ending: Ending) -> tuple[int, ...]:
    """Return what a call adds to say between what sums are clamped; () for nothing."""
    return tuple(map(bits, (ending.least, ending.most))) if ending.clamps else ()


def _finite(record: np.ndarray) -> bool:
    """Return whether the record says that every sum was finite."""
    from npconv.kernels.winograd_layer import FINITE

    return record.item(FINITE) != 0


def _new_steps(
    problem: ConvProblem, work: Work, x: tuple[int, ...], out: tuple[int, ...], aligned: bool
) -> Steps:
    from npconv.kernels import winograd as kernels
    from npconv.kernels.fields import Grid

    places = where(x, problem.group_channels), where(out, problem.group_outputs)
    large = math.prod(problem.out_shape) * problem.itemsize >= _STREAMED
    rows = (*out[:-1], problem.group_outputs * problem.itemsize)
    streams = large and aligned and not any(step % LINE for step in rows)
    grid = Grid(problem.groups, work.columns, work.blocks, 1, work.item_columns, work.item_blocks)
    letter = problem.compute_dtype.char
    entry = (kernels.multiply_part if work.whole else kernels.convolve)[letter]
    template = _template(entry, problem, work, places, grid, work.room(work.whole), streams)
    gather = None
    if work.whole:
        grid = Grid(problem.groups, work.columns, 1, 1, -(-work.columns // _SHARES), 1)
        entry, room = kernels.gather_part[letter], work.room(False)
        gather = _template(entry, problem, work, places, grid, room)
    zeros = np.zeros((problem.groups, work.blocks * work.block), problem.compute_dtype)
    zeros.flags.writeable = False
    shared = problem.groups * work.whole * work.shared_nbytes
    return Steps(problem, template, gather, shared, zeros)


def _template(
    entry: Entry,
    problem: ConvProblem,
    work: Work,
    places: tuple[Place, Place],
    grid: Grid,
    room: Room,
    streams: bool = False,
) -> Template:
    from npconv.kernels.fields import words

    made, tables = layer(problem, work, places, grid, room, streams)
    return Template(entry, words(made), grid.items, room.nbytes, tables)


def _bias(ending: Ending) -> int:
    return 0 if ending.bias is None else address(ending.bias)


def added(steps: Steps, bias: int) -> np.ndarray:
    """Return what is added to a row of sums: the bias, zeros behind the last output of a group.

    bias: the address of one of the compute dtype, 0 for none.
    """
    if not bias:
        return steps.zeros
    made = np.zeros(steps.zeros.shape, steps.zeros.dtype)
    outputs = steps.problem.group_outputs * made.itemsize
    for g, row in enumerate(made):
        ctypes.memmove(row.ctypes.data, bias + g * outputs, outputs)
    return made


def _packed_at_once(work: Work) -> int:
    """Return how many blocks of the weight an item transforms."""
    shares = max(min(work.weight_nbytes >> 18, work.blocks, _SHARES), 1)
    return -(-work.blocks // shares)


@lru_cache(maxsize=128)
def packing(problem: ConvProblem, work: Work) -> Template:
    """Return the template of what transforms the weight."""
    from npconv.kernels import winograd_weights as kernels
    from npconv.kernels.fields import Grid

    grid = Grid(problem.groups, 1, work.blocks, 1, 1, _packed_at_once(work))
    nowhere = where((0,) * (problem.ndim + 2), 0)
    room = work.room(True)
    room = room._replace(transform=0, nbytes=room.nbytes - room.transform)
    entry = kernels.pack[problem.compute_dtype.char]
    return _template(entry, problem, work, (nowhere, nowhere), grid, room)


def lies(problem: ConvProblem, weight: np.ndarray) -> tuple[int, ...]:
    """Return how the weight lies, as a kernels' Weight after its address."""
    size = weight.itemsize
    steps = [s if n > 1 else size for n, s in zip(weight.shape, weight.strides, strict=True)]
    return problem.group_outputs * steps[-1], *(0, 0, *steps)[-5:]


_kept_steps: dict[Any, Steps] = {}
forget_when_changed(_kept_steps.clear)
