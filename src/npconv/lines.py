"""Sums of neighbours along lines, laid out for the kernels: sections, shares, scratch.

A plane of x holds the numbers of one channel, or of all the channels of an image woven into one
another; each has one plane of weights.  Lines of out are cut into sections, for each of which the
lines that it reads are made in scratch, no more than the second cache holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from npconv import addresses, arrays, borders, compiler
from npconv.memory import whole_lines
from npconv.problem import ConvProblem
from npconv.templates import Template

if TYPE_CHECKING:
    from npconv.kernels.fields import Grid

_SHARES = 16
_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 1e6  # steps
_HELD = 3 << 16  # bytes of the lines that are held: within the second cache
_BANDS = 8  # times the lines that the next share reads again
_APART = 4  # multiply-adds in the time of a number read and written
_VECTOR = 64  # bytes, as costs are reckoned


class Lie(NamedTuple):
    """How an array lies: its numbers' dtype, its strides (N, *size, C), what a pixel is.

    woven: numbers of a pixel, side by side; the one channel of the problem is all of them.
    """

    dtype: np.dtype
    strides: tuple[int, ...]
    woven: int = 1


class Ended(NamedTuple):
    """What is done to each sum: cut off; or where out holds whole numbers, divided and rounded.

    mirrors: whether what is below zero is made positive; lift: added to what was rounded; largest:
    what that is at most, and it is 0 at least; reach: what no sum of whole numbers exceeds.
    """

    least: float = -math.inf
    most: float = math.inf
    divisor: int = 1
    mirrors: bool = False
    lift: float = 0
    largest: float = 0
    reach: float = math.inf


class _Shape(NamedTuple):
    """Lines of a tile and of a plane that are held, numbers read past a section, and of one."""

    rows: int
    held: int
    span: int
    section: int


def waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    return 0 if problem.macs >= _LITTLE or compiler.ready("stencil") else _COMPILING


def shares(problem: ConvProblem, woven: int = 1) -> int:
    """Return into how many shares the work is worth cutting."""
    numbers = problem.batch * problem.pixels * problem.out_channels * woven
    work = problem.macs * woven + _APART * numbers
    return max(min(work * _APART // arrays.WORTH_SHARING, _SHARES), 1)


def rows(problem: ConvProblem) -> int:
    """Return how many lines a tile has."""
    height = problem.kernel_size[-2] if problem.ndim > 1 else 1
    if problem.ndim > 1 and problem.dilation[-2] > 1:
        return 1
    return 4 if height >= 4 else 2 if height >= 2 else 1


def template(
    problem: ConvProblem, x: Lie, out: Lie, ended: Ended, separable: bool = False
) -> Template:
    """Return the work for arrays that lie so; a call gives the addresses x, weights, out, bias.

    Weights are (outputs, *kernel_size), dense; of a separable kernel the column, then the row.
    """
    from npconv.kernels import stencil
    from npconv.kernels.direct_layer import Three
    from npconv.kernels.fields import words
    from npconv.kernels.stencil_layer import Call, Form, Layer
    from npconv.kernels.stencil_tile import Taps

    size = problem.itemsize
    shape = _shape(problem, x.woven, separable)
    source, kept = _source(problem, x)
    depth, height, width = addresses.three(problem.kernel_size)
    holes = addresses.three(problem.dilation)
    deep, high, pixels = addresses.three(problem.out_size)
    longest, table = _sections(pixels * x.woven, shape.section)
    line = whole_lines((longest + shape.span) * size)
    step = holes[2] * x.woven * size
    each = whole_lines(8 * (depth * (height + shape.rows - 1) + shape.rows))
    each += (depth * shape.held + 1 + shape.rows) * line
    planes = problem.batch * problem.out_channels * deep
    grid = _grid((planes, high, len(table)), shares(problem, x.woven), shape)
    layer = Layer(
        Call(0, 0, 0, 0), source, _target(problem, out), problem.out_channels,
        Three(deep, high, pixels * x.woven),
        Taps(depth, height, 1 if separable else width, step), Three(*holes),
        Form(shape.rows, shape.held, line, width if separable else 0, step, shape.span),
        _ends(ended, problem.compute_dtype),
        table.ctypes.data, grid, each,
    )  # fmt: skip
    entry = stencil.convolve[problem.compute_dtype.char]
    return Template(entry, words(layer), grid.items, each, (kept, table))


def _ends(ended: Ended, dtype: np.dtype) -> Any:
    """Return the kernels' Ends: a product in place of a quotient where it rounds to the same.

    A power of two's is exact.  A whole number over an odd one is never halfway between two whole
    ones, but half of one over the divisor off at least, and the product is not off by as much.
    """
    from npconv.kernels.stencil_layer import Ends

    divisor = ended.divisor
    odd = divisor % 2 == 1 and ended.reach < 0.25 / np.finfo(dtype).eps
    divides = not (odd or divisor & (divisor - 1) == 0)
    factor = float(divisor if divides else dtype.type(1) / dtype.type(divisor))
    return Ends(
        float(ended.least), float(ended.most), factor, int(divides), int(ended.mirrors),
        float(ended.lift), float(ended.largest),
    )  # fmt: skip


def scratch_nbytes(problem: ConvProblem, lanes: int) -> int:
    """Return about what a thread's scratch takes, with vectors of so many numbers."""
    held, _ = _held(problem)
    depth = addresses.three(problem.kernel_size)[0]
    span = (problem.dilated_size[-1] - 1) * problem.itemsize
    rows = depth * held + 1 + 4
    wide = min(max(_HELD // rows, 8 * lanes * problem.itemsize), problem.out_size[-1] * 8 + 512)
    return rows * (wide + span + 128) + 8 * depth * (held + 8)


def _held(problem: ConvProblem) -> tuple[int, int]:
    """Return how many lines of a plane are held, and the lines of a tile."""
    each = rows(problem)
    high = problem.dilated_size[-2] if problem.ndim > 1 else 1
    return high - 1 + each, each


def _shape(problem: ConvProblem, woven: int, separable: bool) -> _Shape:
    from npconv.kernels import simd
    from npconv.kernels.stencil_tile import VECTORS

    held, each = _held(problem)
    span = (problem.dilated_size[-1] - 1) * woven
    wide = VECTORS * simd.lanes(problem.compute_dtype.name)
    depth = addresses.three(problem.kernel_size)[0]
    room = _HELD // problem.itemsize // (depth * held + each + separable)
    return _Shape(each, held, span, max(room // wide, 1) * wide)


def _sections(width: int, most: int) -> tuple[int, np.ndarray]:
    """Return the longest section of a line, whole tiles, and (begin, end) of each, int64."""
    from npconv.kernels.stencil_tile import VECTORS

    step = VECTORS * _VECTOR // 4
    count = -(-width // most)
    each = -(-width // (count * step)) * step
    begins = np.arange(0, width, each, dtype=np.int64)
    return each, np.stack([begins, np.minimum(begins + each, width)], axis=1)


def _grid(counts: tuple[int, int, int], wanted: int, shape: _Shape) -> Grid:
    """Return how planes, lines and sections are shared out: planes first, then bands of lines."""
    from npconv.kernels.fields import Grid

    planes, lines, sections = counts
    item = -(-planes // min(wanted, planes))
    wanted = -(-wanted // -(-planes // item))
    again = shape.held - shape.rows
    bands = max(min(wanted, lines // max(_BANDS * again, 4 * shape.rows)), 1)
    band = -(-lines // (bands * shape.rows)) * shape.rows
    wanted = -(-wanted // -(-lines // band))
    return Grid(planes, lines, sections, item, band, -(-sections // min(wanted, sections)))


def _source(problem: ConvProblem, x: Lie) -> tuple[Any, list[np.ndarray]]:
    """Return the kernels' Source, and what it points to."""
    from npconv.kernels.stencil_layer import Source

    image, *spatial, group = x.strides
    tables = [np.zeros(1, np.int64)] * (3 - problem.ndim) + [
        addresses.offsets(problem, axis, step) for axis, step in enumerate(spatial[:-1])
    ]
    reach = problem.reach(problem.out_size, problem.out_size)[1][-1]
    before, size = problem.padding[-1][0], problem.size[-1]
    first = min(max(before, 0), reach)
    last = max(min(before + size, reach), first)
    step = spatial[-1] if size > 1 else x.woven * x.dtype.itemsize
    beyond = [
        borders.source(problem.padding_mode, size, a - before, z - before)
        for a, z in ((0, first), (last, reach))
    ]
    listed = np.concatenate([*beyond, np.zeros(1, np.int64)])
    tables.append(np.where(listed < 0, -1, listed * step))
    numbers = (n * x.woven for n in (first, last, before, reach))
    depth, height, ends = (table.ctypes.data for table in tables)
    kind = _kind(x.dtype)
    return Source(kind, group, image, depth, height, ends, x.woven, step, *numbers), tables


def _target(problem: ConvProblem, out: Lie) -> Any:
    """Return the kernels' Target."""
    from npconv.kernels.stencil_layer import Target

    image, *spatial, output = out.strides
    deep, high, pixel = addresses.three(spatial, 0)
    number = out.dtype.itemsize
    if out.woven == 1 and problem.out_size[-1] > 1:
        number = pixel
    return Target(_kind(out.dtype), problem.group_outputs, output, image, deep, high, number)


def _kind(dtype: np.dtype) -> int:
    """Return the kernels' name of a dtype: whole numbers without a sign, or what is computed in."""
    from npconv.kernels.stencil_pixels import BYTES, FLOATS, SHORTS

    return {"B": BYTES, "H": SHORTS}.get(dtype.char, FLOATS)


def fits(array: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether kernels read an array as it lies."""
    return array.dtype == dtype and array.flags.aligned
