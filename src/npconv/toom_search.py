"""The search that found the points of kernels/toom.py.

`python -m npconv.toom_search` prints, for each row of the table, the best sets of points.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from npconv.kernels.toom import INFINITY, POINTS, Points, cook_toom, rms_growth

# Simple fractions up to 4, each beside its inverse, which shares out the growth between A and B.
CANDIDATES = tuple(
    sorted({Fraction(n, d) for n in range(1, 9) for d in range(1, 9) if n <= 4 * d and d <= 4 * n})
)


class Found(NamedTuple):
    """A set of points and how much errors grow with it."""

    amplification: float
    points: Points


def search(outputs: int, taps: int) -> list[Found]:
    """Return sets of points for F(outputs, taps), the least amplification first.

    Each holds numbers in pairs of opposite sign, which halve the additions, and 0, infinity, both
    or neither.
    """
    found = [
        Found(rms_growth(*cook_toom(outputs, taps, points)), points)
        for points in _sets(outputs + taps - 1)
    ]
    return sorted(found, key=lambda f: f.amplification)


def _sets(count: int) -> Iterator[Points]:
    for ends in ((), (Fraction(0),), (INFINITY,), (Fraction(0), INFINITY)):
        pairs, rest = divmod(count - len(ends), 2)
        if rest:
            continue
        for chosen in itertools.combinations(CANDIDATES, pairs):
            yield (*ends, *(value for number in chosen for value in (number, -number)))


def main() -> None:
    """Print the best three sets of each row."""
    for outputs, taps in POINTS:
        for found in search(outputs, taps)[:3]:
            points = " ".join("inf" if p is None else str(p) for p in found.points)
            sys.stdout.write(f"F({outputs},{taps})  {found.amplification:5.2f}  {points}\n")


if __name__ == "__main__":
    main()
