"""What the planner asks: the times remembered for a problem; and what it tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npconv.plan_text import Row
from npconv.problem import ConvProblem
from npconv.threads import num_threads
from npconv.wisdom import book
from npconv.wisdom.text import Entry, now, well_formed


def recall(problem: ConvProblem, rows: Sequence[Row], packed: bool) -> dict[str, float] | None:
    """Return the seconds remembered for these rows' algorithms, None where one's are not known.

    `rows` are those that could be the quickest: times of some of them would say nothing about the
    others.
    """
    known = book.known()
    entry = known.get(_written(problem, packed)) if known else None
    if entry is None or not all(row.algorithm in entry.seconds for row in rows):
        return None
    return {row.algorithm: entry.seconds[row.algorithm] for row in rows}


def record(problem: ConvProblem, rows: Sequence[Row], packed: bool) -> None:
    """Remember the measured rows of a plan.  packed: whether with weights packed beforehand.

    Where too little memory kept others from being measured, older times of these stay.
    """
    seconds = {
        row.algorithm: float(f"{row.seconds:.4g}")
        for row in rows
        if row.measured and row.seconds is not None
    }
    written = _written(problem, packed)
    old = book.known().get(written)
    if old is not None:
        unfit = {row.algorithm for row in rows if row.why_not and row.workspace is not None}
        seconds = {name: s for name, s in old.seconds.items() if name in unfit} | seconds
    entry = Entry(written, seconds, now())
    if well_formed(entry):
        book.remember(entry)


def _written(problem: ConvProblem, packed: bool) -> str:
    """Return all that decides a problem's speed, as text."""
    fields = {name: getattr(problem, name) for name in problem.__dataclass_fields__}
    words = [f"{name}={_word(value)}" for name, value in fields.items()]
    return " ".join([*words, *["packed"] * packed, f"threads={num_threads()}"])


def _word(value: Any) -> str:
    """Return a field as text: sizes as 3x3, a pair of padding as 1+1."""
    if not isinstance(value, tuple):
        return str(value)
    pairs = bool(value) and isinstance(value[0], tuple)
    return "x".join("+".join(map(str, each)) if pairs else str(each) for each in value)
