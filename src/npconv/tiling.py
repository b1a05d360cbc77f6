"""How a Winograd convolution is cut up: what computes each axis, tiles, and shares for threads.

The last two axes are computed in tiles, a third before them tap by tap.  A dilation d of an axis
leaves d separate convolutions without holes, of every d-th element each (fewer where the stride has
a factor in common with d): a tile belongs to one of these.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from npconv.kernels import toom
from npconv.problem import ConvProblem
from npconv.threads import forget_when_changed

if TYPE_CHECKING:
    from npconv.kernels.winograd_layer import Room, Sizes

_WORKSPACE = 3 << 17  # bytes of a block of tiles and its products: in the second cache
_SHARES = 16
_HELD = 4  # times the tile's rows, where x is transformed first
_FEW = 16  # times the tile's rows: so few tiles that reading them again costs little
_LARGE = 42  # times the room for a block of tiles: weights that no cache holds
_PASS = 32  # flops that take as long as the transform of an element
_LENGTHS = 8  # ways to cut the depth that are looked at
_FRESH = 8  # the same where they are yet to be transformed: written to memory, and read again


class Work(NamedTuple):
    """How a problem, or each of its groups, is cut up.

    rows          places in toom.ROWS of what computes the two axes
    length        outputs of the depth in a column of tiles
    columns       how many columns there are
    block         outputs of a block, and `blocks` of these
    held          columns in work at once
    whole         whether all of x is transformed first, and then the weight block by block
    sizes         what a thread's scratch holds of tiles
    block_nbytes  of a block of the transformed weight, and `transform_nbytes` to make it
    item_columns  columns, and `item_blocks` blocks, of an item to share out
    """

    rows: tuple[int, int]
    length: int
    columns: int
    block: int
    blocks: int
    held: int
    whole: bool
    sizes: Sizes
    block_nbytes: int
    transform_nbytes: int
    item_columns: int
    item_blocks: int

    @property
    def planes(self) -> int:
        """Products of a tile."""
        return math.prod(toom.ROWS[i].span for i in self.rows)

    @property
    def shared_nbytes(self) -> int:
        """Bytes that the threads share: all of x transformed, or all of the weight."""
        return self.planes * self.sizes.plane if self.whole else self.weight_nbytes

    @property
    def weight_nbytes(self) -> int:
        """Bytes of the transformed weight."""
        return self.blocks * self.block_nbytes

    @property
    def items(self) -> int:
        """How many items there are."""
        return -(-self.columns // self.item_columns) * -(-self.blocks // self.item_blocks)

    def room(self, packs: bool) -> Room:
        """Return a thread's scratch; packs: whether it transforms blocks of the weight there."""
        from npconv.kernels import winograd_layer as kernels

        return kernels.room(self.sizes, packs * self.block_nbytes, packs * self.transform_nbytes)

    @property
    def thread_nbytes(self) -> int:
        """Bytes that each thread holds."""
        return self.room(self.whole).nbytes


class Axis(NamedTuple):
    """One axis of a problem, as many phases without holes."""

    taps: int
    stride: int
    dilation: int
    out_size: int

    @property
    def leap(self) -> int:
        """Outputs from one of a phase to the next: how many phases there are."""
        return self.dilation // math.gcd(self.stride, self.dilation)

    @property
    def phase_stride(self) -> int:
        """The stride of a phase."""
        return self.stride // math.gcd(self.stride, self.dilation)

    def tiles(self, outputs: int) -> int:
        """Return how many tiles of so many outputs all the phases have."""
        short, more = divmod(self.out_size, self.leap)
        return more * -(-(short + 1) // outputs) + (self.leap - more) * -(-short // outputs)

    def starts(self, outputs: int) -> np.ndarray:
        """Return the first output of each tile, int64."""
        step = self.leap * outputs
        phases = range(min(self.leap, self.out_size))
        return np.concatenate([np.arange(p, self.out_size, step, dtype=np.int64) for p in phases])


def tiled_axes(problem: ConvProblem) -> list[Axis]:
    """Return the two axes that have tiles; one of one element stands before a single one."""
    return [Axis(1, 1, 1, 1), *(_axis(problem, i) for i in range(problem.ndim))][-2:]


def depth_axis(problem: ConvProblem) -> Axis:
    """Return the third axis, before those."""
    return _axis(problem, 0) if problem.ndim == 3 else Axis(1, 1, 1, 1)


def _axis(problem: ConvProblem, i: int) -> Axis:
    # A stride that is never taken may be huge.
    stride = problem.stride[i] if problem.out_size[i] > 1 else 1
    return Axis(problem.kernel_size[i], stride, problem.dilation[i], problem.out_size[i])


@lru_cache(maxsize=256)
def rows(problem: ConvProblem) -> tuple[int, ...]:
    """Return the rows of toom.ROWS that take the fewest flops; none where no products are saved."""
    strict = problem.precision == "strict"
    axes = tiled_axes(problem)
    ways = [toom.choices(axis.taps, axis.phase_stride, strict) for axis in axes]
    defined = math.prod(axis.out_size * axis.taps for axis in axes)
    able = [chosen for chosen in itertools.product(*ways) if _products(axes, chosen) < defined]
    return min(able, key=lambda chosen: flops(problem, chosen), default=())


def flops(problem: ConvProblem, chosen: Sequence[int]) -> int:
    """Return the flops of the products and of the three transforms."""
    taken = [toom.ROWS[i] for i in chosen]
    taps, _, _, _ = depth_axis(problem)
    channels, outputs = problem.group_channels, problem.group_outputs
    passes = sum(row.span for row in taken if row.outputs > 1)  # flops of a transform's element
    each = 2 * taps * channels * outputs + passes * (channels + outputs)
    weight = taps * math.prod(row.span for row in taken) * passes * channels * outputs
    return problem.groups * (products(problem, chosen) * each + weight)


def products(problem: ConvProblem, chosen: Sequence[int]) -> int:
    """Return the products for a depth tap, a channel and an output."""
    *_, length = depth_axis(problem)
    return problem.batch * length * _products(tiled_axes(problem), chosen)


def _products(axes: Sequence[Axis], chosen: Sequence[int]) -> int:
    """Return the products for a plane of an image, a channel and an output."""
    return math.prod(
        toom.ROWS[i].span * axis.tiles(toom.ROWS[i].outputs)
        for i, axis in zip(chosen, axes, strict=True)
    )


def cut(problem: ConvProblem, planned: ConvProblem | None = None, fresh: bool = False) -> Work:
    """Return how a problem is cut up, where it is some images of `planned`: by the same rows.

    fresh: whether the weight is yet to be transformed.
    """
    return _cut(problem, rows(planned or problem), _WORKSPACE, _FRESH if fresh else _LARGE)


@lru_cache(maxsize=256)
def _cut(problem: ConvProblem, rows: tuple[int, ...], nbytes: int, large: int) -> Work:
    """Return the same by rows of toom.ROWS, with `nbytes` for a block of tiles and its products."""
    from npconv.kernels import simd
    from npconv.kernels import winograd_layer as kernels

    high, wide = rows
    spans = toom.ROWS[high].span, toom.ROWS[wide].span
    outputs = toom.ROWS[high].outputs, toom.ROWS[wide].outputs
    axes = tiled_axes(problem)
    taps, _, _, out_size = depth_axis(problem)
    channels, size = problem.group_channels, problem.itemsize
    block = kernels.VECTORS * simd.lanes(problem.compute_dtype.name)
    blocks = -(-problem.group_outputs // block)
    planes = spans[0] * spans[1]
    block_nbytes = planes * kernels.weight_plane(taps, channels, size)
    fit = max(nbytes // (planes * (channels + block) * size), kernels.ROWS)
    length = _length(depth_axis(problem), fit, kernels.ROWS, problem.group_outputs)
    lines = len(reads(depth_axis(problem), length))
    columns = problem.batch * -(-out_size // length)
    columns *= math.prod(a.tiles(m) for a, m in zip(axes, outputs, strict=True))
    # Weights that no cache holds would be read again for each block of a few tiles.
    whole = blocks * block_nbytes > large * nbytes and columns * length <= _FEW * kernels.ROWS
    if whole:
        held = min(-(-kernels.ROWS * _HELD // length), columns)
        item = columns, -(-blocks // _SHARES)
    else:
        held = max(min(_held(fit, length, kernels.ROWS), columns), 1)
        item = max(-(-columns // held // _SHARES), 1) * held, blocks
    plane = kernels.value_plane(channels, (columns if whole else held) * lines, size)
    sizes = kernels.Sizes(spans, outputs, taps, length, channels, held, plane, size, whole)
    lanes = block // kernels.VECTORS
    transform = lanes * toom.ROWS[wide].taps * toom.ROWS[high].taps * block * size
    return Work(
        (high, wide), length, columns, block, blocks, held, whole, sizes, block_nbytes, transform,
        *item,
    )  # fmt: skip


def _length(depth: Axis, fit: int, rows: int, outputs: int) -> int:
    """Return how many outputs of the depth a column has: as fills tiles and reads little twice."""

    def flops(length: int) -> float:
        count = _held(fit, length, rows) * length
        filled = -(-count // rows) * rows / max(count, 1)
        return 2 * depth.taps * outputs * filled + _PASS * len(reads(depth, length)) / length

    columns = -(-depth.out_size // fit)
    counts = range(columns, min(columns + _LENGTHS, depth.out_size) + 1)
    return min((-(-depth.out_size // n) for n in counts), key=flops)


def _held(fit: int, length: int, rows: int) -> int:
    """Return how many columns of so many outputs fill tiles of registers best."""
    if length == 1:
        return fit // rows * rows
    counts = range(1, max(fit // length, 1) + 1)
    return max(counts, key=lambda n: (n * length / -(-n * length // rows), n))


def reads(depth: Axis, length: int) -> np.ndarray:
    """Return the positions that so many outputs of the depth read, int64."""
    outputs, taps = np.arange(length, dtype=np.int64), np.arange(depth.taps, dtype=np.int64)
    return np.unique(outputs[:, None] * depth.stride + taps * depth.dilation)


forget_when_changed(_cut.cache_clear)
