"""Where arrays come in: any array and layout to canonical views, and the cached plan for them."""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, DTypeLike

from npconv import layout as axes
from npconv import planner
from npconv.dtypes import NUMERIC_KINDS, as_array, result_dtype
from npconv.errors import ProblemError
from npconv.integers import is_many
from npconv.memory import nbytes_text
from npconv.problem import ConvProblem


class Axes(NamedTuple):
    """What two layouts and two arrays' strides come to, found once."""

    x_letters: str
    weight_letters: str
    order: str
    memory: str
    x_view: tuple[tuple[int, ...], tuple[slice | None, ...]]
    weight_view: tuple[tuple[int, ...], tuple[slice | None, ...]]
    channels_last: bool
    weight_channels_last: bool


@lru_cache(maxsize=1024)
def _find_axes(
    x_shape: tuple[int, ...],
    x_strides: tuple[int, ...],
    weight_shape: tuple[int, ...],
    weight_strides: tuple[int, ...],
    layout: str | None,
    weight_layout: str | None,
) -> Axes:
    x_letters = axes.parse_layout(layout, len(x_shape))
    letters = axes.parse_weight_layout(weight_layout, x_letters, len(weight_shape))
    order, weight_order = axes.canonical_order(x_letters)
    memory = axes.memory_order(x_shape, x_strides, x_letters)
    weight_memory = axes.memory_order(weight_shape, weight_strides, letters)
    many = "C" in x_letters and x_shape[x_letters.index("C")] > 1
    # I after the taps in memory: a tap's inputs then lie together.
    taps_first = "I" in weight_memory and weight_memory.index("I") > max(
        weight_memory.index(a) for a in axes.spatial(x_letters)
    )
    return Axes(
        x_letters, letters, order, memory, axes.to_canonical(x_letters, order),
        axes.to_canonical(letters, weight_order), many and memory[-1] == "C", taps_first,
    )  # fmt: skip


class Door:
    """x and weight as canonical views, and what is needed to make an out like x."""

    def __init__(
        self, x: ArrayLike, weight: ArrayLike, layout: str | None, weight_layout: str | None
    ) -> None:
        a, b = as_array(x, "x"), as_array(weight, "weight")
        key = (a.shape, a.strides, b.shape, b.strides, layout, weight_layout)
        try:
            self.axes = _find_axes(*key)
        except TypeError:
            self.axes = _find_axes.__wrapped__(*key)  # a layout that cannot be hashed
        self.x = _view(a, self.axes.x_view)
        self.weight = _view(b, self.axes.weight_view)

    def plan(
        self,
        algorithm: str,
        memory_limit: int | None,
        precision: str,
        bias_dtype: np.dtype | None,
        geometry: tuple[Any, ...],
    ) -> planner.Plan:
        """Return the plan for these arrays, from the cache where it is known."""
        if not isinstance(algorithm, str):
            algorithm = repr(algorithm)  # which no algorithm is called: the message shows it
        key = (
            self.x.shape, self.weight.shape, self.x.dtype, self.weight.dtype, bias_dtype,
            self.axes.channels_last, self.axes.weight_channels_last, "C" in self.axes.x_letters,
        )  # fmt: skip
        try:
            frozen = tuple(_frozen(value) for value in geometry)
            hash((frozen, algorithm, precision))
        except TypeError:
            # Not spelled in integers and names: the validator has the message.
            return _plan.__wrapped__(key, geometry, algorithm, memory_limit, precision)
        return _plan(key, frozen, algorithm, memory_limit, precision)

    def measure(self, chosen: planner.Plan) -> planner.Plan:
        """Return the plan chosen anew by the clock, on these arrays."""
        return planner.measure(chosen, self.x, self.weight, self.empty_out(chosen.problem)[1])

    def empty_out(self, problem: ConvProblem) -> tuple[np.ndarray, np.ndarray]:
        """Return a new out in x's memory order, and its canonical view."""
        sizes = dict(zip(self.axes.order, problem.out_shape, strict=True))
        try:
            out = axes.empty(sizes, self.axes.x_letters, self.axes.memory, problem.dtype)
        except ValueError:  # NumPy's limit on a shape, which holds for empty arrays too
            needs = nbytes_text(math.prod(n or 1 for n in problem.out_shape))
            raise MemoryError(
                f"an out of shape {problem.out_shape} takes {needs} or more."
            ) from None
        return out, _view(out, self.axes.x_view)

    def run(
        self, chosen: planner.Plan, bias: np.ndarray | None, out: np.ndarray | None
    ) -> np.ndarray:
        """Run a plan on these arrays."""
        problem = chosen.problem
        if bias is not None and bias.shape not in ((), (1,), (problem.out_channels,)):
            raise ProblemError(
                f"bias has shape {bias.shape}, weight has {problem.out_channels} output channels.",
                rule="bias is (O,), or a single number",
            )
        if bias is not None and not np.can_cast(bias.dtype, problem.dtype, "same_kind"):
            raise ProblemError(
                f"bias has dtype {bias.dtype}, the plan's result only {problem.dtype}.",
                fix="convert bias first, or call npconv.conv, whose result follows bias too",
            )
        if out is None:
            result, view = self.empty_out(problem)
            chosen.run(self.x, self.weight, bias, view)
            return result
        self._check_out(problem, out)
        operands = [a for a in (self.x, self.weight, bias) if a is not None]
        direct = out.dtype == problem.dtype and not any(
            np.may_share_memory(out, a) for a in operands
        )
        if direct:
            view = _view(np.asarray(out), self.axes.x_view)
            chosen.run(self.x, self.weight, bias, view)
        else:
            np.copyto(out, self.run(chosen, bias, None), casting="same_kind")
        return out

    def _check_out(self, problem: ConvProblem, out: np.ndarray) -> None:
        sizes = dict(zip(self.axes.order, problem.out_shape, strict=True))
        shape = tuple(sizes[a] for a in self.axes.x_letters)
        if not isinstance(out, np.ndarray):
            raise ProblemError(f"out is a {type(out).__name__}, not an ndarray.")
        if out.shape != shape:
            raise ProblemError(
                f"out has shape {out.shape}, the result has {shape} ({self.axes.x_letters})."
            )
        if not out.flags.writeable:
            raise ProblemError("out is read-only.")
        numeric = out.dtype.kind in NUMERIC_KINDS
        if not (numeric and np.can_cast(problem.dtype, out.dtype, "same_kind")):
            raise ProblemError(
                f"out has dtype {out.dtype}, which cannot hold the result's {problem.dtype}.",
                rule='np.can_cast(result, out, "same_kind")',
            )


@lru_cache(maxsize=1024)
def _plan(
    key: tuple[Any, ...],
    geometry: tuple[Any, ...],
    algorithm: str,
    memory_limit: int | None,
    precision: str,
) -> planner.Plan:
    x_shape, weight_shape, x_dtype, weight_dtype, bias_dtype, last, weight_last, has_c = key
    stride, padding, dilation, groups, padding_mode = geometry
    if not has_c and weight_shape[-1] != 1:
        raise ProblemError(
            f"weight has {weight_shape[-1]} output channels, and layout has no C to put them in.",
            fix="add C to layout (x[..., None] has one channel)",
        )
    dtypes = [x_dtype, weight_dtype, *([] if bias_dtype is None else [bias_dtype])]
    problem = ConvProblem.create(
        x_shape, weight_shape, stride=stride, padding=padding, dilation=dilation, groups=groups,
        padding_mode=padding_mode, x_dtype=x_dtype, weight_dtype=weight_dtype,
        dtype=result_dtype(*dtypes), precision=precision, channels_last=last,
        weight_channels_last=weight_last,
    )  # fmt: skip
    return planner.choose(problem, algorithm, memory_limit)


def example(shape: ArrayLike, dtype: DTypeLike, name: str) -> np.ndarray:
    """Return the array given; for a shape, one that has its strides and no memory to read."""
    if isinstance(shape, np.ndarray):
        return shape
    try:
        sizes = tuple(operator.index(n) for n in shape)  # type: ignore[union-attr, arg-type]
        kind = np.dtype(dtype)
    except TypeError:
        raise ProblemError(
            f"{name} is {shape!r} and dtype {dtype!r}.",
            rule="a shape is a tuple of integers, or the array itself",
        ) from None
    if any(n < 0 for n in sizes):
        raise ProblemError(f"{name} {sizes} has a negative length.")
    strides = [kind.itemsize * math.prod(n or 1 for n in sizes[i + 1 :]) for i in range(len(sizes))]
    try:
        return as_strided(np.empty(1, kind), sizes, strides, writeable=False)
    except (ValueError, OverflowError):
        needs = nbytes_text(math.prod(sizes) * kind.itemsize)
        raise MemoryError(f"{name} {sizes} takes {needs}.") from None


def filled(view: np.ndarray) -> np.ndarray:
    """Return an array like the view, in its memory order, holding small random numbers."""
    values = np.random.default_rng(0).integers(0, 5, view.shape)
    filled = np.empty_like(view)
    filled[...] = values
    return filled


def _view(array: np.ndarray, view: tuple[tuple[int, ...], tuple[slice | None, ...]]) -> np.ndarray:
    turn, index = view
    return array.transpose(turn)[index]


def _frozen(value: Any) -> Any:
    """Return geometry as a cache key, or raise TypeError where it is not integers and names."""
    if isinstance(value, str):
        return value
    if is_many(value):
        return tuple(_frozen(v) for v in value)
    return operator.index(value)


def bias_array(bias: ArrayLike | None, door: Door) -> np.ndarray | None:
    """Return bias as an array; a Python number does not widen the arrays' own dtype."""
    if bias is None:
        return None
    array = as_array(bias, "bias")
    if type(bias) in (bool, int, float, complex):
        dtype = np.result_type(result_dtype(door.x.dtype, door.weight.dtype), bias)
        return array.astype(dtype)
    return array


def byte_count(value: Any) -> int:
    """Return a memory limit as an int, or raise ProblemError."""
    try:
        limit = operator.index(value)
    except TypeError:
        raise ProblemError(f"memory_limit is {value!r}, not a number of bytes.") from None
    if limit < 0:
        raise ProblemError(f"memory_limit is {limit} bytes, and must be at least 0.")
    return limit


def facts(
    x: Any, weight: Any, layout: str | None, weight_layout: str | None, shapes: bool = False
) -> list[tuple[str, str]]:
    """Return the rows of a message that show the arrays, or the shapes given in their stead."""
    rows = []
    x_letters = ""
    for name, value in (("x", x), ("weight", weight)):
        try:
            is_shape = shapes and not isinstance(value, np.ndarray)
            shape = tuple(value) if is_shape else np.shape(value)
        except (ValueError, TypeError):
            rows.append((name, type(value).__name__))
            continue
        try:
            if name == "x":
                letters = x_letters = axes.parse_layout(layout, len(shape))
            else:
                letters = axes.parse_weight_layout(weight_layout, x_letters, len(shape))
        except (ProblemError, TypeError, IndexError):
            letters = ""
        rows.append((name, f"{shape!s:<16}  {letters}".rstrip()))
    return rows
