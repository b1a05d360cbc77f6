"""The register tile of stencils: lines times weights, neighbours of a line as a vector's lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from npconv.kernels.simd import INT, MACHINE, Vectors

MANY = MACHINE.registers >= 32
ROWS = 4, 2, 1  # of tiles, the largest first
VECTORS = 6 if MANY else 2  # of a wide tile's rows; a narrow one has one
LONG = 12 if MANY else 6  # of the row of one, whose sums would wait for one another otherwise


class End(NamedTuple):
    """What is added to each sum, and where it is then cut off; a NaN stays one."""

    start: float
    least: float
    most: float


class Taps(NamedTuple):
    """How many taps there are of each axis, and bytes from one of a line to the next."""

    depth: int
    height: int
    width: int
    step: int


def make_tile(rows: int, vectors: int) -> Callable[..., None]:
    """Return the tile, an intrinsic: so many neighbours in each of so many lines.

    ::

        tile(table, taps, weights, out, column, end)

        out[i][v] = clamp(start + sum over a < depth, r < height, c < width of
                          weights[a, r, c] * line[a, i + r][v + c * step])

    `table` holds the addresses of (depth, height + rows - 1) lines, `out` those of the result's, to
    all of which `column` bytes are added; weights lie dense.  `end` is an End.  height is at least
    `rows`, or a tile has one row.  A sum's terms are added in the order of taps.
    """

    @intrinsic
    def tile(
        context: Any, table: Any, taps: Any, weights: Any, out: Any, column: Any, end: Any
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            table, taps, weights, out, column, end = given
            do = Vectors(builder, kind)
            each = Taps(*(builder.extract_value(taps, i) for i in range(len(Taps._fields))))
            ended = End(*(builder.extract_value(end, i) for i in range(len(End._fields))))
            made = _Tile(do, (rows, vectors), each, column)
            made.store(made.sums(table, weights), out, ended)
            return context.get_dummy_value()

        kind = end.types[0].name
        return types.void(types.int64, taps, types.int64, types.int64, types.int64, end), emit

    return tile


class _Tile:
    """Emits one tile of form (rows, vectors)."""

    def __init__(self, do: Vectors, form: tuple[int, int], taps: Taps, column: Any) -> None:
        self.do, self.builder, self.taps, self.column = do, do.builder, taps, column
        self.rows, self.vectors = form
        self.each = [(i, v) for i in range(self.rows) for v in range(self.vectors)]
        self.weight_row = do.builder.mul(taps.width, do.integer(do.nbytes))

    def sums(self, table: Any, weights: Any) -> dict[tuple[int, int], Any]:
        """Return the sums: plane by plane of taps, those of the first and last lines apart."""
        do, builder, ahead = self.do, self.builder, self.rows - 1
        before = builder.block
        plane, done = (builder.append_basic_block(name) for name in ("plane", "done"))
        builder.branch(plane)

        builder.position_at_end(plane)
        a, lines, at = (builder.phi(INT) for _ in range(3))
        begun = a, lines, at
        for phi, value in zip(begun, (do.integer(0), table, weights), strict=True):
            phi.add_incoming(value, before)
        held = {place: builder.phi(do.vector) for place in self.each}
        for phi in held.values():
            phi.add_incoming(do.zero, before)
        new = dict(held)
        for p in range(ahead):  # the first rows alone have taps there
            new = self._line(lines, at, range(p + 1), new)
            lines, at = self._next(lines, at)
        lines, at, new = self._all_rows(lines, at, new)
        for p in range(1, self.rows):  # and there the last rows alone
            new = self._line(lines, at, range(p, self.rows), new)
            lines, at = self._next(lines, at)
        # The weights of the next plane begin where a row of them beyond the last would.
        at = builder.sub(at, builder.mul(self.weight_row, do.integer(ahead)))
        following = builder.add(a, do.integer(1))
        end = builder.block
        for phi, value in zip(begun, (following, lines, at), strict=True):
            phi.add_incoming(value, end)
        for place, phi in held.items():
            phi.add_incoming(new[place], end)
        builder.cbranch(builder.icmp_signed("<", following, self.taps.depth), plane, done)
        builder.position_at_end(done)
        return new

    def _next(self, lines: Any, at: Any) -> tuple[Any, Any]:
        """Return where the next line's address stands, and its weights of the first row."""
        builder = self.builder
        return builder.add(lines, self.do.integer(8)), builder.add(at, self.weight_row)

    def _all_rows(self, lines: Any, at: Any, held: dict) -> tuple[Any, Any, dict]:
        """Add the lines in which every row has taps; there is one at least."""
        do, builder = self.do, self.builder
        before = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("line", "lines"))
        count = builder.sub(self.taps.height, do.integer(self.rows - 1))
        builder.branch(loop)
        builder.position_at_end(loop)
        p, here, weights = (builder.phi(INT) for _ in range(3))
        for phi, value in ((p, do.integer(0)), (here, lines), (weights, at)):
            phi.add_incoming(value, before)
        sums = {place: builder.phi(do.vector) for place in self.each}
        for place, phi in sums.items():
            phi.add_incoming(held[place], before)
        new = self._line(here, weights, range(self.rows), dict(sums))
        following = builder.add(p, do.integer(1))
        there, then = self._next(here, weights)
        end = builder.block
        for phi, value in ((p, following), (here, there), (weights, then)):
            phi.add_incoming(value, end)
        for place, phi in sums.items():
            phi.add_incoming(new[place], end)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)
        return there, then, new

    def _line(self, lines: Any, at: Any, rows: range, held: dict) -> dict:
        """Add the taps that some rows have in one line; at: the weights of row 0 there."""
        do, builder = self.do, self.builder
        active = [(i, v) for i in rows for v in range(self.vectors)]
        line = builder.load(builder.inttoptr(lines, INT.as_pointer()))
        line = builder.add(line, self.column)
        before = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("tap", "taps"))
        builder.branch(loop)
        builder.position_at_end(loop)
        c, x_at, w_at = (builder.phi(INT) for _ in range(3))
        for phi, value in ((c, do.integer(0)), (x_at, line), (w_at, at)):
            phi.add_incoming(value, before)
        sums = {place: builder.phi(do.vector) for place in active}
        for place, phi in sums.items():
            phi.add_incoming(held[place], before)
        vectors = [do.load(do.at(x_at, do.integer(v * do.lanes))) for v in range(self.vectors)]
        new = {}
        for i in rows:
            up = builder.mul(self.weight_row, do.integer(i))
            weight = do.spread(do.load_one(builder.sub(w_at, up)))
            for v in range(self.vectors):
                new[i, v] = do.fma(weight, vectors[v], sums[i, v])
        following = builder.add(c, do.integer(1))
        for phi, value in (
            (c, following),
            (x_at, builder.add(x_at, self.taps.step)),
            (w_at, builder.add(w_at, do.integer(do.nbytes))),
        ):
            phi.add_incoming(value, loop)
        for place, phi in sums.items():
            phi.add_incoming(new[place], loop)
        builder.cbranch(builder.icmp_signed("<", following, self.taps.width), loop, done)
        builder.position_at_end(done)
        return {**held, **new}

    def store(self, sums: dict, out: Any, end: End) -> None:
        """Store the ended sums."""
        do, builder = self.do, self.builder
        start, least, most = (do.spread(number) for number in end)
        rows = builder.inttoptr(out, INT.as_pointer())
        for i in range(self.rows):
            row = builder.load(builder.gep(rows, [do.integer(i)]))
            row = builder.add(row, self.column)
            for v in range(self.vectors):
                value = do.at_least(builder.fadd(sums[i, v], start), least)
                do.store(do.at_most(value, most), do.at(row, do.integer(v * do.lanes)))
