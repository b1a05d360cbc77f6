"""The register tile: a matrix product whose rows stand anywhere, kept in registers as it grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from npconv.kernels.ahead import emit_expect
from npconv.kernels.simd import INT, Vectors


class Store(NamedTuple):
    """How a tile's sums are stored.

    start    0 adds them to what is there; else the address of what is added to each sum, one number
             for each column (or row, see `make_tile`), and the result is clamped to least .. most
             (a NaN stays one)
    streams  whether they go past the caches: whole vectors, aligned, that nobody reads soon
    """

    start: int
    streams: int
    least: float
    most: float


def make_tile(
    rows: int, vectors: int, row_starts: bool = False, expects: bool = False
) -> Callable[..., None]:
    """Return the register tile, an intrinsic; row_starts: store.start has a number for each row.

    expects: while B is read, what lies b_outer further is asked for, which need not be readable.

    ::

        tile(table, outer, inner, a_step, b, b_step, b_outer, out, column, store)

        acc[i][v] = sum over p < outer, j < inner of
                    A[table[p*rows + i] + j*a_step] * B[b + p*b_outer + j*b_step + v]

    `table` holds the addresses of A's rows, `out` those of the result's rows, to which `column`
    elements are added; `store` is a Store.  outer and inner are at least 1.  Elements are of the
    type of store.least, float32 or float64.
    """

    @intrinsic
    def tile(
        context: Any, table: Any, outer: Any, inner: Any, a_step: Any, b: Any, b_step: Any,
        b_outer: Any, out: Any, column: Any, store: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            *numbers, how = given
            how = Store(*(builder.extract_value(how, i) for i in range(len(Store._fields))))
            do = Vectors(builder, store.types[Store._fields.index("least")].name)
            _emit_tile(do, rows, vectors, row_starts, expects, *numbers, how)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9, store), emit

    return tile


def _emit_tile(
    do: Vectors, rows: int, vectors: int, row_starts: bool, expects: bool, table: Any, outer: Any,
    inner: Any, a_step: Any, b: Any, b_step: Any, b_outer: Any, out: Any, column: Any,
    store: Store,
) -> None:  # fmt: skip
    builder = do.builder
    one, width = do.integer(1), do.lanes
    each = [(i, v) for i in range(rows) for v in range(vectors)]
    before = builder.block
    names = ("outer", "inner", "next", "done")
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
    for v in range(vectors * expects):
        emit_expect(builder, do.at(b_at, b_outer, do.integer(v * width)))
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
    _emit_store(do, new, out_rows, store, row_starts)


def _emit_store(
    do: Vectors, sums: dict[tuple[int, int], Any], rows: list[Any], store: Store, row_starts: bool
) -> None:
    """Store the vectors (row, vector) of a tile at the addresses of its rows."""
    builder = do.builder
    where = {(i, v): do.at(rows[i], do.integer(v * do.lanes)) for i, v in sums}

    adds = builder.icmp_signed("==", store.start, do.integer(0))
    with builder.if_else(adds) as (add, end):
        with add:
            for at, value in sums.items():
                do.store(builder.fadd(value, do.load(where[at])), where[at])
        with end:
            least, most = do.spread(store.least), do.spread(store.most)
            starts = {at: _emit_start(do, store, *at, row_starts) for at in sums}
            ended = {
                at: do.at_most(do.at_least(builder.fadd(value, starts[at]), least), most)
                for at, value in sums.items()
            }
            streams = builder.icmp_signed("!=", store.streams, do.integer(0))
            with builder.if_else(streams) as (stream, keep):
                for way, stores in ((stream, do.stream), (keep, do.store)):
                    with way:
                        for at, value in ended.items():
                            stores(value, where[at])


def _emit_start(do: Vectors, store: Store, row: int, vector: int, row_starts: bool) -> Any:
    """Return what is added to a vector of a row; LLVM keeps one of those that are the same."""
    if row_starts:
        return do.spread(do.load_one(do.at(store.start, do.integer(row))))
    return do.load(do.at(store.start, do.integer(vector * do.lanes)))
