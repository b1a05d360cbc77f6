"""Short convolutions along one axis with fewer products, in exact rationals.

::

    y = A ((G w) * (B x))        y: outputs   w: taps   x: span = (outputs - 1)*stride + taps

G w and B x are values of two polynomials at as many points as there are products; A puts the
products together.  A stride s splits the taps into phases p, p + s, ...: each is such a convolution
of stride 1 on every s-th input, with products of its own, and phases of one tap need no points.

Products: s*m + r - s for m outputs, where the definition takes r*m.
Error: `Axis.amplification` times that of a direct sum of as many terms.
Source: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks, 2015 (F(m, r) in two axes); Barabasz et al., Error Analysis and
Improving the Accuracy of Winograd Convolution, 2020 (points).  toom_search.py finds the points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import NamedTuple

Matrix = tuple[tuple[Fraction, ...], ...]
Points = tuple[Fraction | None, ...]  # None is infinity
INFINITY = None


@dataclass(frozen=True)
class Axis:
    """An algorithm for `outputs` outputs of a kernel of `taps` taps: the matrices A, G and B.

    output  A (outputs, products)
    kernel  G (products, taps)
    input   B (products, span)
    """

    outputs: int
    taps: int
    stride: int
    output: Matrix
    kernel: Matrix
    input: Matrix

    def __post_init__(self) -> None:
        for i in range(self.outputs):
            for k in range(self.taps):
                for j in range(self.span):
                    rows = zip(self.output[i], self.kernel, self.input, strict=True)
                    total = sum(a * g[k] * b[j] for a, g, b in rows if a)
                    assert total == (j == i * self.stride + k), (self.outputs, self.taps, i, k, j)

    @property
    def products(self) -> int:
        """Multiplications."""
        return len(self.kernel)

    @property
    def span(self) -> int:
        """Inputs that a tile reads."""
        return (self.outputs - 1) * self.stride + self.taps

    @property
    def amplification(self) -> float:
        """How much rounding errors grow against a direct sum: root mean square over outputs."""
        return rms_growth(self.output, self.kernel, self.input)


def rms_growth(output: Matrix, kernel: Matrix, given: Matrix) -> float:
    """Return the root of  sum over i, q of A[i, q]**2 |G[q]|**2 |B[q]|**2 / (outputs * taps)."""
    weights = [
        float(sum(v * v for v in g) * sum(v * v for v in b))
        for g, b in zip(kernel, given, strict=True)
    ]
    total = sum(float(a * a) * w for row in output for a, w in zip(row, weights, strict=True))
    return math.sqrt(total / (len(output) * len(kernel[0])))


def cook_toom(outputs: int, taps: int, points: Points) -> tuple[Matrix, Matrix, Matrix]:
    """Return A, G and B of F(outputs, taps), stride 1, from outputs + taps - 1 points."""
    count = outputs + taps - 1
    assert len(set(points)) == len(points) == count
    finite = [p for p in points if p is not INFINITY]
    columns, kernel, given = [], [], []
    for point in points:
        others = [p for p in finite if p != point]
        product = _with_roots(others)
        if point is INFINITY:
            columns.append(_unit(outputs, outputs - 1))
            kernel.append(_unit(taps, taps - 1))
        else:
            scale = math.prod((point - p for p in others), start=Fraction(1))
            columns.append(tuple(point**i for i in range(outputs)))
            kernel.append(tuple(point**i / scale for i in range(taps)))
        given.append(product + (Fraction(0),) * (count - len(product)))
    return tuple(zip(*columns, strict=True)), tuple(kernel), tuple(given)


def _with_roots(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Return the coefficients, lowest first, of the product of (x - root)."""
    product = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *product]
        for i, value in enumerate(product):
            shifted[i] -= root * value
        product = shifted
    return tuple(product)


def _unit(length: int, one: int) -> tuple[Fraction, ...]:
    return tuple(Fraction(i == one) for i in range(length))


def _points(ends: str, *pairs: str) -> Points:
    """Return the points named in `ends` (0, inf), and each number of `pairs` and its negative."""
    known: dict[str, Fraction | None] = {"0": Fraction(0), "inf": INFINITY}
    both = [value for text in pairs for value in (Fraction(text), -Fraction(text))]
    return (*(known[name] for name in ends.split()), *both)


# (outputs, taps): the points of F(outputs, taps).
POINTS: dict[tuple[int, int], Points] = {
    (2, 2): _points("inf", "1/2"),
    (2, 3): _points("0 inf", "1"),
    (3, 2): _points("0 inf", "1"),
    (2, 4): _points("inf", "2/5", "5/4"),
    (4, 2): _points("inf", "2/5", "5/4"),
    (2, 5): _points("0 inf", "2/3", "3/2"),
    (4, 3): _points("0 inf", "2/3", "3/2"),
    (4, 4): _points("0", "3/5", "6/5", "4"),
    (4, 5): _points("0 inf", "1/2", "1", "2"),
    (3, 6): _points("0 inf", "1/2", "1", "2"),
    (3, 7): _points("0", "1/2", "5/6", "3/2", "4"),
}


class Row(NamedTuple):
    """What an axis may be computed by; `strict` where its error stays at the direct sum's.

    One output is the definition itself, and serves every stride.
    """

    taps: int
    stride: int
    outputs: int
    strict: bool

    @property
    def span(self) -> int:
        """Inputs that a tile reads, and products it takes."""
        return (self.outputs - 1) * self.stride + self.taps


MOST_TAPS = 7
ROWS = (
    *(Row(taps, 1, 1, True) for taps in range(1, MOST_TAPS + 1)),
    Row(2, 1, 3, True),
    Row(3, 1, 2, True),
    Row(4, 1, 2, True),
    Row(5, 1, 2, True),
    Row(3, 2, 2, True),
    Row(4, 2, 2, True),
    Row(5, 2, 2, True),
    Row(6, 2, 2, True),
    Row(7, 2, 2, True),
    Row(2, 1, 4, False),
    Row(3, 1, 4, False),
    Row(4, 1, 4, False),
    Row(5, 1, 4, False),
    Row(6, 1, 3, False),
    Row(7, 1, 3, False),
    Row(3, 2, 4, True),
    Row(4, 2, 4, True),
    Row(5, 2, 4, True),
)


@cache
def axes() -> tuple[Axis, ...]:
    """Return the algorithm of every row."""
    return tuple(axis(row.outputs, row.taps, row.stride) for row in ROWS)


def choices(taps: int, stride: int, strict: bool) -> list[int]:
    """Return the places in ROWS of what computes such an axis, the most exact first."""
    return [
        i
        for i, row in enumerate(ROWS)
        if row.taps == taps
        and (row.outputs == 1 or row.stride == stride)
        and (row.strict or not strict)
    ]


@cache
def axis(outputs: int, taps: int, stride: int = 1) -> Axis:
    """Return the algorithm for (outputs, taps, stride); one output is the definition itself."""
    if outputs == 1:
        square = tuple(_unit(taps, i) for i in range(taps))
        return Axis(1, taps, stride, ((Fraction(1),) * taps,), square, square)
    span = (outputs - 1) * stride + taps
    output: list[tuple[Fraction, ...]] = [()] * outputs
    kernel, given = [], []
    for phase in range(min(stride, taps)):
        count = len(range(phase, taps, stride))
        if count == 1:
            square = tuple(_unit(outputs, i) for i in range(outputs))
            a, g, b = square, ((Fraction(1),),) * outputs, square
        else:
            a, g, b = cook_toom(outputs, count, POINTS[outputs, count])
        output = [(*row, *more) for row, more in zip(output, a, strict=True)]
        kernel += [_spread(row, phase, stride, taps) for row in g]
        given += [_spread(row, phase, stride, span) for row in b]
    return Axis(outputs, taps, stride, tuple(output), tuple(kernel), tuple(given))


def _spread(values: Sequence[Fraction], first: int, step: int, length: int) -> tuple[Fraction, ...]:
    """Return zeros with `values` at first, first + step, ..."""
    row = [Fraction(0)] * length
    row[first : first + step * len(values) : step] = values
    return tuple(row)
