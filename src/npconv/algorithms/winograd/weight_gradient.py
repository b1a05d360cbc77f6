"""The weight gradient: tiles of x times tiles of grad_out, summed before they are transformed.

Either all the tiles are transformed first, and then each thread takes some channels of x and some
outputs through the products; or each thread takes tiles, channels and outputs through everything,
and where tiles are shared out, sums of their own are added up in order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from npconv import compiler, relayout
from npconv.algorithms.contract import Cost
from npconv.algorithms.winograd import gradient_cut
from npconv.algorithms.winograd.gradient_cut import Cut
from npconv.algorithms.winograd.gradient_layer import layers, tables_nbytes, target
from npconv.algorithms.winograd.gradient_rooms import Desks
from npconv.algorithms.winograd.rooms import line
from npconv.problem import ConvProblem
from npconv.threads import for_each

if TYPE_CHECKING:
    from npconv.kernels.winograd_gradient_layer import Desk, Layer, Part, Sums, Target

_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 2e6  # steps


def weight_grad_cost(problem: ConvProblem) -> Cost:
    """Return the products, the transforms and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    copied = sum(_copied(problem))
    if problem.macs < _LITTLE and not compiler.ready("winograd_gradient"):
        return Cost(2 * problem.macs, 0, copied + _little_nbytes(problem), _COMPILING)
    work = gradient_cut.cut(problem)
    shared, parts = _shared_nbytes(problem, work), len(_parts(problem, work, work.tiles))
    taps = problem.taps // math.prod(problem.kernel_size[-2:])
    runs = problem.groups * taps
    result = math.prod(problem.weight_shape) * problem.itemsize
    moved = 2 * (copied + result) + (0 if work.whole else runs * shared)
    workspace = copied + tables_nbytes(problem, work) + shared
    if problem.weight_dtype != problem.compute_dtype:
        workspace += result
    each = work.thread_nbytes
    flops = runs * gradient_cut.flops(problem, work)
    return Cost(
        flops, moved, workspace + each, 100 + runs * (40 + 12 * parts), each=each,
        helpers=parts - 1,
    )  # fmt: skip


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
    channels, outputs = problem.group_channels, problem.group_outputs
    run = _whole if work.whole else _by_parts
    for g in range(problem.groups):
        columns = slice(g * outputs, (g + 1) * outputs)
        its_x = x[..., g * channels : (g + 1) * channels]
        found = layers(problem, work, its_x, grad_out[..., columns])
        for tap, layer in enumerate(found):
            part = result[..., columns]
            part = part[tap] if problem.ndim == 3 else part
            if layer.x.count:
                run(problem, work, layer, target(part))
            else:
                part[...] = 0
    if result is not out:
        out[...] = result
    if problem.ndim < 3 or np.isfinite(grad_out.sum()) or np.isfinite(grad_out).all():
        return None
    return False


def _whole(problem: ConvProblem, work: Cut, layer: Layer, goal: Target) -> None:
    """Transform all the tiles, then share out the products by channels and outputs."""
    from npconv.kernels import winograd_gradient as kernels
    from npconv.kernels.winograd_gradient_layer import Planes

    tiles = _tiles(problem, layer)
    desks = Desks(problem, work)
    kept = []
    for operand in (layer.x, layer.grad):
        plane = work.plane_nbytes(operand.channels)
        memory = np.empty(work.planes * plane + gradient_cut.LINE, np.uint8)
        kept.append((operand, Planes(line(memory), plane, work.held), memory))

    def gather(item: tuple[int, range]) -> None:
        which, some = item
        operand, planes, _ = kept[which]
        with desks.lent() as room:
            kernels.gather(layer, operand, some.start, some.stop, planes, some.start, room.desk)

    def multiply(part: Part) -> None:
        with desks.lent() as room:
            kernels.multiply(layer, part, kept[0][1], kept[1][1], room.sums, goal, room.desk)

    shares = _ranges(tiles, -(-tiles // work.shares))
    for_each([(which, some) for which in (0, 1) for some in shares], gather)
    for_each(_parts(problem, work, tiles), multiply)


def _by_parts(problem: ConvProblem, work: Cut, layer: Layer, goal: Target) -> None:
    """Take parts of the tiles, channels and outputs through everything; add up what is shared."""
    from npconv.kernels import winograd_gradient as kernels
    from npconv.kernels.winograd_gradient_layer import Part, Sums

    desks = Desks(problem, work)
    parts = _parts(problem, work, _tiles(problem, layer))
    ends = len({part[2:] for part in parts})
    shares = len(parts) // ends  # of the tiles; the parts of one come after another's
    nbytes = work.planes * work.sums_plane
    memory = np.empty((shares > 1) * len(parts) * nbytes + gradient_cut.LINE, np.uint8)

    def sums_of(number: int) -> Sums:
        return Sums(line(memory) + number * nbytes, work.sums_plane, work.outputs * work.itemsize)

    def finish(part: Part, some: range, sums: Sums, desk: Desk) -> None:
        address = goal.address + (part.first_row + some.start) * goal.channel
        there = goal._replace(address=address + part.first_block * work.block * goal.output)
        its = sums._replace(address=sums.address + some.start * sums.row)
        if shares > 1:
            kernels.add(layer, its, shares, ends * nbytes, len(some))
        kernels.fold(layer, its, len(some), _outputs(problem, work, part), there, desk)

    def accumulate(number: int) -> None:
        part = parts[number]
        channels, blocks = part.last_row - part.first_row, part.last_block - part.first_block
        x, grad, size = layer.x, layer.grad, work.itemsize
        x = x._replace(
            address=x.address + part.first_row * size,
            channels=channels,
            filled=min(work.channels, x.filled - part.first_row),
        )
        grad = grad._replace(
            address=grad.address + part.first_block * work.block * size,
            channels=_outputs(problem, work, part),
            filled=blocks * work.block,
        )
        with desks.lent() as room:
            sums = room.sums if shares == 1 else sums_of(number)
            its = Part(part.first, part.last, 0, channels, 0, blocks)
            own = layer._replace(x=x, grad=grad)
            kernels.accumulate(own, its, room.values, room.grads, sums, room.desk)
            if shares == 1:
                finish(part, range(channels), sums, room.desk)

    def add(item: tuple[int, range]) -> None:
        number, some = item
        with desks.lent() as room:
            finish(parts[number], some, sums_of(number), room.desk)

    for_each(range(len(parts)), accumulate)
    if shares > 1:
        step = -(-work.channels // work.shares)
        pieces = [
            (number, some)
            for number, part in enumerate(parts[:ends])
            for some in _ranges(part.last_row - part.first_row, step)
        ]
        for_each(pieces, add)


def _tiles(problem: ConvProblem, layer: Layer) -> int:
    """Return how many tiles a tap of the depth has."""
    return problem.batch * layer.x.count * layer.x.high.tiles * layer.x.wide.tiles


def _outputs(problem: ConvProblem, work: Cut, part: Part) -> int:
    """Return how many outputs a part's blocks hold."""
    return min(part.last_block * work.block, problem.group_outputs) - part.first_block * work.block


def _parts(problem: ConvProblem, work: Cut, tiles: int) -> list[Part]:
    """Return what to share out."""
    from npconv.kernels.winograd_gradient_layer import Part

    blocks = -(-problem.group_outputs // work.block)
    channels = _ranges(problem.group_channels, work.channels)
    if work.whole:
        outputs = _ranges(blocks, -(-blocks // max(work.shares // len(channels), 1)))
        shares = [range(tiles)]
    else:
        outputs = _ranges(blocks, work.outputs // work.block)
        shares = _ranges(tiles, -(-tiles // work.shares))
    return [
        Part(t.start, t.stop, c.start, c.stop, k.start, k.stop)
        for t in shares
        for c in channels
        for k in outputs
    ]


def _ranges(stop: int, step: int) -> list[range]:
    return [range(a, min(a + step, stop)) for a in range(0, stop, step)]


def _shared_nbytes(problem: ConvProblem, work: Cut) -> int:
    """Return the bytes that the threads share: transformed tiles, or sums over shares of them."""
    if work.whole:
        planes = work.plane_nbytes(problem.group_channels), work.plane_nbytes(problem.group_outputs)
        return work.planes * sum(planes)
    parts = len(_parts(problem, work, work.tiles))
    return (work.shares > 1) * parts * work.planes * work.sums_plane


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
