"""The table of algorithms: tests, planner, benchmarks and docs all iterate it."""

from __future__ import annotations

from typing import cast

from npconv.algorithms import (
    depthwise,
    fft,
    im2col_index,
    im2col_loop,
    im2col_tiled,
    im2col_view,
    indirect,
    naive,
    small,
    stencil,
    taps,
    toeplitz,
    winograd,
)
from npconv.algorithms.contract import Algorithm

_MODULES = (
    naive, taps, im2col_loop, im2col_index, im2col_view, im2col_tiled, toeplitz, small, indirect,
    depthwise, stencil, winograd, fft,
)  # fmt: skip

ALGORITHMS: dict[str, Algorithm] = {m.NAME: cast(Algorithm, m) for m in _MODULES}
