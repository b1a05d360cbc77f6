"""The convolution theorem: transform, multiply, transform back.

::

    X = rfftn(x tile)   W = rfftn(weight)        one number a frequency, a channel (pair)
    Y = X @ conj(W)     for each frequency (C) @ (C, O)          conj: correlation, not flipped
    y = irfftn(Y)       the first  length - dilated + 1  outputs of a tile are valid

    grad_weight = irfftn(sum over tiles of  X.T @ conj(G))     G = rfftn(grad_out tile)

x is cut into overlapping tiles (overlap-save), so a small kernel on a large image costs tiles of a
few times the kernel.  A tile that has all outputs is no longer than it must be for what wraps round
to fall on the padding's zeros.

Where each output sees one channel, and strides are 1, that is compiled: complex transforms of half
a tile's length, vectors of neighbouring lines in the place of numbers, each tile within a cache.
Threads share tiles, or the transforms of one that is large.  Complex numbers are two real ones each
there.  Elsewhere NumPy transforms.

Cost: about 2.5 n log2 n flops a real transform of n, one each for the C inputs and O outputs of a
tile, and C*O/groups multiply-adds a frequency.
Memory: one tile's spectra a thread and the weight's, C/groups * O spectra.
Error: "strict" transforms in float64, so that float32 results are within 2 of the direct bound;
"fast" transforms float32 in float32.  Both are bounded by the largest magnitude in a tile, not
in a window: beside a value 2**29 larger, small outputs of a tile keep fewer digits.
A NaN or Inf spreads over its tile, so the planner recomputes such results directly.
When not to use it: for few taps, for integers (it rounds), for strides above 1 (it computes the
outputs in between as well).
Source: Stockham, High-speed convolution and correlation, 1966; modulo t**N = i: Nussbaumer, Fast
polynomial transform algorithms for digital convolution, 1980.
"""

from __future__ import annotations

import numpy as np

from npconv import compiler
from npconv.algorithms.contract import Cost
from npconv.algorithms.fft import compiled, parts, spectral
from npconv.algorithms.fft.cut import cut
from npconv.algorithms.fft.spectral import weight_grad, weight_grad_cost
from npconv.problem import ConvProblem

__all__ = ["NAME", "SPREADS", "cost", "forward", "weight_grad", "weight_grad_cost", "why_not"]

NAME = "fft"
SPREADS = True


def why_not(problem: ConvProblem) -> str:
    """Return "" unless the numbers are exact, wider than float64, or nothing is to transform."""
    if problem.dtype.kind in "iu":
        return "integers are exact, and a transform rounds"
    if problem.dtype.char in "gG":
        return f"transforms are float64, and {problem.dtype} is wider"
    if all(k == 1 for k in problem.kernel_size):
        return "a 1x1 kernel leaves nothing to transform"
    return ""


def cost(problem: ConvProblem) -> Cost:
    """Return the transforms, the products of spectra and the passes over them."""
    if (made := cut(problem)) is not None:
        return compiled.cost(problem, made)
    if (found := parts.of_parts(problem)) is not None:
        return parts.cost(problem, *found)
    return spectral.cost(problem)


def forward(problem: ConvProblem, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """Write out, tile by tile."""
    if (made := cut(problem)) is not None and compiler.usable():
        compiled.forward(problem, made, x, weight, out)
    elif (found := parts.of_parts(problem)) is not None and compiler.usable():
        parts.forward(problem, *found, x, weight, out)
    else:
        spectral.forward(problem, x, weight, out)
