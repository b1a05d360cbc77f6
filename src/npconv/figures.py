"""The door to Matplotlib: figures that need no screen and leave pyplot's state alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

from npconv.errors import ProblemError


def figure(width: float, height: float, where: str = "plot") -> Any:
    """Return an empty ``matplotlib.figure.Figure`` of a size in inches; a notebook shows it.

    Raises
    ------
    ProblemError
        Where Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ProblemError(
            "Matplotlib is not installed.", fix="pip install 'npconv[plots]'", where=where
        ) from None
    drawn = Figure(figsize=(width, height), layout="constrained")
    # IPython shows figures by itself only once pyplot has been imported.
    drawn._repr_png_ = partial(_png, drawn)  # type: ignore[attr-defined]
    return drawn


def _png(drawn: Any) -> bytes:
    with io.BytesIO() as file:
        drawn.savefig(file, format="png")
        return file.getvalue()


def colour_maps() -> list[str]:
    """Return the names of Matplotlib's colour maps."""
    from matplotlib import colormaps

    return list(colormaps)


def film(drawn: Any, step: Callable[[int], Any], frames: int, fps: float) -> Any:
    """Return a ``matplotlib.animation.FuncAnimation`` that calls step(0), step(1), ..."""
    from matplotlib.animation import FuncAnimation

    return FuncAnimation(drawn, step, frames=frames, interval=1000 / fps, blit=False)


def save_film(made: Any, path: str, fps: float, dpi: float, where: str = "plot") -> None:
    """Write a film to a file that ends in .gif, by Pillow, or in .mp4, by ffmpeg.

    Raises
    ------
    ProblemError
        Where ffmpeg is not installed.
    """
    from matplotlib.animation import writers

    name = "pillow" if path.endswith(".gif") else "ffmpeg"
    if not writers.is_available(name):
        raise ProblemError(
            "ffmpeg, which writes MP4, is not installed.",
            fix="install it (apt install ffmpeg), or name a .gif", where=where,
        )  # fmt: skip
    writer: Any = writers[name]
    made.save(path, writer=writer(fps=fps), dpi=dpi)
