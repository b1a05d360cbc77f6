"""What `npconv bench signals` prints and writes into the README."""

from __future__ import annotations

import math

from .contest import ContenderTime
from .images_text import ratio
from .report import markdown_table, milliseconds, text_table
from .signals import CaseResult, SignalsResult


def text(result: SignalsResult) -> str:
    """Write a row for each case and contender, then the conditions."""
    rows = []
    for case in result.cases:
        for row in case.contenders:
            numbers = (
                milliseconds(row.seconds),
                ratio(row),
                f"{row.error:.1e}" if row.samples else "-",
                f"{row.cpus_busy:.1f}" if row.samples else "-",
                str(len(row.samples)),
            )
            why = row.note or case.behind.get(row.contender, "")
            rows.append((*_case(case), row.contender, *numbers, why))
    headers = (
        "function", "arrays", "dtype", "contender", "ms", "ratio", "error", "CPUs busy", "rounds",
        "",
    )  # fmt: skip
    return f"{text_table(headers, rows)}\n\n{conditions(result)}"


def _case(result: CaseResult) -> tuple[str, str, str]:
    case = result.case
    return case.function, f"{case.name}, {case.mode}", case.dtype


def conditions(result: SignalsResult) -> str:
    """Say what the numbers are and where they were measured."""
    return (
        "Random numbers. Medians of alternating rounds, each contender in a process of its own; "
        "ratio: time over npconv's; error: largest error against float64 over the largest value."
        f"\n{result.environment}"
    )


def cell(row: ContenderTime | None) -> str:
    """Write a contender's numbers in one cell of the README's table."""
    if row is None:
        return ""
    if row.note:
        return row.note
    return f"{milliseconds(row.seconds)} ms" + ("" if row.ratio == 1 else f", {ratio(row)}x")


def markdown(result: SignalsResult) -> str:
    """Write the README's table: a row a case, a column a library."""
    names = dict.fromkeys(row.contender for case in result.cases for row in case.contenders)
    headers = ("`npconv.signal`, `scipy.signal`", "arrays", "dtype", *names)
    rows = []
    for case in result.cases:
        found = {row.contender: row for row in case.contenders}
        function, arrays, dtype = _case(case)
        rows.append([f"`{function}`", arrays, dtype, *(cell(found.get(name)) for name in names)])
    least = min(
        (row.ratio for c in result.cases for row in c.contenders[1:] if not math.isnan(row.ratio)),
        default=math.nan,
    )
    return "\n\n".join(
        [
            markdown_table(headers, rows),
            f"Least ratio: {least:.2f}. " + conditions(result).replace("\n", "\n\n"),
            "Written by `npconv bench signals --readme`.",
        ]
    )
