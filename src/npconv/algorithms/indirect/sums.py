"""The forward direction."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from npconv import addresses, arrays, packing, relayout
from npconv.algorithms.contract import NOTHING, Cost, Ending
from npconv.algorithms.indirect import places, pointwise
from npconv.memory import whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

_KEPT = 1 << 11  # positions along an axis whose offsets are remembered
_HELD = 8  # tiles whose addresses are known at once
_FEW = 16  # channels
_STREAMED = 8 << 20  # bytes of out


def cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles, the packing, and the copies of what lies otherwise.

    Little work does not wait for kernels to be compiled: until they are, that is its cost.
    """
    if pointwise.suits(problem):
        return pointwise.cost(problem)
    piece = relayout.planned_piece(problem)
    packed = _packed_nbytes(problem)
    moved, copied = (sum(relayout.copied_nbytes(p)) for p in (problem, piece))
    block = places.planned_block(problem)
    filled = -(-problem.group_outputs // block) * block / max(problem.group_outputs, 1)
    cast = 0
    if problem.weight_dtype != problem.compute_dtype:
        cast = math.prod(problem.weight_shape) * problem.itemsize
    tables = 3 * 8 * max(problem.reach(problem.out_size, problem.out_size)[1])
    moved = 3 * packed + moved + tables
    tiles = problem.batch * problem.pixels / 13 + 1
    merged = problem.kernel_size[-1] if _may_merge(problem) else 1
    read = tiles * problem.taps / merged / 20  # addresses written
    steps = places.waiting(problem) + 25 + problem.groups * read
    rows = places.planned_rows(problem)
    each = _scratch_nbytes(problem, rows, block, merged, _HELD)
    held = packed + tables + max(cast, copied + each)
    helpers = places.helpers(problem)
    return Cost(
        2 * problem.macs * filled, moved, held, steps, each=each, helpers=helpers,
        packing=3 * packed,
    )  # fmt: skip


def pack_weight(problem: ConvProblem, weight: np.ndarray) -> np.ndarray:
    """Return the weight packed."""
    if pointwise.suits(problem):
        return pointwise.matrix(problem, weight).copy()
    return packing.pack(problem, places.block(problem), weight)


def forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out, tile by tile of pixels and block by block of outputs."""
    if pointwise.suits(problem):
        packed = pointwise.matrix(problem, weight)
    else:
        packed = packing.pack(problem, places.block(problem), weight)
    forward_packed(problem, x, packed, out, ending)


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out from the packed weight."""
    bias = ending.bias
    if bias is not None and not bias.flags.aligned:
        ending = ending._replace(bias=bias.copy())
    if pointwise.suits(problem):
        pointwise.forward(problem, x, packed, out, ending)
        return
    direct = relayout.lies_well(problem, out)
    streams = direct and out.nbytes >= _STREAMED  # no copy of it is read
    if direct and relayout.lies_well(problem, x):
        _forward(problem, x, packed, out, ending, streams)
        return
    for piece, source, goal in relayout.pieces(problem, x, out):
        _forward(piece, source, packed, goal, ending, streams)


def _forward(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending,
    streams: bool,
) -> None:
    """Write a piece: x and out have their channels side by side."""
    find = _template if _remembered(problem) else _template.__wrapped__
    limits = ending.least, ending.most
    template, vector = find(
        problem, x.strides, out.strides, limits, (arrays.WORTH_SHARING, _HELD)
    )  # fmt: skip
    at = out.ctypes.data
    bias = 0 if ending.bias is None else ending.bias.ctypes.data
    streams = streams and vector > 0 and at % vector == 0
    template.run(x.ctypes.data, packed.ctypes.data, at, bias, streams)


@lru_cache(maxsize=1024)
def _remembered(problem: ConvProblem) -> bool:
    """Return whether templates are kept: not those with tables of many offsets."""
    return max(problem.reach(problem.out_size, problem.out_size)[1]) <= _KEPT


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem,
    x_strides: tuple[int, ...],
    out_strides: tuple[int, ...],
    limits: tuple[float, float],
    cut: tuple[int, int],
) -> tuple[Template, int]:
    """Return the work for arrays of these strides, and what `_vector` says of out.

    cut: the multiply-adds worth a share, and the tiles whose addresses are known at once.
    """
    from npconv.kernels import direct
    from npconv.kernels import direct_layer as record
    from npconv.kernels.fields import words

    worth, held = cut
    size, channels, outputs = problem.itemsize, problem.group_channels, problem.group_outputs
    merged = _merged(problem, x_strides)
    offsets = [np.zeros(1, np.int64)] * (3 - problem.ndim) + [
        addresses.offsets(problem, axis, step) for axis, step in enumerate(x_strides[1:-1])
    ]
    zeros = np.zeros(channels * merged, problem.compute_dtype)
    block, rows = places.block(problem), places.rows(problem)
    tiles, blocks = -(-problem.batch * problem.pixels // rows), -(-outputs // block)
    out_size, kernel_size, stride, dilation = (
        record.Three(*addresses.three(axis))
        for axis in (
            problem.out_size, problem.kernel_size, addresses.strides(problem), problem.dilation
        )
    )  # fmt: skip
    depth, height, width = (table.ctypes.data for table in offsets)
    first, last = addresses.inside(problem)
    sizes = record.Sizes(problem.batch, channels, outputs, block, held)
    grid = places.grid(problem, tiles, blocks, worth)
    each = _scratch_nbytes(problem, rows, block, merged, held)
    image, *spatial = out_strides[:-1]
    layer = record.Layer(
        record.Call(0, 0, 0, 0, 0),
        record.Source(
            channels * size, x_strides[0], depth, height, width, zeros.ctypes.data, x_strides[-2],
            first, last,
        ),
        record.Target(outputs * size, image, *addresses.three(spatial, 0)),
        record.Windows(out_size, kernel_size, stride, dilation, merged),
        sizes, record.Limits(*map(float, limits)), grid, each,
    )  # fmt: skip
    entry = direct.convolve[problem.compute_dtype.char]
    made = Template(entry, words(layer), grid.items, each, (offsets, zeros))
    return made, _vector(problem, out_strides)


def _merged(problem: ConvProblem, x_strides: tuple[int, ...]) -> int:
    """Return how many taps of the width are read as one: all, where each has few channels."""
    beside = x_strides[-2] == problem.group_channels * problem.itemsize and problem.size[-1] > 1
    return problem.kernel_size[-1] if beside and _may_merge(problem) else 1


def _may_merge(problem: ConvProblem) -> bool:
    return problem.group_channels < _FEW and problem.dilation[-1] == 1


def _vector(problem: ConvProblem, out_strides: tuple[int, ...]) -> int:
    """Return the bytes of a vector, of which out's address must be a multiple to be streamed.

    0 where each group's rows do not begin at whole vectors all the same.
    """
    from npconv.kernels import simd

    vector = simd.MACHINE.vector_nbytes
    steps = [s for n, s in zip(problem.out_shape[:-1], out_strides[:-1], strict=True) if n > 1]
    apart, group = (
        n * problem.itemsize for n in (problem.out_channels, problem.group_outputs)
    )  # fmt: skip
    aligned = all(s % vector == 0 for s in (apart, group, *steps))
    return vector if aligned and all(abs(s) >= apart for s in steps) else 0


def _scratch_nbytes(problem: ConvProblem, rows: int, block: int, merged: int, held: int) -> int:
    """Return the bytes of a thread: addresses, a tile of outputs, and patches of x."""
    patches = held * rows * problem.terms if merged > 1 else 0
    elements = (rows + 1) * block + patches
    entries = (held * (problem.taps // merged + 1) + 1) * rows
    return whole_lines(elements * problem.itemsize + 8 * entries)


def _packed_nbytes(problem: ConvProblem) -> int:
    block = places.planned_block(problem)
    blocks = -(-problem.group_outputs // block)
    return problem.groups * blocks * block * problem.terms * problem.itemsize
