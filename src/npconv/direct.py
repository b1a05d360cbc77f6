"""conv without a transform, for the drop-ins whose originals promise a direct sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from npconv import conv, plan


def direct_conv(x: np.ndarray, weight: np.ndarray, **geometry: Any) -> np.ndarray:
    """Return `npconv.conv(x, weight, **geometry)` by the quickest algorithm but fft.

    A transform's error is bounded by the largest value about, not by a window's own: in float64 it
    leaves 1e-17 where a direct sum leaves 0.
    """
    rows = plan(x, weight, **geometry).rows
    able = [r for r in rows if r.seconds is not None and r.algorithm != "fft"]
    best = min(able, key=lambda r: r.seconds or 0.0).algorithm if able else "auto"
    return conv(x, weight, algorithm=best, **geometry)
