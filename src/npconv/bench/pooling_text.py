"""What `npconv bench pooling` prints."""

from __future__ import annotations

import math

from .contest import ContenderTime
from .pooling import PoolingResult
from .report import milliseconds, text_table


def text(result: PoolingResult) -> str:
    """Write a row for each case and contender, then the conditions."""
    rows = [
        (
            *each.case.words,
            row.contender,
            *_numbers(row),
            row.note or each.behind.get(row.contender, ""),
        )
        for each in result.cases
        for row in each.contenders
        if row.able
    ]
    headers = ("operation", "x", "window", "contender", "ms", "least", "ratio", "error", "")
    return f"{text_table(headers, rows)}\n\n{conditions(result)}"


def _numbers(row: ContenderTime) -> tuple[str, str, str, str]:
    """Write the median, the least, how many times as long it took as the first, and the error."""
    ratio = "-" if math.isnan(row.ratio) else f"{row.ratio:.2f}"
    error = f"{row.error:.0e}" if row.samples else "-"
    return milliseconds(row.seconds), milliseconds(row.quickest), ratio, error


def conditions(result: PoolingResult) -> str:
    """Say what the numbers are and where they were measured."""
    return (
        "float32; medians, and the least, of alternating rounds, each contender in a process of "
        "its own. ratio: time over that of the first; error: the largest against float64, over the "
        "largest value. max backward goes by the indices of the forward pass.\n"
        f"{result.environment}"
    )
