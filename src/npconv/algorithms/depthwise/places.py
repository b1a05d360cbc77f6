"""Where arrays lie, and how work is shared out."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from npconv import addresses, arrays, compiler, relayout, spare
from npconv.memory import whole_lines
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.fields import Grid

SHARES = 8  # of the work
PIXELS = 7  # of a tile, as the kernels have it
_LITTLE = 1 << 20  # multiply-adds
_KERNELS = ("depthwise", "depthwise_gradient")
_COMPILING = 1e6  # steps
_NEAR = 24 << 10  # bytes of x that tiles read more than once
_CACHED = 8 << 20  # bytes of x and out
_HELD = 64 << 10  # bytes of addresses
_SLOW = 8  # times as long for a multiply-add as where vectors are used again and again
_VECTOR = 64  # bytes
_TURNED = 2  # such vectors of channels
_MOST_TURNED = 4 << 20  # of a thread's scratch
_KEPT = 1 << 11  # positions along an axis whose offsets are remembered


def why_not(problem: ConvProblem) -> str:
    """Return "" for groups of one channel or one output, in float32 and float64."""
    if reason := compiler.missing():
        return reason
    if problem.groups == 1:
        return "its vectors hold a number for each group, and there is one group"
    if min(problem.group_channels, problem.group_outputs) > 1:
        return (
            f"it is for groups of one channel, or of one output, not of "
            f"{problem.group_channels} and {problem.group_outputs}"
        )
    if problem.compute_dtype.char not in "fd" or problem.dtype.kind != "f":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    return addresses.unlisted(problem)


def waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    if problem.macs >= _LITTLE or all(map(compiler.ready, _KERNELS)):
        return 0
    return _COMPILING


def shares(problem: ConvProblem) -> int:
    """Return into how many shares the work is worth cutting."""
    return max(min(problem.macs * _SLOW // arrays.WORTH_SHARING, SHARES), 1)


def grid(lines: int, blocks: int, wanted: int) -> Grid:
    """Return how so many lines of windows and blocks of groups are shared out: by lines first."""
    from npconv.kernels.fields import Grid

    item = -(-lines // min(wanted, lines))
    cuts = -(-lines // item)
    across = -(-blocks // min(-(-wanted // cuts), blocks))
    return Grid(1, lines, blocks, 1, item, across)


@lru_cache(maxsize=1024)
def remembered(problem: ConvProblem) -> bool:
    """Return whether templates are kept: not those with tables of many offsets."""
    reach = problem.reach(problem.out_size, problem.out_size)[1]
    return max(reach) + problem.groups <= _KEPT


def table_nbytes(problem: ConvProblem) -> int:
    """Return about what the tables of a template take while they are made."""
    reach = problem.reach(problem.out_size, problem.out_size)[1]
    return 32 * sum(reach) + problem.groups * problem.itemsize + 4096


def room_nbytes(rows: int, columns: int, slots: int) -> int:
    """Return the bytes of the Room of a thread."""
    return whole_lines(8 * (rows + max(slots, 1) * (rows * columns + PIXELS)))


def planned_room_nbytes(problem: ConvProblem) -> int:
    """Return the most that these may be, by whatever tile."""
    rows, columns = problem.terms, PIXELS
    if held := slots(problem, rows, columns):
        return room_nbytes(rows, columns, held)
    return max(room_nbytes(rows, columns, 1), 8 * rows + _HELD)


def source(problem: ConvProblem, steps: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the kernels' Source of planes of x with these strides, and what it points to."""
    from npconv.kernels.depthwise_layer import Source

    tables = [np.zeros(1, np.int64)] * (3 - problem.ndim) + [
        addresses.offsets(problem, axis, step) for axis, step in enumerate(steps[2:-1])
    ]
    zeros = np.zeros(problem.groups, problem.compute_dtype)
    depth, height, width = (table.ctypes.data for table in tables)
    pixel = steps[-2] if problem.size[-1] > 1 else 0
    inside = [(0, 1)] * (3 - problem.ndim) + [
        addresses.inside(problem, axis) for axis in range(problem.ndim)
    ]
    made = Source(
        problem.group_channels, steps[0], steps[1], depth, height, width, zeros.ctypes.data, pixel,
        *inside[2], *inside[1], *inside[0],
    )  # fmt: skip
    return made, (tables, zeros)


def near(problem: ConvProblem) -> tuple[int, int]:
    """Return how many groups, and tiles of a line, are gone through for a few lines at a time.

    What they read stays in the nearest cache; where arrays come from memory, all are: in its order.
    """
    each = block(problem)
    lines = problem.terms // problem.kernel_size[-1] * problem.itemsize
    tiles = -(-problem.out_size[-1] // PIXELS)
    if nbytes(problem, problem.x_shape) + nbytes(problem, problem.out_shape) > _CACHED:
        return problem.groups, tiles
    most = _NEAR // (lines * problem.stride[-1] * PIXELS)  # tiles of one group
    blocks = -(-problem.groups // each)
    wide = max(min(most // (tiles * each), blocks), 1)
    return wide * each, max(min(most // (wide * each), tiles), 1)


def slots(problem: ConvProblem, rows: int, columns: int) -> int:
    """Return how many tiles of a line have addresses of their own, 0 where they are too many."""
    tiles = -(-problem.out_size[-1] // PIXELS)
    first, last = addresses.inside(problem)
    alike = last // PIXELS - -(-first // PIXELS)
    found = tiles - max(alike - 1, 0)
    return found if 8 * found * (rows * columns + PIXELS) <= _HELD else 0


def target(problem: ConvProblem, steps: tuple[int, ...]) -> Any:
    """Return the kernels' Target of planes of out with these strides."""
    from npconv.kernels.depthwise_layer import Target

    plane, image, *spatial = steps[:-1]
    return Target(problem.group_outputs, plane, image, *addresses.three(spatial, 0))


def windows(problem: ConvProblem) -> Any:
    """Return the kernels' Windows."""
    from npconv.kernels.depthwise_layer import Windows
    from npconv.kernels.direct_layer import Three

    axes = problem.out_size, problem.kernel_size, addresses.strides(problem), problem.dilation
    return Windows(problem.groups, *(Three(*addresses.three(axis)) for axis in axes))


def form(problem: ConvProblem, forms: tuple[tuple[int, int], ...]) -> Any:
    """Return the Form of these that fits, the plain one where none does."""
    from npconv.kernels.depthwise_layer import Form

    taps, stride = problem.kernel_size[-1], problem.stride[-1]
    if problem.out_size[-1] == 1:
        stride = 1
    fits = problem.dilation[-1] == 1 and (taps, stride) in forms
    return Form(taps, stride) if fits else Form(1, 1)


def block(problem: ConvProblem) -> int:
    """Return how many groups a tile of vectors has."""
    from npconv.kernels import simd
    from npconv.kernels.depthwise_tile import VECTORS

    return VECTORS * simd.lanes(problem.compute_dtype.name)


def turns(problem: ConvProblem, x: np.ndarray, out: np.ndarray) -> bool:
    """Return whether x and out, or its gradient, lie channels first and are turned in cache."""
    few = problem.in_channels == problem.out_channels and turned_nbytes(problem) <= _MOST_TURNED
    return few and all(_in_planes(problem, array) for array in (x, out))


def planned_turn_nbytes(problem: ConvProblem) -> int:
    """Return the bytes of what is turned at once, 0 where arrays that lie as planned are not."""
    same = problem.x_dtype == problem.out_dtype == problem.compute_dtype
    one = problem.in_channels == problem.out_channels and not problem.channels_last
    nbytes = turned_nbytes(problem)
    return nbytes if same and one and nbytes <= _MOST_TURNED else 0


def turned_nbytes(problem: ConvProblem) -> int:
    """Return the bytes of so many channels of an image and of its result as are turned at once."""
    pixels = math.prod(problem.size) + problem.pixels
    return pixels * _TURNED * _VECTOR


def _in_planes(problem: ConvProblem, array: np.ndarray) -> bool:
    """Return whether the pixels of a channel follow one another, in the compute dtype."""
    if array.dtype != problem.compute_dtype or not array.flags.aligned:
        return False
    step = problem.itemsize
    for n, stride in zip(array.shape[-2:0:-1], array.strides[-2:0:-1], strict=True):
        if n > 1 and stride != step:
            return False
        step *= n
    return True


def turn(
    problem: ConvProblem, x: tuple[int, ...], out: tuple[int, ...], tables: int
) -> tuple[Any, list[tuple[int, ...]]]:
    """Return the kernels' Turn of arrays with these strides, and strides of the planes it makes.

    tables: bytes of a thread's scratch before them.
    """
    from npconv.kernels.depthwise_layer import Planes, Turn

    size, each = problem.itemsize, _TURNED * _VECTOR // problem.itemsize
    made, steps = [], []
    for extent, strides in ((problem.size, x), (problem.out_size, out)):
        made.append(Planes(strides[0], strides[-1], math.prod(extent)))
        along = [each * size * math.prod(extent[i + 1 :]) for i in range(len(extent))]
        steps.append((0, 0, *along, size))
    return Turn(each, made[0], made[1], tables), steps


def unturned() -> Any:
    """Return the Turn of arrays that lie channels last."""
    from npconv.kernels.depthwise_layer import Planes, Turn

    return Turn(0, Planes(0, 0, 0), Planes(0, 0, 0), 0)


def turned_grid(problem: ConvProblem, wanted: int) -> Grid:
    """Return how images and blocks of groups are shared out where arrays are turned."""
    from npconv.kernels.fields import Grid

    blocks = -(-problem.groups * problem.itemsize // (_TURNED * _VECTOR))
    images = -(-problem.batch // min(wanted, problem.batch))
    cuts = -(-problem.batch // images)
    across = -(-blocks // min(-(-wanted // cuts), blocks))
    return Grid(problem.batch, 1, blocks, images, 1, across)


def split(problem: ConvProblem, array: np.ndarray) -> np.ndarray:
    """Return a view (each, N, *size, groups) of an array (N, *size, groups * each)."""
    if array.shape[-1] == problem.groups:
        return array[None]
    whole = array.reshape(*array.shape[:-1], problem.groups, -1)
    return np.moveaxis(whole, -1, 0)


def dense(problem: ConvProblem, array: np.ndarray) -> np.ndarray:
    """Return planes of an array, groups side by side, in the compute dtype: a view if it is so."""
    planes = split(problem, array)
    if relayout.lies_well(problem, planes):
        return planes
    made = spare.empty(planes.shape, problem.compute_dtype)
    for plane, view in zip(made, planes, strict=True):
        relayout.copy(view, plane)
    return made


def lies_well(problem: ConvProblem, dtype: np.dtype, channels: int) -> bool:
    """Return whether an array that lies as planned needs no copy."""
    alone = problem.channels_last and channels == problem.groups
    return alone and dtype == problem.compute_dtype


def nbytes(problem: ConvProblem, shape: tuple[int, ...]) -> int:
    """Return the bytes of an array in the compute dtype."""
    return math.prod(shape) * problem.itemsize
