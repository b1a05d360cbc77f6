"""The window sliding over x while out fills, as a film."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from npconv import ProblemError
from npconv.figures import film, save_film

from .board import Plane, Style
from .case import Case
from .operation import draw_window, operation_sheet, sentence

_MOST_WINDOWS = 400
_SUFFIXES = (".gif", ".mp4")


class Film(NamedTuple):
    """Where a film is written (None: nowhere), windows a second, dots an inch."""

    target: Path | None
    fps: float
    dpi: float


def check(where: str, path: str | Path | None, fps: float, dpi: float) -> Path | None:
    """Return where to write, before anything is drawn; raise where nothing could."""
    for name, value, most in (("fps", fps, 60), ("dpi", dpi, 600)):
        if not 0 < value <= most:
            raise ProblemError(f"{name} is {value}.", rule=f"above 0, to {most}", where=where)
    if path is None:
        return None
    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        raise ProblemError(
            f"{target.name!r} ends in {target.suffix or 'nothing'!r}.",
            rule="a film is .gif or .mp4",
            where=where,
        )  # fmt: skip
    if not target.parent.is_dir():
        raise ProblemError(f"there is no folder {str(target.parent)!r}.", where=where)
    if target.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise ProblemError(
            "ffmpeg, which writes MP4, is not installed.",
            fix="install it (apt install ffmpeg), or name a .gif", where=where,
        )  # fmt: skip
    return target


def draw(case: Case, style: Style, title: str, wanted: Film) -> Any:
    """Return the film, written where that was wanted."""
    rows, columns = case.out_size
    if rows * columns > _MOST_WINDOWS:
        raise ProblemError(
            f"out has {rows} x {columns} = {rows * columns} elements, each of them a frame.",
            rule=f"at most {_MOST_WINDOWS}",
            fix="take a smaller part of x, as its first 16 rows and columns, or a stride",
            where=case.where,
        )  # fmt: skip
    values = case.out[case.channel]
    sheet = operation_sheet(case, style, title)
    x_planes, *_, (out,) = sheet.planes
    shapes = [
        shape
        for c, plane in zip(case.channels, x_planes, strict=True)
        for shape in draw_window(sheet.board, plane, case, f"window of {case.name('x', c)}")
    ]
    here = sheet.board.outline(out.corners(0, 0), "element of out")
    windows = [(shape, shape.get_xy(), case.stride) for shape in shapes]
    windows += [(shape, shape.get_xy(), (1, 1)) for shape in here]
    sentences = [sentence(case, *divmod(i, columns)) for i in range(values.size)]
    widest = max(sentences, key=len)
    said = sheet.board.text(sheet.left, sheet.below, widest, across="left", name="arithmetic")
    drawn = sheet.board.finish()
    # Laid out for the kernels' steps in inches: a cell down or across.
    cell = sheet.board.cell

    def step(frame: int) -> list[Any]:
        row, column = divmod(frame, columns)
        for shape, start, (down, across) in windows:
            shape.set_xy(start + cell * np.array([column * across, row * down]))
        _fill(out, values, frame)
        said.set_text(sentences[frame])
        return [out.mesh, said, *(shape for shape, _, _ in windows)]

    made = film(drawn, step, values.size, wanted.fps)
    if wanted.target is not None:
        _write(made, wanted, case.where)
    return made


def _fill(out: Plane, values: np.ndarray, frame: int) -> None:
    """Show the elements of out up to a frame's."""
    ahead = (np.arange(values.size) > frame).reshape(values.shape)
    shown = np.ma.masked_invalid(values.astype(np.float64))
    out.mesh.set_array(np.ma.masked_where(ahead | np.ma.getmaskarray(shown), shown))
    for place, label in out.labels.items():
        label.set_visible(not ahead[place])


def _write(made: Any, wanted: Film, where: str) -> None:
    """Write a film beside its place and move it there: no half of one is ever seen."""
    assert wanted.target is not None
    place = Path(os.path.realpath(wanted.target))
    token = secrets.token_hex(4)
    temporary = place.with_name(f".{place.stem[:200]}.{token}{place.suffix.lower()}")
    try:
        save_film(made, str(temporary), wanted.fps, wanted.dpi, where)
        if place.exists():
            temporary.chmod(place.stat().st_mode & 0o7777)
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
