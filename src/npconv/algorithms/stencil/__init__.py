"""Convolution of single planes: a lane of a vector for each neighbour along a line.

::

    for each few lines of out and each few vectors of a line, in registers:
        for each tap: acc[i, :] += weight[a, r, c] * x[line i + r, column + c : ... + lanes]

Where a group has one channel, vectors run along the lines, whose numbers lie side by side where
arrays lie channels first, or have one channel; weights are the same for all lanes.  Lines are
padded in scratch, some at a time, and gathered there where their numbers lie apart.

Cost: little more than x read and out written until the kernel has some 10 taps, then a
multiply-add a lane and tap.
Memory: the weight, and the lines that a section of a line needs: some hundred KiB a thread.
Error: that of the direct sum, in order of taps.
When not to use it: for groups of several channels or a stride, which it refuses; for lines much
shorter than a vector; for kernels of some thousand taps, where a transform takes fewer steps.
"""

from __future__ import annotations

from npconv.algorithms.stencil.sums import (
    cost,
    forward,
    forward_packed,
    pack_weight,
    why_not,
)

__all__ = [
    "COMPILED",
    "ENDS",
    "NAME",
    "SPREADS",
    "cost",
    "forward",
    "forward_packed",
    "pack_weight",
    "why_not",
]

NAME = "stencil"
SPREADS = False
ENDS = True
COMPILED = True
