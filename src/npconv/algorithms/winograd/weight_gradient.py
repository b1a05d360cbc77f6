"""The weight gradient: tiles of x times tiles of grad_out, summed before they are transformed.

Either all the tiles are transformed first, and then each thread takes some channels of x and some
outputs through the products; or each thread takes tiles, channels and outputs through everything,
and where tiles are shared out, sums of their own are added up in order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from npconv import compiler, relayout
from npconv.algorithms.contract import Cost
from npconv.algorithms.winograd import gradient_cut
from npconv.algorithms.winograd.gradient_cut import Cut
from npconv.algorithms.winograd.gradient_layer import items, parts, tables_nbytes, template
from npconv.algorithms.winograd.rooms import LINE, line
from npconv.problem import ConvProblem
from npconv.threads import share, sharers

if TYPE_CHECKING:
    from npconv.kernels.winograd_gradient_record import Template

_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 2e6  # steps
_KEPT = 1 << 15  # bytes of tables that are kept between calls


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the products, the transforms and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    copied = sum(_copied(problem))
    if problem.macs < _LITTLE and not compiler.ready("winograd_gradient"):
        return Cost(2 * problem.macs, 0, copied + _little_nbytes(problem), _COMPILING)
    work = gradient_cut.cut(problem)
    shared = _shared_nbytes(problem, work)
    taps = problem.taps // math.prod(problem.kernel_size[-2:])
    runs = problem.groups * taps
    result = math.prod(problem.weight_shape) * problem.itemsize
    moved = 2 * (copied + result) + (0 if work.whole else runs * shared)
    workspace = copied + tables_nbytes(problem, work) + shared + 3 * LINE
    if problem.weight_dtype != problem.compute_dtype:
        workspace += result
    each = work.thread_nbytes
    flops = runs * gradient_cut.flops(problem, work)
    helpers = items(problem, work) - 1
    return Cost(flops, moved, workspace + each, 60 + 20 * runs, each=each, helpers=helpers)


def weight_grad(
    problem: ConvProblem, grad_out: np.ndarray, x: np.ndarray, out: np.ndarray
) -> bool | None:
    """Write out, one tap of the depth and one group after the other.

    Depths that lie in the padding are passed over.  A NaN of grad_out that meets only those zeros
    is not in out, where the direct sum has it: False says that there may be one.
    """
    work = gradient_cut.cut(problem)
    x, grad_out = relayout.dense(problem, x), relayout.dense(problem, grad_out)
    result = out
    if out.dtype != problem.compute_dtype or not out.flags.aligned:
        result = np.empty(out.shape, problem.compute_dtype)
    key = problem, work, x.strides, grad_out.strides, result.strides
    small = tables_nbytes(problem, work) <= _KEPT
    made, empty = _kept_template(*key) if small else template(*key)
    for tap in empty:
        result[tap] = 0
    if made.runs:
        threads = sharers(made.most)
        scratch = np.empty(threads * made.scratch_nbytes + LINE, np.uint8)
        places = line(scratch), x.ctypes.data, grad_out.ctypes.data, result.ctypes.data
        run = _whole if work.whole else _by_parts
        run(problem, work, made, made.record(*places), threads)
    if result is not out:
        out[...] = result
    if problem.ndim < 3 or np.isfinite(grad_out.sum()) or np.isfinite(grad_out).all():
        return None
    return False


@lru_cache(maxsize=64)
def _kept_template(*key: Any) -> tuple[Template, tuple[int, ...]]:
    return template(*key)


def _whole(
    problem: ConvProblem, work: Cut, made: Template, record: np.ndarray, threads: int
) -> None:
    """Transform all the tiles of a run, then share out the products by channels and outputs."""
    from npconv.kernels import winograd_gradient as kernels
    from npconv.kernels.winograd_gradient_record import hold_planes

    letter = problem.compute_dtype.char
    memory = np.empty(_shared_nbytes(problem, work) + LINE, np.uint8)
    values = line(memory)
    grads = values + work.planes * work.plane_nbytes(problem.group_channels)
    hold_planes(
        record,
        (values, work.plane_nbytes(problem.group_channels)),
        (grads, work.plane_nbytes(problem.group_outputs)),
    )
    for i, (count, _) in enumerate(made.runs):
        share(kernels.GATHER[letter], record[i : i + 1], made.gathers, threads)
        share(kernels.MULTIPLY[letter], record[i : i + 1], count, threads)


def _by_parts(
    problem: ConvProblem, work: Cut, made: Template, record: np.ndarray, threads: int
) -> None:
    """Take parts of the tiles, channels and outputs through everything; add up what is shared."""
    from npconv.kernels import winograd_gradient as kernels
    from npconv.kernels.winograd_gradient_record import hold_sums

    letter = problem.compute_dtype.char
    if made.joined:
        share(kernels.ACCUMULATE[letter], record, made.joined, threads)
        return
    memory = np.empty(made.partial_nbytes + LINE, np.uint8)
    hold_sums(record, line(memory))
    for i, (count, pieces) in enumerate(made.runs):
        share(kernels.ACCUMULATE[letter], record[i : i + 1], count, threads)
        share(kernels.ADD[letter], record[i : i + 1], pieces, threads)


def _shared_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes that the threads share: transformed tiles, or sums over shares of them."""
    if work.whole:
        planes = work.plane_nbytes(problem.group_channels), work.plane_nbytes(problem.group_outputs)
        return work.planes * sum(planes)
    count = len(parts(problem, work, work.tiles))
    return (work.shares > 1) * count * work.planes * work.sums_plane


def _little_nbytes(problem: ConvProblem) -> int:
    """Return bytes that little work stays below, without asking how it would be cut up."""
    return min(64 * problem.macs, 7 << 20) + (1 << 18)


def _copied(problem: ConvProblem) -> tuple[int, int]:
    """Return the bytes of x and of grad_out once more, where they must be laid channels last."""
    last = problem.channels_last
    same = (last or problem.in_channels == 1) and problem.x_dtype == problem.compute_dtype
    x = 0 if same else math.prod(problem.x_shape)
    same = (last or problem.out_channels == 1) and problem.out_dtype == problem.compute_dtype
    grad = 0 if same else math.prod(problem.out_shape)
    return x * problem.itemsize, grad * problem.itemsize
