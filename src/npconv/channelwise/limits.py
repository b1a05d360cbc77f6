"""Between what elements are clamped, or count."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Limits(NamedTuple):
    """``min(max(x, least), most)``; NaN stays.  Its slope is 1 between them, else 0."""

    least: float
    most: float

    def clamp(self, array: np.ndarray) -> None:
        """Clamp an array in place."""
        if self.least > -math.inf:
            np.maximum(array, array.dtype.type(self.least), out=array)
        if self.most < math.inf:
            np.minimum(array, array.dtype.type(self.most), out=array)

    def within(self, array: np.ndarray) -> np.ndarray:
        """Return where elements are between them."""
        above = array > self.least
        return above & (array < self.most) if self.most < math.inf else above


OPEN = Limits(-math.inf, math.inf)
