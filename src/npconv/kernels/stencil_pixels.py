"""Numbers of lines in and out of registers: bytes and shorts as floats, and rounded back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.inner import inner
from npconv.kernels.simd import Vectors

# Kinds of numbers in memory: of the type that is computed in, and whole ones of 8 and 16 bits.
FLOATS, BYTES, SHORTS = range(3)


class Rounding(NamedTuple):
    """How a sum becomes a whole number: divided, rounded, its sign lost, lifted, and cut off.

    divides: whether it is divided, or multiplied with what `divisor` then is one over.  mirrors:
    whether what is below zero becomes positive; what then still is becomes 0, what is above
    `largest` that.
    """

    divisor: float
    divides: int
    mirrors: int
    lift: float
    largest: float


def make_widen(bits: int, vector: bool) -> Callable[..., None]:
    """Return an intrinsic that writes a vector of floats, or one, from whole numbers."""

    @intrinsic
    def widen(context: Any, to: Any, source: Any, like: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            do = Vectors(builder, like.name)
            whole, word, made = _kinds(do, bits, vector)
            read = builder.load(builder.inttoptr(given[1], whole.as_pointer()))
            read.align = bits // 8
            write = builder.sitofp(builder.zext(read, word), made)
            stored = builder.store(write, builder.inttoptr(given[0], made.as_pointer()))
            stored.align = do.nbytes
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, like), emit

    return widen


def make_narrow(bits: int, divides: bool, vector: bool) -> Callable[..., None]:
    """Return an intrinsic that writes a vector of whole numbers, or one, from sums."""

    @intrinsic
    def narrow(context: Any, to: Any, source: Any, how: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            do = Vectors(builder, kind)
            whole, word, made = _kinds(do, bits, vector)
            each = Rounding(
                *(builder.extract_value(given[2], i) for i in range(len(Rounding._fields)))
            )
            divisor, lift, largest = (
                do.spread(number) if vector else number
                for number in (each.divisor, each.lift, each.largest)
            )
            read = builder.load(builder.inttoptr(given[1], made.as_pointer()))
            read.align = do.nbytes
            suffix = (f"v{do.lanes}" if vector else "") + f"f{8 * do.nbytes}"
            value = (builder.fdiv if divides else builder.fmul)(read, divisor)
            value = _of_one(builder, f"llvm.rint.{suffix}", made, value)
            mirrors = builder.icmp_signed("!=", each.mirrors, do.integer(0))
            absolute = _of_one(builder, f"llvm.fabs.{suffix}", made, value)
            value = builder.fadd(builder.select(mirrors, absolute, value), lift)
            none = ir.Constant(made, [0.0] * do.lanes if vector else 0.0)
            for compare, limit in (("<", none), (">", largest)):
                beyond = builder.fcmp_ordered(compare, value, limit)
                value = builder.select(beyond, limit, value)
            rounded = builder.trunc(builder.fptosi(value, word), whole)
            stored = builder.store(rounded, builder.inttoptr(given[0], whole.as_pointer()))
            stored.align = bits // 8
            return context.get_dummy_value()

        kind = how.types[0].name
        return types.void(types.int64, types.int64, how), emit

    return narrow


def _kinds(do: Vectors, bits: int, vector: bool) -> tuple[ir.Type, ir.Type, ir.Type]:
    """Return the types of the whole numbers, of what they are converted by, and of the floats."""
    whole, word = ir.IntType(bits), ir.IntType(32)
    if not vector:
        return whole, word, do.element
    return ir.VectorType(whole, do.lanes), ir.VectorType(word, do.lanes), do.vector


def _of_one(builder: ir.IRBuilder, name: str, kind: ir.Type, value: Any) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
    return builder.call(function, [value])


_widen_bytes, _widen_byte = make_widen(8, True), make_widen(8, False)
_widen_shorts, _widen_short = make_widen(16, True), make_widen(16, False)
_narrow_bytes, _narrow_shorts = make_narrow(8, False, True), make_narrow(16, False, True)
_part_bytes, _part_shorts = make_narrow(8, True, True), make_narrow(16, True, True)
_part_byte, _part_short = make_narrow(8, True, False), make_narrow(16, True, False)
_narrow_byte, _narrow_short = make_narrow(8, False, False), make_narrow(16, False, False)


@inner
def number_nbytes(kind, zero):
    """Return the bytes of a number of a kind."""
    if kind == BYTES:
        return np.int64(1)
    return np.int64(2) if kind == SHORTS else np.int64(simd.nbytes(zero))


@inner
def widen(to, source, count, kind, zero):
    """Write `count` floats from numbers of a kind that lie side by side."""
    size, width = simd.nbytes(zero), simd.width(zero)
    i = 0
    if kind == FLOATS:
        simd.copy(to, source, count, zero)
    elif kind == BYTES:
        while i + width <= count:
            _widen_bytes(to + i * size, source + i, zero)
            i += width
        while i < count:
            _widen_byte(to + i * size, source + i, zero)
            i += 1
    else:
        while i + width <= count:
            _widen_shorts(to + i * size, source + 2 * i, zero)
            i += width
        while i < count:
            _widen_short(to + i * size, source + 2 * i, zero)
            i += 1


@inner
def widen_one(to, source, kind, zero):
    """Write a float from a number of a kind."""
    if kind == FLOATS:
        simd.store(to, simd.load(source, zero))
    elif kind == BYTES:
        _widen_byte(to, source, zero)
    else:
        _widen_short(to, source, zero)


@inner
def narrow(to, source, count, kind, how, zero):
    """Write `count` whole numbers of a kind from sums, by a Rounding."""
    size, number, width = simd.nbytes(zero), number_nbytes(kind, zero), simd.width(zero)
    i = 0
    while i + width <= count:
        there, here = to + i * number, source + i * size
        if how.divides:
            if kind == BYTES:
                _part_bytes(there, here, how)
            else:
                _part_shorts(there, here, how)
        elif kind == BYTES:
            _narrow_bytes(there, here, how)
        else:
            _narrow_shorts(there, here, how)
        i += width
    while i < count:
        there, here = to + i * number, source + i * size
        if how.divides:
            if kind == BYTES:
                _part_byte(there, here, how)
            else:
                _part_short(there, here, how)
        elif kind == BYTES:
            _narrow_byte(there, here, how)
        else:
            _narrow_short(there, here, how)
        i += 1
