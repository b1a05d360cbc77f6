"""The peak: the most operations a second that this machine's registers can be put through."""

from __future__ import annotations

import numpy as np

from npconv.threads import for_each, num_threads

_PIECE = 1 << 26  # operations: a fraction of a millisecond
_PIECES = 8  # a thread: one that is late leaves some of its share to the others


def multiply_adds(dtype: str = "float32") -> int:
    """Do multiply-adds in registers, shared by all threads, and return how many operations.

    The time it takes is the least in which a sum of as many products can be computed: npconv's
    own kernels do no better, nor does any library.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of the numbers.

    Returns
    -------
    int
        Operations done: 2 for each product that is added.

    Notes
    -----
    Some milliseconds.  Needs Numba: where `npconv.compiler.missing()` has a reason it cannot run.
    A processor that slows down for wide vectors does so here as well.

    Examples
    --------
    >>> from npconv.compiler import missing
    >>> missing() != "" or multiply_adds() > 0
    True
    """
    from npconv.kernels import peak

    one = np.dtype(dtype).type
    rounds = -(-_PIECE // peak.operations(dtype))
    pieces = _PIECES * num_threads()
    for_each(range(pieces), lambda _: peak.multiply_add(rounds, one(0.5), one(0.5)))
    return pieces * rounds * peak.operations(dtype)
