"""Pooling: the largest element of each window, or the mean, and the gradients of both.

Compiled kernels go from window to window, a lane of a vector for each channel.  Where they do not
serve, NumPy's passes do: windows slide along one axis at a time, as the largest of a block is the
largest of its rows' largest, and so with sums; each step takes one tap of all windows at once.
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
