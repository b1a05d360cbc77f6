"""Depthwise convolution: a lane of a vector for each group, pixels and weights multiplied alike.

::

    for each 7 pixels of a line and each 2 vectors of groups, in registers:
        for each tap: the addresses of the pixels under it, a row of zeros' in the padding
            acc[i, :] += x[address[i] + groups] * weight[tap, groups]

    grad_weight[tap, :] += x[address of tap, pixel] * grad_out[pixel, :]

Where each group has one channel, or one output, vectors run over the groups, whose numbers lie side
by side where arrays lie channels last; no other product of a vector would fill one.  Several
outputs of a group, or channels, are as many such sums, over planes of their own.  Stride, dilation
and every padding mode are in the addresses.  The input gradient is a phase of the stride at a time,
written straight to where it belongs; the weight gradient keeps nine taps in registers over a line.

Cost: little more than x read and out written, until the kernel has some 25 taps.
Memory: the weight; x and out once more where they do not lie channels last, or where a group has
several.
Error: that of the direct sum, in order of taps; the weight gradient's line by line.
When not to use it: for groups of several channels and several outputs, which it refuses.
Source: Zhang et al., High performance depthwise and pointwise convolutions on mobile devices, 2020.
"""

from __future__ import annotations

from npconv.algorithms.depthwise.bound import bind
from npconv.algorithms.depthwise.places import why_not
from npconv.algorithms.depthwise.sums import (
    cost,
    forward,
    forward_packed,
    input_grad,
    input_grad_cost,
    pack_weight,
)
from npconv.algorithms.depthwise.weights import weight_grad, weight_grad_cost

__all__ = [
    "COMPILED",
    "ENDS",
    "NAME",
    "SPREADS",
    "bind",
    "cost",
    "forward",
    "forward_packed",
    "input_grad",
    "input_grad_cost",
    "pack_weight",
    "weight_grad",
    "weight_grad_cost",
    "why_not",
]

NAME = "depthwise"
SPREADS = False
ENDS = True
COMPILED = True
