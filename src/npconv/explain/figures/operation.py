"""The operation: padded x, one kernel, and the channel of out that they make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import npconv

from .board import CROPPED, PADDED, Board, Cells, Plane, Style
from .case import Case
from .numbers import limit_of, number
from .sheet import Part, Sheet, lay_out

_MOST_TAPS, _MOST_SIGNS = 9, 96  # what is written out, product by product


def draw(case: Case, style: Style, title: str) -> Any:
    """Return the figure."""
    sheet = operation_sheet(case, style, title)
    x_planes, *_, (out,) = sheet.planes
    board = sheet.board
    for channel, plane in zip(case.channels, x_planes, strict=True):
        draw_window(board, plane, case, f"window of {case.name('x', channel)}")
    board.outline(out.corners(case.row, case.column), "element of out")
    said = sentence(case, case.row, case.column)
    board.text(sheet.left, sheet.below, said, across="left", name="arithmetic")
    return board.finish()


def operation_sheet(case: Case, style: Style, title: str) -> Sheet:
    """Lay out the channels of x that one channel of out sees, its kernel, its bias, and itself."""
    channel, many = case.channel, len(case.channels) > 1
    kernel, out = case.weight[channel], case.out[channel]
    across = _planes_across(case)
    limit = limit_of([case.weight])
    kernels = [
        Cells(case.kernel_name(channel, i), plane, f"channel {c}" * many, limit=limit)
        for i, (c, plane) in enumerate(zip(case.channels, kernel, strict=True))
    ]
    note = case.size_text(kernel) + _steps(case)
    parts = [
        x_part(case, across),
        Part(
            case.name("weight", channel), note, kernels, across, "∗"
        ),
        *bias_part(case),
    ]  # fmt: skip
    of = f"1 of {len(case.weight)} channels, " if len(case.weight) > 1 else ""
    name = case.name("out", channel)
    shown = [Cells(name, out, limit=limit_of([out]))]
    parts.append(Part(name, of + case.size_text(out), shown, sign="="))
    return lay_out(case.where, style, title, parts, lines_below=1)


def x_part(case: Case, across: int = 1) -> Part:
    """Return the column of x's channels, with what is padded and what is cut off."""
    many = len(case.channels) > 1
    limit, blank = limit_of([case.x]), case.padded if case.padding_mode == "zeros" else None
    cells = [
        Cells(
            case.name("x", c), case.canvas[c], f"channel {c}" * many, case.padded, case.cropped,
            limit, blank,
        )
        for c in case.channels
    ]  # fmt: skip
    group = case.groups > 1
    of = f"{len(case.channels)} of {len(case.x)} channels, " if group else ""
    note = of + case.size_text(case.x[0] if group else case.x)
    return Part("x", note, cells, across, legend=legend(case))


def bias_part(case: Case) -> list[Part]:
    """Return the column of the bias, where there is one."""
    if case.bias is None:
        return []
    value = case.bias[case.channel].reshape(1, 1)
    name = case.name("bias", case.channel)
    return [Part(name, "", [Cells(name, value, limit=limit_of([case.bias]))], sign="+")]


def legend(case: Case) -> tuple[tuple[str, str], ...]:
    """Return what the hatches of x mean, as far as it has any."""
    given = []
    if case.padded.any():
        given.append((PADDED, f"padding: {case.padding_mode}"))
    if case.cropped.any():
        given.append((CROPPED, "cut off by a negative padding"))
    return tuple(given)


def draw_window(board: Board, plane: Plane, case: Case, name: str) -> list[Any]:
    """Outline the taps of the case's window on a plane of the canvas."""
    row, column = case.corner(case.row, case.column)
    if case.dilation == (1, 1):
        return board.outline(plane.corners(row, column, *case.kernel_size), name)
    drawn = board.outline(
        plane.corners(row, column, *case.spans), f"span of {name}", 1.0, dashed=True
    )
    for i, j in np.ndindex(case.kernel_size):
        place = row + i * case.dilation[0], column + j * case.dilation[1]
        drawn += board.outline(plane.corners(*place), name, 1.8)
    return drawn


def sentence(case: Case, row: int, column: int) -> str:
    """Return the arithmetic of an element of out: its products where they are few, else sums."""
    taps, weight, sums = products(case, row, column)
    bias = [] if case.bias is None else [f"{number(case.bias[case.channel])} (bias)"]
    name = case.name("out", case.channel, row, column)
    total = number(case.out[case.channel, row, column])
    pairs = zip(taps.ravel(), weight.ravel(), strict=True)
    written = joined([f"{number(a)}·{_bracketed(b)}" for a, b in pairs] + bias)
    if weight.size <= _MOST_TAPS and len(written) <= _MOST_SIGNS:
        return f"{name} = {written} = {total}"
    if len(sums) > 1:
        terms = [f"{number(s)} (channel {c})" for s, c in zip(sums, case.channels, strict=True)]
        terms = terms if len(sums) <= 4 else [number(s) for s in sums]
        return f"{name} = {joined([*terms, *bias])} = {total}"
    count = math.prod(case.kernel_size)
    return f"{name} = {joined([f'sum of {count} products x · weight', *bias])} = {total}"


def products(case: Case, row: int, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a window of x, the kernel over it, and npconv's sum of each channel."""
    columns = case.patches[case.channels.start : case.channels.stop]
    taps = columns[:, :, row * case.out_size[1] + column].reshape(-1, *case.kernel_size)
    weight = case.weight[case.channel]
    sums = npconv.conv(taps[None], weight[:, None], groups=len(taps))
    return taps, weight, sums.reshape(-1)


def joined(terms: list[str]) -> str:
    """Return terms joined by their signs."""
    text = terms[0]
    for term in terms[1:]:
        text += f" − {term[1:]}" if term.startswith("−") else f" + {term}"
    return text


def _bracketed(value: float) -> str:
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def _planes_across(case: Case) -> int:
    """Return how many channels stand beside each other, that their cells become largest."""
    rows, columns = case.canvas.shape[1:]
    beside, count = case.out_size[1], len(case.channels)

    def cell(across: int) -> float:
        wide = across * (columns + case.kernel_size[1]) + beside
        return min(8 / wide, 7 / (rows * -(-count // across)), 0.3)

    most = count if case.kernel_size[1] > 1 and cell(1) >= 0.12 else 1
    return max(range(1, most + 1), key=lambda across: (cell(across), -across))


def _steps(case: Case) -> str:
    """Return the stride and the dilation, as far as they are not 1."""
    return "".join(
        f", {name} {case.pair_text(given)}"
        for name, given in (("stride", case.stride), ("dilation", case.dilation))
        if set(given) != {1}
    )
