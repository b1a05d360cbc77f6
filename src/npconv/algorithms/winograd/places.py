"""What it can, and where arrays lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npconv import compiler, tiling
from npconv.kernels import toom
from npconv.problem import ConvProblem

if TYPE_CHECKING:
    from npconv.kernels.winograd_layer import Place

_REACH = 1 << 24  # positions along an axis
_LITTLE = 1 << 20  # multiply-adds
_COMPILING = 2e6  # steps


def why_not(problem: ConvProblem) -> str:
    """Return "" for floats, up to three axes, and a kernel that tiles save products of."""
    if problem.dtype.kind in "iu":
        return "integers are exact, and a transform rounds"
    if problem.compute_dtype.char not in "fd":
        return f"its registers hold float32 and float64, not {problem.dtype}"
    if problem.ndim > 3:
        return f"its tiles have two axes and a depth, not {problem.ndim} axes"
    if any(k > toom.MOST_TAPS for k in problem.kernel_size):
        return f"its kernels have up to {toom.MOST_TAPS} taps an axis"
    reach = max(problem.reach(problem.out_size, problem.out_size)[1], default=0)
    if reach > _REACH:
        return f"the windows reach over {reach} positions, and its tables list each"
    if not tiling.rows(problem):
        return "tiles of this kernel, stride and output save no products"
    return compiler.missing()


def waiting(problem: ConvProblem) -> float:
    """Return the steps that little work would wait for kernels not compiled yet."""
    if problem.macs >= _LITTLE:
        return 0
    high, wide = tiling.rows(problem)
    transforms = f"{high} {wide} {problem.compute_dtype.char}"
    ready = all(map(compiler.ready, ("team", "winograd", "winograd_weights")))
    return 0 if ready and compiler.ready("winograd_transforms", transforms) else _COMPILING


def where(strides: tuple[int, ...], channels: int) -> Place:
    """Return how an array (N, *size, channels) of these strides lies, with so many a group."""
    from npconv.kernels.winograd_layer import Place

    image, *spatial, channel = strides
    return Place(channels * channel, image, *(0, 0, *spatial)[-3:])
