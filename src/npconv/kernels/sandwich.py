"""Small constant matrices applied to vectors: the transforms of Winograd convolution.

A transform of two axes is a sandwich, Y = M X N': first M down the columns, then N along the rows.
Each side comes from the same table of matrices, so that any two algorithms of toom.py go together.
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

from npconv.kernels import simd, toom
from npconv.kernels.compile import compiled
from npconv.kernels.tile import Store

Matrix = Sequence[Sequence[Fraction]]


def make_transform(matrices: Callable[[], Sequence[Matrix]]) -> Callable[..., None]:
    """Return an intrinsic that applies one of some matrices to vectors.

    ::

        transform(number, count, source, step, onward, target, to_step, to_onward, like)

        y[i] = sum over j of matrices()[number][i][j] * x[j]

    x[j] is the vector at source + j*step, y[i] that at target + i*to_step, all in bytes.  This is
    done `count` times, each `onward` and `to_onward` bytes further.  count is at least 1.
    """

    @intrinsic
    def transform(
        context: Any, number: Any, count: Any, source: Any, step: Any, onward: Any, target: Any,
        to_step: Any, to_onward: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            number, *places, _ = given
            _emit_choice(builder, matrices(), number, like.name, places)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8, like), emit

    return transform


def make_ending(matrices: Callable[[], Sequence[Matrix]]) -> Callable[..., None]:
    """Return an intrinsic that applies one of some matrices to sums, and ends them.

    ::

        ending(number, count, source, step, onward, target, to_step, to_onward, seen, store)

    Like make_transform's, but that y is stored as `store`, a tile.Store whose start is not 0, says.
    `seen` is the address of a vector that a NaN or Inf among the sums, before that, turns to NaN.
    """

    @intrinsic
    def ending(
        context: Any, number: Any, count: Any, source: Any, step: Any, onward: Any, target: Any,
        to_step: Any, to_onward: Any, seen: Any, store: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            number, *places, seen, how = given
            how = Store(*(builder.extract_value(how, i) for i in range(len(Store._fields))))
            name = store.types[Store._fields.index("least")].name
            end = _End(simd.Vectors(builder, name), seen, how)
            _emit_choice(builder, matrices(), number, name, places, end)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9, store), emit

    return ending


class _End:
    """What is done to sums before they are stored, and the address of what is seen in them."""

    def __init__(self, do: simd.Vectors, seen: Any, store: Store) -> None:
        self.seen = seen
        self.start = do.load(store.start)
        self.least, self.most = do.spread(store.least), do.spread(store.most)

    def apply(self, do: simd.Vectors, value: Any) -> Any:
        """Return what is stored of a sum."""
        return do.at_most(do.at_least(do.builder.fadd(value, self.start), self.least), self.most)


def _emit_choice(
    builder: Any, matrices: Sequence[Matrix], number: Any, name: str, places: Sequence[Any],
    ending: _End | None = None,
) -> None:  # fmt: skip
    end = builder.append_basic_block("end")
    choice = builder.switch(number, end)
    blocks: dict[Any, Any] = {}
    for i, matrix in enumerate(matrices):
        key = tuple(map(tuple, matrix))
        if key not in blocks:
            blocks[key] = builder.append_basic_block("matrix")
            builder.position_at_end(blocks[key])
            _emit_loop(simd.Vectors(builder, name), matrix, end, ending, *places)
        choice.add_case(ir.Constant(simd.INT, i), blocks[key])
    builder.position_at_end(end)


def _emit_loop(
    do: simd.Vectors, matrix: Matrix, end: Any, ending: _End | None, count: Any, source: Any,
    step: Any, onward: Any, target: Any, to_step: Any, to_onward: Any,
) -> None:  # fmt: skip
    builder = do.builder
    before = builder.block
    again, last = builder.append_basic_block("again"), builder.append_basic_block("last")
    builder.branch(again)
    builder.position_at_end(again)
    done, read, write = (builder.phi(simd.INT) for _ in range(3))
    # A sum each, so that none waits for another's.
    seen = [builder.phi(do.vector) for _ in matrix] if ending else []
    for phi, value in ((done, do.integer(0)), (read, source), (write, target)):
        phi.add_incoming(value, before)
    for phi in seen:
        phi.add_incoming(do.zero, before)
    vectors = [
        do.load(builder.add(read, builder.mul(step, do.integer(j)))) for j in range(len(matrix[0]))
    ]
    results = _apply(do, matrix, vectors)
    following = builder.add(done, do.integer(1))
    done.add_incoming(following, again)
    read.add_incoming(builder.add(read, onward), again)
    write.add_incoming(builder.add(write, to_onward), again)
    looked = [do.fma(value, do.zero, phi) for value, phi in zip(results, seen, strict=bool(seen))]
    for phi, value in zip(seen, looked, strict=True):
        phi.add_incoming(value, again)
    for i, value in enumerate(results):
        stored = ending.apply(do, value) if ending else value
        do.store(stored, builder.add(write, builder.mul(to_step, do.integer(i))))
    builder.cbranch(builder.icmp_signed("<", following, count), again, last)
    builder.position_at_end(last)
    if ending:
        total = do.load(ending.seen)
        for value in looked:
            total = builder.fadd(total, value)
        do.store(total, ending.seen)
    builder.branch(end)


def _apply(do: simd.Vectors, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
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


_into = make_transform(lambda: [axis.input for axis in toom.axes()])
_of_kernel = make_transform(lambda: [axis.kernel for axis in toom.axes()])
_out_of = make_transform(lambda: [axis.output for axis in toom.axes()])
_to_end = make_ending(lambda: [axis.output for axis in toom.axes()])


# Functions, so that the code for all the matrices is compiled once.
@compiled
def into(number, count, source, step, onward, target, to_step, to_onward, like):
    """Apply B of a row of toom.ROWS: see make_transform."""
    _into(number, count, source, step, onward, target, to_step, to_onward, like)


@compiled
def of_kernel(number, count, source, step, onward, target, to_step, to_onward, like):
    """Apply G."""
    _of_kernel(number, count, source, step, onward, target, to_step, to_onward, like)


@compiled
def out_of(number, count, source, step, onward, target, to_step, to_onward, like):
    """Apply A."""
    _out_of(number, count, source, step, onward, target, to_step, to_onward, like)


@compiled
def to_end(number, count, source, step, onward, target, to_step, to_onward, seen, store):
    """Apply A, and end the sums: see make_ending."""
    _to_end(number, count, source, step, onward, target, to_step, to_onward, seen, store)
