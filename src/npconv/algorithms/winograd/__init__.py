"""Winograd convolution: small tiles of outputs from fewer products than the definition takes.

::

    for each tile of x:   V = B x B'         one plane for each product
    for each plane:       M = V @ U          U = G w G', the transformed weight
    for each tile of out: y = A M A'

The gradient of the weight is the same with the matrices turned round, and summed before the last::

    grad_weight = G' [sum over tiles of (A' g A) * (B x B')] G

An axis of r taps yields m outputs from m + r - 1 products instead of m*r (stride 1), or from
2*m + r - 2 instead of m*r (stride 2, even and odd inputs apart): kernels/toom.py has the matrices.
A block of tiles stays in cache from its transform to its outputs.  The first of three axes, the
depth, is summed tap by tap: M = sum over p of V[depth + p] @ U[p].  Of a dilated axis each tile
takes every d-th element.

Cost: the definition's flops divided by 1.2 to 2.5 an axis, and the transforms.
Memory: the transformed weight; a block of tiles and its products for each thread; x and out once
more where they do not lie channels last.
Error: "strict" takes the forms whose error is no more than the direct sum's where a tile's numbers
are alike (m = 2, of 2 taps 3, at stride 2 also 4): it is measured in the largest of a tile, not of
the one window.  "fast" takes larger tiles, with up to ten times that error.
A NaN or Inf spreads over its tile, so the planner recomputes such results directly.
When not to use it: few channels (the transforms cost more than the products), integers.
Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; Winograd,
Arithmetic Complexity of Computations, 1980.
"""

from __future__ import annotations

from npconv.algorithms.winograd.bound import bind
from npconv.algorithms.winograd.places import why_not
from npconv.algorithms.winograd.sums import cost, forward, forward_packed, pack_weight
from npconv.algorithms.winograd.weight_gradient import weight_grad, weight_grad_cost

__all__ = [
    "COMPILED",
    "ENDS",
    "NAME",
    "SPREADS",
    "bind",
    "cost",
    "forward",
    "forward_packed",
    "pack_weight",
    "weight_grad",
    "weight_grad_cost",
    "why_not",
]

NAME = "winograd"
SPREADS = True
ENDS = True
COMPILED = True
