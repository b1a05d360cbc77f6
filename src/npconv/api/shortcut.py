"""The quick way of repeated calls: what a first call found out, kept for the next of its kind.

Checking arguments, planning and making views takes ten times as long as a small convolution, and
more than a tenth of a layer's time once its kernels have emptied the caches.  Here stands what they
came to, for plain arrays of one dtype; every other call goes through the door.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from npconv import execution
from npconv.algorithms import small
from npconv.algorithms.contract import Ending
from npconv.arguments import limits
from npconv.door import Door
from npconv.dtypes import NUMERIC_KINDS
from npconv.layout import Lying, View, new, seen
from npconv.planner import Plan
from npconv.threads import forget_when_changed

_MOST = 1024
_KINDS = 4  # dtypes and strides that are known of arrays of the same shapes
_PLAIN = {int, str, type, type(None)}
_known: dict[Hashable, tuple[Shortcut, ...]] = {}
forget_when_changed(_known.clear)


def take(
    first: Any, second: Any, bias: Any, out: Any, settings: tuple[Any, ...]
) -> np.ndarray | None:
    """Return the result of a call with these arrays and settings, None where no way is known."""
    if type(first) is not np.ndarray or type(second) is not np.ndarray:
        return None
    try:
        known = _known.get((first.shape, second.shape, settings), ())
    except TypeError:  # a list among the settings
        return None
    for one in known:
        if one.fits(first, second, bias, out):
            if one.nested and not _plain(settings):
                return None
            return one(first, second, bias, out)
    return None


def remember(
    first: Any,
    second: Any,
    plan: Plan,
    door: Door,
    settings: tuple[Any, ...],
    activation: str | None = None,
) -> None:
    """Keep what a call came to, where there is a quick way for it."""
    # 1, 1.0 and True are one key: only what is spelled in integers and names is kept.
    if not _plain(settings):
        return
    made = make(first, second, plan, door, activation)
    if made is not None:
        made.nested = any(type(s) is tuple for s in settings)
        if len(_known) >= _MOST:
            _known.clear()
        key = first.shape, second.shape, settings
        _known[key] = added(made, _known.get(key, ()))


def make(
    first: Any, second: Any, plan: Plan, door: Door, activation: str | None
) -> Shortcut | None:
    """Return the shortcut of a plan for arrays like these, the door's; None where it has none."""
    if type(first) is not np.ndarray or type(second) is not np.ndarray:
        return None
    problem = plan.problem
    shapes = problem.result_shape, *problem.operand_shapes
    if problem.dtype != problem.compute_dtype or any(0 in shape for shape in shapes):
        return None
    if problem.dtype.kind not in "fc":
        return None
    for kind in (Small, Shortcut):
        made = kind.of(first, second, plan, door, activation)
        if made is not None and made.fits(first, second, None, None):
            return made
    return None


def added(made: Shortcut, known: Iterable[Shortcut]) -> tuple[Shortcut, ...]:
    """Return the shortcuts of one key with another: the newest is the first to be tried."""
    return (made, *(one for one in known if one.key != made.key))[:_KINDS]


def like(shape: Any) -> Any:
    """Return what a call's settings hold of the shape of a gradient, or of an array in its stead.

    What can be no key, or is not plain, has no shortcut.
    """
    if isinstance(shape, np.ndarray):
        plain = type(shape) is np.ndarray and shape.dtype.kind in NUMERIC_KINDS
        return ("array", shape.shape, shape.strides) if plain else [shape]
    return shape


class Shortcut:
    """A planned direction of two arrays of one dtype, none of them empty, with known strides."""

    __slots__ = (
        "activation", "channels", "dtype", "ending", "first_shape", "first_strides", "key",
        "nested", "out", "quick", "second_shape", "second_strides", "shape", "views",
    )  # fmt: skip

    def __init__(
        self, first: np.ndarray, second: np.ndarray, plan: Plan, door: Door, activation: str | None
    ) -> None:
        problem = plan.problem
        self.quick = execution.Quick(problem, plan.algorithm)
        self.dtype = problem.dtype
        self.first_shape, self.first_strides = first.shape, first.strides
        self.second_shape, self.second_strides = second.shape, second.strides
        self.out: Lying = door.result_lies(problem)
        self.shape = self.out.result_shape
        self.views: tuple[View, View, View] = door.views
        self.activation = activation
        self.channels = problem.result_shape[-1:]
        self.ending = Ending(None, *limits(activation, problem.dtype))
        self.key = type(self), self.dtype, self.first_strides, self.second_strides, activation
        self.nested = False

    @classmethod
    def of(
        cls, first: np.ndarray, second: np.ndarray, plan: Plan, door: Door, activation: str | None
    ) -> Shortcut | None:
        """Return one for arrays like these, None where there is none of this kind."""
        return cls(first, second, plan, door, activation)

    def fits(self, first: Any, second: Any, bias: Any, out: Any) -> bool:
        """Return whether it may be called with two arrays, whose shapes fit, a bias and an out."""
        dtype = self.dtype
        return (
            first.dtype == dtype
            and second.dtype == dtype
            and first.strides == self.first_strides
            and second.strides == self.second_strides
            and first.flags.aligned
            and second.flags.aligned
            and (bias is None or self._fits_bias(bias))
            and (out is None or self._fits_out(out, first, second, bias))
        )

    def _fits_bias(self, bias: Any) -> bool:
        plain = type(bias) is np.ndarray and bias.dtype == self.dtype
        return plain and bias.shape == self.channels and bias.flags.forc and bias.flags.aligned

    def _fits_out(self, out: Any, *read: np.ndarray | None) -> bool:
        plain = type(out) is np.ndarray and out.dtype == self.dtype and out.shape == self.shape
        if not (plain and out.flags.behaved):
            return False
        return not any(a is not None and np.may_share_memory(out, a) for a in read)

    def __call__(
        self, first: Any, second: Any, bias: Any, out: Any, packed: Any = None
    ) -> np.ndarray | None:
        """Return the result; None where only the slow way has it, or says why there is none.

        packed: the second one as the plan has packed it.
        """
        ending = self.ending
        if bias is not None:
            ending = ending._replace(bias=bias)
        x, y, z = self.views
        try:
            result = new(self.out, self.dtype) if out is None else out
            operands = seen(first, x), seen(second, y)
            done = self.quick.run(operands, seen(result, z), ending, packed)
        except (ImportError, MemoryError):
            return None
        return result if done else None


class Small(Shortcut):
    """A small convolution of two C-contiguous arrays: straight to its kernel."""

    __slots__ = ("bias", "call", "limits", "table")

    def __init__(
        self, first: np.ndarray, second: np.ndarray, plan: Plan, door: Door, activation: str | None
    ) -> None:
        super().__init__(first, second, plan, door, activation)
        problem = plan.problem
        strides = door.x.strides, door.weight.strides, door.example_out(problem)[1].strides
        self.call = small.on_arrays()
        self.table = small.offsets(problem, *strides)
        self.limits = small.limits(problem, self.ending)
        self.bias = np.zeros(problem.out_channels, problem.dtype)

    @classmethod
    def of(
        cls, first: np.ndarray, second: np.ndarray, plan: Plan, door: Door, activation: str | None
    ) -> Shortcut | None:
        """Return one for arrays like these, None where there is none of this kind."""
        if plan.algorithm != small.NAME or plan.problem.direction != "forward":
            return None
        out, _ = door.example_out(plan.problem)
        dense = all(array.flags.c_contiguous for array in (first, second, out))
        return cls(first, second, plan, door, activation) if dense else None

    def fits(self, first: Any, second: Any, bias: Any, out: Any) -> bool:
        """Return whether it may be called with two arrays, whose shapes fit, a bias and an out."""
        if out is not None:
            return super().fits(first, second, bias, out)
        dtype = self.dtype
        return (
            first.dtype == dtype
            and second.dtype == dtype
            and first.flags.carray
            and second.flags.carray
            and (bias is None or (self._fits_bias(bias) and bias.flags.writeable))
        )

    def __call__(
        self, first: Any, second: Any, bias: Any, out: Any, packed: Any = None
    ) -> np.ndarray | None:
        """Return the convolution."""
        if out is not None:
            return super().__call__(first, second, bias, out)
        result = np.empty(self.shape, self.dtype)
        start = self.bias if bias is None else bias
        self.call(first, second, start, result, self.table, self.limits)
        return result


def _plain(settings: tuple[Any, ...]) -> bool:
    for one in settings:  # a loop: `all` takes twice as long
        kind = type(one)
        if kind not in _PLAIN and not (kind is tuple and _plain(one)):
            return False
    return True
