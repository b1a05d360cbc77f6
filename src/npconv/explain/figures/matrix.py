"""The patch matrix: every window a column, and the product with the kernels that is out."""

from __future__ import annotations

from typing import Any

import numpy as np

from npconv import ProblemError

from .board import MARGIN, QUIET, Board, Cells, Plane, Style, text_width
from .case import Case
from .numbers import limit_of
from .operation import draw_window, legend

_MOST_WINDOWS, _MOST_TAPS, _MOST_OUTS = 144, 100, 32  # columns and rows of the two matrices
_TITLE, _HEADS, _CAPTION, _GAP = 0.4, 0.62, 0.24, 0.85  # inches


def draw(case: Case, style: Style, title: str) -> Any:
    """Return the figure: x and the patch matrix above, weight as a matrix and out below."""
    outs, ins = case.outs, case.channels
    weight = case.weight[outs.start : outs.stop].reshape(len(outs), -1)
    patches = case.patches[ins.start : ins.stop].reshape(weight.shape[1], -1)
    _check(case, patches.shape[1], *weight.shape)
    images = case.canvas[ins.start : ins.stop]
    stacked = len(ins) * images.shape[1]
    widest = max(images.shape[2], weight.shape[1])
    captions = _CAPTION * len(ins) if len(ins) > 1 else 0.0
    around = 2 * MARGIN + 2 * _HEADS + (_TITLE if title else 0)
    board = Board(
        case.where, style, [(widest + patches.shape[1], 2 * MARGIN + _GAP)],
        [(stacked + len(outs), around + captions), (len(patches) + len(outs), around)],
    )  # fmt: skip
    if title:
        board.title(title)
    top = MARGIN + (_TITLE if title else 0) + _HEADS
    middle = MARGIN + max(widest * board.cell, text_width("weight", 10.5, "bold"), 1.6)
    high = max(stacked * board.cell + captions, len(patches) * board.cell)
    below = top + high + _HEADS + (0.24 if legend(case) else 0)

    seen = _draw_x(board, case, images, middle, top)
    padded = np.tile(case.patches_padded, (len(ins), 1))
    blank = padded if case.padding_mode == "zeros" else None
    x = middle + _GAP
    matrix = board.plane(
        Cells("patches", patches, "", padded, None, limit_of([case.x]), blank),
        x, top + high - len(patches) * board.cell,
    )  # fmt: skip
    kernels = board.plane(
        Cells("weight", weight, limit=limit_of([case.weight])),
        middle - weight.shape[1] * board.cell, below,
    )  # fmt: skip
    out = case.out[outs.start : outs.stop].reshape(len(outs), -1)
    result = board.plane(Cells("out", out, limit=limit_of([case.out])), x, below)

    added = "weight · patches + bias" if case.bias is not None else "weight · patches"
    board.head(matrix, "patches", f"{_size(patches)}, a column a window", "left")
    board.head(kernels, "weight", _size(weight), "right")
    board.head(result, "out", f"{_size(out)} = {added}", "left")
    column, row = case.row * case.out_size[1] + case.column, case.channel - outs.start
    board.outline(matrix.corners(0, column, len(patches)), "column of patches", 1.8)
    board.outline(kernels.corners(row, 0, 1, weight.shape[1]), "row of weight", 1.8)
    board.outline(result.corners(row, column), "element of out", 1.8)
    _part_channels(board, matrix, case)
    for c, plane in zip(ins, seen, strict=True):
        draw_window(board, plane, case, f"window of {case.name('x', c)}")
    return board.finish()


def _draw_x(board: Board, case: Case, images: np.ndarray, right: float, top: float) -> list[Plane]:
    """Draw the channels of x below each other, ending at `right`."""
    many = len(images) > 1
    drawn: list[Plane] = []
    y = top
    for c, plane in zip(case.channels, images, strict=True):
        y += _CAPTION if many else 0
        cells = Cells(
            case.name("x", c), plane, f"channel {c}" if many else "", case.padded, case.cropped,
            limit_of([case.x]), case.padded if case.padding_mode == "zeros" else None,
        )  # fmt: skip
        drawn.append(board.plane(cells, right - plane.shape[1] * board.cell, y))
        y = drawn[-1].bottom
    up = _CAPTION if many else 0
    board.head(drawn[0]._replace(top=drawn[0].top - up), "x", case.size_text(case.x), "right")
    for pattern, text in legend(case):
        y += 0.1
        board.swatch(max(right - 0.2 - text_width(text, 8), MARGIN), y, pattern, text)
        y += 0.14
    return drawn


def _part_channels(board: Board, matrix: Plane, case: Case) -> None:
    """Part the rows of the patch matrix by channels, and name them."""
    if (many := len(case.channels)) == 1:
        return
    each = matrix.rows // many
    for i, c in enumerate(case.channels):
        y = matrix.top + i * each * board.cell
        if i:
            ends = [(matrix.left - 0.08, y), (matrix.right, y)]
            board.line(ends, f"channel {c}", solid=True)
        middle = y + each * board.cell / 2
        text = f"channel {c}"
        board.text(matrix.left - 0.1, middle, text, size=8, colour=QUIET, across="right")


def _size(matrix: np.ndarray) -> str:
    return f"{matrix.shape[0]} × {matrix.shape[1]}"


def _check(case: Case, windows: int, outs: int, taps: int) -> None:
    if windows <= _MOST_WINDOWS and taps <= _MOST_TAPS and outs <= _MOST_OUTS:
        return
    raise ProblemError(
        f"the product is too large to draw: {outs} x {taps} times {taps} x {windows}.",
        rule=f"at most {_MOST_TAPS} taps, {_MOST_WINDOWS} windows and {_MOST_OUTS} channels of out",
        fix="draw a smaller part of x, as its first 10 rows and columns, or fewer kernels",
        where=case.where,
    )
