"""Windows along one axis, all at once: a ufunc over each, where its largest is, the adjoint.

Arrays are canonical views, or pieces of them; `axis` counts their axes.  What a window meets beyond
the piece is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from npconv.problem import Windows


class Step(NamedTuple):
    """One axis of a piece, and the windows along it."""

    axis: int
    windows: Windows


def reduce(
    ufunc: np.ufunc, identity: object, values: np.ndarray, steps: Sequence[Step], out: np.ndarray
) -> None:
    """Write to out ufunc over what each window holds, an axis after another as steps come."""
    single = [step for step in steps if step.windows.count == 1]
    if len(single) > 1 and _innermost(values, [step.axis for step in single]):
        held = values
        for axis, windows in single:
            held = held[_along(axis, windows.alone())]
        steps = [step for step in steps if step.windows.count > 1]
        if held.size == 0:
            out[...] = identity
            return
        shape = [1 if n == 1 else held.shape[a] for a, n in enumerate(out.shape)]
        values = out if not steps else np.empty_like(values, shape=shape)
        ufunc.reduce(held, axis=tuple(axis for axis, _ in single), keepdims=True, out=values)
        if not steps:
            return
    chain(partial(_reduce_along, ufunc, identity), values, steps, out)


def _reduce_along(
    ufunc: np.ufunc, identity: object, values: np.ndarray, step: Step, out: np.ndarray
) -> None:
    axis, windows = step
    if windows.count == 1:
        held = values[_along(axis, windows.alone())]
        if held.shape[axis]:
            ufunc.reduce(held, axis=axis, keepdims=True, out=out)
        else:
            out[...] = identity
        return
    taps = list(windows.taps())
    if not taps:
        out[...] = identity
        return
    met, elements = taps.pop(0)
    target = out[_along(axis, met)]
    if taps and taps[0][0] == met:
        ufunc(values[_along(axis, elements)], values[_along(axis, taps.pop(0)[1])], out=target)
    else:
        target[...] = values[_along(axis, elements)]
    out[_along(axis, slice(0, met.start))] = identity
    out[_along(axis, slice(met.stop, None))] = identity
    for met, elements in taps:
        target = out[_along(axis, met)]
        ufunc(target, values[_along(axis, elements)], out=target)


def chain(
    one: Callable[[np.ndarray, Step, np.ndarray], None],
    values: np.ndarray,
    steps: Sequence[Step],
    out: np.ndarray,
) -> None:
    """Write to out what `one` makes of values, an axis after another; trivial ones are left out."""
    needed = [step for step in steps if not step.windows.trivial]
    if not needed:
        out[...] = values
        return
    for step in needed[:-1]:
        shape = _with(values.shape, step.axis, out.shape[step.axis])
        target = np.empty_like(values, out.dtype, shape=shape)
        one(values, step, target)
        values = target
    one(values, needed[-1], out)


def argmax(
    values: np.ndarray, steps: Sequence[Step], units: Sequence[int], offset_dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest of each window, and how far from the window's first tap it stands.

    It is the first largest, or the last NaN.  A step along axis a counts `units[a - 1]`.  The steps
    go from the first axis to the last; no window is empty.
    """
    largest, offset = _argmax(values, steps, units, offset_dtype, nans=False)
    if values.dtype.kind == "f" and np.isnan(largest).any():
        largest, offset = _argmax(values, steps, units, offset_dtype, nans=True)
    return largest, offset


def _argmax(
    values: np.ndarray,
    steps: Sequence[Step],
    units: Sequence[int],
    offset_dtype: np.dtype,
    nans: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `argmax` does; without `nans` the offsets are right where no NaN is."""
    offset = np.zeros_like(values, offset_dtype)  # in the order of values' memory: so are all sums
    # Along the last axis first: the first of equals is then the first in row-major order.
    for step, unit in zip(reversed(steps), reversed(units), strict=True):
        if step.windows.trivial:
            continue
        along = _argmax_alone if step.windows.count == 1 else _argmax_along
        values, offset = along(values, offset, step, unit, nans)
    return values, offset


def _argmax_along(
    values: np.ndarray, offset: np.ndarray, step: Step, unit: int, nans: bool
) -> tuple[np.ndarray, np.ndarray]:
    axis, windows = step
    shape = _with(values.shape, axis, windows.count)
    best = np.empty_like(values, shape=shape)
    at = np.empty_like(values, offset.dtype, shape=shape)
    begun = windows.count  # windows from here on have met an element
    for met, elements in windows.taps():
        moved = offset.dtype.type(
            (elements.start + windows.lead - met.start * windows.stride) * unit
        )
        split = elements.start + max(begun - met.start, 0) * windows.stride
        if met.start < begun:
            fresh = _along(axis, slice(met.start, begun))
            first = _along(axis, slice(elements.start, split, elements.step))
            best[fresh] = values[first]
            np.add(offset[first], moved, out=at[fresh])
        if begun < met.stop:
            later = _along(axis, slice(max(begun, met.start), met.stop))
            rest = _along(axis, slice(split, elements.stop, elements.step))
            candidate, largest, place = values[rest], best[later], at[later]
            better = candidate > largest
            if nans:
                better |= np.isnan(candidate)
            np.maximum(largest, candidate, out=largest)
            # Sums of small integers go many at a time; a masked copy goes one by one.
            change = np.add(offset[rest], moved)
            change -= place
            change *= better
            place += change
        begun = min(begun, met.start)
    return best, at


def _argmax_alone(
    values: np.ndarray, offset: np.ndarray, step: Step, unit: int, nans: bool
) -> tuple[np.ndarray, np.ndarray]:
    axis, windows = step
    alone = windows.alone()
    values, offset = values[_along(axis, alone)], offset[_along(axis, alone)]
    tap = values.argmax(axis, keepdims=True)
    if nans:
        lost = np.isnan(values)
        last = lost.shape[axis] - 1 - np.flip(lost, axis).argmax(axis, keepdims=True)
        tap = np.where(lost.any(axis, keepdims=True), last, tap)
    at = np.take_along_axis(offset, tap, axis)
    moved = ((alone.start + windows.lead) + tap * windows.dilation) * unit
    return np.take_along_axis(values, tap, axis), at + moved.astype(at.dtype)


def spread(values: np.ndarray, step: Step, out: np.ndarray) -> None:
    """Write to out, for each element along an axis, the sum of values over its windows.

    The adjoint of `reduce` with np.add.
    """
    axis, windows = step
    if windows.count == 1:
        out[...] = 0
        out[_along(axis, windows.alone())] = values
        return
    taps = list(windows.taps())
    once = not windows.overlap
    if not once or sum(met.stop - met.start for met, _ in taps) < windows.size:
        out[...] = 0
    for met, elements in taps:
        target, given = out[_along(axis, elements)], values[_along(axis, met)]
        if once:
            target[...] = given
        else:
            np.add(target, given, out=target)


def _along(axis: int, index: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, index)


def _innermost(values: np.ndarray, axes: Sequence[int]) -> bool:
    """Return whether these axes are the fastest in memory."""
    others = [a for a in range(values.ndim) if a not in axes and values.shape[a] > 1]
    steps = [abs(n) for n in values.strides]
    return max(steps[a] for a in axes) < min((steps[a] for a in others), default=sys.maxsize)


def _with(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])
