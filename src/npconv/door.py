"""Where arrays come in: any array and layout to canonical views, and the cached plan for them."""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import layout as axes
from npconv import planner
from npconv.algorithms.contract import Ending
from npconv.arguments import example, limits
from npconv.dtypes import NUMERIC_KINDS, as_array, result_dtype
from npconv.errors import ProblemError
from npconv.integers import is_many
from npconv.memory import nbytes_text
from npconv.problem import ConvProblem
from npconv.threads import forget_when_changed
from npconv.views import find_axes

# What each direction is given, as messages call it: two arrays, and the shape of what is sought.
OPERANDS = {
    "forward": ("x", "weight", ""),
    "input_grad": ("grad_out", "weight", "x_shape"),
    "weight_grad": ("grad_out", "x", "weight_shape"),
}


class Door:
    """The operands of one direction as canonical views, and what is needed to make its result.

    x or weight may stand for a shape alone: the one whose gradient is sought.  x's gradient lies in
    memory as x does, or as grad_out does where `like_grad`.
    """

    def __init__(
        self,
        x: ArrayLike,
        weight: ArrayLike,
        layout: str | None,
        weight_layout: str | None,
        direction: str = "forward",
        grad_out: ArrayLike | None = None,
        like_grad: bool = False,
    ) -> None:
        a, b = as_array(x, "x"), as_array(weight, "weight")
        self.direction = direction
        if direction == "forward":
            self.axes = find_axes(a, b, layout, weight_layout)
        else:
            g = as_array(grad_out, "grad_out")  # type: ignore[arg-type]
            if g.ndim != a.ndim:
                raise ProblemError(
                    f"grad_out has {g.ndim} axes, x has {a.ndim}.", rule="grad_out has out's shape"
                )
            self.axes = find_axes(g if like_grad else a, b, layout, weight_layout)
            self.grad_out = axes.seen(g, self.axes.x_view)
        self.x = axes.seen(a, self.axes.x_view)
        self.weight = axes.seen(b, self.axes.weight_view)
        self.packed: Any = None  # weight as the plan that will run has transformed it

    @property
    def operands(self) -> tuple[np.ndarray, np.ndarray]:
        """The two arrays given, in the order that algorithms take them."""
        if self.direction == "forward":
            return self.x, self.weight
        return self.grad_out, self.weight if self.direction == "input_grad" else self.x

    def plan(
        self,
        algorithm: str,
        memory_limit: int | None,
        precision: str,
        bias_dtype: np.dtype | None,
        geometry: tuple[Any, ...],
        packed: bool = False,
    ) -> planner.Plan:
        """Return the plan for these arrays, from the cache where it is known."""
        if not isinstance(algorithm, str):
            algorithm = repr(algorithm)  # which no algorithm is called: the message shows it
        key = self._key(bias_dtype)
        try:
            frozen = tuple(_frozen(value) for value in geometry)
            hash((frozen, algorithm, precision))
        except TypeError:
            # Not spelled in integers and names: the validator has the message.
            frozen, find = geometry, _plan.__wrapped__
        else:
            find = _plan
        chosen = find(key, frozen, algorithm, memory_limit, precision, packed)
        if self.direction != "forward":
            self._check_grad(chosen.problem)
        return chosen

    def problem(self, precision: str, geometry: tuple[Any, ...]) -> ConvProblem:
        """Return the problem that these arrays pose."""
        return _problem(self._key(None), geometry, precision)

    def _key(self, bias_dtype: np.dtype | None) -> tuple[Any, ...]:
        first, second = self.operands
        return (
            self.direction, self.x.shape, self.weight.shape, first.dtype, second.dtype, bias_dtype,
            self.axes.channels_last, self.axes.weight_channels_last, "C" in self.axes.x_letters,
        )  # fmt: skip

    def _check_grad(self, problem: ConvProblem) -> None:
        if self.grad_out.shape != problem.out_shape:
            given, wanted = (
                self._in_letters(shape) for shape in (self.grad_out.shape, problem.out_shape)
            )
            raise ProblemError(
                f"grad_out has shape {given}, conv of x and weight gives {wanted} "
                f"({self.axes.x_letters}).",
                rule="grad_out has out's shape",
                fix="check stride, padding and dilation: they must be those of the forward call",
            )

    def _in_letters(self, canonical: tuple[int, ...]) -> tuple[int, ...]:
        return axes.in_letters(canonical, self.axes.order, self.axes.x_letters)

    def example_out(self, problem: ConvProblem) -> tuple[np.ndarray, np.ndarray]:
        """Return what has the shape and strides of the forward result, and its canonical view.

        It has no memory to read.
        """
        a = self.axes
        sizes = dict(zip(a.order, problem.out_shape, strict=True))
        lying = example([sizes[letter] for letter in a.memory], problem.out_dtype, "out")
        out = lying.transpose([a.memory.index(letter) for letter in a.x_letters])
        return out, axes.seen(out, a.x_view)

    def measure(self, chosen: planner.Plan) -> planner.Plan:
        """Return the plan chosen anew by the clock, on these arrays."""
        return planner.measure(chosen, *self.operands, self.empty_out(chosen.problem)[1])

    @property
    def views(self) -> tuple[axes.View, axes.View, axes.View]:
        """How the two operands and the result are seen."""
        x, weight = self.axes.x_view, self.axes.weight_view
        return {
            "forward": (x, weight, x),
            "input_grad": (x, weight, x),
            "weight_grad": (x, x, weight),
        }[self.direction]

    def _result_axes(self) -> tuple[str, str, str]:
        """Return the result's letters, canonical order and memory order."""
        a = self.axes
        if self.direction == "weight_grad":
            return a.weight_letters, a.weight_order, a.weight_memory
        return a.x_letters, a.order, a.memory

    def result_lies(self, problem: ConvProblem) -> axes.Lying:
        """Return how a new result lies: in the memory order of what it is like."""
        letters, order, memory = self._result_axes()
        return axes.lying(dict(zip(order, problem.result_shape, strict=True)), letters, memory)

    def empty_out(self, problem: ConvProblem) -> tuple[np.ndarray, np.ndarray]:
        """Return a new result in the memory order of what it is like, and its canonical view."""
        try:
            out = axes.new(self.result_lies(problem), problem.dtype)
        except ValueError:  # NumPy's limit on a shape, which holds for empty arrays too
            needs = nbytes_text(math.prod(n or 1 for n in problem.result_shape))
            raise MemoryError(
                f"a result of shape {problem.result_shape} takes {needs} or more."
            ) from None
        return out, axes.seen(out, self.views[-1])

    def run(
        self,
        chosen: planner.Plan,
        bias: np.ndarray | None,
        out: np.ndarray | None,
        activation: str | None = None,
    ) -> np.ndarray:
        """Run a plan on these arrays."""
        problem = chosen.problem
        ending = Ending(bias, *limits(activation, problem.dtype))
        channels = problem.result_shape[-1]
        if bias is not None and bias.shape not in ((), (1,), (channels,)):
            raise ProblemError(
                f"bias has shape {bias.shape}, the result has {channels} channels.",
                rule="bias has one number for each output channel, or is a single number",
            )
        if bias is not None and not np.can_cast(bias.dtype, problem.dtype, "same_kind"):
            raise ProblemError(
                f"bias has dtype {bias.dtype}, the plan's result only {problem.dtype}.",
                fix="convert bias first, or call npconv.conv, whose result follows bias too",
            )
        operands = self.operands
        if out is None:
            result, view = self.empty_out(problem)
            chosen.run(*operands, view, ending, self.packed)
            return result
        self._check_out(problem, out)
        read = [a for a in (*operands, bias) if a is not None]
        direct = out.dtype == problem.dtype and not any(np.may_share_memory(out, a) for a in read)
        if direct:
            view = axes.seen(np.asarray(out), self.views[-1])
            chosen.run(*operands, view, ending, self.packed)
        else:
            np.copyto(out, self.run(chosen, bias, None, activation), casting="same_kind")
        return out

    def _check_out(self, problem: ConvProblem, out: np.ndarray) -> None:
        letters, order, _ = self._result_axes()
        shape = axes.in_letters(problem.result_shape, order, letters)
        if not isinstance(out, np.ndarray):
            raise ProblemError(f"out is a {type(out).__name__}, not an ndarray.")
        if out.shape != shape:
            raise ProblemError(f"out has shape {out.shape}, the result has {shape} ({letters}).")
        if not out.flags.writeable:
            raise ProblemError("out is read-only.")
        numeric = out.dtype.kind in NUMERIC_KINDS
        if not (numeric and np.can_cast(problem.dtype, out.dtype, "same_kind")):
            raise ProblemError(
                f"out has dtype {out.dtype}, which cannot hold the result's {problem.dtype}.",
                rule='np.can_cast(result, out, "same_kind")',
            )


def open_door(
    direction: str,
    first: ArrayLike,
    second: ArrayLike,
    shape: ArrayLike | None,
    layout: str | None,
    weight_layout: str | None,
) -> Door:
    """Return the door of a direction's two operands; `shape` is that of a gradient sought."""
    if direction == "forward":
        return Door(first, second, layout, weight_layout)
    sought = example(shape, np.float32, OPERANDS[direction][2])  # type: ignore[arg-type]
    if direction == "input_grad":
        like_grad = not isinstance(shape, np.ndarray)
        return Door(sought, second, layout, weight_layout, direction, first, like_grad)
    return Door(second, sought, layout, weight_layout, direction, first)


@lru_cache(maxsize=1024)
def _plan(
    key: tuple[Any, ...],
    geometry: tuple[Any, ...],
    algorithm: str,
    memory_limit: int | None,
    precision: str,
    packed: bool,
) -> planner.Plan:
    return planner.choose(_problem(key, geometry, precision), algorithm, memory_limit, packed)


forget_when_changed(_plan.cache_clear)


def _problem(key: tuple[Any, ...], geometry: tuple[Any, ...], precision: str) -> ConvProblem:
    direction, x_shape, weight_shape, first, second, bias_dtype, last, weight_last, has_c = key
    stride, padding, dilation, groups, padding_mode = geometry
    if not has_c and weight_shape[-1] != 1:
        raise ProblemError(
            f"weight has {weight_shape[-1]} output channels, and layout has no C to put them in.",
            fix="add C to layout (x[..., None] has one channel)",
        )
    result = result_dtype(first, second, *([] if bias_dtype is None else [bias_dtype]))
    x_dtype, weight_dtype, out_dtype = {
        "forward": (first, second, result),
        "input_grad": (result, second, first),
        "weight_grad": (second, result, first),
    }[direction]
    return ConvProblem.create(
        x_shape, weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups,
        padding_mode=padding_mode, x_dtype=x_dtype, weight_dtype=weight_dtype,
        out_dtype=out_dtype, precision=precision, channels_last=last,
        weight_channels_last=weight_last, direction=direction,
    )  # fmt: skip


def _frozen(value: Any) -> Any:
    """Return geometry as a cache key, or raise TypeError where it is not integers and names."""
    if isinstance(value, str):
        return value
    if is_many(value):
        return tuple(_frozen(v) for v in value)
    return operator.index(value)
