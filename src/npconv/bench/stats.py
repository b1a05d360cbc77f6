"""What the bench says about a set of numbers: medians, percentiles and shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Distribution:
    """How a set of ratios is spread; `within_1_15` is the share of them at or below 1.15."""

    count: int
    median: float
    p75: float
    p90: float
    p95: float
    max: float
    within_1_15: float
    within_1_3: float


def distribution(ratios: Sequence[float]) -> Distribution:
    """Summarise `ratios`; percentiles are interpolated linearly between the sorted values."""
    if not ratios:
        raise ValueError("distribution: there are no values to summarise.")
    values = np.asarray(ratios, dtype=float)
    p50, p75, p90, p95 = (float(p) for p in np.percentile(values, (50, 75, 90, 95)))
    return Distribution(
        count=len(values),
        median=p50,
        p75=p75,
        p90=p90,
        p95=p95,
        max=float(values.max()),
        within_1_15=float(np.mean(values <= 1.15)),
        within_1_3=float(np.mean(values <= 1.3)),
    )


def regret(seconds: dict[str, float], chosen: str) -> tuple[str, float]:
    """Give the fastest name in `seconds` and the time of `chosen` over its time."""
    best = min(seconds, key=lambda name: seconds[name])
    if best == chosen:
        return best, 1.0
    return best, seconds[chosen] / seconds[best]
