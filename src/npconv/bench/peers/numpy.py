"""NumPy's one convolution, of lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from .contender import Call, Contender

_MOST = 2e9  # products: with more it is no contest


def convolve(function: str, x: np.ndarray, kernel: np.ndarray, mode: Any, axis: int | None) -> Call:
    """Prepare numpy.convolve."""
    return lambda: np.convolve(x, kernel, mode)


def lines(x: np.ndarray, kernel: np.ndarray, **more: Any) -> str:
    """Return "" for lines whose products are not too many to sum."""
    if x.ndim > 1:
        return "it convolves lines"
    return "" if x.size * kernel.size <= _MOST else "it sums every product"


SIGNAL = {"numpy.convolve": Contender("signal", "numpy", convolve, lines)}
