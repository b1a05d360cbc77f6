"""What `npconv bench regret` prints."""

from __future__ import annotations

from .layers import shape_text
from .regret import RegretResult
from .report import milliseconds, text_table
from .stats import Distribution

DIFFERENCE_LIMIT = 1e-4


def spread_text(spread: Distribution) -> str:
    """Write a distribution in one line."""
    return (
        f"{spread.count} layers: median {spread.median:.2f}, p75 {spread.p75:.2f}, "
        f"p90 {spread.p90:.2f}, p95 {spread.p95:.2f}, max {spread.max:.2f}; "
        f"{spread.within_1_15:.0%} at most 1.15, {spread.within_1_3:.0%} at most 1.3"
    )


def text(result: RegretResult) -> str:
    """Write the result as a person reads it: a row a layer, then the distribution."""
    rows = []
    for row in result.layers:
        statuses = [entry.status for entry in row.algorithms]
        rows.append(
            (
                row.network,
                row.layer.name,
                shape_text(row.layer),
                row.chosen,
                milliseconds(row.chosen_seconds),
                row.best,
                milliseconds(row.best_seconds),
                f"{row.regret:.2f}",
                str(statuses.count("measured")),
                str(statuses.count("skipped")),
                str(statuses.count("failed")),
            )
        )
    headers = ("network", "layer", "x weight", "chosen", "ms", "best", "ms", "regret")
    lines = [text_table((*headers, "timed", "skipped", "failed"), rows), ""]
    for network, total in result.totals.items():
        lines.append(
            f"{network}: one image takes {milliseconds(total.chosen_seconds)} ms as chosen, "
            f"{milliseconds(total.best_seconds)} ms with the best of each layer "
            f"({total.chosen_seconds / total.best_seconds:.2f}x)"
        )
    if result.distribution is not None and result.distribution_of_quickest is not None:
        lines.append(f"regret over {spread_text(result.distribution)}")
        lines.append(f"by the quickest samples over {spread_text(result.distribution_of_quickest)}")
    skipped = sum(entry.status == "skipped" for row in result.layers for entry in row.algorithms)
    lines.append(
        f"{skipped} algorithms skipped (estimated or timed at over {result.settings.far:g}x the "
        f"best, over {result.settings.cap_seconds:g} s a call, or too large for the memory free)"
    )
    if result.unmeasured:
        lines.append(f"stopped early: {result.unmeasured} layers are not measured")
    lines += [f"FAILED {failure}" for failure in result.failures]
    lines += [
        f"{entry.algorithm} on {row.network} {row.layer.name} differs by {entry.difference:.1e} "
        "of the largest element"
        for row in result.layers
        for entry in row.algorithms
        if entry.difference is not None and entry.difference > DIFFERENCE_LIMIT
    ]
    settings = result.settings
    lines.append(
        f"{settings.direction}, {settings.dtype}, {settings.precision}, {settings.memory_order}, "
        f"effort {settings.effort}, medians of up to {settings.rounds} alternating rounds"
    )
    lines.append(str(result.environment))
    return "\n".join(lines)
