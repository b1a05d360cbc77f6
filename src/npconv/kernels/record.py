"""What an entry reads: arrays of integers, and numbers in the type of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import carray, types
from numba.extending import intrinsic

from npconv.kernels.inner import inner
from npconv.kernels.simd import INT


@intrinsic
def _pointer(context: Any, address: Any) -> Any:
    """Return an address as numba.carray takes it."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        return builder.inttoptr(given[0], INT.as_pointer())

    return types.CPointer(types.int64)(types.int64), emit


@inner
def ints(address, count):
    """Return the `count` int64 from an address on, as an array."""
    return carray(_pointer(address), (count,))


@inner
def of_type(number, like):
    """Return a number in the type of `like`, where it is one of that type's."""
    return type(like)(number)
