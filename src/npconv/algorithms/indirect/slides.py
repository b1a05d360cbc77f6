"""The input gradient of few channels: a pixel's products at once, then sums of what slides.

What a pixel of grad_out times a line of the kernel gives lies side by side in grad_x, all its
channels together, and fills vectors where the channels alone would not.  The products of some lines
of pixels stay in cache until they are added; grad_out is read once, as it lies.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from npconv import addresses, adjoints, arrays, relayout
from npconv.algorithms.contract import Cost
from npconv.algorithms.indirect import places
from npconv.memory import whole_lines
from npconv.problem import ConvProblem, spans_padding
from npconv.templates import Template

_PANEL_NBYTES = 1 << 19  # of products held at once
_FEW_BYTES = 64  # of a pixel of x
_MANY = 12  # outputs: of fewer, products cost less than their sums
_SCRATCH_MOST = 4 << 20  # of a thread: no cache holds more
_LONG = 4  # times what two parts of an axis have in common, at least, that each is long
_MOST = 1 << 12  # parts of an axis
_VECTOR = 64  # bytes, as costs are reckoned
_SUM_FLOPS = 150  # in the time that a vector of products is added in


@lru_cache(maxsize=1024)
def suits(problem: ConvProblem) -> bool:
    """Return whether x has few channels, there are many of grad_out, and lines stay in cache."""
    few = problem.in_channels * problem.itemsize < _FEW_BYTES
    few = few and problem.out_channels >= _MANY
    if problem.groups > 1 or not few or problem.macs == 0 or places.why_not(problem):
        return False
    return _planned(problem).each <= _SCRATCH_MOST


def input_grad_cost(problem: ConvProblem) -> Cost:
    """Return the flops of whole tiles and of the sums, and the copies of what lies otherwise."""
    cut, whole, size = _planned(problem), _inner(problem), problem.itemsize
    block, blocks, runs, run = cut.sizes[2:6]
    depth, height, _ = addresses.three(problem.kernel_size)
    products = depth * blocks * block
    vectors = depth * height * runs * -(-run * size // _VECTOR)
    windows = problem.batch * problem.pixels * cut.again
    flops = windows * (2 * products * problem.out_channels + _SUM_FLOPS * vectors)
    packed = products * problem.out_channels * size
    grads = padded = turned = 0
    if problem.out_dtype != problem.compute_dtype:
        grads = math.prod(problem.out_shape) * size
    elif not problem.channels_last:
        turned = math.prod(problem.out_shape) * size
    if spans_padding(problem):
        padded = math.prod(whole.x_shape) * size
    moved = 4 * packed + 2 * grads + turned + 4 * padded + math.prod(whole.x_shape) * size
    held = 2 * packed + grads + 2 * padded + cut.each
    steps = places.waiting(problem) + 30
    return Cost(flops, moved, held, steps, each=cut.each, helpers=cut.items - 1)


def input_grad(
    problem: ConvProblem, grad_out: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write out; where padding stands for elements of x, it is computed with x and added to it."""
    whole = _inner(problem)
    given = grad_out if _lies_well(problem, grad_out) else relayout.dense(problem, grad_out)
    turns = problem.out_channels > 1 and given.strides[-1] != problem.itemsize
    cut = _cut(whole, *_block(problem), turns, _limits())
    packed = _packed(problem, cut, weight)
    target, spans = out, spans_padding(problem)
    if spans or out.dtype != problem.compute_dtype or not out.flags.aligned:
        target = np.empty_like(out, problem.compute_dtype, shape=whole.x_shape, subok=False)
    template = _template(whole, cut, given.strides, target.strides)
    template.run(given.ctypes.data, packed.ctypes.data, target.ctypes.data)
    if spans:
        adjoints.unpad(problem, target, out)
    elif target is not out:
        out[...] = target


@lru_cache(maxsize=256)
def _inner(problem: ConvProblem) -> ConvProblem:
    """Return the problem whose x is the padded one, where padding has a gradient."""
    if not spans_padding(problem):
        return problem
    nothing = ((0, 0),) * problem.ndim
    return replace(problem, size=problem.padded_size, padding=nothing, padding_mode="zeros")


def _lies_well(problem: ConvProblem, grad_out: np.ndarray) -> bool:
    """Return whether the kernel reads it as it lies: channels side by side, or a line's pixels."""
    beside = grad_out.shape[-2] == 1 or grad_out.strides[-2] == problem.itemsize
    planes = beside and grad_out.dtype == problem.compute_dtype and grad_out.flags.aligned
    return planes or relayout.lies_well(problem, grad_out)


class _Axis(NamedTuple):
    """An axis as the kernels have it: elements of grad_x, and the windows over them."""

    size: int
    before: int
    windows: int
    taps: int
    stride: int
    dilation: int

    @property
    def reach(self) -> int:
        """Elements from the first to the last of a window."""
        return (self.taps - 1) * self.dilation

    def parts(self, wanted: int) -> int:
        """Return into how many parts to cut it: fewer than wanted where windows would meet many."""
        longest = self.windows // (_LONG * (self.reach // self.stride + 1))
        return max(min(wanted, longest, self.size), 1)

    def met(self, each: int) -> list[int]:
        """Return how many windows the elements of each part meet."""
        firsts = range(0, self.size, each)
        return [self._met(first, min(first + each, self.size)) for first in firsts]

    def _met(self, first: int, last: int) -> int:
        begin = max(-((self.reach - first - self.before) // self.stride), 0)
        end = min((last - 1 + self.before) // self.stride + 1, self.windows)
        return max(end - begin, 0)


def _axes(problem: ConvProblem) -> tuple[_Axis, _Axis, _Axis]:
    """Return the three axes; a stride that is never taken may be huge."""
    taken = [max(step, 1) for step in addresses.strides(problem)]
    befores = [before for before, _ in problem.padding]
    each = (
        addresses.three(problem.size), addresses.three(befores, 0),
        addresses.three(problem.out_size), addresses.three(problem.kernel_size),
        addresses.three(taken), addresses.three(problem.dilation),
    )  # fmt: skip
    depth, height, width = map(_Axis, *each)
    return depth, height, width


class _Cut(NamedTuple):
    """How a gradient is cut up.

    sizes  as the kernels' Sizes has them, and where a thread's scratch has what, as their Room
    item   planes, lines and columns of an item, of `items`
    again  times that products are computed: more than once where items meet
    each   bytes of a thread's scratch
    """

    sizes: tuple[int, ...]
    room: tuple[int, ...]
    item: tuple[int, int, int]
    items: int
    again: float
    each: int


def _limits() -> tuple[int, int]:
    return arrays.WORTH_SHARING, _PANEL_NBYTES


def _block(problem: ConvProblem) -> tuple[int, int]:
    """Return how many products, and of how many pixels, a tile of registers spans."""
    from npconv.kernels import products, simd

    lanes = simd.lanes(problem.compute_dtype.name)
    if _columns(problem) <= lanes:
        return lanes, products.TALL
    return products.VECTORS * lanes, products.ROWS


def _columns(problem: ConvProblem) -> int:
    """Return the products of a pixel and a depth of the kernel."""
    return problem.terms // addresses.three(problem.kernel_size)[0]


def _planned_block(problem: ConvProblem) -> tuple[int, int]:
    """Return the same as `_block`, or a guess that loads no Numba for little work."""
    return (128 // problem.itemsize, 26) if places.waiting(problem) else _block(problem)


def _planned(problem: ConvProblem) -> _Cut:
    turns = not problem.channels_last and problem.out_channels > 1
    return _cut(_inner(problem), *_planned_block(problem), turns, _limits())


@lru_cache(maxsize=256)
def _cut(problem: ConvProblem, block: int, rows: int, turns: bool, limits: tuple[int, int]) -> _Cut:
    """Return how a gradient is cut up.

    turns: whether lines of grad_out are laid channels last; limits: multiply-adds worth a share,
    and bytes of products held at once.
    """
    worth, panel = limits
    size, channels, outputs = problem.itemsize, problem.in_channels, problem.out_channels
    depth, height, width = _axes(problem)
    blocks = -(-_columns(problem) // block)
    pixel = blocks * block * size
    reach = height.reach // height.stride + 1
    columns = width.parts(-(-(reach + 1) * width.windows * pixel // panel))
    line = (-(-width.size // columns) + 2 * width.reach) * channels + block
    planes = problem.batch * depth.size
    shares = max(min(problem.macs // worth * 2, places.SHARES), 1)
    lines = height.parts(-(-shares // (planes * columns)))
    if depth.taps > 1:  # lines are kept until each depth was added to them
        lines = min(max(lines, -(-height.size * line * size // panel)), height.size, _MOST)
    together = max(planes // shares, 1) if lines * columns == 1 else 1
    item = together, -(-height.size // lines), -(-width.size // columns)
    down, across = height.met(item[1]), width.met(item[2])
    widest, narrowest = max(across), min(filter(None, across), default=1)
    more = -(-(rows - 1) // narrowest)  # lines that a tile has pixels of, beyond the first
    held, turned = (min(n + more, max(*down, 1)) for n in (reach, 1))
    turned *= turns
    run, runs = width.taps * channels, 1
    if width.dilation > 1:
        run, runs = channels, width.taps
    kept = item[1] if depth.taps > 1 else 1
    sizes = (
        channels, outputs, block, blocks, runs, run, held, turned, widest, kept, line
    )  # fmt: skip
    entries = 8 * -(-widest // rows) * rows
    lengths = (
        block * size, held * widest * pixel + block * size, turned * widest * outputs * size,
        kept * line * size, entries, entries, 8 * height.taps,
    )  # fmt: skip
    *offsets, each = itertools.accumulate(map(whole_lines, lengths), initial=0)
    items = -(-planes // together) * len(down) * len(across)
    again = sum(down) * sum(across) / max(height.windows * width.windows, 1)
    return _Cut(sizes, (*offsets, pixel), item, items, again, each)


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem, cut: _Cut, grad: tuple[int, ...], out: tuple[int, ...]
) -> Template:
    """Return the work for grad_out and grad_x of these strides."""
    from npconv.kernels import slides
    from npconv.kernels import slides_layer as kernels
    from npconv.kernels.fields import Grid, words

    axes = _axes(problem)
    depth, height, width = (kernels.Axis(*axis) for axis in axes)
    grid = Grid(problem.batch * depth.size, height.size, width.size, *cut.item)
    layer = kernels.Layer(
        kernels.Call(0, 0, 0), _steps(problem, problem.out_shape, grad),
        _steps(problem, problem.x_shape, out), depth, height, width, kernels.Sizes(*cut.sizes),
        kernels.Room(*cut.room), grid, cut.each,
    )  # fmt: skip
    entry = slides.compute[problem.compute_dtype.char]
    return Template(entry, words(layer), grid.items, cut.each)


def _steps(problem: ConvProblem, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Return an array's Steps, those along axes of one element as they are in whole rows."""
    from npconv.kernels.slides_layer import Steps

    size = problem.itemsize
    channel = strides[-1] if shape[-1] > 1 else size
    width = strides[-2] if shape[-2] > 1 else shape[-1] * size
    return Steps(strides[0], *addresses.three(strides[1:-2], 0)[1:], width, channel)


def _packed(problem: ConvProblem, cut: _Cut, weight: np.ndarray) -> np.ndarray:
    """Return the weight (depths, blocks, outputs, block), zeros after the last tap and channel."""
    block, blocks = cut.sizes[2:4]
    depth, columns = addresses.three(problem.kernel_size)[0], _columns(problem)
    wide = np.zeros((depth, blocks * block, problem.out_channels), problem.compute_dtype)
    wide[:, :columns] = weight.reshape(depth, columns, -1)
    split = wide.reshape(depth, blocks, block, -1)
    return np.ascontiguousarray(np.swapaxes(split, -1, -2))
