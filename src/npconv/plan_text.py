"""What a plan says: a row an algorithm, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from npconv.memory import nbytes_text
from npconv.problem import ConvProblem

_CALLS = {
    "forward": "conv",
    "input_grad": "conv_input_grad",
    "weight_grad": "conv_weight_grad",
}
_KINDS = {"estimate": "estimated", "measure": "measured", "remember": "remembered"}

_HEADS = ("", "algorithm", "time", "workspace", "why not")


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
    rows = [_HEADS, *_texts(given)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{mark:<{widths[0]}} {name:<{widths[1]}}  {seconds:>{widths[2]}}"
        f"  {held:>{widths[3]}}  {reason}".rstrip()
        for mark, name, seconds, held, reason in rows
    ]
    return "\n".join([_title(problem, effort, packed), *lines])


def html(problem: ConvProblem, given: Sequence[Row], effort: str, packed: bool = False) -> str:
    """Return the same table for a notebook: the chosen row is marked, and no colour is alone."""
    cell = "padding:.25em .7em;text-align:"
    aligned = ("center", "left", "right", "right", "left")
    heads = "".join(
        f'<th scope="col" style="{cell}{side}">{escape(text)}</th>'
        for text, side in zip(_HEADS, aligned, strict=True)
    )
    lines = []
    for row, texts in zip(given, _texts(given), strict=True):
        chosen = "background:rgba(70,140,220,.2);font-weight:600" if row.chosen else ""
        cells = "".join(
            f'<td style="{cell}{side}">{escape("→" if text == "->" else text)}</td>'
            for text, side in zip(texts, aligned, strict=True)
        )
        lines.append(f'<tr style="{chosen}">{cells}</tr>')
    title = escape(_title(problem, effort, packed))
    return (
        '<table style="border-collapse:collapse;color:inherit;font-variant-numeric:tabular-nums">'
        f'<caption style="caption-side:top;text-align:left;color:inherit">{title}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _texts(given: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the rows as texts, in the order of the heads."""
    return [
        (
            "->" if r.chosen else "",
            r.algorithm,
            "" if r.seconds is None else seconds_text(r.seconds),
            "" if r.workspace is None else nbytes_text(r.workspace),
            r.why_not,
        )
        for r in given
    ]


def _title(problem: ConvProblem, effort: str, packed: bool) -> str:
    kind = f"{_KINDS[effort]}, weight packed" if packed else _KINDS[effort]
    return f"{_CALLS[problem.direction]}: {problem.describe()}  ({kind})"


def seconds_text(seconds: float) -> str:
    """Return seconds as a short text with its unit."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
    scale, unit = next((u for u in units if seconds >= u[0]), units[-1])
    return f"{seconds / scale:.3g} {unit}"
