"""Copies between channels first and channels last in memory, at the speed of memory.

NumPy copies element by element where the innermost axes differ; here squares are transposed in
registers.  Arrays are canonical views ``(N, *size, C)``, whichever way they lie.
"""

from __future__ import annotations

import math

import numpy as np

from npconv import compiler
from npconv.threads import for_each

_WORTH = 1 << 14  # elements for a thread, and for calling compiled code at all
_SHARES = 8


def copy(source: np.ndarray, target: np.ndarray) -> None:
    """Write source to target, of the same shape."""
    if not _transposes(source, target):
        target[...] = source
        return
    from npconv.kernels import planes

    planar, dense = (source, target) if _is_planar(source) else (target, source)
    run = _run(planar, dense)
    pixels, channels = math.prod(planar.shape[planar.ndim - 1 - run : -1]), planar.shape[-1]
    lead = planar.shape[: planar.ndim - 1 - run]
    size = planar.itemsize
    like = planar.dtype.type(0)
    forth = planar is source
    # (address, step) of a row of pixels, and of a row of channels
    plane_step, pixel_step = planar.strides[-1], dense.strides[dense.ndim - 2]
    shares = max(min(planar.size // _WORTH // max(math.prod(lead), 1), _SHARES), 1)
    each = -(-pixels // (shares * 16)) * 16

    def step(item: tuple[tuple[int, ...], int]) -> None:
        at, first = item
        count = min(each, pixels - first)
        plane = planar[at].ctypes.data + first * size
        pixel = dense[at].ctypes.data + first * pixel_step
        if forth:
            planes.transpose(plane, plane_step, channels, count, pixel, pixel_step, like)
        else:
            planes.transpose(pixel, pixel_step, count, channels, plane, plane_step, like)

    for_each([(at, first) for at in np.ndindex(*lead) for first in range(0, pixels, each)], step)


def _transposes(source: np.ndarray, target: np.ndarray) -> bool:
    """Return whether one lies in planes of pixels, the other in rows of channels."""
    if compiler.missing() or source.size < _WORTH or source.shape[-1] < 2:
        return False
    same = source.dtype == target.dtype and source.dtype.char in "fd"
    aligned = source.flags.aligned and target.flags.aligned
    apart = (_is_planar(source) and _is_dense(target)) or (_is_dense(source) and _is_planar(target))
    return bool(same and aligned and apart)


def _is_planar(array: np.ndarray) -> bool:
    return array.shape[-2] > 1 and array.strides[-2] == array.itemsize


def _is_dense(array: np.ndarray) -> bool:
    return array.strides[-1] == array.itemsize


def _run(planar: np.ndarray, dense: np.ndarray) -> int:
    """Return how many trailing spatial axes follow one another in both, as one axis of pixels."""
    run = 1
    for axis in range(planar.ndim - 3, 0, -1):
        n = planar.shape[axis + 1]
        if any(a.strides[axis] != n * a.strides[axis + 1] for a in (planar, dense)):
            break
        run += 1
    return run
