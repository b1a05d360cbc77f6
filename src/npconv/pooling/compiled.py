"""Pooling by compiled kernels, for float32 and float64: where they serve, and their records.

Each function returns what has written its result, or None: then NumPy's passes do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from npconv import compiler
from npconv.memory import address
from npconv.pooling import places
from npconv.pooling.places import PLACE, Work
from npconv.pooling.shortcut import Done
from npconv.problem import PoolProblem
from npconv.templates import Template

_LITTLE = 1 << 20  # reads: fewer wait for no compiler
_WORTH = 1 << 17  # reads of an item
_ROOM = 1 << 18  # bytes of a thread's scratch, about
_MOST = 8 << 20  # bytes of it
_FEW = 6  # planes: vectors of fewer are too empty to search in
_FULL = 64  # bytes of an element of all planes: of less NumPy is quicker where nothing is sought
_BESIDE = 32  # of all channels that lie side by side, likewise
_OFTEN = 36  # windows over an element: of more, one axis after another is quicker, likewise
_MOST_OFTEN = 256  # where it is sought, or turned
_LONGEST = 256  # elements along an axis that are summed up, or compared, in order
_KEPT = 1 << 11  # windows along an axis whose template is remembered
_SCATTERED = 8  # reads in the time that a number is added where it belongs
STRAYED = 3  # where the record of such a gradient says that an index is none

_MODULES = {"pool": ("pool", "pool_whole"), "pool_gradient": ("pool_gradient",)}

_Steps = tuple[tuple[int, ...], ...]
_Limits = tuple[int, ...]


def largest(
    problem: PoolProblem, x: np.ndarray, out: np.ndarray, indices: np.ndarray | None = None
) -> Done | None:
    """Write to out the largest of each window of x, and to `indices` where they stand."""
    if not _serves(problem, "pool", x, out):
        return None
    return _run(_windows, problem, [x, out] if indices is None else [x, out, indices])


def mean(problem: PoolProblem, x: np.ndarray, out: np.ndarray) -> Done | None:
    """Write to out the mean of each window of x."""
    if not _serves(problem, "pool", x, out):
        return None
    return _run(_planes, problem, [x, out]) or _run(_windows, problem, [x, out], True)


def give_largest(
    problem: PoolProblem, grad: np.ndarray, x: np.ndarray, out: np.ndarray
) -> Done | None:
    """Write to out grad added up where the largest of each window stands in x."""
    if not _serves(problem, "pool_gradient", grad, x, out):
        return None
    return _give(problem, [grad, out, x], False)


def give_mean(problem: PoolProblem, grad: np.ndarray, out: np.ndarray) -> Done | None:
    """Write to out each window's share of grad, added up."""
    if not _serves(problem, "pool_gradient", grad, out):
        return None
    return _give(problem, [grad, out], True)


def scatter(
    problem: PoolProblem, grad: np.ndarray, indices: np.ndarray, out: np.ndarray
) -> Done | None:
    """Write to out grad added up at `indices`; None, too, where one of them is none of x's."""
    stands = indices.astype(PLACE, copy=False)
    if not stands.flags.aligned or not _serves(problem, "pool_gradient", grad, out):
        return None
    given = [grad, out, stands]
    template = _found(_scattering, problem, grad.dtype, [array.strides for array in given])
    if template is None or template.run(*map(address, given))[STRAYED]:
        return None
    return _done(problem, template if stands is indices else None)


def _serves(problem: PoolProblem, module: str, *arrays: np.ndarray) -> bool:
    """Return whether there are kernels for such arrays, or so much to do that compiling pays."""
    dtype = arrays[0].dtype
    if dtype.char not in "fd" or not dtype.isnative or compiler.missing():
        return False
    for array in arrays:
        if array.dtype != dtype or not array.flags.aligned or not array.size:
            return False
    if places.reads(problem) >= _LITTLE:
        return True
    return all(map(compiler.ready, ("team", *_MODULES[module])))


def _give(problem: PoolProblem, arrays: Sequence[np.ndarray], means: bool) -> Done | None:
    """Write a gradient; the one given is laid as the others are where it lies otherwise."""
    if found := _run(_depths, problem, arrays, means):
        return found
    grad, *others = arrays
    order = sorted(range(grad.ndim), key=lambda axis: -abs(others[0].strides[axis]))
    steps = places.dense(grad.shape, order, grad.itemsize)
    if not _found(_depths, problem, grad.dtype, [steps, *(a.strides for a in others)], means):
        return None
    laid = np.empty([grad.shape[axis] for axis in order], grad.dtype).transpose(np.argsort(order))
    laid[...] = grad
    return _run(_depths, problem, [laid, *others], means) and Done(None)


def _run(
    find: Any, problem: PoolProblem, arrays: Sequence[np.ndarray], means: bool = False
) -> Done | None:
    """Do the work of a template, if there is one."""
    template = _found(find, problem, arrays[0].dtype, [array.strides for array in arrays], means)
    if template is None:
        return None
    template.run(*map(address, arrays))
    return _done(problem, template)


def _done(problem: PoolProblem, template: Template | None) -> Done:
    """Return what has been done; tables of long axes are not kept."""
    return Done(template if max(problem.out_size) <= _KEPT else None)


def _found(
    find: Any, problem: PoolProblem, dtype: np.dtype, steps: Sequence[Any], means: bool = False
) -> Template | None:
    """Return the template for arrays with such strides, remembered where it is small."""
    if max(problem.out_size) > _KEPT:
        find = find.__wrapped__
    found: Template | None = find(
        problem, dtype, tuple(steps), means, (_ROOM, _WORTH, _FEW, _FULL, _BESIDE)
    )
    return found


def _work(
    problem: PoolProblem,
    steps: _Steps,
    shapes: _Steps,
    dtypes: Sequence[np.dtype],
    searches: bool,
    limits: _Limits,
) -> tuple[Work, _Steps] | None:
    """Return the work on arrays of such strides, shapes and dtypes, and the strides it has.

    searches: for where the largest stands.  None where no kernel reads them, or where NumPy's
    passes are quicker.
    """
    room, worth, few, full, beside = limits
    if not places.fits(problem) or (not searches and _is_long(problem)):
        return None
    batch, channels, dtype = problem.batch, problem.channels, dtypes[0]
    often = places.reads(problem) / math.prod(problem.x_shape)
    if channels > 1 and all(s[-1] == d.itemsize for s, d in zip(steps, dtypes, strict=True)):
        suits = searches or (often <= _OFTEN and channels * dtype.itemsize >= beside)
        work = Work(problem, dtype, False, room, worth)
        return (work, steps) if suits and often <= _MOST_OFTEN else None
    if channels == 1:
        batch, channels = 1, batch
        steps = tuple((0, *s[1:-1], s[0]) for s in steps)
    elif all(s[0] == channels * s[-1] for s in steps):
        batch, channels = 1, batch * channels
        steps = tuple((0, *s[1:]) for s in steps)
    if channels < (few if searches else full // dtype.itemsize) or often > _MOST_OFTEN:
        return None
    for shape, step, each in zip(shapes, steps, dtypes, strict=True):
        if step[-1] == 0 or (step[-2] != each.itemsize and shape[-2] > 1):
            return None
    whole = replace(problem, batch=batch, channels=channels)
    return Work(whole, dtype, True, room, worth), steps


@lru_cache(maxsize=256)
def _windows(
    problem: PoolProblem, dtype: np.dtype, steps: _Steps, means: bool, limits: _Limits
) -> Template | None:
    """Return the work of a pooling: x, out and, where they are wanted, indices lie so."""
    from npconv.kernels import pool as kernels
    from npconv.kernels.fields import words
    from npconv.kernels.pool_layer import LARGEST, MEAN, PLACES, Call, Layer, Lies

    wanted = len(steps) == 3
    shapes = (problem.x_shape, problem.out_shape, problem.out_shape)[: len(steps)]
    dtypes = (dtype, dtype, PLACE)[: len(steps)]
    found = _work(problem, steps, shapes, dtypes, wanted, limits)
    if found is None:
        return None
    work, steps = found
    cut = places.cut_windows(work, wanted)
    if cut.each > _MOST:
        return None
    lies = [places.lies(*each) for each in zip(shapes, steps, dtypes, strict=True)]
    kind = MEAN if means else PLACES if wanted else LARGEST
    geometry, kept = places.geometry(work.problem)
    where = lies[2] if wanted else Lies(0, 0, 0, 0, 0)
    layer = Layer(Call(0, 0, 0), kind, lies[0], lies[1], where, geometry, cut)
    entry = kernels.pool[dtype.char]
    return Template(entry, words(layer), cut.grid.items, cut.each, kept)


@lru_cache(maxsize=256)
def _planes(
    problem: PoolProblem, dtype: np.dtype, steps: _Steps, means: bool, limits: _Limits
) -> Template | None:
    """Return the work of the means of whole planes, where x and out lie so."""
    from npconv.kernels import pool_whole as kernels
    from npconv.kernels.fields import Grid, words

    geometry = problem.kernel_size, problem.dilation, problem.padding
    whole = problem.size, (1,) * problem.ndim, ((0, 0),) * problem.ndim
    if geometry != whole or places.unit(problem, steps[0]) not in (0, dtype.itemsize):
        return None
    (image, *_, step), (out_image, *_, out_step) = steps
    batch, channels = problem.batch, problem.channels
    items = max(min(places.reads(problem) // limits[1], places.ITEMS), 1)
    images = -(-batch // items)
    block = -(-channels // -(-items // -(-batch // images)))
    grid = Grid(batch, 1, channels, images, 1, block)
    planes = kernels.Planes(
        kernels.Call(0, 0), image, step, out_image, out_step, math.prod(problem.size), grid
    )
    return Template(kernels.mean[dtype.char], words(planes), grid.items)


@lru_cache(maxsize=256)
def _depths(
    problem: PoolProblem, dtype: np.dtype, steps: _Steps, means: bool, limits: _Limits
) -> Template | None:
    """Return the work of a gradient: grad, out and, of the largest, x lie so."""
    from npconv.kernels import pool_gradient as kernels
    from npconv.kernels.fields import words
    from npconv.kernels.pool_layer import LARGEST, MEAN, Gradient, GradientCall

    shapes = (problem.out_shape, problem.x_shape, problem.x_shape)[: len(steps)]
    dtypes = (dtype,) * len(steps)
    found = _work(problem, steps, shapes, dtypes, not means, limits)
    if found is None:
        return None
    work, steps = found
    cut = places.cut_depths(work, not means)
    if cut.each > _MOST:
        return None
    grad, out, *others = (places.lies(*each) for each in zip(shapes, steps, dtypes, strict=True))
    geometry, kept = places.geometry(work.problem)
    kind, x = (MEAN, out) if means else (LARGEST, others[0])
    layer = Gradient(GradientCall(0, 0, 0), kind, grad, out, x, geometry, cut)
    entry = kernels.give[dtype.char]
    return Template(entry, words(layer), cut.grid.items, cut.each, kept)


@lru_cache(maxsize=256)
def _scattering(
    problem: PoolProblem, dtype: np.dtype, steps: _Steps, means: bool, limits: _Limits
) -> Template | None:
    """Return the work of a gradient by indices: grad, out and indices lie so."""
    from npconv.kernels import pool_gradient as kernels
    from npconv.kernels.direct_layer import Three
    from npconv.kernels.fields import Grid, words
    from npconv.kernels.pool_layer import Scatter, ScatterCall

    unit = places.unit(problem, steps[1])
    if unit is None or not places.fits(problem):
        return None
    shapes = (problem.out_shape, problem.x_shape, problem.out_shape)
    each = zip(shapes, steps, (dtype, dtype, PLACE), strict=True)
    grad, out, stands = (places.lies(*one) for one in each)
    batch, channels = problem.batch, problem.channels
    apart = channels == 1 or steps[1][-1] != dtype.itemsize
    if apart and unit not in (0, dtype.itemsize):
        return None
    worth = _SCATTERED * math.prod(problem.x_shape) // limits[1]
    items = max(min(worth, places.ITEMS), 1)
    images = -(-batch // items)
    block = -(-channels // -(-items // -(-batch // images)))
    if not apart:
        tile = places.tile_size(dtype)
        block = -(-block // tile) * tile
    layer = Scatter(
        ScatterCall(0, 0, 0, 0), grad, out, stands, Three(*places.three(problem.out_size, 1)),
        math.prod(problem.size), unit, int(apart), Grid(batch, 1, channels, images, 1, block),
    )  # fmt: skip
    entry = kernels.scatter[dtype.char]
    return Template(entry, words(layer), layer.grid.items)


def _is_long(problem: PoolProblem) -> bool:
    """Return whether windows are so long that the order of sums matters, or none is quick."""
    extents = zip(problem.kernel_size, problem.size, strict=True)
    return any(min(pair) > _LONGEST for pair in extents)
