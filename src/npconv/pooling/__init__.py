"""Pooling: the largest element of each window, or the mean, and the gradients of both.

Windows slide along one axis at a time: the largest of a block is the largest of its rows'
largest, and so with sums.  Each step takes one tap of all windows at once, as strided views.
"""

from npconv.pooling.average import (
    avg_pool,
    avg_pool_grad,
    global_avg_pool,
    global_avg_pool_grad,
)
from npconv.pooling.largest import (
    global_max_pool,
    global_max_pool_grad,
    max_pool,
    max_pool_grad,
)

__all__ = [
    "avg_pool",
    "avg_pool_grad",
    "global_avg_pool",
    "global_avg_pool_grad",
    "global_max_pool",
    "global_max_pool_grad",
    "max_pool",
    "max_pool_grad",
]
