"""Passes by compiled kernels: which arrays they take, and how work is cut up."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from npconv import compiler
from npconv.channelwise.limits import Limits
from npconv.memory import address
from npconv.templates import Template

_LITTLE = 1 << 12  # elements: NumPy's calls cost no more than a kernel's
_ITEM = 1 << 14  # elements of an item, at least
_ITEMS = 64  # of one set

Shape = tuple[int, int, int, int]  # sets, rows, channels, run


def serves(dtype: np.dtype, size: int, *arrays: np.ndarray) -> bool:
    """Return whether kernels take arrays of this dtype and size, all alike."""
    if dtype.char not in "fd" or not dtype.isnative or size < _LITTLE or not _usable():
        return False
    for array in arrays:
        if array.dtype != dtype or array.size != size or not array.flags.aligned:
            return False
    return True


@lru_cache(maxsize=1)
def _usable() -> bool:
    return compiler.usable()


def clamp(x: np.ndarray, held: np.ndarray | None, out: np.ndarray, limits: Limits) -> bool:
    """Write x to out, clamped; or, with `held`, where that is between the limits.

    Returns False where no kernel serves: nothing is written then.
    """
    others = (out,) if held is None else (held, out)
    if not serves(x.dtype, x.size, x, *others):
        return False
    template = _flat(x.dtype, x.size, limits)
    template.run(address(x), 0 if held is None else address(held), address(out))
    return True


def sums(
    shape: Shape, one: np.ndarray, other: np.ndarray, held: np.ndarray | None, limits: Limits
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of one in each channel, and of one * other, (sets, channels)."""
    from npconv.kernels import simd

    sets, _, channels, _ = shape
    room = -(-channels // simd.lanes(one.dtype.name)) * simd.lanes(one.dtype.name)
    template, parts = _layer("sums", one.dtype, shape, room, limits)
    made = np.zeros((sets, parts, 2, room))
    template.run(address(one), address(other), 0 if held is None else address(held), address(made))
    total = made.sum(1)[..., :channels]
    return total[:, 0], total[:, 1]


def scaled(
    shape: Shape, one: np.ndarray, scale: np.ndarray, shift: np.ndarray, out: np.ndarray,
    limits: Limits,
) -> None:  # fmt: skip
    """Write ``one * scale + shift``, clamped; scale and shift are (sets, channels)."""
    template, _ = _layer("scaled", one.dtype, shape, 0, limits)
    template.run(address(one), 0, 0, address(out), address(scale), 0, address(shift))


def mixed(
    shape: Shape, one: np.ndarray, scale: np.ndarray, other: np.ndarray, share: np.ndarray,
    shift: np.ndarray, held: np.ndarray | None, out: np.ndarray, limits: Limits,
) -> None:  # fmt: skip
    """Write ``one * scale + other * share + shift``."""
    template, _ = _layer("mixed", one.dtype, shape, 0, limits)
    where = 0 if held is None else address(held)
    given = (address(array) for array in (out, scale, share, shift))
    template.run(address(one), address(other), where, *given)


@lru_cache(maxsize=256)
def _layer(
    name: str, dtype: np.dtype, shape: Shape, room: int, limits: Limits
) -> tuple[Template, int]:
    """Return the work of an entry, and how many items a set's rows are cut into."""
    from npconv.kernels import channelwise as kernels
    from npconv.kernels.fields import Grid, words

    sets, rows, channels, run = shape
    items = max(min(math.prod(shape) // max(sets, 1) // _ITEM, _ITEMS), 1)
    each = -(-rows // items)
    parts = -(-rows // each)
    blocks, block = (1, 1) if run == 1 else (channels, -(-channels // -(-items // parts)))
    grid = Grid(sets, rows, blocks, 1, each, block)
    layer = kernels.Layer(
        kernels.Call(0, 0, 0, 0, 0, 0, 0), channels, run, room, *_ends(limits), grid
    )
    return Template(getattr(kernels, name)[dtype.char], words(layer), layer.grid.items), parts


@lru_cache(maxsize=256)
def _flat(dtype: np.dtype, count: int, limits: Limits) -> Template:
    """Return the work on elements in a row."""
    from npconv.kernels import channelwise as kernels
    from npconv.kernels.fields import words

    items = max(min(count // _ITEM, _ITEMS), 1)
    each = -(-count // items)
    flat = kernels.Flat(kernels.FlatCall(0, 0, 0), count, each, *_ends(limits))
    return Template(kernels.clamped[dtype.char], words(flat), -(-count // each))


def _ends(limits: Limits) -> tuple[float, float]:
    """Return limits as records have them."""
    return float(limits.least), float(limits.most) if limits.most < math.inf else math.nan
