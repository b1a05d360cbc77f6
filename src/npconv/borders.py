"""What lies beyond the edge of an array: the padding modes, as index maps.

A mode answers one question: which element of an axis of length ``size`` stands at position
``p``, where ``p`` may be negative or past the end?  The names and meanings are numpy.pad's::

    mode        positions -3 -2 -1 | 0 1 2 3 | 4 5 6 of an axis holding a b c d
    zeros                  0  0  0 | a b c d | 0 0 0
    edge                   a  a  a | a b c d | d d d
    reflect                d  c  b | a b c d | c b a
    symmetric              c  b  a | a b c d | d c b
    wrap                   b  c  d | a b c d | a b c
"""

from __future__ import annotations

import difflib

import numpy as np

from npconv.errors import ProblemError

MODES = ("zeros", "edge", "reflect", "symmetric", "wrap")
_ALIASES = {"constant": "zeros", "replicate": "edge", "circular": "wrap"}


def canonical_mode(mode: str) -> str:
    """Return the mode's one name, or raise ProblemError naming those there are."""
    if isinstance(mode, str):
        mode = _ALIASES.get(mode, mode)
        if mode in MODES:
            return mode
    known = [*MODES, *_ALIASES]
    near = difflib.get_close_matches(str(mode), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "take one of the modes above"
    raise ProblemError(f"padding_mode {mode!r} is not known.", rule=", ".join(known), fix=hint)


def source(mode: str, size: int, start: int, stop: int) -> np.ndarray:
    """Return for each position start .. stop-1 the index it reads, int64; -1 reads a zero."""
    steps = np.arange(stop - start, dtype=np.int64)
    if mode in ("zeros", "edge"):
        # All positions past an end read alike, however far: none need overflow.
        p = steps + min(max(start, start - stop), size)
        return np.clip(p, 0, size - 1) if mode == "edge" else np.where((p >= 0) & (p < size), p, -1)
    period = {"wrap": size, "symmetric": 2 * size, "reflect": max(2 * (size - 1), 1)}[mode]
    p = (steps + start % period) % period
    if mode == "wrap":
        return p
    return np.minimum(p, period - (mode == "symmetric") - p)
