"""What the tests of ndimage share: numbers of every dtype, and what equal means."""

import numpy as np
import pytest

scipy_ndimage = pytest.importorskip("scipy.ndimage")


MODES = [
    "reflect", "grid-mirror", "mirror", "nearest", "wrap", "grid-wrap", "constant",
    "grid-constant",
]  # fmt: skip


DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def filled(rng, shape, dtype):
    """Numbers of a dtype: whole ones for integers, any for floats."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -50, 100, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def same(ours, theirs, sums=1.0):
    """Equal, and of one dtype; floats to the rounding of sums of that size."""
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.dtype.kind in "biu":
        np.testing.assert_array_equal(ours, theirs)
    else:
        eps = np.finfo(ours.dtype).eps
        np.testing.assert_allclose(ours, theirs, rtol=8 * eps, atol=64 * eps * sums)
