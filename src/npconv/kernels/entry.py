"""Entries: kernels as functions of C, so that threads can be told of one by its address.

An entry is ``work(record, item, thread)``, all int64: the address of a record of int64 that says
what there is to do, which part of it, and which thread's scratch to use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from npconv.kernels.compile import KernelCache
from npconv.kernels.inner import inner
from npconv.kernels.interrupts import interrupts_wait
from npconv.kernels.simd import INT


class Entry:
    """A function of C, of some int64 and some float64, compiled or loaded when it is needed.

    variant: what it is made of beside its code, where it is made inside another function.
    """

    def __init__(
        self, function: Callable[..., None], ints: int = 3, doubles: int = 0, variant: str = ""
    ) -> None:
        self._function, self._variant = function, variant
        self._kinds = (types.int64,) * ints + (types.float64,) * doubles
        self._made: CFunc | None = None

    @property
    def address(self) -> int:
        """Where its machine code begins."""
        made = self._made or self._make()
        return made.address

    def _make(self) -> CFunc:
        # Numba's own lock, not one more: whoever asks what is ready holds it when coming here.
        with global_compiler_lock, interrupts_wait():
            if self._made is None:
                options = {"nopython": True, "error_model": "numpy"}
                made = CFunc(self._function, (self._kinds, types.void), {}, options)
                made._cache = KernelCache(self._function, self._variant)
                made.compile()
                self._made = made
            return self._made

    def prepare(self) -> None:
        """Compile or load it now."""
        self._make()

    def __call__(self, *given: Any) -> None:
        """Run it, without the interpreter's lock."""
        (self._made or self._make()).ctypes(*given)


def entries(function: Callable[..., None]) -> dict[str, Entry]:
    """Make of work(record, item, thread, zero) an entry for each type of elements, by its letter.

    zero: 0 of the type.
    """
    work = inner(function)

    def of(letter: str) -> Entry:
        zero = np.dtype(letter).type(0)

        def run(record: int, item: int, thread: int) -> None:
            work(record, item, thread, zero)

        run.__module__, run.__qualname__ = function.__module__, function.__qualname__
        return Entry(run, variant=letter)

    return {letter: of(letter) for letter in "fd"}


def prepare(*made: dict[str, Entry]) -> None:
    """Have entries of every type compiled, or loaded."""
    for each in made:
        for one in each.values():
            one.prepare()


def make_call(ints: int, doubles: int = 0) -> Callable[..., None]:
    """Return an intrinsic, call(address, ...), that calls an Entry of such arguments."""
    kinds = [types.int64] * ints + [types.float64] * doubles

    @intrinsic
    def call(context: Any, address: Any, *given: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            address, packed = values
            each = [builder.extract_value(packed, i) for i in range(len(kinds))]
            machine = [INT] * ints + [ir.DoubleType()] * doubles
            kind = ir.FunctionType(ir.VoidType(), machine)
            builder.call(builder.inttoptr(address, kind.as_pointer()), each)
            return context.get_dummy_value()

        assert len(given) == len(kinds)
        return types.void(types.int64, types.StarArgTuple(kinds)), emit

    return call
