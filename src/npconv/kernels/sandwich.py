"""Small constant matrices applied to vectors: the transforms of Winograd convolution.

A transform is a sandwich, Y = M X N': M down the columns, then N along the rows.  Between the two
nothing is stored but what the registers cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.ahead import emit_expect
from npconv.kernels.tile import Store

Matrix = Sequence[Sequence[Fraction]]


def make_sandwich(high: Matrix, wide: Matrix, ahead: int = 0) -> Callable[..., None]:
    """Return an intrinsic that applies two matrices to vectors.

    ::

        sandwich(count, source, row, column, target, to_row, to_column, like)

        y[i][j] = sum over p, q of high[i][p] * wide[j][q] * x[p][q]

    x[p][q] is the vector at source + p*row + q*column, y[i][j] that at target + i*to_row +
    j*to_column, all in bytes.  This is done `count` times, at least once, each a vector further.
    `ahead` columns behind x, which need not be readable, are asked for from memory meanwhile: a
    tile's rows are too short for the CPU to see what comes.
    """

    @intrinsic
    def sandwich(
        context: Any, count: Any, source: Any, row: Any, column: Any, target: Any, to_row: Any,
        to_column: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            _emit(simd.Vectors(builder, like.name), high, wide, ahead, None, *given[:-1])
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7, like), emit

    return sandwich


def make_ending(high: Matrix, wide: Matrix) -> Callable[..., None]:
    """Return an intrinsic that applies two matrices to sums, and ends them.

    ::

        ending(count, source, row, column, target, to_row, to_column, seen, store)

    Like make_sandwich's, but that y is stored as `store`, a tile.Store whose start is not 0, says.
    `seen` is the address of a vector that a NaN or Inf among the sums, before that, turns to NaN.
    """

    @intrinsic
    def ending(
        context: Any, count: Any, source: Any, row: Any, column: Any, target: Any, to_row: Any,
        to_column: Any, seen: Any, store: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            *places, seen, how = given
            how = Store(*(builder.extract_value(how, i) for i in range(len(Store._fields))))
            do = simd.Vectors(builder, store.types[Store._fields.index("least")].name)
            _emit(do, high, wide, 0, _End(do, seen, how), *places)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8, store), emit

    return ending


class _End:
    """What is done to sums before they are stored, and the address of what is seen in them."""

    def __init__(self, do: simd.Vectors, seen: Any, store: Store) -> None:
        self.seen = seen
        self.starts = store.start
        self.least, self.most = do.spread(store.least), do.spread(store.most)
        self.streams = do.builder.icmp_signed("!=", store.streams, do.integer(0))

    def store(self, do: simd.Vectors, sums: Sequence[tuple[Any, Any]], further: Any) -> None:
        """Store (sum, address) pairs, ended; `further` bytes from the first vector on."""
        start = do.load(do.builder.add(self.starts, further))
        ended = [(self._apply(do, value, start), at) for value, at in sums]
        with do.builder.if_else(self.streams) as (stream, keep):
            for way, store in ((stream, do.stream), (keep, do.store)):
                with way:
                    for value, at in ended:
                        store(value, at)

    def _apply(self, do: simd.Vectors, value: Any, start: Any) -> Any:
        return do.at_most(do.at_least(do.builder.fadd(value, start), self.least), self.most)


def _emit(
    do: simd.Vectors, high: Matrix, wide: Matrix, ahead: int, ending: _End | None, count: Any,
    source: Any, row: Any, column: Any, target: Any, to_row: Any, to_column: Any,
) -> None:  # fmt: skip
    builder = do.builder
    before = builder.block
    again, last = builder.append_basic_block("again"), builder.append_basic_block("last")
    builder.branch(again)
    builder.position_at_end(again)
    further, seen = builder.phi(simd.INT), builder.phi(do.vector)
    further.add_incoming(do.integer(0), before)
    seen.add_incoming(do.zero, before)
    read, write = builder.add(source, further), builder.add(target, further)
    places = (read, row, column), (write, to_row, to_column)
    looked = _emit_one(do, high, wide, ahead, ending, seen, further, *places)
    vector = do.integer(do.lanes * do.nbytes)
    following = builder.add(further, vector)
    further.add_incoming(following, builder.block)
    seen.add_incoming(looked, builder.block)
    end = builder.mul(count, vector)
    builder.cbranch(builder.icmp_signed("<", following, end), again, last)
    builder.position_at_end(last)
    if ending is not None:
        do.store(builder.fadd(do.load(ending.seen), looked), ending.seen)


def _emit_one(
    do: simd.Vectors, high: Matrix, wide: Matrix, ahead: int, ending: _End | None, seen: Any,
    further: Any, source: tuple[Any, Any, Any], target: tuple[Any, Any, Any],
) -> Any:  # fmt: skip
    def at(place: tuple[Any, Any, Any], i: int, j: int) -> Any:
        start, row, column = place
        across = do.builder.mul(column, do.integer(j))
        return do.builder.add(do.builder.add(start, do.builder.mul(row, do.integer(i))), across)

    rows, columns = len(high[0]), len(wide[0])
    for q in range(columns, columns + ahead):
        for p in range(rows):
            emit_expect(do.builder, at(source, p, q))
    half = [
        apply(do, high, [do.load(at(source, p, q)) for p in range(rows)]) for q in range(columns)
    ]
    for i in range(len(high)):
        results = apply(do, wide, [one[i] for one in half])
        places = [at(target, i, j) for j in range(len(wide))]
        if ending is None:
            for value, where in zip(results, places, strict=True):
                do.store(value, where)
        else:
            for value in results:
                seen = do.fma(value, do.zero, seen)
            ending.store(do, list(zip(results, places, strict=True)), further)
    return seen


def apply(do: simd.Vectors, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
    """Return the matrix's product; what points of opposite sign have in common is added once."""
    columns = [list(column) for column in zip(*matrix, strict=True)]
    vectors = list(vectors)
    for j in range(len(columns) - 1):
        if _opposite(columns[j], columns[j + 1]):
            same = [a if a == b else Fraction(0) for a, b in zip(*columns[j : j + 2], strict=True)]
            other = [a if a != b else Fraction(0) for a, b in zip(*columns[j : j + 2], strict=True)]
            both = vectors[j], vectors[j + 1]
            vectors[j : j + 2] = do.builder.fadd(*both), do.builder.fsub(*both)
            columns[j : j + 2] = same, other
    rows = [list(row) for row in zip(*columns, strict=True)]
    results: list[Any] = []
    while len(results) < len(rows):
        i = len(results)
        if i + 1 < len(rows) and _opposite(rows[i], rows[i + 1]):
            pair = list(zip(rows[i], rows[i + 1], strict=True))
            even = _combine(do, [a if a == b else Fraction(0) for a, b in pair], vectors)
            odd = _combine(do, [a if a != b else Fraction(0) for a, b in pair], vectors)
            results += [do.builder.fadd(even, odd), do.builder.fsub(even, odd)]
        else:
            results.append(_combine(do, rows[i], vectors))
    return results


def _opposite(first: Sequence[Fraction], second: Sequence[Fraction]) -> bool:
    """Return whether two rows are equal here and opposite there, and nothing else."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a or b]
    equal = sum(a == b for a, b in pairs)
    return 0 < equal < len(pairs) and all(abs(a) == abs(b) for a, b in pairs)


def _combine(do: simd.Vectors, factors: Sequence[Fraction], vectors: Sequence[Any]) -> Any:
    """Return the sum of factors times vectors."""
    terms = [(f, v) for f, v in zip(factors, vectors, strict=True) if f]
    terms.sort(key=lambda term: (term[0] != 1, abs(term[0]) != 1))
    total = None
    for factor, vector in terms:
        if total is None:
            total = vector if factor == 1 else do.builder.fmul(vector, _constant(do, factor))
        elif factor == 1:
            total = do.builder.fadd(total, vector)
        elif factor == -1:
            total = do.builder.fsub(total, vector)
        else:
            total = do.fma(vector, _constant(do, factor), total)
    return do.zero if total is None else total


def _constant(do: simd.Vectors, value: Fraction) -> ir.Constant:
    number = float(np.float32(value)) if do.nbytes == 4 else float(value)
    return ir.Constant(do.vector, [number] * do.lanes)


@intrinsic
def all_zero(context: Any, address: Any, like: Any) -> Any:
    """Return whether every element of the vector at an address is 0."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = simd.Vectors(builder, like.name)
        equal = builder.fcmp_ordered("==", do.load(given[0]), do.zero)
        bits = ir.IntType(do.lanes)
        return builder.icmp_signed("==", builder.bitcast(equal, bits), ir.Constant(bits, -1))

    return types.boolean(types.int64, like), emit
