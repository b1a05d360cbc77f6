"""npconv: the convolution engine for NumPy arrays.

One call, many algorithms, a planner that picks one and says why::

    import numpy as np, npconv
    y = npconv.conv(x, weight, padding=1)             # NCHW, or name your own layout
    print(npconv.plan(x, weight, padding=1))          # which algorithm, and why not the others
"""

from importlib import import_module
from typing import Any

from npconv.api import (
    ConvGrads,
    TransposedGeometry,
    algorithms,
    conv,
    conv_grad,
    conv_input_grad,
    conv_transpose,
    conv_transpose_geometry,
    conv_weight_grad,
    fold,
    plan,
    unfold,
)
from npconv.errors import ProblemError, UnsupportedError
from npconv.gradcheck import gradcheck
from npconv.planner import Plan
from npconv.pooling import (
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    global_avg_pool_grad,
    global_max_pool,
    global_max_pool_grad,
    max_pool,
    max_pool_grad,
)
from npconv.spare import release_memory
from npconv.threads import get_num_threads, set_num_threads
from npconv.version import __version__ as __version__

__all__ = [
    "ConvGrads",
    "Plan",
    "ProblemError",
    "TransposedGeometry",
    "UnsupportedError",
    "algorithms",
    "avg_pool",
    "avg_pool_grad",
    "conv",
    "conv_grad",
    "conv_input_grad",
    "conv_transpose",
    "conv_transpose_geometry",
    "conv_weight_grad",
    "fold",
    "get_num_threads",
    "global_avg_pool",
    "global_avg_pool_grad",
    "global_max_pool",
    "global_max_pool_grad",
    "gradcheck",
    "max_pool",
    "max_pool_grad",
    "plan",
    "release_memory",
    "set_num_threads",
    "unfold",
]
_ROOMS = ("bench", "bridges", "explain", "images", "ndimage", "nn", "signal", "wisdom")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"npconv.{name}")
    raise AttributeError(f"module 'npconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
