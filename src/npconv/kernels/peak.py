"""As many multiply-adds as a CPU can do: chains of them in registers, and no memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels.compile import compiled
from npconv.kernels.simd import INT, MACHINE, Vectors, lanes

# Each waits for itself alone: there are more of them than a CPU has under way. The registers left
# over hold the two constants.
CHAINS = MACHINE.registers - 4


def operations(dtype: str) -> int:
    """Return how many operations a round of the chains is: 2 for each lane's multiply-add."""
    return 2 * CHAINS * lanes(dtype)


@intrinsic
def chains(context: Any, rounds: Any, factor: Any, term: Any) -> Any:
    """Do v = v*factor + term in CHAINS vectors, `rounds` times, at least once; return their sum.

    The sum is of the vectors' first lanes: vector i begins as i in every lane.
    """

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        do = Vectors(builder, factor.name)
        count, scale, shift = given[0], do.spread(given[1]), do.spread(given[2])
        before = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("chains", "chained"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k, vectors = builder.phi(INT), [builder.phi(do.vector) for _ in range(CHAINS)]
        k.add_incoming(do.integer(0), before)
        for i, vector in enumerate(vectors):
            vector.add_incoming(ir.Constant(do.vector, [float(i)] * do.lanes), before)
        new = [do.fma(vector, scale, shift) for vector in vectors]
        k_next = builder.add(k, do.integer(1))
        k.add_incoming(k_next, loop)
        for vector, value in zip(vectors, new, strict=True):
            vector.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", k_next, count), loop, done)
        builder.position_at_end(done)
        total = do.zero
        for value in new:
            total = builder.fadd(total, value)
        return builder.extract_element(total, do.integer(0))

    return factor(types.int64, factor, factor), emit


@compiled
def multiply_add(rounds, factor, term):
    """Return the sum of CHAINS numbers i = 0, 1, ... after i = i*factor + term, `rounds` times.

    Nothing but registers is read or written.  rounds is at least 1.
    """
    return chains(rounds, factor, term)


def warm() -> None:
    """Run the kernel once for each type it is compiled for."""
    for dtype in (np.float32, np.float64):
        multiply_add(1, dtype(0.5), dtype(0.5))
