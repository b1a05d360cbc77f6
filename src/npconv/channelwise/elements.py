"""Elements clamped, and the way back."""

from __future__ import annotations

import numpy as np

from npconv import spare
from npconv.channelwise import compiled
from npconv.channelwise.limits import Limits

_BLOCK = 1 << 15  # elements that a few passes find in a core's cache


def clamp(x: np.ndarray, limits: Limits, out: np.ndarray | None = None) -> np.ndarray:
    """Return x between limits, a C-contiguous array of floats like x; out: where, perhaps x.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.channelwise import Limits, clamp
    >>> clamp(np.array([-1.0, 2.0, 9.0]), Limits(0, 6))
    array([0., 2., 6.])
    """
    made = spare.empty(x.shape, x.dtype) if out is None else out
    if not compiled.clamp(x, None, made, limits):
        for one, to in _blocks(x, made):
            to[...] = one
            limits.clamp(to)
    return made


def pass_between(x: np.ndarray, held: np.ndarray, limits: Limits) -> np.ndarray:
    """Return x where `held` is between limits, else 0; both are C-contiguous and of one dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv.channelwise import Limits, pass_between
    >>> pass_between(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 6.0]), Limits(0, 6))
    array([0., 2., 0.])
    """
    made = spare.empty(x.shape, x.dtype)
    if not compiled.clamp(x, held, made, limits):
        for one, by, to in _blocks(x, held, made):
            to[...] = np.where(limits.within(by), one, 0)
    return made


def _blocks(*arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    rows = [array.reshape(-1) for array in arrays]
    starts = range(0, rows[0].size, _BLOCK)
    return [tuple(row[start : start + _BLOCK] for row in rows) for start in starts]
