"""npconv: the convolution engine for NumPy arrays.

One call, many algorithms, a planner that picks one and says why::

    import numpy as np, npconv
    y = npconv.conv(x, weight, padding=1)             # NCHW, or name your own layout
    print(npconv.plan(x, weight, padding=1))          # which algorithm, and why not the others
"""

from importlib import import_module
from typing import Any

from npconv.api import algorithms, conv, plan
from npconv.errors import ProblemError, UnsupportedError
from npconv.planner import Plan

__version__ = "0.1.0"
__all__ = ["Plan", "ProblemError", "UnsupportedError", "algorithms", "conv", "plan"]
_ROOMS = ("bench", "images", "ndimage", "signal")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"npconv.{name}")
    raise AttributeError(f"module 'npconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
