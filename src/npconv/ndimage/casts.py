"""Casting a float result as C does."""

from __future__ import annotations

import numpy as np


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in `dtype`, integers cut off towards zero and then wrapped."""
    with np.errstate(all="ignore"):
        if (
            values.dtype == dtype
            or dtype.kind in "fc"
            or (dtype.kind == "i" and dtype.itemsize > 2)
        ):
            return values.astype(dtype, copy=False)
        if values.dtype == np.float32:
            return values.astype(np.int32).astype(dtype)
        whole = values.astype(np.int64).astype(dtype)
        if dtype.itemsize < 8:
            return whole
        return np.where(values >= 2.0**63, values.astype(dtype), whole)
