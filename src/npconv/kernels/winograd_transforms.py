"""The transforms of a Winograd convolution as functions of C, each compiled when it is needed.

A call knows those of its two axes by their addresses: a kernel that held the code of every pair of
algorithms would take minutes to compile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from npconv.kernels import toom
from npconv.kernels.entry import Entry, make_call
from npconv.kernels.record import of_type
from npconv.kernels.sandwich import make_ending, make_sandwich
from npconv.kernels.tile import Store

# What a network's layers have: taps, stride, and outputs of a tile, any two for the two axes.
_COMMON = ((3, 1, (1, 2, 4)), (5, 1, (2, 4)), (3, 2, (2, 4)))

# call(address, count, source, row, column, target, to_row, to_column): see sandwich.make_sandwich
transform = make_call(7)
# call(address, count, source, row, column, target, to_row, to_column, seen, start, streams, least,
# most)
ending = make_call(10, 2)


class Transforms(NamedTuple):
    """Addresses: of what transforms a tile of x, sums of products, and the taps of a weight."""

    given: int
    output: int
    kernel: int


class Turned(NamedTuple):
    """The same of a weight gradient: a tile of x, one of grad_out, and sums of products."""

    given: int
    grad: int
    taps: int


@lru_cache(maxsize=256)
def transforms(rows: tuple[int, int], letter: str) -> Transforms:
    """Return the transforms of two rows of toom.ROWS, of float32 ("f") or float64 ("d")."""
    made = (
        _sandwich("input", rows, letter),
        _ending("output", rows, letter),
        _sandwich("kernel", rows, letter),
    )
    return Transforms(*(one.address for one in made))


@lru_cache(maxsize=256)
def turned(rows: tuple[int, int], letter: str) -> Turned:
    """Return the transforms of a weight gradient: where they go back, matrices are transposed."""
    made = (
        _sandwich("input", rows, letter),
        _sandwich("output", rows, letter, turns=True),
        _ending("kernel", rows, letter, turns=True),
    )
    return Turned(*(one.address for one in made))


def _matrices(side: str, rows: tuple[int, int], turns: bool) -> tuple[Any, Any]:
    high, wide = (getattr(toom.axes()[row], side) for row in rows)
    if turns:
        high, wide = (tuple(zip(*matrix, strict=True)) for matrix in (high, wide))
    return high, wide


@lru_cache(maxsize=512)
def _sandwich(side: str, rows: tuple[int, int], letter: str, turns: bool = False) -> Entry:
    # What the next tile reads besides.
    wide = toom.ROWS[rows[1]]
    ahead = wide.outputs * wide.stride if side == "input" else 0
    sandwich, zero = make_sandwich(*_matrices(side, rows, turns), ahead), np.dtype(letter).type(0)

    def apply(count, source, row, column, target, to_row, to_column):  # type: ignore[no-untyped-def]
        sandwich(count, source, row, column, target, to_row, to_column, zero)

    return Entry(apply, 7, variant=f"{side} {rows} {letter} {turns}")


@lru_cache(maxsize=512)
def _ending(side: str, rows: tuple[int, int], letter: str, turns: bool = False) -> Entry:
    sandwich, zero = make_ending(*_matrices(side, rows, turns)), np.dtype(letter).type(0)

    def apply(
        count, source, row, column, target, to_row, to_column, seen, start, streams, least, most
    ):  # type: ignore[no-untyped-def]
        store = Store(start, streams, of_type(least, zero), of_type(most, zero))
        sandwich(count, source, row, column, target, to_row, to_column, seen, store)

    return Entry(apply, 10, 2, variant=f"{side} {rows} {letter} {turns}")


def warm(*choices: str) -> None:
    """Have transforms compiled or loaded: those of each choice, or the common.

    A choice is "high wide letter", and "turned" after it for those of a weight gradient.
    """
    for choice in choices or _common():
        high, wide, letter, *turns = choice.split()
        (turned if turns else transforms)((int(high), int(wide)), letter)


def _common() -> list[str]:
    place = {(row.taps, row.stride, row.outputs): i for i, row in enumerate(toom.ROWS)}
    pairs = []
    for taps, stride, outputs in _COMMON:
        rows = [place[taps, stride, m] for m in outputs]
        pairs += [(i, j) for i in rows for j in rows if toom.ROWS[i].outputs > 1 or i != j]
    choices = [f"{i} {j} {letter}" for i, j in pairs for letter in "fd"]
    return choices + [f"{one} turned" for one in choices]
