"""Vector code for Numba: what a CPU's registers hold, loads and stores.

Everything here emits LLVM instructions.  Addresses are int64, steps are in elements, and nothing is
checked: the callers say what they may touch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels.inner import inner

INT = ir.IntType(64)
_SMALL = ir.IntType(32)
_ONE = ir.Constant(_SMALL, 1)
_ELEMENTS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
_SUFFIX = {"float32": "f32", "float64": "f64"}


class Machine(NamedTuple):
    """What the CPU's registers hold: bytes of a vector, and how many vectors there are."""

    vector_nbytes: int
    registers: int


def _machine() -> Machine:
    name = os.environ.get("NUMBA_CPU_NAME", "")
    features = {} if name else llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f") or name in ("skylake-avx512", "x86-64-v4", "znver4"):
        return Machine(64, 32)
    if features.get("avx2") or name in ("haswell", "x86-64-v3", "znver2", "znver3"):
        return Machine(32, 16)
    return Machine(16, 32 if "aarch64" in llvmlite.binding.get_process_triple() else 16)


MACHINE = _machine()


def lanes(dtype: str) -> int:
    """Return how many elements a vector holds."""
    return MACHINE.vector_nbytes // np.dtype(dtype).itemsize


def tile_size() -> tuple[int, int]:
    """Return the rows, and the vectors of a row, that the default tile keeps in registers."""
    return {(64, 32): (13, 2), (32, 16): (6, 2), (16, 32): (8, 3)}.get(tuple(MACHINE), (4, 2))


class Vectors:
    """Emits vector instructions of one element type into a block."""

    def __init__(self, builder: ir.IRBuilder, dtype: str) -> None:
        self.builder = builder
        self.element = _ELEMENTS[dtype]
        self.lanes = lanes(dtype)
        self.vector = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.nbytes = np.dtype(dtype).itemsize
        name = f"llvm.fma.v{self.lanes}{_SUFFIX[dtype]}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def integer(self, value: int) -> ir.Constant:
        """Return an int64."""
        return ir.Constant(INT, value)

    def at(self, address: Any, *steps: Any) -> Any:
        """Return an address some elements further on."""
        for step in steps:
            moved = self.builder.mul(step, self.integer(self.nbytes))
            address = self.builder.add(address, moved)
        return address

    def load(self, address: Any) -> Any:
        """Return the vector at an address."""
        value = self.builder.load(self.builder.inttoptr(address, self.vector.as_pointer()))
        value.align = self.nbytes
        return value

    def store(self, value: Any, address: Any) -> None:
        """Write a vector to an address."""
        where = self.builder.inttoptr(address, self.vector.as_pointer())
        self.builder.store(value, where).align = self.nbytes

    def stream(self, value: Any, address: Any) -> None:
        """Write a vector past the caches, to an address that is a multiple of its bytes."""
        where = self.builder.inttoptr(address, self.vector.as_pointer())
        done = self.builder.store(value, where)
        done.align = self.lanes * self.nbytes
        done.set_metadata("nontemporal", self.builder.module.add_metadata([_ONE]))

    def load_one(self, address: Any) -> Any:
        """Return the element at an address."""
        return self.builder.load(self.builder.inttoptr(address, self.element.as_pointer()))

    def spread(self, scalar: Any) -> Any:
        """Return a vector of one number."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, ir.Constant(_SMALL, 0))
        everywhere = ir.Constant(ir.VectorType(_SMALL, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, nothing, everywhere)

    def before(self, count: Any) -> Any:
        """Return which of a vector's lanes come before so many, an int64."""
        kind = ir.VectorType(INT, self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, count, ir.Constant(_SMALL, 0))
        everywhere = ir.Constant(ir.VectorType(_SMALL, self.lanes), [0] * self.lanes)
        spread = self.builder.shuffle_vector(first, nothing, everywhere)
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), spread)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, rounded once."""
        return self.builder.call(self._fma, [a, b, c])

    def at_least(self, value: Any, least: Any) -> Any:
        """Return max(value, least); a NaN in value stays."""
        less = self.builder.fcmp_ordered(">", least, value)
        return self.builder.select(less, least, value)

    def at_most(self, value: Any, most: Any) -> Any:
        """Return min(value, most); a NaN in value stays."""
        more = self.builder.fcmp_ordered("<", most, value)
        return self.builder.select(more, most, value)


@intrinsic
def finish_streams(context: Any) -> Any:
    """Have all that was streamed stand in memory before anything that is written later."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        if "x86" in builder.module.triple:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse.sfence"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        else:
            builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def nbytes(context: Any, like: Any) -> Any:
    """Return the bytes of an element of the type of `like`."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return ir.Constant(INT, np.dtype(like.name).itemsize)

    return types.int64(like), emit


@intrinsic
def width(context: Any, like: Any) -> Any:
    """Return how many elements of the type of `like` a vector holds."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return ir.Constant(INT, lanes(like.name))

    return types.int64(like), emit


@intrinsic
def zero_of(context: Any, like: Any) -> Any:
    """Return 0 of the type of `like`."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return ir.Constant(_ELEMENTS[like.name], 0.0)

    return like(like), emit


@intrinsic
def load(context: Any, address: Any, like: Any) -> Any:
    """Return the element at an address, of the type of `like`."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return Vectors(builder, like.name).load_one(given[0])

    return like(types.int64, like), emit


@intrinsic
def store(context: Any, address: Any, value: Any) -> Any:
    """Write an element to an address."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, value.name)
        builder.store(given[1], builder.inttoptr(given[0], do.element.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, value), emit


@intrinsic
def read_int(context: Any, address: Any) -> Any:
    """Return the int64 at an address."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return builder.load(builder.inttoptr(given[0], INT.as_pointer()))

    return types.int64(types.int64), emit


@intrinsic
def write_int(context: Any, address: Any, value: Any) -> Any:
    """Write an int64 to an address."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        builder.store(given[1], builder.inttoptr(given[0], INT.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def copy_vector(context: Any, to: Any, source: Any, like: Any) -> Any:
    """Copy one vector from an address to another."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, like.name)
        do.store(do.load(given[1]), given[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, like), emit


@intrinsic
def add_vector(context: Any, to: Any, source: Any, like: Any) -> Any:
    """Add one vector to another, both at addresses."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, like.name)
        do.store(builder.fadd(do.load(given[0]), do.load(given[1])), given[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, like), emit


@inner
def copy(to, source, count, like):
    """Copy `count` elements, of the type of `like`, from one address to another."""
    size = nbytes(like)
    width = np.int64(MACHINE.vector_nbytes) // size
    i = 0
    while i + width <= count:
        copy_vector(to + i * size, source + i * size, like)
        i += width
    while i < count:
        store(to + i * size, load(source + i * size, like))
        i += 1


@inner
def gather(to, source, step, count, like):
    """Copy `count` elements that lie `step` bytes apart to a row."""
    size = nbytes(like)
    for i in range(count):
        store(to + i * size, load(source + i * step, like))


@inner
def fill(to, count, value):
    """Write `value` to `count` elements."""
    size = nbytes(value)
    for i in range(count):
        store(to + i * size, value)
