"""The door to Matplotlib: figures that need no screen and leave pyplot's state alone."""

from __future__ import annotations

from typing import Any

from npconv.errors import ProblemError


def figure(width: float, height: float, where: str = "plot") -> Any:
    """Return an empty ``matplotlib.figure.Figure`` of a size in inches.

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
    return Figure(figsize=(width, height), layout="constrained")
