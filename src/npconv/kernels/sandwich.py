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
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.tile import Store

Matrix = Sequence[Sequence[Fraction]]


def make_sandwich(high: Matrix, wide: Matrix) -> Callable[..., None]:
    """Return an intrinsic that applies two matrices to vectors.

    ::

        sandwich(source, row, column, target, to_row, to_column, like)

        y[i][j] = sum over p, q of high[i][p] * wide[j][q] * x[p][q]

    x[p][q] is the vector at source + p*row + q*column, y[i][j] that at target + i*to_row +
    j*to_column, all in bytes.
    """

    @intrinsic
    def sandwich(
        context: Any, source: Any, row: Any, column: Any, target: Any, to_row: Any, to_column: Any,
        like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            _emit(simd.Vectors(builder, like.name), high, wide, None, *given[:-1])
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, like), emit

    return sandwich


def make_ending(high: Matrix, wide: Matrix) -> Callable[..., None]:
    """Return an intrinsic that applies two matrices to sums, and ends them.

    ::

        ending(source, row, column, target, to_row, to_column, seen, store)

    Like make_sandwich's, but that y is stored as `store`, a tile.Store whose start is not 0, says.
    `seen` is the address of a vector that a NaN or Inf among the sums, before that, turns to NaN.
    """

    @intrinsic
    def ending(
        context: Any, source: Any, row: Any, column: Any, target: Any, to_row: Any, to_column: Any,
        seen: Any, store: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            *places, seen, how = given
            how = Store(*(builder.extract_value(how, i) for i in range(len(Store._fields))))
            do = simd.Vectors(builder, store.types[Store._fields.index("least")].name)
            _emit(do, high, wide, _End(do, seen, how), *places)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7, store), emit

    return ending


class _End:
    """What is done to sums before they are stored, and the address of what is seen in them."""

    def __init__(self, do: simd.Vectors, seen: Any, store: Store) -> None:
        self.seen = seen
        self.start = do.load(store.start)
        self.least, self.most = do.spread(store.least), do.spread(store.most)
        self.streams = do.builder.icmp_signed("!=", store.streams, do.integer(0))

    def store(self, do: simd.Vectors, sums: Sequence[tuple[Any, Any]]) -> None:
        """Store (sum, address) pairs, ended."""
        ended = [(self._apply(do, value), at) for value, at in sums]
        with do.builder.if_else(self.streams) as (stream, keep):
            for way, store in ((stream, do.stream), (keep, do.store)):
                with way:
                    for value, at in ended:
                        store(value, at)

    def _apply(self, do: simd.Vectors, value: Any) -> Any:
        return do.at_most(do.at_least(do.builder.fadd(value, self.start), self.least), self.most)


def _emit(
    do: simd.Vectors, high: Matrix, wide: Matrix, ending: _End | None, source: Any, row: Any,
    column: Any, target: Any, to_row: Any, to_column: Any,
) -> None:  # fmt: skip
    def at(start: Any, step: Any, count: int) -> Any:
        return do.builder.add(start, do.builder.mul(step, do.integer(count)))

    columns = []
    for q in range(len(wide[0])):
        top = at(source, column, q)
        columns.append(apply(do, high, [do.load(at(top, row, p)) for p in range(len(high[0]))]))
    seen = do.zero
    for i in range(len(high)):
        results = apply(do, wide, [one[i] for one in columns])
        left = at(target, to_row, i)
        places = [at(left, to_column, j) for j in range(len(wide))]
        if ending is None:
            for value, where in zip(results, places, strict=True):
                do.store(value, where)
        else:
            for value in results:
                seen = do.fma(value, do.zero, seen)
            ending.store(do, list(zip(results, places, strict=True)))
    if ending is not None:
        do.store(do.builder.fadd(do.load(ending.seen), seen), ending.seen)


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


@intrinsic
def expect(context: Any, address: Any) -> Any:
    """Ask the second cache for the line at an address, which need not be readable."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        number = ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        reads, second, data = (ir.Constant(number, value) for value in (0, 2, 1))
        builder.call(ask, [builder.inttoptr(given[0], byte), reads, second, data])
        return context.get_dummy_value()

    return types.void(types.int64), emit
