"""One direction as another: the gradients as forward convolutions of other arrays.

Along an axis, with D = dilation * (kernel_size - 1) and p a position of padded x::

    grad_x[p] = sum over the i, u with i*stride + u*dilation = p  of  grad_out[i] * weight[u]

Which taps u can meet p depends on p mod stride alone.  For one such residue they are u0, u0 + q,
u0 + 2q ... with q = stride / c and c = gcd(stride, dilation), and i falls by dilation / c from each
to the next: a stride-1 convolution of grad_out with that part of the kernel, flipped, in and out
channels swapped.  These are the phases.  Putting stride - 1 zeros between the entries of grad_out
and correlating with the whole flipped kernel gives the same sums, and stride**ndim times the work::

    grad_weight[u] = sum over i  of  padded[i*stride + u*dilation] * grad_out[i]

is the convolution of x, its channels as a batch and its batch as channels, with grad_out as the
kernel: stride and dilation change places, and padded elements that no window reached are dropped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from npconv.problem.convolution import ConvProblem

_FEW = 64  # phases of a problem that are remembered


@dataclass(frozen=True)
class Phase:
    """One residue of the strides: conv(grad_out, weight[taps] swapped) is grad_x[at].

    problem   the forward convolution of grad_out, stride 1
    taps      a slice of weight an axis, backwards: the part of the kernel, flipped
    at        a slice of grad_x's spatial axes, or of padded grad_x's where `spans_padding`
    """

    problem: ConvProblem
    taps: tuple[slice, ...]
    at: tuple[slice, ...]


@dataclass(frozen=True)
class _Residue:
    """A phase along one axis."""

    kernel_size: int
    dilation: int
    padding: tuple[int, int]
    taps: slice
    at: slice


def spans_padding(problem: ConvProblem) -> bool:
    """Return whether grad_x is needed in the padding too: where that stands for elements of x."""
    grows = any(side > 0 for pair in problem.padding for side in pair)
    return grows and problem.padding_mode != "zeros"


def phases(problem: ConvProblem) -> Iterator[Phase]:
    """Yield the convolutions that together are the input gradient; what none writes is 0."""
    for residues in itertools.product(*_axes(problem)):
        yield _phase(problem, residues)


@lru_cache(maxsize=64)
def few_phases(problem: ConvProblem) -> tuple[Phase, ...]:
    """Return the phases, the same objects each time, where they are few; else none."""
    return tuple(phases(problem)) if phase_count(problem) <= _FEW else ()


def phase_count(problem: ConvProblem) -> int:
    """Return how many phases there are."""
    return math.prod(len(residues) for residues in _axes(problem))


def largest_phase(problem: ConvProblem) -> Phase | None:
    """Return the phase with the most taps, then the most elements; None where there is none."""
    axes = _axes(problem)
    if not all(axes):
        return None
    return _phase(problem, [max(r, key=lambda one: (one.kernel_size, _count(one))) for r in axes])


def covers(problem: ConvProblem) -> bool:
    """Return whether the phases write every element."""
    return all(
        sum(map(_count, residues)) == high - low
        for residues, (low, high) in zip(_axes(problem), extents(problem), strict=True)
    )


def weight_grad_as_forward(problem: ConvProblem) -> ConvProblem:
    """Return the convolution that is the weight gradient.

    It takes x as (C // groups, *size, groups * N) and grad_out as (*out_size, N, O), and gives
    (C // groups, *kernel_size, O).
    """
    one = [n == 1 for n in problem.out_size]
    return replace(
        problem,
        direction="forward",
        batch=problem.group_channels,
        in_channels=problem.groups * problem.batch,
        kernel_size=problem.out_size,
        stride=problem.dilation,
        dilation=tuple(1 if o else s for o, s in zip(one, problem.stride, strict=True)),
        padding=tuple(
            (b, a - r) for (b, a), r in zip(problem.padding, problem.remainder, strict=True)
        ),
        weight_dtype=problem.out_dtype,
        out_dtype=problem.dtype,
        channels_last=problem.channels_last and problem.groups > 1,
        weight_channels_last=False,
    )


def _phase(problem: ConvProblem, residues: tuple[_Residue, ...] | list[_Residue]) -> Phase:
    convolution = replace(
        problem,
        direction="forward",
        in_channels=problem.out_channels,
        out_channels=problem.in_channels,
        size=problem.out_size,
        kernel_size=tuple(r.kernel_size for r in residues),
        stride=(1,) * problem.ndim,
        padding=tuple(r.padding for r in residues),
        dilation=tuple(r.dilation for r in residues),
        padding_mode="zeros",
        x_dtype=problem.out_dtype,
        weight_dtype=problem.compute_dtype,
        out_dtype=problem.dtype,
        weight_channels_last=problem.channels_last,
    )
    return Phase(convolution, tuple(r.taps for r in residues), tuple(r.at for r in residues))


def extents(problem: ConvProblem) -> list[tuple[int, int]]:
    """Return where grad_x is sought, in padded coordinates: first and last + 1, an axis."""
    if spans_padding(problem):
        return [(0, n) for n in problem.padded_size]
    return [(b, b + n) for n, (b, _) in zip(problem.size, problem.padding, strict=True)]


@lru_cache(maxsize=512)
def _axes(problem: ConvProblem) -> tuple[tuple[_Residue, ...], ...]:
    per_axis = zip(
        problem.kernel_size, problem.out_size, problem.stride, problem.dilation,
        extents(problem), strict=True,
    )  # fmt: skip
    return tuple(_residues(k, n, s, d, *extent) for k, n, s, d, extent in per_axis)


def _residues(
    kernel_size: int, out_size: int, stride: int, dilation: int, low: int, high: int
) -> tuple[_Residue, ...]:
    """Return the phases of one axis that have taps and elements in low .. high-1."""
    common = math.gcd(stride, dilation)
    every, step = stride // common, dilation // common
    found = []
    for first in range(min(kernel_size, every)):  # u0: the first tap of each residue that has one
        rho = first * dilation % stride
        taps = (kernel_size - 1 - first) // every + 1
        begin, end = -((rho - low) // stride), -((rho - high) // stride)
        if end <= begin:
            continue
        last = first + (taps - 1) * every
        # Output number `begin` of this residue reads grad_out from here on.
        reads = begin + (rho - first * dilation) // stride - (taps - 1) * step
        reach = end - begin + (taps - 1) * step
        found.append(
            _Residue(
                kernel_size=taps,
                dilation=step if taps > 1 else 1,
                padding=(-reads, reach - out_size + reads),
                taps=slice(last, first - 1 if first else None, -every),
                at=slice(rho + begin * stride - low, rho + (end - 1) * stride - low + 1, stride),
            )
        )
    return tuple(found)


def _count(residue: _Residue) -> int:
    return (residue.at.stop - residue.at.start - 1) // residue.at.step + 1
