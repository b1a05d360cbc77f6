"""The receptive field: which elements of x one element reaches back to, layer by layer."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import npconv
from npconv import ProblemError

from .asked import place_of
from .board import MARGIN, Board, Cells, Plane, Style
from .case import Case
from .numbers import limit_of
from .operation import legend

_NAMES = ("kernel_size", "stride", "dilation", "padding")
_TITLE, _HEADS, _GAP, _LINE = 0.4, 0.62, 0.75, 0.22  # inches

Pair = tuple[int, int]
Pads = tuple[Pair, ...]


class Layer(NamedTuple):
    """A convolution whose numbers do not matter: a kernel of ones over one channel."""

    kernel_size: Pair
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pads

    @property
    def ones(self) -> np.ndarray:
        """The kernel, of whole numbers: what is counted with it is exact."""
        return np.ones(self.kernel_size, np.int64)

    @property
    def steps(self) -> dict[str, Any]:
        """Conv's keywords but the padding."""
        return {"stride": self.stride, "dilation": self.dilation, "layout": "HW"}


class Stage(NamedTuple):
    """What a layer reads, and how often each element of it enters the one that is looked at.

    paths (rows, columns) has the padding too; padded and cropped are masks of it.
    """

    paths: np.ndarray
    padded: np.ndarray | None = None
    cropped: np.ndarray | None = None

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Row, column, rows and columns of the block that holds every path."""
        rows, columns = np.nonzero(self.paths)
        top, left = int(rows.min()), int(columns.min())
        return top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1


def draw(case: Case, style: Style, title: str, layers: Sequence[Any], at: Any) -> Any:
    """Return the figure: x, what each layer makes of it, and the lines between."""
    first = Layer(case.kernel_size, case.stride, case.dilation, case.padding)
    made = [first, *(_read(case, layer) for layer in layers)]
    stages = _stages(case, made, at)
    shapes = [s.paths.shape for s in stages]
    around = 2 * MARGIN + _HEADS + (_TITLE if title else 0) + _LINE * (len(made) + 2)
    board = Board(
        case.where, style,
        [(sum(max(s[1], 3) for s in shapes), 2 * MARGIN + _GAP * len(layers) + _GAP)],
        [(max(s[0] for s in shapes), around)],
    )  # fmt: skip
    if title:
        board.title(title)
    top = MARGIN + (_TITLE if title else 0) + _HEADS
    high = max(s[0] for s in shapes) * board.cell
    left, drawn = MARGIN, list[Plane]()
    for i, stage in enumerate(stages):
        rows, columns = stage.paths.shape
        wide = max(columns * board.cell, 0.95)
        name = _name(i, len(stages))
        cells = Cells(
            name, stage.paths, "", stage.padded, stage.cropped, limit_of([stage.paths]),
            stage.paths == 0,
        )  # fmt: skip
        plane = board.plane(
            cells, left + (wide - columns * board.cell) / 2, top + (high - rows * board.cell) / 2
        )
        board.head(plane, name, "field " + _times(stage.box[2:], case.planar))
        board.outline(plane.corners(*stage.box), f"field in {name}")
        if drawn:
            _connect(board, drawn[-1], stages[i - 1].box, plane, stage.box)
        drawn.append(plane)
        left += wide + _GAP
    _explain(board, case, made, stages, top + high + 0.2)
    return board.finish()


def _stages(case: Case, made: list[Layer], at: Any) -> list[Stage]:
    """Return what each layer reads, and the last one's result, by npconv's gradients of ones."""
    sizes: list[Pair] = [(case.x.shape[1], case.x.shape[2])]
    for i, layer in enumerate(made):
        out = _out_size(case, layer, sizes[-1], i)
        sizes.append(out)
    last = np.zeros(sizes[-1], np.int64)
    last[place_of(case.where, case.letters, at, (len(case.weight), *sizes[-1]))[1:]] = 1
    stages, paths = [Stage(last)], last
    for layer, size in zip(reversed(made), reversed(sizes[:-1]), strict=True):
        grown = [(max(b, 0), max(a, 0)) for b, a in layer.padding]
        cut = [(max(-b, 0), max(-a, 0)) for b, a in layer.padding]
        inner = [n + b + a for n, (b, a) in zip(size, layer.padding, strict=True)]
        reached = npconv.conv_input_grad(paths, layer.ones, tuple(inner), **layer.steps)
        stages.append(
            Stage(np.pad(reached, cut), _outside(size, grown), _outside(inner, cut))
        )  # fmt: skip
        paths = npconv.conv_input_grad(
            paths, layer.ones, size, padding=layer.padding, padding_mode=case.padding_mode,
            **layer.steps,
        )  # fmt: skip
        if not paths.any():
            raise ProblemError(
                "the element reaches padding alone, and no element of x.",
                fix="choose another with at=", where=case.where,
            )  # fmt: skip
    return stages[::-1]


def _outside(size: Sequence[int], around: list[Pair]) -> np.ndarray:
    return np.pad(np.zeros(size, bool), around, constant_values=True)


def _out_size(case: Case, layer: Layer, size: Pair, number: int) -> Pair:
    settings = {**layer.steps, "padding": layer.padding, "padding_mode": case.padding_mode}
    try:
        problem = npconv.plan(size, layer.kernel_size, **settings).problem
    except ProblemError as error:
        sentence = f"layer {number + 1}: {error.sentence}"
        raise ProblemError(sentence, error.rule, error.fix, case.where) from None
    rows, columns = problem.out_size
    if not rows * columns:
        raise ProblemError(f"layer {number + 1} has no output to look at.", where=case.where)
    return rows, columns


def _read(case: Case, layer: Any) -> Layer:
    """Return a layer from (kernel_size, stride, dilation, padding), or from these as keywords."""
    given = layer if isinstance(layer, Mapping) else None
    if given is None:
        values = (layer,) if isinstance(layer, int | np.integer) else tuple(layer)
        given = dict(zip(_NAMES, values, strict=False))
        if len(values) > len(_NAMES):
            given = {"too many": None}
    if "kernel_size" not in given or set(given) - set(_NAMES):
        raise ProblemError(
            f"a layer is {layer!r}.", rule=f"a layer is ({', '.join(_NAMES)}), or these as a dict",
            fix="as in layers=[(3, 2), {'kernel_size': 3, 'padding': 1}]", where=case.where,
        )  # fmt: skip
    kernel = _pair(case, given["kernel_size"], "kernel_size", 1)
    stride = _pair(case, given.get("stride", 1), "stride", 1)
    dilation = _pair(case, given.get("dilation", 1), "dilation", 1)
    padding = _pair(case, given.get("padding", 0), "padding", 0)
    return Layer(kernel, stride, dilation, tuple((p, p) for p in padding))


def _pair(case: Case, value: Any, name: str, alone: int) -> Pair:
    """Return a number for the rows and one for the columns; a line has one row, so `alone`."""
    values = tuple(np.atleast_1d(np.asarray(value, object)))
    try:
        numbers = [operator.index(v) for v in values]
    except TypeError:
        numbers = []
    axes = 2 if case.planar else 1
    if len(numbers) not in {1, axes} or min(numbers) < alone:
        raise ProblemError(
            f"a layer's {name} is {value!r}.", where=case.where,
            rule=f"a whole number from {alone} up{', or one an axis' * case.planar}",
        )  # fmt: skip
    return (numbers[0] if case.planar else alone), numbers[-1]


def _name(i: int, count: int) -> str:
    if not i:
        return "x"
    return "out" if count == 2 else f"layer {i}"


def _connect(board: Board, a: Plane, box_a: Any, b: Plane, box_b: Any) -> None:
    """Draw the two lines from the field in one plane to the field in the next."""
    start, end = a.corners(*box_a), b.corners(*box_b)
    board.line([tuple(start[1]), tuple(end[0])], "to the next layer")
    board.line([tuple(start[2]), tuple(end[3])], "to the next layer")


def _explain(board: Board, case: Case, made: list[Layer], stages: list[Stage], top: float) -> None:
    """Write below the planes what the layers are, and how much of x is seen."""
    for pattern, text in legend(case):
        board.swatch(MARGIN, top - 0.04, pattern, text)
        top += _LINE
    x = stages[0]
    inside = ~x.padded if x.padded is not None else np.ones(x.paths.shape, bool)
    seen = int(np.count_nonzero(x.paths[inside]))
    total = case.x.shape[1] * case.x.shape[2]
    lines = [_layer_text(case, i, layer) for i, layer in enumerate(made)] if len(made) > 1 else []
    whose = "the element" if len(made) > 1 else "the element of out"
    lines.append(f"{whose} sees {seen} of x's {total} elements; a number says in how many ways")
    for text in lines:
        board.text(MARGIN, top + 0.06, text, size=8.5, across="left", name="explanation")
        top += _LINE


def _layer_text(case: Case, i: int, layer: Layer) -> str:
    said = [f"layer {i + 1}: kernel {_times(layer.kernel_size, case.planar)}"]
    for name, values in (("stride", layer.stride), ("dilation", layer.dilation)):
        if set(values) != {1}:
            said.append(f"{name} {case.pair_text(values)}")
    if any(map(any, layer.padding)):
        pads = layer.padding if case.planar else layer.padding[1:]
        even = len({n for pair in pads for n in pair}) == 1
        said.append(f"padding {pads[0][0] if even else ', '.join(f'{b} and {a}' for b, a in pads)}")
    return ", ".join(said)


def _times(values: Sequence[int], planar: bool) -> str:
    return " × ".join(map(str, values if planar else values[1:]))
