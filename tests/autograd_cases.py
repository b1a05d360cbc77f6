"""What the tests of the bridge to autograd share."""

import numpy as np
from autograd.test_util import check_grads


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def check(f, *arrays, order=2):
    """Compare derivatives up to an order, in every array, with differences of f."""
    every = tuple(range(len(arrays)))
    check_grads(f, every, modes=["rev"], order=order)(*arrays)
