"""A sheet of cells: arrays drawn to one scale, with their numbers, outlines and captions.

The sheet's coordinates are inches from its upper left corner, so that every cell of every array on
it has the same size, whatever the figure's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from npconv import ProblemError
from npconv.figures import colour_maps, figure

from .numbers import limit_of, number, texts

PADDED, CROPPED = "//////", "xxxxxx"  # hatches
INK, QUIET, GRID, HATCH = "#161616", "#5a5a5a", "#bdbdbd", "#8f8f8f"
WIDEST, TALLEST = 11.0, 9.0  # inches that a sheet should not exceed
LARGEST, SMALLEST = 0.42, 0.06  # inches of a cell
MARGIN = 0.25
HEAD, NOTE = 10.5, 8.5  # points of a heading and of the note under it
_REST = 1.2  # the ends of a colour map are too dark to be read or printed on
_LEAST_FONT = 5.0  # points: smaller numbers are left out
_POINTS = 72


class Style(NamedTuple):
    """How a sheet looks: see `figure`."""

    colours: str = "RdBu_r"
    values: bool | None = None
    cell: float | None = None


class Cells(NamedTuple):
    """An array that is to be drawn.

    values (rows, columns).  padded and cropped are masks of that shape: cells that stand in the
    padding, and cells that a negative padding cut off.  limit: the magnitude of the strongest
    colour.  blank is a mask too: cells that are left without their number.
    """

    name: str
    values: np.ndarray
    caption: str = ""
    padded: np.ndarray | None = None
    cropped: np.ndarray | None = None
    limit: float | None = None
    blank: np.ndarray | None = None


class Plane(NamedTuple):
    """An array that is drawn: where its upper left corner lies, and the artists that show it."""

    left: float
    top: float
    cell: float
    mesh: Any
    labels: dict[tuple[int, int], Any]
    rows: int
    columns: int

    @property
    def right(self) -> float:
        """Inches to its right side."""
        return self.left + self.columns * self.cell

    @property
    def bottom(self) -> float:
        """Inches to its lower side."""
        return self.top + self.rows * self.cell

    def corners(self, row: int, column: int, rows: int = 1, columns: int = 1) -> np.ndarray:
        """Return the corners of a block of cells, (4, 2), clockwise from the upper left."""
        left, top = self.left + column * self.cell, self.top + row * self.cell
        right, bottom = left + columns * self.cell, top + rows * self.cell
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


class Board:
    """A figure of one sheet, drawn from the upper left on; `finish` cuts it to its size.

    where: the call, for messages.  across and down: what the sheet will hold, as pairs (cells,
    other inches), of which each must fit; they decide how large a cell is.
    """

    def __init__(
        self,
        where: str,
        style: Style,
        across: Iterable[tuple[float, float]],
        down: Iterable[tuple[float, float]],
    ) -> None:
        self.style = style
        self.figure = figure(1, 1, where)
        self.figure.set_layout_engine("none")
        self.figure.set_facecolor("white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")
        room = [(WIDEST - inches) / cells for cells, inches in across]
        room += [(TALLEST - inches) / cells for cells, inches in down]
        if style.colours not in colour_maps():
            raise ProblemError(
                f"colours {style.colours!r} is no colour map of Matplotlib.",
                rule="one that diverges round 0", fix='as "RdBu_r", "PuOr" or "coolwarm"',
                where=where,
            )  # fmt: skip
        self.cell = style.cell or max(min(LARGEST, *room), SMALLEST)
        self.width = self.height = 0.0

    def plane(self, given: Cells, left: float, top: float, cell: float | None = None) -> Plane:
        """Draw an array with its upper left corner there."""
        cell = self.cell if cell is None else cell
        values = given.values
        rows, columns = values.shape
        x, y = left + cell * np.arange(columns + 1), top + cell * np.arange(rows + 1)
        limit = limit_of([values]) if given.limit is None else given.limit
        mesh = self.axes.pcolormesh(
            x, y, np.ma.masked_invalid(values.astype(np.float64)), cmap=self.style.colours,
            vmin=-_REST * limit, vmax=_REST * limit, edgecolors=GRID,
            linewidth=min(0.6, cell * 3), zorder=1, shading="flat",
        )  # fmt: skip
        mesh.set_gid(given.name)
        drawn = Plane(left, top, cell, mesh, {}, rows, columns)
        for mask, pattern, kind in (
            (given.padded, PADDED, "padded"),
            (given.cropped, CROPPED, "cropped"),
        ):
            if mask is not None:
                self._hatch(drawn, mask, pattern, f"{given.name} {kind}")
        self._numbers(drawn, given)
        self._reach(drawn.right, drawn.bottom)
        if values.size == 1 and not drawn.labels and self.style.values is not False:
            below = drawn.bottom + 0.1, number(values.item())
            self.text(left + cell / 2, *below, size=8, name=f"{given.name} value")
        if given.caption:
            middle = left + columns * cell / 2
            self.text(middle, top - 0.045, given.caption, size=8, colour=QUIET, down="bottom")
        return drawn

    def _hatch(self, plane: Plane, mask: np.ndarray, pattern: str, name: str) -> None:
        """Cover the cells of a mask with a pattern, a run of a row at a time."""
        cell = plane.cell
        for row, line in enumerate(mask):
            ends = np.flatnonzero(np.diff(line.astype(np.int8), prepend=0, append=0))
            runs = [
                (plane.left + first * cell, (last - first) * cell)
                for first, last in ends.reshape(-1, 2)
            ]
            if runs:
                self.axes.broken_barh(
                    runs, (plane.top + row * cell, cell), facecolor="none", edgecolor=HATCH,
                    hatch=pattern, linewidth=0, zorder=2, gid=name,
                )  # fmt: skip

    def _numbers(self, plane: Plane, given: Cells) -> None:
        if self.style.values is False:
            return
        values = given.values
        points = plane.cell * _POINTS
        # Signs that fit a cell in the smallest print that can be read.
        most = None if self.style.values else min(int(0.9 * points / (0.62 * _LEAST_FONT)), 5)
        written = texts(values, most)
        longest = max((len(t) for t in written.ravel()), default=0)
        if not longest or (points < 1.6 * _LEAST_FONT and not self.style.values):
            return
        size = min(0.42 * points, 0.9 * points / (0.62 * longest), 11)
        colours = plane.mesh.cmap(plane.mesh.norm(np.ma.masked_invalid(values.astype(np.float64))))
        hatched = np.zeros(values.shape, bool)
        for mask in (given.padded, given.cropped):
            hatched |= False if mask is None else mask
        blank = given.blank if given.blank is not None else np.zeros(values.shape, bool)
        for row, column in np.ndindex(values.shape):
            covered = hatched[row, column]
            if blank[row, column]:
                continue
            colour = colours[row, column]
            box = {"facecolor": colour, "edgecolor": "none", "pad": 0.8} if covered else None
            dark = colour[:3] @ (0.299, 0.587, 0.114) < 0.52 and colour[3] > 0
            plane.labels[row, column] = self.axes.text(
                plane.left + (column + 0.5) * plane.cell, plane.top + (row + 0.5) * plane.cell,
                written[row, column], fontsize=size, ha="center", va="center_baseline",
                color="white" if dark else INK, bbox=box, zorder=4, gid=f"{given.name} value",
            )  # fmt: skip

    def outline(
        self, corners: np.ndarray, name: str, width: float = 2.2, dashed: bool = False
    ) -> Any:
        """Draw a polygon's edge, with a light rim that parts it from what it lies on."""
        style = (0, (2.5, 1.6)) if dashed else "solid"
        return [
            self.axes.fill(
                *corners.T, facecolor="none", edgecolor=colour, linewidth=wide, linestyle=style,
                zorder=3 + rank, joinstyle="miter", gid=name if rank else f"{name} rim",
            )[0]
            for rank, (colour, wide) in enumerate((("white", width + 1.6), (INK, width)))
        ]  # fmt: skip

    def line(self, ends: Sequence[tuple[float, float]], name: str, solid: bool = False) -> None:
        """Draw a thin line through points."""
        style: Any = "solid" if solid else (0, (4, 2))
        self.axes.plot(
            *np.array(ends).T, color=QUIET, linewidth=0.9, linestyle=style,
            zorder=2.5, gid=name,
        )  # fmt: skip

    def text(
        self, x: float, y: float, text: str, *, size: float = 9, colour: str = INK,
        across: str = "center", down: str = "center", weight: str = "normal", name: str = "",
    ) -> Any:  # fmt: skip
        """Write a text; the sheet grows to hold it."""
        wide = text_width(text, size, weight)
        share = {"left": 1.0, "center": 0.5, "right": 0.0}[across]
        self._reach(x + share * wide, y + size / _POINTS)
        return self.axes.text(
            x, y, text, fontsize=size, color=colour, ha=across, va=down, fontweight=weight,
            zorder=5, gid=name or None,
        )  # fmt: skip

    def title(self, text: str) -> None:
        """Write the figure's title at the upper left."""
        self.text(MARGIN, MARGIN + 0.08, text, size=12, weight="bold", across="left", name="title")

    def head(self, plane: Plane, heading: str, note: str, across: str = "center") -> None:
        """Write a heading and a note right above a plane."""
        x = {"left": plane.left, "right": plane.right}.get(across, (plane.left + plane.right) / 2)
        self.head_at(x, plane.top, heading, note, across)

    def head_at(self, x: float, y: float, heading: str, note: str, across: str = "center") -> None:
        """Write a heading and a note that end above y."""
        up = 0.37 if note else 0.17
        self.text(x, y - up, heading, size=HEAD, weight="bold", across=across, name="heading")
        if note:
            self.text(x, y - 0.16, note, size=NOTE, colour=QUIET, across=across, name="note")

    def swatch(self, left: float, top: float, pattern: str, text: str) -> None:
        """Say what a hatched cell means."""
        side = 0.14
        self._hatch(
            Plane(left, top, side, None, {}, 1, 1), np.ones((1, 1), bool), pattern, "legend"
        )
        self.axes.fill(
            left + side * np.array([0, 1, 1, 0]), top + side * np.array([0, 0, 1, 1]),
            facecolor="none", edgecolor=GRID, linewidth=0.6,
        )  # fmt: skip
        self.text(left + 0.2, top + side / 2, text, size=8, colour=QUIET, across="left")

    def strip(self, left: float, top: float, limit: float, name: str) -> None:
        """Draw a colour scale from -limit to limit."""
        steps, wide = 41, 0.9
        ends = texts(np.array([[limit]]), 6)[0, 0] or f"{limit:.2g}"
        start = left + text_width(f"−{ends}", 7.5, "normal") + 0.05
        self.axes.pcolormesh(
            start + wide / steps * np.arange(steps + 1), [top, top + 0.1],
            np.linspace(-1, 1, steps)[None], cmap=self.style.colours, vmin=-_REST,
            vmax=_REST, gid=name, linewidth=0, edgecolors="face",
        )  # fmt: skip
        self.text(start - 0.05, top + 0.05, f"−{ends}", size=7.5, colour=QUIET, across="right")
        self.text(start + wide + 0.05, top + 0.05, ends, size=7.5, colour=QUIET, across="left")

    def _reach(self, right: float, bottom: float) -> None:
        self.width, self.height = max(self.width, right), max(self.height, bottom)

    def finish(self) -> Any:
        """Return the figure, as large as what was drawn and a margin."""
        width, height = self.width + MARGIN, self.height + MARGIN
        self.figure.set_size_inches(width, height)
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        return self.figure


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return about how many inches a text is wide."""
    return len(text) * size / _POINTS * (0.66 if weight == "bold" else 0.58)
