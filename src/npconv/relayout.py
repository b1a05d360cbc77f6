"""Copies between channels first and channels last in memory, at the speed of memory.

NumPy copies element by element where the innermost axes differ; here squares are transposed in
registers.  Arrays are canonical views ``(N, *size, C)``, whichever way they lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from npconv import compiler
from npconv.problem import ConvProblem
from npconv.threads import for_each

_PIECE_NBYTES = 1 << 24  # of images laid otherwise at once
_WORTH = 1 << 14  # elements for a thread, and for calling compiled code at all
_SHARES = 8


def pieces(
    problem: ConvProblem, x: np.ndarray, out: np.ndarray
) -> Iterator[tuple[ConvProblem, np.ndarray, np.ndarray]]:
    """Yield (problem, x, out) of some images at a time, with their channels side by side.

    Both are of the compute dtype and aligned: the arrays themselves, or copies; what the caller
    wrote to a copy of out is in out when the next piece is asked for.
    """
    here, there = lies_well(problem, x), lies_well(problem, out)
    images = problem.batch if here and there else _images(problem)
    dense = None if here else np.empty((images, *x.shape[1:]), problem.compute_dtype)
    target = None if there else np.empty((images, *out.shape[1:]), problem.compute_dtype)
    for first in range(0, problem.batch, images):
        given, wanted = x[first : first + images], out[first : first + images]
        source = given if dense is None else dense[: len(given)]
        goal = wanted if target is None else target[: len(given)]
        if dense is not None:
            copy(given, source)
        yield _with_batch(problem, len(given)), source, goal
        if target is not None:
            copy(goal, wanted)


def splits(problem: ConvProblem, x: np.ndarray, out: np.ndarray) -> bool:
    """Return whether `pieces` yields more than one."""
    whole = lies_well(problem, x) and lies_well(problem, out)
    return not whole and _images(problem) < problem.batch


def planned_piece(problem: ConvProblem) -> ConvProblem:
    """Return the problem of one piece, for arrays that lie as planned."""
    return _with_batch(problem, _images(problem)) if any(copied_nbytes(problem)) else problem


def copied_nbytes(problem: ConvProblem) -> tuple[int, int]:
    """Return the bytes of x and of out that do not lie as wanted, where they lie as planned."""
    x, out = math.prod(problem.x_shape), math.prod(problem.out_shape)
    same = problem.x_dtype == problem.compute_dtype
    if same and (problem.channels_last or problem.in_channels == 1):
        x = 0
    if problem.channels_last or problem.out_channels == 1:
        out = 0
    return x * problem.itemsize, out * problem.itemsize


def dense(problem: ConvProblem, array: np.ndarray) -> np.ndarray:
    """Return an array with its channels side by side, in the compute dtype: itself if it is so."""
    if lies_well(problem, array):
        return array
    made = np.empty(array.shape, problem.compute_dtype)
    copy(array, made)
    return made


def lies_well(problem: ConvProblem, array: np.ndarray) -> bool:
    """Return whether an array has its channels side by side, in the compute dtype, and aligned."""
    beside = array.shape[-1] == 1 or array.strides[-1] == problem.itemsize
    return beside and array.dtype == problem.compute_dtype and array.flags.aligned


def _images(problem: ConvProblem) -> int:
    """Return how many images are copied at once: such that pieces are about alike."""
    nbytes = (math.prod(problem.x_shape) + math.prod(problem.out_shape)) * problem.itemsize
    count = -(-nbytes // _PIECE_NBYTES)
    return -(-problem.batch // max(min(count, problem.batch), 1))


def _with_batch(problem: ConvProblem, batch: int) -> ConvProblem:
    return problem if batch == problem.batch else replace(problem, batch=batch)


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
