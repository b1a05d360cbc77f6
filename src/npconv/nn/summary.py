"""A model as a table: what each layer gives, holds and multiplies, and how it will be computed."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import npconv
from npconv import ProblemError
from npconv.nn.convolutions import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from npconv.nn.dense import Linear
from npconv.nn.layer import Backprop, Buffer, Layer, Training

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_ALIKE = 1.05  # estimates this close say nothing


class SummaryRow(NamedTuple):
    """One call of one layer.

    name and kind are the layer's full name and its class; shape is its result's; parameters counts
    the numbers that learn, where no row above has counted them; multiply_adds those of
    convolutions and dense layers; algorithm and why say how a convolution is computed.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    algorithm: str = ""
    why: str = ""


@dataclass(frozen=True)
class Summary:
    """What `summary` returns: print it, or read its rows and totals."""

    model: str
    x_shape: tuple[int, ...]
    rows: tuple[SummaryRow, ...]
    parameters: int
    nbytes: int  # of parameters and buffers

    @property
    def multiply_adds(self) -> int:
        """Multiplications, each with its addition, of one call."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "result", "parameters", "mult-adds", "algorithm", "why")
        table: list[tuple[str, ...]] = [head]
        for row in self.rows:
            shape = "x".join(map(str, row.shape))
            counts = (f"{row.parameters:,}", _short(row.multiply_adds))
            numbers = (text if text != "0" else "" for text in counts)
            table.append((row.name, row.kind, shape, *numbers, row.algorithm, row.why))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                f"{text:>{width}}" if place in (3, 4) else f"{text:<{width}}"
                for place, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        title = f"{self.model} of x {'x'.join(map(str, self.x_shape))}"
        total = (
            f"{self.parameters:,} parameters ({self.nbytes / 1e6:,.1f} MB), "
            f"{_short(self.multiply_adds)} multiply-adds"
        )
        return "\n".join([title, *lines, total])

    __repr__ = __str__


def summary(model: Layer, x_shape: Sequence[int] | np.ndarray) -> Summary:
    """Return a table of a model's layers, found by running it once on zeros.

    Parameters
    ----------
    model : Layer
        Stays as it is.
    x_shape : tuple of int, or ndarray
        Of its input, (N, C, *spatial): taken as channels-last in memory, as training does; or an
        array of that shape, in the memory order that counts.

    Returns
    -------
    Summary
        Rows with full names, shapes, parameters, multiply-adds and, for convolutions, the
        algorithm that `npconv.plan` chooses and why; ``print`` shows it as a table.

    Raises
    ------
    ProblemError
        Where a layer cannot take what it is given; the message names its place.

    Notes
    -----
    Costs one call of the model. Additions of biases, norms and activations are not counted.

    Examples
    --------
    >>> from npconv import nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))
    >>> s = nn.summary(model, (1, 3, 4, 4))
    >>> s.parameters, s.multiply_adds
    (482, 3712)
    >>> [row.shape for row in s.rows]
    [(1, 8, 4, 4), (1, 128), (1, 2)]
    """
    arrays = list(model.state_dict().values())
    x = x_shape if isinstance(x_shape, np.ndarray) else _zeros(x_shape, arrays)
    # A copy that shares the numbers: its layers note what they do, those of the model go on as
    # they are, in other threads too.
    shared = [each for _, layer in model.modules() for each in _numbers(layer)]
    twin = copy.deepcopy(model, {id(each): each for each in shared})
    rows: list[SummaryRow] = []
    counted: set[int] = set()
    for name, layer in twin.modules():
        watched = "forward" in vars(layer)  # it stands in two places
        if not watched and (_numbers(layer) or not list(layer.children())):
            _watch(layer, name, rows, counted)
    twin.forward(x, False)
    return Summary(
        model.recipe[0] if model.recipe else type(model).__name__,
        x.shape,
        tuple(rows),
        model.parameter_count,
        sum(array.nbytes for array in arrays),
    )


def _numbers(layer: Layer) -> list[Buffer]:
    return [value for value in vars(layer).values() if isinstance(value, Buffer)]


def _zeros(shape: Sequence[int], arrays: list[np.ndarray]) -> np.ndarray:
    dtype = next((array.dtype for array in arrays if array.dtype.kind == "f"), np.float32)
    try:
        sizes = tuple(map(operator.index, shape))
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 0:
        raise ProblemError(
            f"x_shape is {shape!r}.", rule="(N, C, *spatial), or an array", where="summary"
        )
    if len(sizes) < 3:
        return np.zeros(sizes, dtype)
    return np.moveaxis(np.zeros((sizes[0], *sizes[2:], sizes[1]), dtype), -1, 1)


def _watch(layer: Layer, name: str, rows: list[SummaryRow], counted: set[int]) -> None:
    """Make a layer's forward append a row; the way back is let go, and with it what it holds."""
    forward = layer.forward

    def watched(x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        try:
            y = forward(x, training)[0]
            algorithm, why = _chosen(layer, x)
        except ProblemError as error:
            raise error.at(error.where, [*error.facts, ("place", name or "the model")]) from None
        new = [p for p in layer.parameters() if id(p) not in counted]
        counted.update(map(id, new))
        size = sum(parameter.data.size for parameter in new)
        kind, products = type(layer).__name__, _products(layer, x, y)
        rows.append(SummaryRow(name, kind, y.shape, size, products, algorithm, why))
        return y, _nothing

    layer.forward = watched  # type: ignore[method-assign]


def _nothing(grad: np.ndarray, wanted: bool = True) -> Any:
    return None


def _products(layer: Layer, x: np.ndarray, y: np.ndarray) -> int:
    """Return how many products a layer sums: those of one element times the elements."""
    if isinstance(layer, (Conv1d, Conv2d, Conv3d, Linear)):
        return y.size * math.prod(layer.weight.data.shape[1:])
    if isinstance(layer, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)):
        return x.size * math.prod(layer.weight.data.shape[1:])
    return 0


def _chosen(layer: Layer, x: np.ndarray) -> tuple[str, str]:
    """Return the algorithm of a convolution and the reason; nothing for other layers."""
    geometry: dict[str, Any] = {}
    if isinstance(layer, (Conv1d, Conv2d, Conv3d)):
        seen = x
        geometry = {"padding": layer.padding, "padding_mode": layer.padding_mode}
    elif isinstance(layer, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)):
        steps: dict[str, Any] = {
            "stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups,
        }  # fmt: skip
        shape, padding = npconv.conv_transpose_geometry(
            x.shape, layer.weight.data.shape, padding=layer.padding,
            output_padding=layer.output_padding, **steps,
        )  # fmt: skip
        seen = np.empty_like(x, shape=shape)
        geometry = {"padding": padding, "direction": "input_grad"}
    else:
        return "", ""
    if layer.algorithm != "auto":
        return layer.algorithm, "asked for"
    plan = npconv.plan(
        seen, layer.weight.data, stride=layer.stride, dilation=layer.dilation,
        groups=layer.groups, precision=layer.precision, **geometry,
    )  # fmt: skip
    return plan.algorithm, _why(plan)


def _why(plan: npconv.Plan) -> str:
    own = plan.seconds or 0.0
    others = [row for row in plan.rows if row.seconds is not None and not row.chosen]
    if not others:
        return "no other can"
    next_best = min(others, key=lambda row: row.seconds or 0.0)
    times = (next_best.seconds or 0.0) / own if own else math.inf
    if times > _ALIKE:
        return f"{times:.1f} times as quick as {next_best.algorithm}"
    leaner = (plan.workspace or 0) < (next_best.workspace or 0)
    return f"as quick as {next_best.algorithm}" + (", and leaner" if leaner else "")


def _short(number: float) -> str:
    """Return a number in three digits with a unit, as 1.81 G."""
    for unit, sign in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g} {sign}"
    return str(number)
