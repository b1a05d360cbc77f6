"""The quick way of small calls: what a first call found out, kept for the next of its kind.

Checking arguments, planning and making views takes ten times as long as a small convolution.  Here
stands what they came to, for plain arrays; every other call goes through the door.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from npconv.algorithms import small
from npconv.algorithms.contract import Ending
from npconv.arguments import limits
from npconv.door import Door
from npconv.planner import Plan
from npconv.problem import ConvProblem
from npconv.threads import forget_when_changed

_MOST = 1024
_PLAIN = {int, str, type, type(None)}
_known: dict[Hashable, Shortcut] = {}
forget_when_changed(_known.clear)


def find(x: Any, weight: Any, bias: Any, out: Any, settings: tuple[Any, ...]) -> Shortcut | None:
    """Return the shortcut for a call with these arrays and settings, if it is known."""
    if out is not None or type(x) is not np.ndarray or type(weight) is not np.ndarray:
        return None
    try:
        known = _known.get((x.shape, weight.shape, settings))
    except TypeError:  # a list among the settings
        return None
    return known if known is not None and known.fits(x, weight, bias) else None


def remember(
    x: Any, weight: Any, plan: Plan, door: Door, settings: tuple[Any, ...], activation: Any
) -> None:
    """Keep what a call came to, where there is a quick way for it."""
    # 1, 1.0 and True are one key: only what is spelled in integers and names is kept.
    if type(x) is not np.ndarray or type(weight) is not np.ndarray:
        return
    made = make(x, weight, plan, door, activation)
    if made is not None and all(type(s) in _PLAIN for s in settings):
        if len(_known) >= _MOST:
            _known.clear()
        _known[x.shape, weight.shape, settings] = made


def make(
    x: np.ndarray, weight: np.ndarray, plan: Plan, door: Door, activation: str | None = None
) -> Shortcut | None:
    """Return the shortcut of a plan for arrays like these, the door's; None where it has none."""
    problem = plan.problem
    if plan.algorithm != small.NAME or problem.direction != "forward" or 0 in problem.out_shape:
        return None
    out, view = door.example_out(problem)
    if not all(array.flags.c_contiguous for array in (x, weight, out)):
        return None
    if not x.dtype == weight.dtype == problem.dtype == problem.compute_dtype:
        return None
    strides = (door.x.strides, door.weight.strides, view.strides)
    ending = Ending(None, *limits(activation, problem.dtype))
    return Shortcut(problem, (x.shape, weight.shape, out.shape), strides, ending)


class Shortcut:
    """A small convolution of two C-contiguous arrays of one dtype."""

    __slots__ = ("bias", "call", "dtype", "limits", "out_shape", "table", "weight_shape", "x_shape")

    def __init__(
        self,
        problem: ConvProblem,
        shapes: tuple[tuple[int, ...], ...],
        strides: tuple[tuple[int, ...], ...],
        ending: Ending,
    ) -> None:
        self.call = small.on_arrays()
        self.dtype = problem.dtype
        self.x_shape, self.weight_shape, self.out_shape = shapes
        self.table = small.offsets(problem, *strides)
        self.limits = small.limits(problem, ending)
        self.bias = np.zeros(problem.out_channels, problem.dtype)

    def fits(self, x: Any, weight: Any, bias: Any) -> bool:
        """Return whether it may be called with two arrays, whose shapes fit, and a bias."""
        dtype = self.dtype
        return (
            x.dtype is dtype
            and weight.dtype is dtype
            and x.flags.carray
            and weight.flags.carray
            and (bias is None or self._fits_bias(bias))
        )

    def _fits_bias(self, bias: Any) -> bool:
        plain = type(bias) is np.ndarray and bias.dtype is self.dtype
        return plain and bias.shape == self.bias.shape and bias.flags.carray

    def __call__(self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """Return the convolution."""
        out = np.empty(self.out_shape, self.dtype)
        self.call(x, weight, self.bias if bias is None else bias, out, self.table, self.limits)
        return out
