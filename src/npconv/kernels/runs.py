"""Sums of rows that stand anywhere, added to a line: a vector for each step along it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from npconv.kernels.simd import INT, Vectors


@intrinsic
def add_runs(
    context: Any, sources: Any, rows: Any, offset: Any, step: Any, target: Any, target_step: Any,
    count: Any, numbers: Any, like: Any,
) -> Any:  # fmt: skip
    """Add to vectors of a line the sums of vectors of some rows.

    ::

        target[q][v] += sum over i < rows of sources[i][q][v]    for q < count, v < numbers

    `sources` holds the rows' addresses; [0][0] of each is `offset` bytes further on, and [q]
    `q * step` more, that of the target `q * target_step`.  rows and count are at least 1.  Whole
    vectors are read; to what of the target's is past `numbers`, 0 is added.
    """

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        *numbers, _ = given
        _emit(Vectors(builder, like.name), *numbers)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8, like), emit


def _emit(
    do: Vectors, sources: Any, rows: Any, offset: Any, step: Any, target: Any, target_step: Any,
    count: Any, numbers: Any,
) -> None:  # fmt: skip
    builder, one, none = do.builder, do.integer(1), do.integer(0)
    inside = do.before(numbers)
    entries = builder.inttoptr(sources, INT.as_pointer())
    before = builder.block
    names = ("again", "row", "end", "done")
    blocks = {name: builder.append_basic_block(name) for name in names}

    builder.branch(blocks["again"])
    builder.position_at_end(blocks["again"])
    q, read, write = (builder.phi(INT) for _ in range(3))
    for phi, value in ((q, none), (read, offset), (write, target)):
        phi.add_incoming(value, before)
    first = do.load(builder.add(builder.load(entries), read))
    more = builder.icmp_signed(">", rows, one)
    builder.cbranch(more, blocks["row"], blocks["end"])

    builder.position_at_end(blocks["row"])
    i, held = builder.phi(INT), builder.phi(do.vector)
    i.add_incoming(one, blocks["again"])
    held.add_incoming(first, blocks["again"])
    at = builder.add(builder.load(builder.gep(entries, [i])), read)
    added = builder.fadd(held, do.load(at))
    following = builder.add(i, one)
    i.add_incoming(following, blocks["row"])
    held.add_incoming(added, blocks["row"])
    more = builder.icmp_signed("<", following, rows)
    builder.cbranch(more, blocks["row"], blocks["end"])

    builder.position_at_end(blocks["end"])
    total = builder.phi(do.vector)
    total.add_incoming(first, blocks["again"])
    total.add_incoming(added, blocks["row"])
    total = builder.select(inside, total, do.zero)
    do.store(builder.fadd(do.load(write), total), write)
    q_next = builder.add(q, one)
    q.add_incoming(q_next, blocks["end"])
    read.add_incoming(builder.add(read, step), blocks["end"])
    write.add_incoming(builder.add(write, target_step), blocks["end"])
    builder.cbranch(builder.icmp_signed("<", q_next, count), blocks["again"], blocks["done"])
    builder.position_at_end(blocks["done"])
