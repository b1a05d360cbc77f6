"""Arrays side by side, as the terms of an equation: columns of planes, level with each other."""

from __future__ import annotations

from typing import NamedTuple

from .board import HEAD, MARGIN, NOTE, Board, Cells, Plane, Style, text_width

_TOP = 0.52  # inches of a heading and its note
_TITLE = 0.4
_CAPTION = 0.24
_BETWEEN = 0.3  # inches between planes beside each other
_FOOT = 0.3  # inches of a line below
_GAP = 0.62  # inches between columns, where an operator stands


class Part(NamedTuple):
    """A column: a heading, a note under it, and planes in lines of `across`.

    sign: what stands before it, as "∗" or "=".  legend: (pattern, text) pairs below it.
    """

    heading: str
    note: str
    cells: list[Cells]
    across: int = 1
    sign: str = ""
    legend: tuple[tuple[str, str], ...] = ()

    @property
    def lines(self) -> list[list[Cells]]:
        """The planes, a list a line."""
        return [self.cells[i : i + self.across] for i in range(0, len(self.cells), self.across)]


class Sheet(NamedTuple):
    """What was laid out: the board, the planes of each part, and where the next line may stand."""

    board: Board
    planes: list[list[Plane]]
    left: float
    below: float


def lay_out(where: str, style: Style, title: str, parts: list[Part], lines_below: int = 0) -> Sheet:
    """Draw parts from left to right.

    The first line of planes of each part that has as many lines as the first part is level with the
    first part's; the others are centred.
    """
    across = [(sum(_columns(p) for p in parts), _fixed_width(parts))]
    over = _TOP + (_TITLE if title else 0)
    under = _FOOT * (1 + max(len(p.legend) for p in parts) + lines_below)
    captions = [sum(_caption(line) for line in p.lines) for p in parts]
    level = _lines_of(parts[0])
    down = [
        (max(_rows(p), _levelled(parts)), over + under + c + 2 * MARGIN)
        for p, c in zip(parts, captions, strict=True)
    ]
    board = Board(where, style, across, down)
    cell = board.cell
    if title:
        board.title(title)
    top = MARGIN + over
    heights = _line_heights(parts, level, cell)
    total = max([sum(heights), *(_height(p, cell) for p in parts)])
    left, drawn = MARGIN, []
    for i, part in enumerate(parts):
        if i:
            middle = top + total / 2
            board.text(left + _GAP / 2, middle, part.sign, size=18, name="sign")
            left += _GAP
        wide = _width(part, cell)
        centre = left + wide / 2
        own = heights if _lines_of(part) == level else [_line_height(n, cell) for n in part.lines]
        start = top + (total - sum(own)) / 2
        planes = []
        for height, line in zip(own, part.lines, strict=True):
            room = height - _caption(line)
            x = centre - _line_width(line, cell) / 2
            for cells in line:
                y = start + _caption(line) + (room - cells.values.shape[0] * cell) / 2
                planes.append(board.plane(cells, x, y))
                x += cells.values.shape[1] * cell + _BETWEEN
            start += height
        over_captions = planes[0].top - _caption(part.lines[0])
        board.head_at(centre, over_captions, part.heading, part.note)
        drawn.append(planes)
        _draw_foot(board, part, planes, left if wide > 1.6 else centre - 0.8)
        left += wide
    return Sheet(board, drawn, MARGIN, board.height + 0.22)


def _draw_foot(board: Board, part: Part, planes: list[Plane], left: float) -> None:
    y = max(p.bottom for p in planes) + 0.12
    x = max(min(p.left for p in planes), MARGIN)
    for pattern, text in part.legend:
        board.swatch(x, y, pattern, text)
        y += 0.24
    silent = any(not p.labels for p in planes) and part.cells[0].values.size > 1
    limits = {c.limit for c in part.cells}
    if silent and len(limits) == 1 and None not in limits:
        board.strip(x, y, limits.pop() or 1.0, f"scale of {part.heading}")


def _caption(line: list[Cells]) -> float:
    return _CAPTION if any(c.caption for c in line) else 0.0


def _lines_of(part: Part) -> int:
    return len(part.lines)


def _line_height(line: list[Cells], cell: float) -> float:
    """Return inches of a line of planes, with its captions and the space that parts it."""
    return max(c.values.shape[0] for c in line) * cell + _caption(line) + 0.04


def _line_width(line: list[Cells], cell: float) -> float:
    return sum(c.values.shape[1] for c in line) * cell + _BETWEEN * (len(line) - 1)


def _line_heights(parts: list[Part], level: int, cell: float) -> list[float]:
    level_parts = [p for p in parts if _lines_of(p) == level]
    return [max(_line_height(p.lines[i], cell) for p in level_parts) for i in range(level)]


def _height(part: Part, cell: float) -> float:
    return sum(_line_height(line, cell) for line in part.lines)


def _width(part: Part, cell: float) -> float:
    widest = max(_line_width(line, cell) for line in part.lines)
    return max(
        widest, text_width(part.heading, HEAD, "bold"), text_width(part.note, NOTE, "normal")
    )


def _rows(part: Part) -> int:
    return sum(max(c.values.shape[0] for c in line) for line in part.lines)


def _levelled(parts: list[Part]) -> int:
    """Return the cells down of the parts whose lines are level with the first's."""
    level = _lines_of(parts[0])
    heights = zip(
        *([_rows_of(n) for n in p.lines] for p in parts if _lines_of(p) == level), strict=True
    )
    return sum(map(max, heights))


def _rows_of(line: list[Cells]) -> int:
    return max(c.values.shape[0] for c in line)


def _columns(part: Part) -> int:
    return max(sum(c.values.shape[1] for c in line) for line in part.lines)


def _fixed_width(parts: list[Part]) -> float:
    """Return the inches across that are no cells: gaps, and headings wider than their planes."""
    gaps = _GAP * (len(parts) - 1) + sum(_BETWEEN * (p.across - 1) for p in parts)
    heads = sum(
        max(text_width(p.heading, HEAD, "bold"), text_width(p.note, NOTE, "normal"))
        - 0.3 * _columns(p)
        for p in parts
        if _columns(p) < 4
    )
    return gaps + max(heads, 0) + 2 * MARGIN
