"""What `npconv bench images` prints and writes into the README."""

from __future__ import annotations

import math

from .contest import ContenderTime
from .images import ImagesResult
from .report import markdown_table, milliseconds, text_table


def text(result: ImagesResult) -> str:
    """Write a row for each case and contender that can do it, then the conditions."""
    rows = []
    for case in result.cases:
        for row in case.contenders:
            if not row.able:
                continue
            numbers = (
                milliseconds(row.seconds),
                ratio(row),
                f"{row.error:.1e}" if row.samples else "-",
                f"{row.cpus_busy:.1f}" if row.samples else "-",
                str(len(row.samples)),
            )
            note = row.note or case.behind.get(row.contender, "")
            rows.append((case.case.name, row.contender, *numbers, note))
    headers = ("filter", "contender", "ms", "ratio", "error", "CPUs busy", "rounds", "")
    return f"{text_table(headers, rows)}\n\n{conditions(result)}"


def ratio(row: ContenderTime) -> str:
    """Write how many times as long it took as the first of its kind; "-" if either has no time."""
    return "-" if math.isnan(row.ratio) else f"{row.ratio:.2f}"


def conditions(result: ImagesResult) -> str:
    """Say what the numbers are and where they were measured."""
    height, width = result.size
    colours = "grey" if result.pixels.channels == 1 else "coloured, channels side by side,"
    return (
        f"One {colours} {result.pixels.dtype} image of {width}x{height}, symmetric borders, a "
        "kernel of random numbers. Medians of alternating rounds, each contender in a process of "
        "its own; ratio: time over that of the first of its kind; error: largest error against "
        f"float64 over the largest value.\n{result.environment}"
    )


def cell(row: ContenderTime) -> str:
    """Write a contender's numbers in one cell of the README's table."""
    if row.note:
        return row.note
    return f"{milliseconds(row.seconds)} ms, {ratio(row)}x, {row.error:.0e}"


def markdown(result: ImagesResult) -> str:
    """Write the README's tables: one for each operation, a row a case, a column a contender."""
    parts = []
    for operation in dict.fromkeys(case.case.operation for case in result.cases):
        cases = [case for case in result.cases if case.case.operation == operation]
        headers = ["", *(f"`{row.contender}`" for row in cases[0].contenders)]
        rows = [[case.case.name, *map(cell, case.contenders)] for case in cases]
        parts.append(markdown_table(headers, rows))
        for case in cases:
            parts += [f"`{name}`, {case.case.name}: {why}." for name, why in case.behind.items()]
    parts.append(
        "Each cell: median time, ratio, error. " + conditions(result).replace("\n", "\n\n")
    )
    parts.append("Written by `npconv bench images --readme`.")
    return "\n\n".join(parts)
