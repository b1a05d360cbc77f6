"""Which classes a model takes for which: a table of counts, and a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.figures import figure

_WRITTEN = 20  # classes, up to which counts are written into the picture


def confusion(targets: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> np.ndarray:
    """Return how often each class (row) was taken for each class (column).

    Parameters
    ----------
    targets, predicted : array_like of int, shape (N,)
    classes : int, optional
        How many there are; by default as many as appear.

    Raises
    ------
    ProblemError
        Where the two are not of one length, or a class is out of range.

    Examples
    --------
    >>> confusion([0, 0, 1], [0, 1, 1])
    array([[1, 1],
           [0, 1]])
    """
    wanted, found = np.asarray(targets), np.asarray(predicted)
    if wanted.shape != found.shape or wanted.ndim != 1:
        raise ProblemError(
            f"targets are {wanted.shape}, predicted {found.shape}.",
            rule="one class an example in each",
            where="confusion",
        )
    both = np.concatenate([wanted, found]).astype(np.int64)
    number = int(both.max(initial=-1)) + 1 if classes is None else classes
    if both.size and not 0 <= both.min() <= both.max() < number:
        raise ProblemError(
            f"classes go from {both.min()} to {both.max()}.",
            rule=f"0 <= class < {number}",
            where="confusion",
        )
    counts = np.bincount(number * both[: len(wanted)] + both[len(wanted) :], minlength=number**2)
    return counts.reshape(number, number)


def draw_confusion(counts: ArrayLike, names: Sequence[str] | None = None) -> Any:
    """Return a ``matplotlib.figure.Figure`` of a table of `confusion`.

    Each row is coloured by its shares, so that rare classes show as well.
    """
    table = np.asarray(counts)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    called = [str(i) for i in range(len(table))] if names is None else list(names)
    side = min(max(3.5, 0.45 * len(table) + 1.5), 12)
    drawn = figure(side, side, "confusion")
    axes = drawn.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    right = np.trace(table) / max(table.sum(), 1)
    axes.set_title(f"{right:.2%} of {table.sum():,} right", fontsize="medium")
    if len(table) <= _WRITTEN:
        ticks = range(len(table))
        axes.set_xticks(ticks, called, rotation=90 if max(map(len, called)) > 2 else 0)
        axes.set_yticks(ticks, called)
        for i, j in zip(*np.nonzero(table), strict=True):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(table[i, j]), ha="center", va="center", color=colour)
    return drawn
