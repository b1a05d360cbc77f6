"""The forward direction: by blocks of tiles, or by blocks of outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from npconv import relayout, tiling
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.winograd.places import place, waiting
from npconv.algorithms.winograd.rooms import Rooms, line, store_of
from npconv.problem import ConvProblem
from npconv.threads import for_each
from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.tile import Store
    from npconv.kernels.winograd_layer import Layer, Place

_SHARES = 16
# From a block's number, and bytes to make it in, to the address of its transformed weight.
Blocks = Callable[[int, np.ndarray | None], int]


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
    shared = work.shared_nbytes
    if piece is not problem:
        shared = problem.groups * work.weight_nbytes + (shared if work.whole else 0)
    moved = 2 * sum(relayout.copied_nbytes(problem)) + 6 * problem.groups * work.weight_nbytes
    moved += passed
    count = len(work.parts)
    workspace = held + tiling.tables_nbytes(piece, work) + shared
    steps = 60 + problem.groups * (30 + 10 * count) * problem.batch / max(piece.batch, 1)
    each = work.thread_nbytes
    return Cost(flops, moved, workspace + each, steps, each=each, helpers=count - 1)


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> list[np.ndarray]:
    """Return each group's weight transformed: (blocks, planes, taps, channels, block), as bytes."""
    work = tiling.cut(problem)
    layer = tiling.layer(problem, work)
    return [_packed(layer, work, kernel) for kernel in _kernels(problem, weight)]


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Write out, and return whether every sum was finite before its ending."""
    if relayout.splits(problem, x, out):
        return forward_packed(problem, x, pack_weight(problem, weight), out, ending)
    work = tiling.cut(problem)
    layer = tiling.layer(problem, work)
    kernels = _kernels(problem, weight)
    if work.whole:
        blocks = (_made(layer, work, kernel) for kernel in kernels)
    else:
        blocks = (_kept(work, _packed(layer, work, kernel)) for kernel in kernels)
    finite = True
    for piece, source, goal in relayout.pieces(problem, x, out):  # one
        finite &= _forward(piece, work, layer, source, blocks, goal, ending)
    return finite


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    weights: Sequence[np.ndarray],
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> bool:
    """Do the same with each group's transformed weight."""
    finite = True
    for piece, source, goal in relayout.pieces(problem, x, out):
        work = tiling.cut(piece, problem)
        blocks = (_kept(work, packed) for packed in weights)
        layer = tiling.layer(piece, work)
        finite &= _forward(piece, work, layer, source, blocks, goal, ending)
    return finite


def _forward(
    problem: ConvProblem,
    work: Work,
    layer: Layer,
    x: np.ndarray,
    blocks: Iterable[Blocks],
    out: np.ndarray,
    ending: Ending,
) -> bool:
    """Write a piece: x and out have their channels side by side."""
    run = _by_outputs if work.whole else _by_tiles
    finite = []
    for g, block in enumerate(blocks):
        channels, outputs = g * layer.channels, g * layer.outputs
        starts = np.zeros(work.blocks * work.block, problem.compute_dtype)
        if ending.bias is not None:
            starts[: layer.outputs] = ending.bias[outputs : outputs + layer.outputs]
        end = store_of(layer, starts.ctypes.data, ending.least, ending.most)
        places = place(x[..., channels:]), place(out[..., outputs:])
        finite += run(layer, work, *places, block, end)
    return all(finite)


def _by_tiles(
    layer: Layer, work: Work, source: Place, target: Place, block: Blocks, end: Store
) -> list[bool]:
    """Let each thread take blocks of columns through all three steps."""
    from npconv.kernels import winograd as kernels
    from npconv.kernels.winograd_layer import Part

    weights = block(0, None)
    finite = []
    rooms = Rooms(layer, work)

    def step(part: tuple[int, int, int, int]) -> None:
        with rooms.one() as (room, table, plain):
            finite.append(
                kernels.convolve(
                    source, target, layer, weights, Part(*part), room, table, plain, end
                )
            )

    for_each(work.parts, step)
    return finite


def _by_outputs(
    layer: Layer, work: Work, source: Place, target: Place, block: Blocks, end: Store
) -> list[bool]:
    """Transform all of x; then let each thread take blocks of the weight through the rest.

    The transformed weight, larger than any cache here, need never be whole.
    """
    from npconv.kernels import winograd as kernels
    from npconv.kernels.winograd_layer import LINE, Part

    values = np.empty(work.shared_nbytes + LINE, np.uint8)
    finite = []
    rooms = Rooms(layer, work, line(values))

    def gather(columns: range) -> None:
        with rooms.one() as (room, _, _):
            first = columns.start * layer.depth.count
            kernels.gather_tiles(source, layer, columns.start, columns.stop, first, room)

    def multiply(part: tuple[int, int, int, int]) -> None:
        packed = np.empty(work.block_nbytes + LINE, np.uint8)
        with rooms.one() as (room, table, plain):
            for k in range(part[2], part[3]):
                one = Part(part[0], part[1], k, k + 1)
                finite.append(
                    kernels.multiply_tiles(
                        target, layer, block(k, packed), one, room, table, plain, end
                    )
                )

    each = -(-work.columns // _SHARES)
    for_each([range(a, min(a + each, work.columns)) for a in range(0, work.columns, each)], gather)
    for_each(work.parts, multiply)
    return finite


def _kept(work: Work, packed: np.ndarray) -> Blocks:
    """Return what finds the blocks of a transformed weight."""

    def block(k: int, spare: np.ndarray | None) -> int:
        return line(packed) + k * work.block_nbytes

    return block


def _made(layer: Layer, work: Work, weight: np.ndarray) -> Blocks:
    """Return what transforms one block of a weight at a time, into the caller's spare bytes."""

    def block(k: int, spare: np.ndarray | None) -> int:
        assert spare is not None
        _pack(layer, work, weight, line(spare), k, k + 1)
        return line(spare)

    return block


def _packed(layer: Layer, work: Work, weight: np.ndarray) -> np.ndarray:
    """Return one group's weight transformed, from a line on."""
    from npconv.kernels.winograd_layer import LINE

    packed = np.empty(work.weight_nbytes + LINE, np.uint8)

    def step(blocks: range) -> None:
        at = line(packed) + blocks.start * work.block_nbytes
        _pack(layer, work, weight, at, blocks.start, blocks.stop)

    shares = max(min(packed.nbytes >> 18, work.blocks, _SHARES), 1)
    each = -(-work.blocks // shares)
    for_each([range(a, min(a + each, work.blocks)) for a in range(0, work.blocks, each)], step)
    return packed


def _pack(layer: Layer, work: Work, weight: np.ndarray, packed: int, first: int, last: int) -> None:
    """Write blocks `first` to `last` - 1 of the transformed weight to an address."""
    from npconv.kernels import winograd_weights as kernels
    from npconv.kernels.winograd_layer import LINE, Weight

    size = weight.itemsize
    steps = [s if n > 1 else size for n, s in zip(weight.shape, weight.strides, strict=True)]
    where = Weight(weight.ctypes.data, *(0, 0, *steps)[-5:])
    nbytes = layer.wide.taps * (layer.high.taps + layer.high.span) * work.block * size
    scratch = np.empty(nbytes + LINE, np.uint8)
    kernels.pack(where, layer, packed, first, last, line(scratch))


def _kernels(problem: ConvProblem, weight: np.ndarray) -> Iterator[np.ndarray]:
    """Return each group's part of the weight, in the compute dtype."""
    weight = weight.astype(problem.compute_dtype, copy=False)
    if not weight.flags.aligned:
        weight = weight.copy()
    for g in range(problem.groups):
        yield weight[..., g * problem.group_outputs : (g + 1) * problem.group_outputs]
