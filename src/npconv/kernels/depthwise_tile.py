"""The register tiles of depthwise convolution: vectors times vectors, a lane for each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels.simd import INT, MACHINE, Vectors

MANY = MACHINE.registers >= 32
PIXELS = 7  # of a tile
VECTORS = 2 if MANY else 1  # of a tile
_SUMS = 10  # taps of a tile of a gradient, at most


class _Lanes:
    """Loads and stores of whole vectors, or of the first lanes of one."""

    def __init__(self, do: Vectors, count: Any) -> None:
        self.do, self.count = do, count
        if count is not None:
            self.mask = do.before(count)
            self.pointer = do.vector.as_pointer()
            letter = "f32" if do.nbytes == 4 else "f64"
            self.suffix = f"v{do.lanes}{letter}.p0"

    def load(self, address: Any) -> Any:
        """Return what lies at an address, zeros past the last lane, of which nothing is read."""
        if self.count is None:
            return self.do.load(address)
        do, builder, bits = self.do, self.do.builder, ir.IntType(32)
        kinds = [self.pointer, bits, self.mask.type, do.vector]
        load = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(do.vector, kinds), f"llvm.masked.load.{self.suffix}"
        )
        at = builder.inttoptr(address, self.pointer)
        return builder.call(load, [at, ir.Constant(bits, do.nbytes), self.mask, do.zero])

    def store(self, value: Any, address: Any) -> None:
        """Write a vector to an address, and nothing past the last lane."""
        if self.count is None:
            self.do.store(value, address)
            return
        do, builder, bits = self.do, self.do.builder, ir.IntType(32)
        kinds = [do.vector, self.pointer, bits, self.mask.type]
        store = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds),
            f"llvm.masked.store.{self.suffix}",
        )  # fmt: skip
        at = builder.inttoptr(address, self.pointer)
        builder.call(store, [value, at, ir.Constant(bits, do.nbytes), self.mask])


def _entry(do: Vectors, table: Any, number: int) -> Any:
    """Return an int64 of a table."""
    at = do.builder.add(table, do.integer(8 * number))
    return do.builder.load(do.builder.inttoptr(at, INT.as_pointer()))


def make_tile(taps: int, stride: int, vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile of PIXELS pixels, an intrinsic; part: only of the first `lanes` of a vector.

    ::

        tile(table, weights, rows, w_step, zeros, offset, w_offset, start, out, out_offset, lanes,
             least, most)

        out[i][v] = clamp(start[v] + sum over r < rows, c < taps of
                          x[table[r, i * stride + c]][v] * w[weights[r] + c * w_step][v])

    `table` holds columns(taps, stride) addresses for each row, `weights` one, `out` those of the
    result, the last of which are written first; the offsets are bytes that are added to these, but
    not to `zeros`, the address of zeros, wherever it stands in the table.  rows may be 0.
    """

    @intrinsic
    def tile(
        context: Any, table: Any, weights: Any, rows: Any, w_step: Any, zeros: Any, offset: Any,
        w_offset: Any, start: Any, out: Any, out_offset: Any, lanes: Any, least: Any, most: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            *numbers, lanes, least, most = given
            do = Vectors(builder, most_type.name)
            hold = _Lanes(do, lanes if part else None)
            _emit_tile(do, hold, (taps, stride, vectors), *numbers, least, most)
            return context.get_dummy_value()

        most_type = most
        return types.void(*[types.int64] * 11, least, most), emit

    return tile


def columns(taps: int, stride: int) -> int:
    """Return how many positions of a line a tile reads."""
    return (PIXELS - 1) * stride + taps


def _emit_tile(
    do: Vectors, hold: _Lanes, form: tuple[int, int, int], table: Any, weights: Any, rows: Any,
    w_step: Any, zeros: Any, offset: Any, w_offset: Any, start: Any, out: Any, out_offset: Any,
    least: Any, most: Any,
) -> None:  # fmt: skip
    taps, stride, vectors = form
    builder, none, one = do.builder, do.integer(0), do.integer(1)
    each = [(i, v) for i in range(PIXELS) for v in range(vectors)]
    steps = [do.integer(v * do.lanes * do.nbytes) for v in range(vectors)]
    begin = [hold.load(builder.add(start, step)) for step in steps]
    before = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("row", "done"))
    builder.cbranch(builder.icmp_signed("<", none, rows), loop, done)

    builder.position_at_end(loop)
    r, row = builder.phi(INT), builder.phi(INT)
    r.add_incoming(none, before)
    row.add_incoming(table, before)
    sums = {at: builder.phi(do.vector) for at in each}
    for i, v in each:
        sums[i, v].add_incoming(begin[v], before)
    w_at = builder.load(builder.gep(builder.inttoptr(weights, INT.as_pointer()), [r]))
    w_at = builder.add(w_at, w_offset)
    factors = {}
    for c in range(taps):
        for v in range(vectors):
            factors[c, v] = hold.load(builder.add(w_at, steps[v]))
        w_at = builder.add(w_at, w_step)
    new = dict(sums)
    for q in range(columns(taps, stride)):
        found = _entry(do, row, q)
        stays = builder.icmp_signed("==", found, zeros)
        x_at = builder.select(stays, found, builder.add(found, offset))
        for v in range(vectors):
            value = hold.load(builder.add(x_at, steps[v]))
            for c in range(taps):
                i, rest = divmod(q - c, stride)
                if rest == 0 and 0 <= i < PIXELS:
                    new[i, v] = do.fma(value, factors[c, v], new[i, v])
    following = builder.add(r, one)
    r.add_incoming(following, loop)
    row.add_incoming(builder.add(row, do.integer(8 * columns(taps, stride))), loop)
    for at in each:
        sums[at].add_incoming(new[at], loop)
    builder.cbranch(builder.icmp_signed("<", following, rows), loop, done)

    builder.position_at_end(done)
    totals = {at: builder.phi(do.vector) for at in each}
    for i, v in each:
        totals[i, v].add_incoming(begin[v], before)
        totals[i, v].add_incoming(new[i, v], loop)
    low, high = do.spread(least), do.spread(most)
    for i in reversed(range(PIXELS)):
        at = builder.add(_entry(do, out, i), out_offset)
        for v in range(vectors):
            ended = do.at_most(do.at_least(totals[i, v], low), high)
            hold.store(ended, builder.add(at, steps[v]))


def make_gradient_tile(taps: int, stride: int, pixels: int) -> Callable[..., None]:
    """Return the tile of a weight gradient, an intrinsic, of the first `lanes` of a vector.

    ::

        tile(table, count, offset, x_step, grad, grad_step, sums, sums_step, lanes, like)

        sums[r * taps + c][v] +=
            sum over k < count, i < pixels of
            x[table[r, i * stride + c] + k * x_step][v] * grad[k * pixels + i][v]

    for r < rows_of(taps).  Steps are bytes: in x from some pixels to the next, from pixel to pixel
    of grad and from sum to sum; `offset` is added to addresses in x.  count is at least 1.
    """

    @intrinsic
    def tile(
        context: Any, table: Any, count: Any, offset: Any, x_step: Any, grad: Any, grad_step: Any,
        sums: Any, sums_step: Any, lanes: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            *numbers, lanes, _ = given
            do = Vectors(builder, like.name)
            _emit_gradient(do, _Lanes(do, lanes), (taps, stride, pixels), *numbers)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9, like), emit

    return tile


def rows_of(taps: int) -> int:
    """Return how many rows of so many taps a gradient's tile keeps sums of."""
    return max(_SUMS // taps, 1)


def _emit_gradient(
    do: Vectors, hold: _Lanes, form: tuple[int, int, int], table: Any, count: Any, offset: Any,
    x_step: Any, grad: Any, grad_step: Any, sums: Any, sums_step: Any,
) -> None:  # fmt: skip
    taps, stride, pixels = form
    wide = (pixels - 1) * stride + taps
    builder, none, one = do.builder, do.integer(0), do.integer(1)
    each = [(r, c) for r in range(rows_of(taps)) for c in range(taps)]
    before = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("tile", "done"))

    builder.branch(loop)
    builder.position_at_end(loop)
    k, moved, at = (builder.phi(INT) for _ in range(3))
    for phi, value in ((k, none), (moved, offset), (at, grad)):
        phi.add_incoming(value, before)
    held = {place: builder.phi(do.vector) for place in each}
    new = dict(held)
    factors, following = [], at
    for _ in range(pixels):
        factors.append(hold.load(following))
        following = builder.add(following, grad_step)
    for r in range(rows_of(taps)):
        for q in range(wide):
            value = hold.load(builder.add(_entry(do, table, r * wide + q), moved))
            for c in range(taps):
                i, rest = divmod(q - c, stride)
                if rest == 0 and 0 <= i < pixels:
                    new[r, c] = do.fma(value, factors[i], new[r, c])
    for place in each:
        held[place].add_incoming(do.zero, before)
        held[place].add_incoming(new[place], loop)
    k_next = builder.add(k, one)
    k.add_incoming(k_next, loop)
    moved.add_incoming(builder.add(moved, x_step), loop)
    at.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", k_next, count), loop, done)

    builder.position_at_end(done)
    where = sums
    for place in each:
        hold.store(builder.fadd(hold.load(where), new[place]), where)
        where = builder.add(where, sums_step)
