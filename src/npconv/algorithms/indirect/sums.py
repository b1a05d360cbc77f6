"""The forward direction."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import addresses, arrays, packing, relayout, spare
from npconv.algorithms.contract import NOTHING, Bound, Cost, Ending
from npconv.algorithms.indirect import places, pointwise
from npconv.memory import address, whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

_KEPT = 1 << 11  # positions along an axis whose offsets are remembered
_HELD = 8  # tiles whose addresses are known at once
_FEW = 16  # channels
_STREAMED = 8 << 20  # bytes of out
_LATE_TILES = 20  # of pixels, up to which blocks of a weight are packed where they are used
_LATE_NBYTES = 640 << 10  # of such a block


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
    late = _packs_late(problem)
    packs = packed if late else 3 * packed
    moved += packs + tables
    tiles = problem.batch * problem.pixels / 13 + 1
    merged = problem.kernel_size[-1] if _may_merge(problem) else 1
    read = tiles * problem.taps / merged / 20  # addresses written
    steps = places.waiting(problem) + 25 + problem.groups * read
    rows = places.planned_rows(problem)
    each = _scratch_nbytes(problem, rows, block, merged, _LATE_TILES if late else _HELD)
    each += problem.terms * block * problem.itemsize * late
    held = packed * (not late) + tables + max(cast, copied + each)
    helpers = places.helpers(problem)
    return Cost(
        2 * problem.macs * filled, moved, held, steps, each=each, helpers=helpers,
        packing=packs,
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
        forward_packed(problem, x, pointwise.matrix(problem, weight), out, ending)
    elif _packs_late(problem):
        weight = packing.ready(problem, weight)
        _convolve(problem, x, weight, out, ending, weight.strides)
    else:
        packed = packing.pack(problem, places.block(problem), weight)
        _convolve(problem, x, packed, out, ending)


def forward_packed(
    problem: ConvProblem,
    x: np.ndarray,
    packed: np.ndarray,
    out: np.ndarray,
    ending: Ending = NOTHING,
) -> None:
    """Write out from the packed weight."""
    if pointwise.suits(problem):
        pointwise.forward(problem, x, packed, out, _aligned(ending))
    else:
        _convolve(problem, x, packed, out, ending)


def _aligned(ending: Ending) -> Ending:
    bias = ending.bias
    if bias is not None and not bias.flags.aligned:
        return ending._replace(bias=bias.copy())
    return ending


def _convolve(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending,
    lies: tuple[int, ...] | None = None,
) -> None:
    """Write out from the packed weight, or from one that `lies` in these strides."""
    ending = _aligned(ending)
    direct = relayout.lies_well(problem, out)
    streams = direct and out.nbytes >= _STREAMED  # no copy of it is read
    if direct and relayout.lies_well(problem, x):
        _forward(problem, x, weight, out, ending, (streams, lies))
        return
    for piece, source, goal in relayout.pieces(problem, x, out):
        _forward(piece, source, weight, goal, ending, (streams, lies))


def _forward(
    problem: ConvProblem,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    ending: Ending,
    how: tuple[bool, tuple[int, ...] | None],
) -> None:
    """Write a piece, whose x and out have their channels side by side; how: streams, lies."""
    streams, lies = how
    template, vector = _work(problem, x, out, ending, lies)
    at = out.ctypes.data
    bias = 0 if ending.bias is None else ending.bias.ctypes.data
    streams = streams and vector > 0 and at % vector == 0
    template.run(x.ctypes.data, weight.ctypes.data, at, bias, streams)


def bind(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    """Return the same for arrays that lie as these do; None where one has to be turned first."""
    if weight.dtype != problem.compute_dtype:
        return None
    if pointwise.suits(problem):
        found = pointwise.bind(problem, x, weight, out, ending)
        if found is not None:
            return found
    return relayout.bind_around(
        problem, x, out, lambda x, out: _bind_dense(problem, x, weight, out, ending)
    )


def _bind_dense(
    problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound:
    shape, pack = packing.work(problem, places.block(problem), weight)
    template, vector = _work(problem, x, out, ending)
    nbytes = math.prod(shape) * problem.itemsize
    vector = vector if out.nbytes >= _STREAMED else 0
    late = _work(problem, x, out, ending, weight.strides)[0] if _packs_late(problem) else None

    takes_packed = not pointwise.suits(problem)  # else pack_weight's is of another form

    def run(x: int, weight: int, out: int, bias: int, packed: Any) -> None:
        streams = vector > 0 and out % vector == 0
        if packed is not None and takes_packed:
            template.run(x, address(packed), out, bias, streams)
        elif late is not None:
            late.run(x, weight, out, bias, streams)
        else:
            packed = spare.room(nbytes)
            at = address(packed)
            pack.run(weight, at)
            template.run(x, at, out, bias, streams)

    return run


def _work(
    problem: ConvProblem,
    x: np.ndarray,
    out: np.ndarray,
    ending: Ending,
    lies: tuple[int, ...] | None = None,
) -> tuple[Template, int]:
    find = _template if _remembered(problem) else _template.__wrapped__
    limits = ending.least, ending.most
    cut = arrays.WORTH_SHARING, _HELD
    return find(problem, x.strides, out.strides, limits, cut, lies)


def _packs_late(problem: ConvProblem) -> bool:
    """Return whether blocks of a weight that comes as it lies are packed where they are used."""
    block, rows = places.planned_block(problem), places.planned_rows(problem)
    tiles, blocks = _tiles(problem, rows), -(-problem.group_outputs // block)
    small = problem.terms * block * problem.itemsize <= _LATE_NBYTES
    small = small and tiles <= _LATE_TILES and not _may_merge(problem)
    return small and places.suits_blocks(problem, blocks)


def _tiles(problem: ConvProblem, rows: int) -> int:
    return -(-problem.batch * problem.pixels // rows)


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
    lies: tuple[int, ...] | None,
) -> tuple[Template, int]:
    """Return the work for arrays of these strides, and what `_vector` says of out.

    cut: the multiply-adds worth a share, and the tiles whose addresses are known at once.  lies:
    None for a packed weight.
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
    tiles, blocks = _tiles(problem, rows), -(-outputs // block)
    out_size, kernel_size, stride, dilation = (
        record.Three(*addresses.three(axis))
        for axis in (
            problem.out_size, problem.kernel_size, addresses.strides(problem), problem.dilation
        )
    )  # fmt: skip
    depth, height, width = (table.ctypes.data for table in offsets)
    first, last = addresses.inside(problem)
    grid, fresh, taps = places.grid(problem, tiles, blocks, worth), record.PACKED, None
    if lies is not None:
        held = tiles
        grid = places.grid_by_blocks(problem, tiles, blocks, worth)
        fresh, taps = packing.as_it_lies(problem, block, lies)
    sizes = record.Sizes(problem.batch, channels, outputs, block, held)
    each = _scratch_nbytes(problem, rows, block, merged, held)
    each += fresh.taps * fresh.channels * fresh.block * size
    image, *spatial = out_strides[:-1]
    layer = record.Layer(
        record.Call(0, 0, 0, 0, 0),
        record.Source(
            channels * size, x_strides[0], depth, height, width, zeros.ctypes.data, x_strides[-2],
            first, last,
        ),
        record.Target(outputs * size, image, *addresses.three(spatial, 0)),
        record.Windows(out_size, kernel_size, stride, dilation, merged),
        sizes, record.Limits(*map(float, limits)), grid, each, fresh,
    )  # fmt: skip
    entry = direct.convolve[problem.compute_dtype.char]
    made = Template(entry, words(layer), grid.items, each, (offsets, zeros, taps))
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
