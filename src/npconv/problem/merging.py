"""All phases of an input gradient in one convolution: neighbouring elements as its channels.

Along an axis, with `span` m a multiple of the stride s, and x's elements taken m at a time, element
q*m + r of grad_x (counted from padded position `low`) is the sum over the taps u of::

    grad_out[q*(m/s) - k] * weight[u],   k = (u*dilation - low - r) / s   where that is an integer

With the m residues r as channels that is one convolution of grad_out by stride m/s, over all the k
there are.  A residue that has no tap at some k multiplies by zero there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from npconv.problem.convolution import ConvProblem
from npconv.problem.identities import extents

_MOST = 16  # times the outputs that cost as much as one: with more, little is left to gain


@dataclass(frozen=True)
class Merged:
    """The input gradient as one convolution.

    problem   the forward convolution of grad_out; its outputs are (*span, channels of x)
    span      neighbouring elements of grad_x that it computes as channels, an axis
    taps      (position in problem's kernel, residue, tap of weight), a list an axis
    """

    problem: ConvProblem
    span: tuple[int, ...]
    taps: tuple[tuple[tuple[int, int, int], ...], ...]

    def combined(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """Yield (positions, residues, taps) for all axes together."""
        for found in itertools.product(*self.taps):
            position, residue, tap = zip(*found, strict=True)
            yield position, residue, tap


def merge_phases(problem: ConvProblem, span: tuple[int, ...]) -> Merged:
    """Return the input gradient of an ungrouped problem with so many elements as channels."""
    found = []
    for axis, m in enumerate(span):
        low = extents(problem)[axis][0]
        s, d = problem.stride[axis], problem.dilation[axis]
        found.append(
            [
                ((u * d - low - r) // s, r, u)
                for r in range(m)
                for u in range(problem.kernel_size[axis])
                if (u * d - low - r) % s == 0
            ]
        )
    least = [min(k for k, _, _ in axis) for axis in found]
    most = [max(k for k, _, _ in axis) for axis in found]
    step = tuple(m // s for m, s in zip(span, problem.stride, strict=True))
    counts = [-(-(b - a) // m) for (a, b), m in zip(extents(problem), span, strict=True)]
    padding = tuple(
        (z, (count - 1) * move - a - (size - 1))
        for a, z, count, move, size in zip(least, most, counts, step, problem.out_size, strict=True)
    )
    convolution = replace(
        problem,
        direction="forward",
        in_channels=problem.out_channels,
        out_channels=math.prod(span) * problem.in_channels,
        size=problem.out_size,
        kernel_size=tuple(z - a + 1 for a, z in zip(least, most, strict=True)),
        stride=step,
        padding=padding,
        dilation=(1,) * problem.ndim,
        padding_mode="zeros",
        x_dtype=problem.out_dtype,
        weight_dtype=problem.compute_dtype,
        out_dtype=problem.compute_dtype,
    )
    taps = tuple(
        tuple((z - k, r, u) for k, r, u in axis) for z, axis in zip(most, found, strict=True)
    )
    return Merged(convolution, span, taps)


def best_span(problem: ConvProblem, lanes: int) -> tuple[int, ...] | None:
    """Return how many elements to compute as channels, None where phase by phase is no more work.

    lanes: outputs that an algorithm computes at the cost of one.
    """
    if problem.groups > 1 or problem.in_channels >= lanes or any(d > 1 for d in problem.dilation):
        return None
    apart = problem.taps / math.prod(problem.stride) * lanes
    best, least = None, 0.7 * apart
    for times in range(1, 5):
        span = tuple(
            1 if size == 1 else times * s
            for size, s in zip(problem.kernel_size, problem.stride, strict=True)
        )
        if any(m % s for m, s in zip(span, problem.stride, strict=True)):
            return None
        channels = math.prod(span) * problem.in_channels
        if channels > _MOST * lanes:
            break
        filled = lanes if channels <= lanes else -(-channels // (2 * lanes)) * 2 * lanes
        work = math.prod(merge_phases(problem, span).problem.kernel_size) * filled / math.prod(span)
        if work < least:
            best, least = span, work
    return best
