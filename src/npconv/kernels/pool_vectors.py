"""Vectors of channels, and loops over all that a window holds, as kernels of pooling emit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from npconv.kernels.simd import INT, MACHINE, Vectors

VECTORS = 4 if MACHINE.registers >= 32 else 2  # of a tile
_SMALL = ir.IntType(32)
_BOX, _NUMBERING, _RUN = 7, 4, 5  # fields


class Tile:
    """Emits loops over a box, and for each of its elements some vectors, or the first lanes of one.

    place: a vector of places, integers as wide as the numbers are.
    """

    def __init__(self, builder: Any, dtype: str, vectors: int, lanes: Any) -> None:
        self.builder, self.do = builder, Vectors(builder, dtype)
        self.vectors = range(vectors)
        self.place = ir.VectorType(ir.IntType(8 * self.do.nbytes), self.do.lanes)
        self.places = ir.VectorType(INT, self.do.lanes)
        self.mask = None if lanes is None else self.do.before(lanes)

    def load(self, address: Any, v: int, kind: Any = None) -> Any:
        """Return a vector of a tile, by default of numbers; zeros past the last lane."""
        kind = kind or self.do.vector
        at = self._at(address, v, kind)
        if self.mask is None:
            value = self.builder.load(at)
            value.align = self.do.nbytes
            return value
        given = [at, ir.Constant(_SMALL, self.do.nbytes), self.mask, ir.Constant(kind, None)]
        return self._masked("load", kind, kind, given)

    def store(self, value: Any, address: Any, v: int) -> None:
        """Write a vector of a tile, and nothing past the last lane."""
        at = self._at(address, v, value.type)
        if self.mask is None:
            self.builder.store(value, at).align = self.do.nbytes
            return
        given = [value, at, ir.Constant(_SMALL, self.do.nbytes), self.mask]
        self._masked("store", value.type, ir.VoidType(), given)

    def _at(self, address: Any, v: int, kind: Any) -> Any:
        size = 8 if kind == self.places else self.do.nbytes
        at = self.builder.add(address, self.do.integer(v * self.do.lanes * size))
        return self.builder.inttoptr(at, kind.as_pointer())

    def _masked(self, what: str, kind: Any, result: Any, given: Sequence[Any]) -> Any:
        letter = {"float": "f32", "double": "f64", "i64": "i64"}[str(kind.element)]
        name = f"llvm.masked.{what}.v{self.do.lanes}{letter}.p0"
        function = ir.FunctionType(result, [value.type for value in given])
        called = cgutils.get_or_insert_function(self.builder.module, function, name)
        return self.builder.call(called, given)

    def slots(self, value: Any) -> list[Any]:
        """Return a variable for each vector, for what a loop changes."""
        made = [cgutils.alloca_once(self.builder, value.type) for _ in self.vectors]
        self.fill(made, value)
        return made

    def fill(self, slots: Sequence[Any], value: Any) -> None:
        """Give variables a value."""
        for slot in slots:
            self.builder.store(value, slot)

    def spread(self, place: Any) -> Any:
        """Return a place, an int64, as a vector."""
        builder, nothing = self.builder, ir.Constant(self.place, ir.Undefined)
        if self.place.element != INT:
            place = builder.trunc(place, self.place.element)
        first = builder.insert_element(nothing, place, ir.Constant(_SMALL, 0))
        everywhere = ir.Constant(ir.VectorType(_SMALL, self.do.lanes), [0] * self.do.lanes)
        return builder.shuffle_vector(first, nothing, everywhere)

    @contextmanager
    def each(self, count: Any, begins: Sequence[Any], steps: Sequence[Any]) -> Iterator[list[Any]]:
        """Loop so many times over what begins so and goes on in such steps."""
        builder, none = self.builder, self.do.integer(0)
        before = builder.block
        names = ("head", "body", "done")
        head, body, done = (builder.append_basic_block(name) for name in names)
        builder.branch(head)
        builder.position_at_end(head)
        left = builder.phi(INT)
        left.add_incoming(count, before)
        held = [builder.phi(INT) for _ in begins]
        for phi, begin in zip(held, begins, strict=True):
            phi.add_incoming(begin, before)
        builder.cbranch(builder.icmp_signed(">", left, none), body, done)
        builder.position_at_end(body)
        yield held
        for phi, step in zip(held, steps, strict=True):
            phi.add_incoming(builder.add(phi, step), builder.block)
        left.add_incoming(builder.sub(left, self.do.integer(1)), builder.block)
        builder.branch(head)
        builder.position_at_end(done)

    @contextmanager
    def windows(self, run: Any, begins: Sequence[Any], steps: Sequence[int]) -> Iterator[list[Any]]:
        """Loop over a run of windows; give what begins so, whose steps are fields of the run."""
        count, *fields = _fields(self.builder, run, _RUN)
        with self.each(count, begins, [fields[step] for step in steps]) as held:
            yield held

    @contextmanager
    def lines(
        self, box: Any, at: Any, numbering: Any = None, first: Any = None
    ) -> Iterator[list[Any]]:
        """Loop over the lines of a box at an address; give each one's, and place if numbered."""
        _, depths, heights, _, depth, height, _ = _fields(self.builder, box, _BOX)
        begins, down, along = [at], [depth], [height]
        if numbering is not None:
            _, depth_unit, height_unit, _ = _fields(self.builder, numbering, _NUMBERING)
            begins, down, along = [at, first], [depth, depth_unit], [height, height_unit]
        with self.each(depths, begins, down) as plane, self.each(heights, plane, along) as line:
            yield line

    @contextmanager
    def taps(
        self, box: Any, at: Any, numbering: Any = None, first: Any = None
    ) -> Iterator[list[Any]]:
        """Loop over a box at an address; give each element's, and place if numbered."""
        widths, steps = self.length(box), [self.step(box)]
        if numbering is not None:
            steps.append(self.builder.extract_value(numbering, _NUMBERING - 1))
        with (
            self.lines(box, at, numbering, first) as line,
            self.each(widths, line, steps) as tap,
        ):
            yield tap

    def begin(self, record: Any) -> Any:
        """Return where a box begins, or the place of its first element."""
        return self.builder.extract_value(record, 0)

    def length(self, box: Any) -> Any:
        """Return how many elements a line of a box has."""
        return self.builder.extract_value(box, 3)

    def step(self, box: Any) -> Any:
        """Return the step along a line of a box."""
        return self.builder.extract_value(box, _BOX - 1)


def _fields(builder: Any, record: Any, count: int) -> list[Any]:
    return [builder.extract_value(record, i) for i in range(count)]
