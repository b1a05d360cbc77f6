"""What `npconv bench goals` prints."""

from __future__ import annotations

import math

from .goals import GoalsResult, Verdict
from .layers import shape_text
from .networks_text import how, ratio_text
from .report import milliseconds, text_table

HEADERS = (
    "group", "x weight", "direction", "npconv's", "peer", "ms", "peer's ms", "ratio", "quickest",
    "least", "", "of peak", "error", "why not",
)  # fmt: skip


def outcome(verdict: Verdict) -> str:
    """Write whether the goal is reached, "-" where that is not known."""
    if math.isnan(verdict.ratio):
        return "-"
    return "reached" if verdict.reached else "UNDER"


def verdict_row(verdict: Verdict) -> tuple[str, ...]:
    """Write one goal."""
    goal = verdict.goal
    dtype = "" if goal.job.dtype == "float32" else f" {goal.job.dtype}"
    return (
        goal.group,
        shape_text(goal.job.layer) + dtype,
        goal.job.direction,
        goal.own.removeprefix("npconv "),
        goal.peer,
        milliseconds(verdict.own_seconds),
        milliseconds(verdict.peer_seconds),
        ratio_text(verdict.ratio),
        ratio_text(verdict.quickest),
        f"{goal.least:.2f}",
        outcome(verdict),
        "-" if math.isnan(verdict.share) else f"{verdict.share:.0%}",
        "-" if math.isnan(verdict.error) else f"{verdict.error:.1e}",
        verdict.note,
    )


def text(result: GoalsResult) -> str:
    """Write a row a goal, how many are reached, and the conditions."""
    judged = [verdict for verdict in result.verdicts if not math.isnan(verdict.ratio)]
    under = [verdict for verdict in judged if not verdict.reached]
    count = f"{len(judged) - len(under)} of {len(judged)} goals reached"
    if len(judged) < len(result.verdicts):
        count += f"; {len(result.verdicts) - len(judged)} without numbers"
    parts = [
        text_table(HEADERS, [verdict_row(verdict) for verdict in result.verdicts]),
        count + ".",
        "ratio: the peer's median time over npconv's, quickest: the same of the quickest samples; "
        "least: what the ratio is to be. " + how(result.measured),
    ]
    return "\n\n".join(parts)
