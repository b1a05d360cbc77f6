"""Winograd convolution: small tiles of outputs from fewer products than the definition takes.

::

    for each tile of x:   V = B x B'         one plane for each product
    for each plane:       M = V @ U          U = G w G', the transformed weight
    for each tile of out: y = A M A'

An axis of r taps yields m outputs from m + r - 1 products instead of m*r (stride 1), or from
2*m + r - 2 instead of m*r (stride 2, even and odd inputs apart): kernels/toom.py has the matrices.
A block of tiles stays in cache from its transform to its outputs.

Cost: the definition's flops divided by 1.2 to 2.5 an axis, and the transforms.
Memory: the transformed weight; a block of tiles and its products for each thread; x and out once
more where they do not lie channels last.
Error: "strict" takes m = 2 (of 2 taps 3), whose error is about the direct sum's, measured against
the largest magnitude in a tile; "fast" takes larger tiles, with up to ten times that error.
A NaN or Inf spreads over its tile, so the planner recomputes such results directly.
When not to use it: few channels (the transforms cost more than the products), integers.
Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; Winograd,
Arithmetic Complexity of Computations, 1980.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from npconv import arrays, compiler, relayout, tiling
from npconv.algorithms.contract import Cost
from npconv.kernels import toom
from npconv.problem import ConvProblem
from npconv.threads import for_each
from npconv.tiling import Work

if TYPE_CHECKING:
    from npconv.kernels.winograd import Place, Room

NAME = "winograd"
SPREADS = True
_WORKSPACE = 3 << 18  # bytes of a block of tiles and its products: in the second cache
_SHARES = 16


def why_not(problem: ConvProblem) -> str:
    """Return "" for floats, one or two axes, and a kernel that tiles save products of."""
    if problem.dtype.kind in "iu":
        return "integers are exact, and a transform rounds"
    if problem.compute_dtype.char not in "fd":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    if problem.ndim > 2:
        return f"its tiles have two axes, not {problem.ndim}"
    if any(d > 1 for d in problem.dilation):
        return "its tiles have no holes, and the kernel is dilated"
    if any(k > toom.MOST_TAPS for k in problem.kernel_size):
        return f"its kernels have up to {toom.MOST_TAPS} taps an axis"
    reach = (*problem.padded_size, *(abs(side) for pair in problem.padding for side in pair))
    if max(reach) >= 1 << 62:
        return "it counts in 64-bit integers, and the padding is longer"
    if not tiling.rows(problem):
        return "tiles of this kernel, stride and output save no products"
    return compiler.missing()


def cost(problem: ConvProblem) -> Cost:
    """Return the products and the transforms, and the copies of what lies otherwise."""
    work = tiling.cut(problem, _WORKSPACE)
    filled = work.blocks * work.block / max(problem.group_outputs, 1)
    flops = tiling.flops(problem, tiling.rows(problem)) * filled
    x, padded, out = _copies(problem)
    shared, each, count = work.shared_nbytes, work.thread_nbytes, len(work.parts)
    moved = 2 * (x + padded + out) + 3 * problem.groups * shared
    if problem.weight_dtype != problem.compute_dtype:
        out += math.prod(problem.weight_shape) * problem.itemsize
    peak = max(x + padded, x + out + shared + each)
    steps = 40 + problem.groups * (30 + 10 * count)
    return Cost(flops, moved, peak, steps, each=each, helpers=count - 1)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, by blocks of tiles or by blocks of outputs."""
    work = tiling.cut(problem, _WORKSPACE)
    dense = _dense(problem, x)
    target = out if _lies_well(problem, out) else np.empty(out.shape, problem.compute_dtype)
    weight = weight.astype(problem.compute_dtype, copy=False)
    if not weight.flags.aligned:
        weight = weight.copy()
    channels, outputs = problem.group_channels, problem.group_outputs
    run = _by_outputs if work.whole else _by_tiles
    for g in range(problem.groups):
        source = _place(dense[..., g * channels :])
        kernel = weight[..., g * outputs : (g + 1) * outputs]
        run(problem, work, source, kernel, _place(target[..., g * outputs :]))
    if target is not out:
        relayout.copy(target, out)


def _by_tiles(
    problem: ConvProblem, work: Work, source: Place, weight: np.ndarray, target: Place
) -> None:
    """Transform the weight; then each thread takes blocks of tiles through all three steps."""
    from npconv.kernels import winograd as kernels

    packed = pack(problem, work, weight)
    zero, least = problem.compute_dtype.type(0), problem.compute_dtype.type(-np.inf)

    def step(part: tuple[int, int, int, int]) -> None:
        _scratch, room, table = _room(work)
        kernels.convolve(
            source, target, work.high, work.wide, problem.group_channels, problem.group_outputs,
            _line(packed), kernels.Part(*part), work.held, room, table, zero, least,
        )  # fmt: skip

    for_each(work.parts, step)


def _by_outputs(
    problem: ConvProblem, work: Work, source: Place, weight: np.ndarray, target: Place
) -> None:
    """Transform all of x; then each thread takes blocks of the weight through all three steps.

    The transformed weight, larger than any cache here, is never whole.
    """
    from npconv.kernels import winograd as kernels

    channels, outputs = problem.group_channels, problem.group_outputs
    zero, least = problem.compute_dtype.type(0), problem.compute_dtype.type(-np.inf)
    values = np.empty(work.shared_nbytes + kernels.LINE, np.uint8)

    def gather(tiles: range) -> None:
        _scratch, room, _ = _room(work, _line(values))
        kernels.gather_tiles(
            source, work.high, work.wide, channels, tiles.start, tiles.stop, tiles.start, room,
            zero,
        )  # fmt: skip

    def multiply(part: tuple[int, int, int, int]) -> None:
        _scratch, room, table = _room(work, _line(values))
        packed = np.empty(work.block_nbytes + kernels.LINE, np.uint8)
        for k in range(part[2], part[3]):
            one = kernels.Part(part[0], part[1], k, k + 1)
            _pack(problem, work, weight, _line(packed), k, k + 1)
            kernels.multiply_tiles(
                target, work.high, work.wide, channels, outputs, _line(packed), one, work.held,
                room, table, zero, least,
            )  # fmt: skip

    each = -(-work.tiles // _SHARES)
    for_each([range(a, min(a + each, work.tiles)) for a in range(0, work.tiles, each)], gather)
    for_each(work.parts, multiply)


def pack(problem: ConvProblem, work: Work, weight: np.ndarray) -> np.ndarray:
    """Return one group's weight transformed, (blocks, planes, channels, block) from a line on."""
    from npconv.kernels import winograd as kernels

    packed = np.empty(work.blocks * work.block_nbytes + kernels.LINE, np.uint8)

    def step(blocks: range) -> None:
        at = _line(packed) + blocks.start * work.block_nbytes
        _pack(problem, work, weight, at, blocks.start, blocks.stop)

    shares = max(min(packed.nbytes >> 18, work.blocks, _SHARES), 1)
    each = -(-work.blocks // shares)
    for_each([range(a, min(a + each, work.blocks)) for a in range(0, work.blocks, each)], step)
    return packed


def _pack(
    problem: ConvProblem, work: Work, weight: np.ndarray, packed: int, first: int, last: int
) -> None:
    """Write blocks `first` to `last` - 1 of the transformed weight to an address."""
    from npconv.kernels import winograd as kernels

    high, wide = work.high, work.wide
    taps = (1, *problem.kernel_size)[-2:]
    steps = [
        s if n > 1 else problem.itemsize for n, s in zip(weight.shape, weight.strides, strict=True)
    ]
    nbytes = taps[1] * (taps[0] + high.span) * work.block * problem.itemsize
    scratch = np.empty(nbytes + kernels.LINE, np.uint8)
    ends = ((high.number, taps[0], high.span), (wide.number, taps[1], wide.span))
    kernels.pack(
        weight.ctypes.data, (0, *steps)[-4:], *ends, *weight.shape[-2:], packed, first, last,
        _line(scratch), problem.compute_dtype.type(0),
    )  # fmt: skip


def _room(work: Work, values: int = 0) -> tuple[np.ndarray, Room, np.ndarray]:
    """Return a thread's scratch, the room in it, and its table of addresses."""
    from npconv.kernels import winograd as kernels

    scratch = np.empty(work.room_nbytes, np.uint8)
    room, _ = kernels.room(_line(scratch), work.high, work.wide, work.plane, work.held, values)
    return scratch, room, np.empty((work.planes + 1) * work.held, np.int64)


def _line(array: np.ndarray) -> int:
    """Return the address of the first whole cache line of an array."""
    from npconv.kernels import winograd as kernels

    return -(-array.ctypes.data // kernels.LINE) * kernels.LINE


def _place(array: np.ndarray) -> Place:
    """Return where an array (N, *size, channels) lies, a single row in it where it has one axis."""
    from npconv.kernels import winograd as kernels

    *steps, _ = array.strides
    image, *spatial = steps
    return kernels.Place(array.ctypes.data, image, *(0, *spatial)[-2:])


def _dense(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    """Return x, padded unless by zeros, with its channels side by side in the compute dtype."""
    if problem.padding_mode != "zeros":
        x = arrays.region(problem, x)
    if _lies_well(problem, x):
        return x
    dense = np.empty(x.shape, problem.compute_dtype)
    relayout.copy(x, dense)
    return dense


def _lies_well(problem: ConvProblem, array: np.ndarray) -> bool:
    beside = array.shape[-1] == 1 or array.strides[-1] == problem.itemsize
    return beside and array.dtype == problem.compute_dtype and array.flags.aligned


def _copies(problem: ConvProblem) -> tuple[int, int, int]:
    """Return the bytes of x channels last, of x padded on the way to that, and of out."""
    size = problem.itemsize
    if problem.padding_mode == "zeros":
        x, padded, same = math.prod(problem.x_shape), 0, problem.x_dtype == problem.compute_dtype
    else:
        stop = problem.reach(problem.out_size, problem.out_size)[1]
        x, same = problem.batch * math.prod(stop) * problem.in_channels, not problem.copies_x
        padded = 0 if same else x * size
    beside = problem.channels_last or problem.in_channels == 1
    if beside:
        return (0 if same else x * size), 0, 0
    return x * size, padded, math.prod(problem.out_shape) * size
