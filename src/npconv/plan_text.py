"""What a plan says: a row an algorithm, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from npconv.memory import nbytes_text
from npconv.problem import ConvProblem

_CALLS = {
    "forward": "conv",
    "input_grad": "conv_input_grad",
    "weight_grad": "conv_weight_grad",
}
_KINDS = {"estimate": "estimated", "measure": "measured", "remember": "remembered"}


class Row(NamedTuple):
    """One algorithm's line in a plan.

    seconds is the estimate, or the median when `measured` (now, or earlier in a plan that was
    remembered); both it and workspace (bytes) are None for an algorithm with a `why_not`.
    """

    algorithm: str
    why_not: str
    seconds: float | None
    workspace: int | None
    chosen: bool = False
    measured: bool = False


def table(problem: ConvProblem, given: Sequence[Row], effort: str, packed: bool = False) -> str:
    """Return a plan as text: the problem, then a line an algorithm."""
    rows = [("", "algorithm", "time", "workspace", "why not")]
    for r in given:
        seconds = "" if r.seconds is None else seconds_text(r.seconds)
        held = "" if r.workspace is None else nbytes_text(r.workspace)
        rows.append(("->" if r.chosen else "", r.algorithm, seconds, held, r.why_not))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{mark:<{widths[0]}} {name:<{widths[1]}}  {seconds:>{widths[2]}}"
        f"  {held:>{widths[3]}}  {reason}".rstrip()
        for mark, name, seconds, held, reason in rows
    ]
    call = _CALLS[problem.direction]
    kind = f"{_KINDS[effort]}, weight packed" if packed else _KINDS[effort]
    return "\n".join([f"{call}: {problem.describe()}  ({kind})", *lines])


def seconds_text(seconds: float) -> str:
    """Return seconds as a short text with its unit."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
    scale, unit = next((u for u in units if seconds >= u[0]), units[-1])
    return f"{seconds / scale:.3g} {unit}"
