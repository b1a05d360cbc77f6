"""Direct convolution over a table of addresses: im2col of addresses instead of values.

::

    for each tile of ROWS pixels and each block of output channels, in registers:
        for each tap: the addresses of the tile's pixels under it, a row of zeros' in the padding
            for each channel: acc[i, :] += x[address[i] + channel] * weight[tap, channel, block]

    grad_weight[(tap, channel), :] += x[address of (tap, channel), pixel] * grad_out[pixel, :]

No value is copied: stride, dilation and every padding mode are in the addresses.  Where x has few
channels, the taps of a line count as one run of numbers, and only a run that reaches into the
padding is copied.  A kernel of one tap over arrays in planes has outputs for rows and pixels for
columns, and reads both as they lie.  The input gradient is a phase of the stride at a time, written
straight to where it belongs, or all phases as channels where x has few; where grad_out has many
besides, it is the products of each pixel with all the kernel, added to lines of grad_x in cache.

Cost: the definition's flops at nearly the speed of the registers, and the weight's packing.
Memory: the packed weight, and x and out once more where they do not lie channels last.  What is
written to an out of 8 MiB or more goes past the caches where its rows begin at whole vectors.
Error: that of the direct sum, in order of taps and channels.
When not to use it: groups of few outputs leave most of a register empty.
Source: Dukhan, The indirect convolution algorithm, 2019; the register tile of Goto and van de
Geijn, Anatomy of high-performance matrix multiplication, 2008.
"""

from __future__ import annotations

import numpy as np

from npconv.algorithms.contract import Bound, Ending
from npconv.algorithms.indirect import slides, sums, weights
from npconv.algorithms.indirect.places import why_not
from npconv.algorithms.indirect.slides import input_grad, input_grad_cost
from npconv.algorithms.indirect.sums import cost, forward, forward_packed, pack_weight
from npconv.algorithms.indirect.weights import weight_grad, weight_grad_cost
from npconv.problem import ConvProblem

__all__ = [
    "COMPILED",
    "ENDS",
    "FILLED_NBYTES",
    "NAME",
    "SPREADS",
    "bind",
    "cost",
    "forward",
    "forward_packed",
    "input_grad",
    "input_grad_cost",
    "owns",
    "pack_weight",
    "weight_grad",
    "weight_grad_cost",
    "why_not",
]

NAME = "indirect"
SPREADS = False
ENDS = True
COMPILED = True
FILLED_NBYTES = 64  # of outputs, that cost as much as one


def owns(problem: ConvProblem) -> bool:
    """Return whether a direction is computed here: the input gradient only of few channels."""
    return problem.direction != "input_grad" or slides.suits(problem)


def bind(
    problem: ConvProblem, first: np.ndarray, second: np.ndarray, out: np.ndarray, ending: Ending
) -> Bound | None:
    """Return a direction for arrays that lie as these do; None where one has to be copied first."""
    if problem.direction == "weight_grad":
        return weights.bind(problem, first, second, out)
    if problem.direction == "input_grad":
        return None
    return sums.bind(problem, first, second, out, ending)
