"""unfold and fold by compiled kernels: where they serve, and their records.

Each function returns what has written its result, or None: then NumPy's passes do.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from npconv import addresses, compiler
from npconv.memory import address
from npconv.pooling.shortcut import Done
from npconv.problem import ConvProblem
from npconv.templates import Template

if TYPE_CHECKING:
    from npconv.kernels.pool_layer import Axis

_LITTLE = 1 << 20  # entries of the matrix: fewer wait for no compiler
_WORTH = 1 << 15  # entries of an item
_ITEMS = 32
_KEPT = 1 << 11  # padded positions whose offsets are remembered
_SIZES = {4: "f", 8: "d"}  # numbers of other types are copied as floats of their size
_MOST = 1 << 31


def unfold(problem: ConvProblem, x: np.ndarray, columns: np.ndarray, last: bool) -> Done | None:
    """Write the matrix of a canonical x; last: its channels come last."""
    letter = _SIZES.get(x.dtype.itemsize, "")
    beside = problem.in_channels == 1 or x.strides[-1] == x.itemsize
    if not letter or (last and not beside) or not _serves(x, columns):
        return None
    name = "unfold_rows" if last else "unfold_planes"
    return _run(problem, x.strides, letter, name, x, columns)


def fold(problem: ConvProblem, columns: np.ndarray, x: np.ndarray, last: bool) -> Done | None:
    """Write the sums of a matrix to a canonical x."""
    letter = columns.dtype.char
    if letter not in "fd" or problem.padding_mode != "zeros" or not columns.flags.c_contiguous:
        return None
    beside = x.shape[-1 if last else -2] == 1 or x.strides[-1 if last else -2] == x.itemsize
    if not beside or not _serves(columns, x):
        return None
    name = "fold_rows" if last else "fold_planes"
    return _run(problem, x.strides, letter, name, columns, x)


def _serves(given: np.ndarray, wanted: np.ndarray) -> bool:
    """Return whether there are kernels for such arrays, or so much to do that compiling pays."""
    if given.dtype != wanted.dtype or not given.dtype.isnative or not given.flags.aligned:
        return False
    if not given.size or not wanted.size or compiler.missing():
        return False
    if max(given.size, wanted.size) >= _LITTLE:
        return True
    return all(map(compiler.ready, ("team", "patches")))


def _run(
    problem: ConvProblem,
    strides: tuple[int, ...],
    letter: str,
    name: str,
    read: np.ndarray,
    written: np.ndarray,
) -> Done | None:
    """Do the work of an entry, if it can, remembered where its tables are small."""
    reach = problem.reach(problem.out_size, problem.out_size)[1]
    kept = max(reach, default=0) <= _KEPT
    find = _template if kept else _template.__wrapped__
    template = find(problem, strides, letter, name, _WORTH)
    if template is None:
        return None
    template.run(address(read), address(written))
    return Done(template if kept else None)


@lru_cache(maxsize=256)
def _template(
    problem: ConvProblem, strides: tuple[int, ...], letter: str, name: str, worth: int
) -> Template | None:
    """Return the work of an entry on an x of such strides."""
    from npconv.kernels import patches as kernels
    from npconv.kernels.direct_layer import Three
    from npconv.kernels.fields import Grid, words
    from npconv.kernels.patches_layer import Call, Patches
    from npconv.kernels.pool_layer import Lies

    if addresses.unlisted(problem) or max(problem.size, default=0) >= _MOST:
        return None
    axes = [_axis(problem, axis) for axis in range(problem.ndim)]
    steps = [step if n > 1 else 0 for n, step in zip(problem.size, strides[1:-1], strict=True)]
    tables = [addresses.offsets(problem, axis, step) for axis, step in enumerate(steps)]
    # An axis that is cut into bands comes first, a line of windows last.
    order = _three(list(range(problem.ndim)), -1, name == "fold_rows")
    depth, height, width = (axes[i] if i >= 0 else _alone() for i in order)
    kept = [tables[i] if i >= 0 else np.zeros(1, np.int64) for i in order]
    offsets = Three(*(table.ctypes.data for table in kept))
    down, along, across = (steps[i] if i >= 0 else 0 for i in order)
    lies = Lies(strides[0], down, along, across, strides[-1])
    items = max(min(math.prod(problem.out_shape) * problem.taps // worth, _ITEMS), 1)
    batch, channels = problem.batch, problem.in_channels
    images = -(-batch // items)
    cuts = -(-items // -(-batch // images))
    band = 1
    if name == "unfold_rows":
        lines = depth.windows * height.windows
        grid = Grid(batch, lines, 1, images, -(-lines // min(cuts, lines)), 1)
    elif name == "fold_rows":
        band = -(-depth.size // min(cuts, depth.size))
        grid = Grid(batch, -(-depth.size // band), 1, images, 1, 1)
    else:
        grid = Grid(batch, 1, channels, images, 1, -(-channels // min(cuts, channels)))
    record = Patches(
        Call(0, 0), lies, depth, height, width, offsets, channels, band, grid
    )  # fmt: skip
    return Template(getattr(kernels, name)[letter], words(record), grid.items, 0, kept)


def _three(values: list[int], fill: int, first: bool) -> list[int]:
    """Return three values: what is missing stands behind the first where that is `first`."""
    missing = [fill] * (3 - len(values))
    return [values[0], *missing, *values[1:]] if first else [*missing, *values]


def _axis(problem: ConvProblem, axis: int) -> Axis:
    from npconv.kernels.pool_layer import Axis

    size, windows, taps = problem.size[axis], problem.out_size[axis], problem.kernel_size[axis]
    return Axis(
        size, windows, taps, problem.stride[axis] if windows > 1 else 1,
        problem.dilation[axis] if taps > 1 else 1, -problem.padding[axis][0], 0, size,
    )  # fmt: skip


def _alone() -> Axis:
    """Return the axis of length 1."""
    from npconv.kernels.pool_layer import Axis

    return Axis(1, 1, 1, 1, 1, 0, 0, 1)
