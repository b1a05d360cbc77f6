"""Weighted sums in a given order: each product and each sum is rounded by itself.

Where sums are cut off to whole numbers as another library does it, the last bit counts.
"""

from __future__ import annotations

import numpy as np

from npconv.kernels.compile import compiled

_BLOCK = 1024  # sums that stay in the first cache from term to term


@compiled
def add_terms(values, places, partners, weights, sign, out):
    """Write the weighted sums of numbers, or of pairs of them.

    ::

        out[i] = sum over t of weights[t] * (values[places[t] + i] + sign * values[partners[t] + i])

    values, weights and out are dense float64, places and partners int64, none negative; values has
    as many numbers as are read.  The first term has no partner, nor has any where sign is 0.
    """
    for begin in range(0, out.size, _BLOCK):
        total = out[begin : begin + _BLOCK]
        count = total.size
        first, weight = values[begin + places[0] :], weights[0]
        for i in range(count):
            total[i] = first[i] * weight
        for t in range(1, places.size):
            one, other, weight = (
                values[begin + places[t] :],
                values[begin + partners[t] :],
                weights[t],
            )
            if sign == 0:
                for i in range(count):
                    total[i] += one[i] * weight
            elif sign > 0:
                for i in range(count):
                    total[i] += (one[i] + other[i]) * weight
            else:
                for i in range(count):
                    total[i] += (one[i] - other[i]) * weight


def warm() -> None:
    """Have it compiled, or loaded."""
    numbers, places = np.zeros(2), np.zeros(2, np.int64)
    add_terms(numbers, places, places, numbers, 0, np.empty(1))
