"""The register tile: a matrix product whose rows stand anywhere, kept in registers as it grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from npconv.kernels.simd import INT, Vectors


def make_tile(rows: int, vectors: int) -> Callable[..., None]:
    """Return the register tile, an intrinsic.

    ::

        tile(table, outer, inner, a_step, b, b_step, b_outer, start, out, column, least)

        acc[i][v] = sum over p < outer, j < inner of
                    A[table[p*rows + i] + j*a_step] * B[b + p*b_outer + j*b_step + v]

    `table` holds the addresses of A's rows, `out` those of the result's rows, to which `column`
    elements are added.  start 0 adds acc to what is there; else it is the address of a vector row
    that is added to acc, and the sum is stored, `least` where it is below that.  outer and inner
    are at least 1.  Elements are of the type of `least`, float32 or float64.
    """

    @intrinsic
    def tile(
        context: Any, table: Any, outer: Any, inner: Any, a_step: Any, b: Any, b_step: Any,
        b_outer: Any, start: Any, out: Any, column: Any, least: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            _emit_tile(builder, least.name, rows, vectors, *given)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10, least), emit

    return tile


def _emit_tile(
    builder: Any, dtype: str, rows: int, vectors: int, table: Any, outer: Any, inner: Any,
    a_step: Any, b: Any, b_step: Any, b_outer: Any, start: Any, out: Any, column: Any, least: Any,
) -> None:  # fmt: skip
    do = Vectors(builder, dtype)
    one, width = do.integer(1), do.lanes
    each = [(i, v) for i in range(rows) for v in range(vectors)]
    before = builder.block
    names = ("outer", "inner", "next", "done", "add", "set", "end")
    blocks = {name: builder.append_basic_block(name) for name in names}
    a_bytes = builder.mul(a_step, do.integer(do.nbytes))
    b_bytes = builder.mul(b_step, do.integer(do.nbytes))

    builder.branch(blocks["outer"])
    builder.position_at_end(blocks["outer"])
    p, b_row = builder.phi(INT), builder.phi(INT)
    carried = {at: builder.phi(do.vector) for at in each}
    p.add_incoming(do.integer(0), before)
    b_row.add_incoming(b, before)
    for at in each:
        carried[at].add_incoming(do.zero, before)
    first = builder.mul(p, do.integer(rows))
    entries = builder.inttoptr(table, INT.as_pointer())
    a_rows = [
        builder.load(builder.gep(entries, [builder.add(first, do.integer(i))])) for i in range(rows)
    ]

    builder.branch(blocks["inner"])
    builder.position_at_end(blocks["inner"])
    j, a_at, b_at = (builder.phi(INT) for _ in range(3))
    sums = {at: builder.phi(do.vector) for at in each}
    j.add_incoming(do.integer(0), blocks["outer"])
    a_at.add_incoming(do.integer(0), blocks["outer"])
    b_at.add_incoming(b_row, blocks["outer"])
    for at in each:
        sums[at].add_incoming(carried[at], blocks["outer"])
    b_vectors = [do.load(do.at(b_at, do.integer(v * width))) for v in range(vectors)]
    new = {}
    for i in range(rows):
        a = do.spread(do.load_one(builder.add(a_rows[i], a_at)))
        for v in range(vectors):
            new[i, v] = do.fma(a, b_vectors[v], sums[i, v])
    j_next = builder.add(j, one)
    j.add_incoming(j_next, blocks["inner"])
    a_at.add_incoming(builder.add(a_at, a_bytes), blocks["inner"])
    b_at.add_incoming(builder.add(b_at, b_bytes), blocks["inner"])
    for at in each:
        sums[at].add_incoming(new[at], blocks["inner"])
    builder.cbranch(builder.icmp_signed("<", j_next, inner), blocks["inner"], blocks["next"])

    builder.position_at_end(blocks["next"])
    p_next = builder.add(p, one)
    p.add_incoming(p_next, blocks["next"])
    b_row.add_incoming(do.at(b_row, b_outer), blocks["next"])
    for at in each:
        carried[at].add_incoming(new[at], blocks["next"])
    builder.cbranch(builder.icmp_signed("<", p_next, outer), blocks["outer"], blocks["done"])

    builder.position_at_end(blocks["done"])
    out_entries = builder.inttoptr(out, INT.as_pointer())
    out_rows = [
        do.at(builder.load(builder.gep(out_entries, [do.integer(i)])), column) for i in range(rows)
    ]
    adds = builder.icmp_signed("==", start, do.integer(0))
    builder.cbranch(adds, blocks["add"], blocks["set"])
    builder.position_at_end(blocks["add"])
    for i, v in each:
        where = do.at(out_rows[i], do.integer(v * width))
        do.store(builder.fadd(new[i, v], do.load(where)), where)
    builder.branch(blocks["end"])
    builder.position_at_end(blocks["set"])
    floor = do.spread(least)
    starts = [do.load(do.at(start, do.integer(v * width))) for v in range(vectors)]
    for i, v in each:
        value = do.at_least(builder.fadd(new[i, v], starts[v]), floor)
        do.store(value, do.at(out_rows[i], do.integer(v * width)))
    builder.branch(blocks["end"])
    builder.position_at_end(blocks["end"])
