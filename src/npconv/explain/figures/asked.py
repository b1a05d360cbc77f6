"""What was asked for: whether it can be drawn, and which element is meant."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from npconv import ProblemError

MOST_CELLS, MOST_CHANNELS = 64, 8  # an axis of padded x; channels, each of them a plane


def check_size(where: str, letters: str, problem: Any) -> None:
    """Raise ProblemError, with a crop that would do, where x has too many cells to be seen."""
    around = [max(b, 0) + max(a, 0) for b, a in problem.padding]
    wide = [n + more for n, more in zip(problem.size, around, strict=True)]
    if max(wide) <= MOST_CELLS and problem.in_channels <= MOST_CHANNELS:
        return
    most = dict(
        zip((a for a in letters if a not in "NC"), (MOST_CELLS - a for a in around), strict=True)
    )
    most["C"] = MOST_CHANNELS
    sizes = dict(zip((a for a in letters if a not in "NC"), problem.size, strict=True))
    sizes["C"] = problem.in_channels
    cuts = ", ".join(
        f":{max(most[a], 1)}" if a in most and sizes[a] > most[a] else ":" for a in letters
    )
    also = " and the weight's channels alike" if problem.in_channels > MOST_CHANNELS else ""
    shape = " x ".join(map(str, wide))
    raise ProblemError(
        f"x is too large to draw: {problem.in_channels} channels of {shape} with padding.",
        rule=f"at most {MOST_CHANNELS} channels and {MOST_CELLS} cells an axis",
        fix=f"draw a part of it, as x[{cuts}]{also}", where=where,
    )  # fmt: skip


def place_of(
    where: str, letters: str, at: Any, shape: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Return the (channel, row, column) that is meant: by default the middle of channel 0."""
    if 0 in shape:
        raise ProblemError(
            f"out is empty, of shape {shape}: there is no window to show.", where=where
        )
    if at is None:
        return 0, (shape[1] - 1) // 2, (shape[2] - 1) // 2
    line = len(set(letters) - {"N", "C"}) == 1
    names = [*("channel",) * ("C" in letters), *("row",) * (not line), "column"]
    sizes = dict(zip(("channel", "row", "column"), shape, strict=True))
    given = tuple(np.atleast_1d(np.asarray(at, object)))
    if len(given) != len(names):
        raise ProblemError(
            f"at has {len(given)} numbers, and must have {len(names)}.",
            rule=f"at is ({', '.join(names)}) of an element of out", where=where,
        )  # fmt: skip
    chosen = {
        n: index_of(where, f"at's {n}", v, sizes[n]) for n, v in zip(names, given, strict=True)
    }
    return chosen.get("channel", 0), chosen.get("row", 0), chosen["column"]


def index_of(where: str, name: str, value: Any, length: int) -> int:
    """Return an index from 0 up, as NumPy counts; raise where there is none so far."""
    try:
        index = operator.index(value)
    except TypeError:
        raise ProblemError(f"{name} is {value!r}, not a whole number.", where=where) from None
    if not -length <= index < length:
        raise ProblemError(f"{name} is {index}, and there are {length}.", where=where)
    return index % length
