"""Memory asked for before it is read, where the CPU does not see by itself what comes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64  # bytes of a cache line


def emit_expect(builder: Any, address: Any) -> None:
    """Ask the second cache for the line at an address, which need not be readable."""
    number = ir.IntType(32)
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    reads, second, data = (ir.Constant(number, value) for value in (0, 2, 1))
    builder.call(ask, [builder.inttoptr(address, byte), reads, second, data])


@intrinsic
def expect(context: Any, address: Any) -> Any:
    """Ask the second cache for the line at an address, which need not be readable."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        emit_expect(builder, given[0])
        return context.get_dummy_value()

    return types.void(types.int64), emit
