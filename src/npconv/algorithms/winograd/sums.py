"""The forward direction: by blocks of tiles, or by blocks of outputs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from npconv import relayout, tiling
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.winograd.places import waiting, where
from npconv.algorithms.winograd.rooms import LINE, line
from npconv.problem import ConvProblem
from npconv.threads import forget_when_changed, share, sharers
from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.winograd_record import Template

_SHARES = 16
_STREAMED = 4 << 20  # bytes of out
_KEPT = 1 << 15  # bytes of tables that are kept between calls
_MOST_KEPT = 128


def cost(problem: ConvProblem) -> Cost:
    """Return the products and the transforms, and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    piece = relayout.planned_piece(problem)
    held = sum(relayout.copied_nbytes(piece))
    if problem.weight_dtype != problem.compute_dtype:
        held += math.prod(problem.weight_shape) * problem.itemsize
    if steps := waiting(problem):
        return Cost(2 * problem.macs, 0, held + 64 * problem.macs, steps)
    work = tiling.cut(piece, problem)
    outputs = work.blocks * work.block
    products = tiling.products(problem, work.rows) * problem.groups
    flops = 2 * products * tiling.depth_axis(problem).taps * problem.group_channels * outputs
    lanes = work.block // 2
    wide = -(-problem.group_channels // lanes) * lanes + outputs
    # Each transform writes what the next step reads, whole vectors of them.
    passed = 2 * products * wide * problem.itemsize
    shared = problem.groups * work.shared_nbytes
    if piece is not problem and work.whole:
        shared += problem.groups * work.weight_nbytes
    moved = 2 * sum(relayout.copied_nbytes(problem)) + 6 * problem.groups * work.weight_nbytes
    moved += passed
    count = len(work.parts) * problem.groups
    workspace = held + tiling.tables_nbytes(piece, work) + shared
    steps = 20 + 20 * problem.batch / max(piece.batch, 1)
    each = work.thread_nbytes
    return Cost(flops, moved, workspace + each, steps, each=each, helpers=count - 1)


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight transformed: (groups, blocks, planes, taps, channels, block), as bytes."""
    from npconv.kernels import winograd_weights as kernels

    work = tiling.cut(problem)
    template = _packing(problem, work)
    packed = np.empty(problem.groups * work.weight_nbytes + LINE, np.uint8)
    threads, scratch = _scratch(template)
    weight = _as_computed(problem, weight)
    record = template.record(line(scratch), packed=line(packed))
    template.weigh(record, *_lies(problem, weight))
    share(kernels.PACK[problem.compute_dtype.char], record, template.items, threads)
    return packed


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Write out, and return whether every sum was finite before its ending."""
    if not tiling.cut(problem).whole or relayout.splits(problem, x, out):
        return forward_packed(problem, x, pack_weight(problem, weight), out, ending)
    weight = _as_computed(problem, weight)
    finite = True
    for piece, source, goal in relayout.pieces(problem, x, out):  # one
        finite &= _by_outputs(_steps(piece, problem, source, goal), source, weight, goal, ending)
    return finite


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Do the same with the transformed weight."""
    finite = True
    for piece, source, goal in relayout.pieces(problem, x, out):
        steps = _steps(piece, problem, source, goal)
        run = _by_tiles if steps.gather is None else _by_outputs
        finite &= run(steps, source, packed, goal, ending)
    return finite


class _Steps(NamedTuple):
    """How a piece is computed: its templates, and what else is the same in each call.

    gather  what transforms all of x first, into `shared` bytes of values; None where each thread
            takes blocks of columns through all three steps
    """

    problem: ConvProblem
    convolve: Template
    gather: Template | None
    shared: int
    zeros: np.ndarray  # (groups, outputs of all blocks): what is added to a row of sums
    streams: bool


def _steps(problem: ConvProblem, planned: ConvProblem, x: np.ndarray, out: np.ndarray) -> _Steps:
    """Return the steps for arrays that lie as these do, and are images of `planned`."""
    aligned = out.ctypes.data % LINE == 0
    key = problem, planned, x.strides, out.strides, aligned
    steps = _kept_steps.get(key)
    if steps is None:
        work = tiling.cut(problem, planned)
        steps = _new_steps(problem, work, x.strides, out.strides, aligned)
        if tiling.tables_nbytes(problem, work) <= _KEPT:
            if len(_kept_steps) >= _MOST_KEPT:
                _kept_steps.clear()
            _kept_steps[key] = steps
    return steps


def _by_tiles(
    steps: _Steps, x: np.ndarray, packed: np.ndarray, out: np.ndarray, ending: Ending
) -> bool:
    """Let each thread take blocks of columns through all three steps."""
    from npconv.kernels import winograd as kernels

    template = steps.convolve
    threads, scratch = _scratch(template)
    added = _added(steps, ending)
    record = template.record(
        line(scratch), x.ctypes.data, out.ctypes.data, line(packed), 0, added.ctypes.data,
        _limits(ending), steps.streams,
    )  # fmt: skip
    share(kernels.CONVOLVE[steps.problem.compute_dtype.char], record, template.items, threads)
    return template.finite(record)


def _by_outputs(
    steps: _Steps, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> bool:
    """Transform all of x; then let each thread take blocks of the weight through the rest.

    A transformed weight is bytes; another one, larger than any cache here, need never be whole.
    """
    from npconv.kernels import winograd as kernels

    assert steps.gather is not None
    letter = steps.problem.compute_dtype.char
    values = np.empty(steps.shared + LINE, np.uint8)
    threads, scratch = _scratch(steps.gather)
    record = steps.gather.record(line(scratch), x.ctypes.data, values=line(values))
    share(kernels.GATHER[letter], record, steps.gather.items, threads)
    del scratch
    template = steps.convolve
    threads, scratch = _scratch(template)
    added = _added(steps, ending)
    packed = line(weight) if weight.dtype == np.uint8 else 0
    record = template.record(
        line(scratch), 0, out.ctypes.data, packed, line(values), added.ctypes.data,
        _limits(ending), steps.streams,
    )  # fmt: skip
    if not packed:
        template.weigh(record, *_lies(steps.problem, weight))
    share(kernels.MULTIPLY[letter], record, template.items, threads)
    return template.finite(record)


def _limits(ending: Ending) -> tuple[float, float] | None:
    return (ending.least, ending.most) if ending.clamps else None


def _new_steps(
    problem: ConvProblem, work: Work, x: tuple[int, ...], out: tuple[int, ...], aligned: bool
) -> _Steps:
    from npconv.kernels.winograd_record import Template

    layer = tiling.layer(problem, work)
    channels, outputs = problem.group_channels * x[-1], problem.group_outputs * out[-1]
    places = (where(x), channels), (where(out), outputs)
    given = layer, places, problem.groups
    held, nbytes, shared = work.sizes, work.block_nbytes, work.whole * work.shared_nbytes
    each = work.scratch(work.whole)
    template = Template(*given, work.parts, held, nbytes, each, shared)
    gather = None
    if work.whole:
        share = -(-work.columns // _SHARES)
        parts = [(a, min(a + share, work.columns), 0, 0) for a in range(0, work.columns, share)]
        gather = Template(*given, parts, held, nbytes, work.scratch(False), shared)
    zeros = np.zeros((problem.groups, work.blocks * work.block), problem.compute_dtype)
    zeros.flags.writeable = False
    large = math.prod(problem.out_shape) * problem.itemsize >= _STREAMED
    rows = (*out[:-1], problem.group_outputs * problem.itemsize)
    streams = large and aligned and not any(step % LINE for step in rows)
    return _Steps(problem, template, gather, problem.groups * shared, zeros, streams)


def _added(steps: _Steps, ending: Ending) -> np.ndarray:
    """Return what is added to a row of sums: the bias, zeros behind the last output of a group."""
    if ending.bias is None:
        return steps.zeros
    added = np.zeros(steps.zeros.shape, steps.zeros.dtype)
    outputs = steps.problem.group_outputs
    added[:, :outputs] = ending.bias.reshape(steps.problem.groups, outputs)
    return added


@lru_cache(maxsize=128)
def _packing(problem: ConvProblem, work: Work) -> Template:
    """Return the template of what transforms the weight."""
    from npconv.kernels.winograd_record import Scratch, Template

    shares = max(min(work.weight_nbytes >> 18, work.blocks, _SHARES), 1)
    each = -(-work.blocks // shares)
    parts = [(0, 0, a, min(a + each, work.blocks)) for a in range(0, work.blocks, each)]
    nowhere = where((0,) * (problem.ndim + 2)), 0
    scratch = Scratch(0, 0, -(-work.transform_nbytes // LINE) * LINE)
    layer = tiling.layer(problem, work)._replace(tables=np.zeros(1, np.int64))
    return Template(
        layer, (nowhere, nowhere), problem.groups, parts, work.sizes, work.block_nbytes, scratch
    )


def _scratch(template: Template) -> tuple[int, np.ndarray]:
    """Return how many threads may share the work, and scratch for all of them."""
    threads = sharers(template.items)
    return threads, np.empty(threads * template.scratch_nbytes + LINE, np.uint8)


def _as_computed(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return a weight in the compute dtype, and aligned."""
    weight = weight.astype(problem.compute_dtype, copy=False)
    return weight if weight.flags.aligned else weight.copy()


def _lies(problem: ConvProblem, weight: np.ndarray) -> tuple[tuple[int, ...], int]:
    """Return where the weight lies, as a kernels' Weight, and the bytes to the next group's."""
    size = weight.itemsize
    steps = [s if n > 1 else size for n, s in zip(weight.shape, weight.strides, strict=True)]
    return (weight.ctypes.data, *(0, 0, *steps)[-5:]), problem.group_outputs * steps[-1]


_kept_steps: dict[Any, _Steps] = {}
forget_when_changed(_kept_steps.clear)
