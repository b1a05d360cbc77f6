"""Butterflies: small Fourier transforms of vectors, and complex products, as vector instructions.

A cell is a vector of real parts and one of imaginary parts, the one behind the other: as many
complex numbers, each of which belongs to a transform of its own.  `re` and `im` are the bytes from
a cell's begin to either; who exchanges them transforms back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels.simd import Vectors

Pair = tuple[Any, Any]  # the real and the imaginary parts


class Complex:
    """Emits instructions for pairs of vectors."""

    def __init__(self, do: Vectors) -> None:
        self.do = do
        self.builder = do.builder

    def constant(self, value: float) -> Any:
        """Return a vector of one number."""
        return ir.Constant(self.do.vector, [value] * self.do.lanes)

    def add(self, a: Pair, b: Pair) -> Pair:
        """Return a + b."""
        return self.builder.fadd(a[0], b[0]), self.builder.fadd(a[1], b[1])

    def sub(self, a: Pair, b: Pair) -> Pair:
        """Return a - b."""
        return self.builder.fsub(a[0], b[0]), self.builder.fsub(a[1], b[1])

    def turn(self, a: Pair) -> Pair:
        """Return -i a."""
        return a[1], self.builder.fneg(a[0])

    def scale(self, a: Pair, factor: float) -> Pair:
        """Return a times a real number."""
        number = self.constant(factor)
        return self.builder.fmul(a[0], number), self.builder.fmul(a[1], number)

    def multiply_add(self, a: Pair, factor: float, b: Pair) -> Pair:
        """Return a times a real number, plus b."""
        number = self.constant(factor)
        return self.do.fma(a[0], number, b[0]), self.do.fma(a[1], number, b[1])

    def multiply(self, a: Pair, b: Pair) -> Pair:
        """Return a b."""
        real = self.do.fma(self.builder.fneg(a[1]), b[1], self.builder.fmul(a[0], b[0]))
        return real, self.do.fma(a[1], b[0], self.builder.fmul(a[0], b[1]))

    def small(self, x: Sequence[Pair]) -> list[Pair]:
        """Return the Fourier transform of 2, 3, 4, 5 or 8 numbers."""
        return {2: self._two, 3: self._three, 4: self._four, 5: self._five, 8: self._eight}[len(x)](
            *x
        )

    def _two(self, a: Pair, b: Pair) -> list[Pair]:
        return [self.add(a, b), self.sub(a, b)]

    def _three(self, a: Pair, b: Pair, c: Pair) -> list[Pair]:
        total, apart = self.add(b, c), self.turn(self.sub(b, c))
        middle = self.multiply_add(total, -0.5, a)
        sine = math.sqrt(3) / 2
        return [
            self.add(a, total),
            self.multiply_add(apart, sine, middle),
            self.multiply_add(apart, -sine, middle),
        ]

    def _four(self, a: Pair, b: Pair, c: Pair, d: Pair) -> list[Pair]:
        even, odd = self._two(a, c), self._two(b, d)
        side = self.turn(odd[1])
        return [
            self.add(even[0], odd[0]),
            self.add(even[1], side),
            self.sub(even[0], odd[0]),
            self.sub(even[1], side),
        ]

    def _five(self, a: Pair, b: Pair, c: Pair, d: Pair, e: Pair) -> list[Pair]:
        cos1, cos2 = math.cos(2 * math.pi / 5), math.cos(4 * math.pi / 5)
        sin1, sin2 = math.sin(2 * math.pi / 5), math.sin(4 * math.pi / 5)
        near, far = self.add(b, e), self.add(c, d)
        side, other = self.turn(self.sub(b, e)), self.turn(self.sub(c, d))
        first = self.multiply_add(far, cos2, self.multiply_add(near, cos1, a))
        second = self.multiply_add(far, cos1, self.multiply_add(near, cos2, a))
        turned = self.multiply_add(other, sin2, self.scale(side, sin1))
        again = self.multiply_add(other, -sin1, self.scale(side, sin2))
        return [
            self.add(a, self.add(near, far)),
            self.add(first, turned),
            self.add(second, again),
            self.sub(second, again),
            self.sub(first, turned),
        ]

    def _eight(self, *x: Pair) -> list[Pair]:
        even, odd = self._four(*x[0::2]), self._four(*x[1::2])
        half = math.sqrt(0.5)
        # exp(-2 pi i / 8) z = half ((re + im) + i (im - re)), and so on by quarter turns
        one = self.scale(self._eighth(odd[1]), half)
        three = self.scale(self.turn(self._eighth(odd[3])), half)
        turned = [odd[0], one, self.turn(odd[2]), three]
        above = [self.add(e, o) for e, o in zip(even, turned, strict=True)]
        below = [self.sub(e, o) for e, o in zip(even, turned, strict=True)]
        return above + below

    def _eighth(self, a: Pair) -> Pair:
        return self.builder.fadd(a[0], a[1]), self.builder.fsub(a[1], a[0])


def make_butterfly(radix: int, twiddled: bool) -> Callable[..., None]:
    """Return an intrinsic that transforms `radix` cells and multiplies each by its twiddle.

    ::

        butterfly(source, source_step, target, target_step, twiddles, re, im, like)

    Steps are bytes; twiddles: the address of radix - 1 complex numbers, for all cells but one.
    """

    @intrinsic
    def butterfly(
        context: Any, source: Any, source_step: Any, target: Any, target_step: Any, twiddles: Any,
        re: Any, im: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            at, step, to, to_step, table, re, im, _ = given
            do = Vectors(builder, like.name)
            numbers = Complex(do)
            cells = []
            for _i in range(radix):
                cells.append((do.load(builder.add(at, re)), do.load(builder.add(at, im))))
                at = builder.add(at, step)
            for i, cell in enumerate(numbers.small(cells)):
                if twiddled and i:
                    place = do.at(table, do.integer(2 * i - 2))
                    factor = tuple(
                        do.spread(do.load_one(do.at(place, do.integer(part)))) for part in (0, 1)
                    )
                    cell = numbers.multiply(cell, factor)
                do.store(cell[0], builder.add(to, re))
                do.store(cell[1], builder.add(to, im))
                to = builder.add(to, to_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7, like), emit

    return butterfly


def _make_product(spreads: bool, conjugates: bool) -> Callable[..., None]:
    """Return an intrinsic, product(cell, factor, like), that multiplies a cell by another one.

    spreads: by one complex number; conjugates: by the other's conjugate.
    """

    @intrinsic
    def product(context: Any, cell: Any, factor: Any, like: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            at, by, _ = given
            do = Vectors(builder, like.name)
            numbers = Complex(do)
            behind = do.integer(1 if spreads else do.lanes)
            reals, imaginaries = by, do.at(by, behind)
            if spreads:
                real, imaginary = (do.spread(do.load_one(place)) for place in (reals, imaginaries))
            else:
                real, imaginary = do.load(reals), do.load(imaginaries)
            if conjugates:
                imaginary = builder.fneg(imaginary)
            second = do.at(at, do.integer(do.lanes))
            made = numbers.multiply((do.load(at), do.load(second)), (real, imaginary))
            do.store(made[0], at)
            do.store(made[1], second)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, like), emit

    return product


turn_cell = _make_product(True, False)
turn_back = _make_product(True, True)
multiply_cell = _make_product(False, False)
multiply_conjugate = _make_product(False, True)


@intrinsic
def widen(context: Any, to: Any, source: Any, like: Any) -> Any:
    """Copy a vector of float32 to one of the type of `like`."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, like.name)
        kind = ir.VectorType(ir.FloatType(), do.lanes)
        value = builder.load(builder.inttoptr(given[1], kind.as_pointer()))
        value.align = 4
        do.store(builder.fpext(value, do.vector) if like.name == "float64" else value, given[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, like), emit


@intrinsic
def narrow(context: Any, to: Any, source: Any, like: Any) -> Any:
    """Copy a vector of the type of `like` to one of float32."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, like.name)
        kind = ir.VectorType(ir.FloatType(), do.lanes)
        value = do.load(given[1])
        if like.name == "float64":
            value = builder.fptrunc(value, kind)
        builder.store(value, builder.inttoptr(given[0], kind.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, like), emit
