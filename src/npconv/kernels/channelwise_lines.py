"""Lines of elements, as kernels over channels emit them: vector after vector, then what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.pool_vectors import Tile


class Line(NamedTuple):
    """Addresses of one line: fields of a Call, and where the sums of products are."""

    one: int
    other: int
    held: int
    out: int
    products: int
    scale: int
    share: int
    shift: int


_SUMS = ("out", "products")  # float64
_At = dict[str, Any]


class _Loop:
    """Emits a loop over a line: vector after vector, then the lanes that are left.

    streams: fields whose numbers go on with the elements; alike: those of one number for all.
    """

    def __init__(
        self, builder: Any, given: Sequence[Any], streams: Sequence[str], alike: Sequence[str] = ()
    ) -> None:
        line, self.count, least, most = given
        self.name = "float32" if least.type == ir.FloatType() else "float64"
        self.builder, self.do = builder, simd.Vectors(builder, self.name)
        at = {field: builder.extract_value(line, i) for i, field in enumerate(Line._fields)}
        self.begins = {field: at[field] for field in streams}
        self.alike = {field: self.do.spread(self.do.load_one(at[field])) for field in alike}
        self.least, self.most = self.do.spread(least), self.do.spread(most)
        self.wide = ir.VectorType(ir.DoubleType(), self.do.lanes)

    def run(self, emit: Callable[[Tile, _At], None], wide: Sequence[str] = ()) -> None:
        """Emit it; wide: fields that are of float64."""
        builder, do = self.builder, self.do
        steps = [
            do.integer(do.lanes * (8 if field in wide else do.nbytes)) for field in self.begins
        ]
        loops = builder.sdiv(self.count, do.integer(do.lanes))
        whole = Tile(builder, self.name, 1, None)
        with whole.each(loops, list(self.begins.values()), steps) as held:
            emit(whole, dict(zip(self.begins, held, strict=True)))
        ends = [
            builder.add(begin, builder.mul(loops, step))
            for begin, step in zip(self.begins.values(), steps, strict=True)
        ]
        left = builder.sub(self.count, builder.mul(loops, do.integer(do.lanes)))
        with builder.if_then(builder.icmp_signed(">", left, do.integer(0))):
            emit(Tile(builder, self.name, 1, left), dict(zip(self.begins, ends, strict=True)))

    def number(self, tile: Tile, at: _At, field: str) -> Any:
        """Return a vector of a field's numbers."""
        return self.alike[field] if field in self.alike else tile.load(at[field], 0)

    def counted(self, tile: Tile, at: _At) -> Any:
        """Return a vector of `one`, zeros where `held`, if it is read, is beyond the limits."""
        one = tile.load(at["one"], 0)
        if "held" not in at:
            return one
        held, builder = tile.load(at["held"], 0), self.builder
        above = builder.fcmp_ordered(">", held, self.least)
        below = builder.fcmp_unordered("<", held, self.most)
        return builder.select(builder.and_(above, below), one, self.do.zero)

    def clamped(self, value: Any) -> Any:
        """Return a vector between the limits; NaN stays."""
        return self.do.at_most(self.do.at_least(value, self.least), self.most)

    def widened(self, value: Any) -> Any:
        """Return a vector in float64."""
        return value if self.do.nbytes == 8 else self.builder.fpext(value, self.wide)

    def add(self, value: Any, address: Any) -> None:
        """Add a vector of float64 to what lies at an address."""
        where = self.builder.inttoptr(address, self.wide.as_pointer())
        before = self.builder.load(where)
        before.align = 8
        self.builder.store(self.builder.fadd(before, value), where).align = 8

    def add_lanes(self, value: Any, field: str, line: Any) -> None:
        """Add all lanes of a vector of float64 to the number of a field of a line."""
        builder, half = self.builder, self.do.lanes // 2
        while half:
            lanes = [(lane + half) % self.do.lanes for lane in range(self.do.lanes)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), self.do.lanes), lanes)
            value = builder.fadd(value, builder.shuffle_vector(value, value, mask))
            half //= 2
        total = builder.extract_element(value, ir.Constant(ir.IntType(32), 0))
        address = builder.extract_value(line, Line._fields.index(field))
        where = builder.inttoptr(address, ir.DoubleType().as_pointer())
        builder.store(builder.fadd(builder.load(where), total), where)


def _on_line(emit: Callable[[Any, Sequence[Any]], None]) -> Any:
    """Return an intrinsic: (line, count, least, most), the limits of the elements' type."""

    @intrinsic
    def on_line(context: Any, line: Any, count: Any, least: Any, most: Any) -> Any:
        def body(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            emit(builder, given)
            return context.get_dummy_value()

        return types.void(line, count, least, most), body

    return on_line


def _make_sums(held: bool, by_lane: bool) -> Any:
    """Make: add `one`, and its products with `other`, to the sums of each lane, or of the line."""

    def emit(builder: Any, given: Sequence[Any]) -> None:
        fields = ("one", "other", *("held",) * held)
        loop = _Loop(builder, given, (*fields, *_SUMS) if by_lane else fields)
        slots = [] if by_lane else [cgutils.alloca_once(builder, loop.wide) for _ in _SUMS]
        for slot in slots:
            builder.store(ir.Constant(loop.wide, [0.0] * loop.do.lanes), slot)

        def step(tile: Tile, at: _At) -> None:
            one = loop.widened(loop.counted(tile, at))
            product = builder.fmul(one, loop.widened(tile.load(at["other"], 0)))
            if by_lane:
                loop.add(one, at["out"])
                loop.add(product, at["products"])
            for slot, value in zip(slots, (one, product), strict=False):
                builder.store(builder.fadd(builder.load(slot), value), slot)

        loop.run(step, _SUMS)
        for slot, field in zip(slots, _SUMS, strict=False):
            loop.add_lanes(builder.load(slot), field, given[0])

    return _on_line(emit)


def _make_scaled(by_lane: bool) -> Any:
    """Make: write ``one * scale + shift``, clamped."""

    def emit(builder: Any, given: Sequence[Any]) -> None:
        factors = ("scale", "shift")
        streams = ("one", "out")
        loop = _Loop(builder, given, *(((*streams, *factors),) if by_lane else (streams, factors)))

        def step(tile: Tile, at: _At) -> None:
            scale, shift = (loop.number(tile, at, field) for field in factors)
            value = loop.do.fma(tile.load(at["one"], 0), scale, shift)
            tile.store(loop.clamped(value), at["out"], 0)

        loop.run(step)

    return _on_line(emit)


def _make_mixed(held: bool, by_lane: bool) -> Any:
    """Make: write ``one * scale + other * share + shift``."""

    def emit(builder: Any, given: Sequence[Any]) -> None:
        factors = ("scale", "share", "shift")
        streams = ("one", "other", *("held",) * held, "out")
        loop = _Loop(builder, given, *(((*streams, *factors),) if by_lane else (streams, factors)))

        def step(tile: Tile, at: _At) -> None:
            scale, share, shift = (loop.number(tile, at, field) for field in factors)
            moved = loop.do.fma(tile.load(at["other"], 0), share, shift)
            tile.store(loop.do.fma(loop.counted(tile, at), scale, moved), at["out"], 0)

        loop.run(step)

    return _on_line(emit)


def _clamped(builder: Any, given: Sequence[Any]) -> None:
    """Emit: write `one`, clamped."""
    loop = _Loop(builder, given, ("one", "out"))
    loop.run(lambda tile, at: tile.store(loop.clamped(tile.load(at["one"], 0)), at["out"], 0))


def _counted(builder: Any, given: Sequence[Any]) -> None:
    """Emit: write `one` where it counts, else 0."""
    loop = _Loop(builder, given, ("one", "held", "out"))
    loop.run(lambda tile, at: tile.store(loop.counted(tile, at), at["out"], 0))


sum_lanes, sum_run = (_make_sums(False, by_lane) for by_lane in (True, False))
sum_held_lanes, sum_held_run = (_make_sums(True, by_lane) for by_lane in (True, False))
scale_lanes, scale_run = map(_make_scaled, (True, False))
mix_lanes, mix_run = (_make_mixed(False, by_lane) for by_lane in (True, False))
mix_held_lanes, mix_held_run = (_make_mixed(True, by_lane) for by_lane in (True, False))
clamp_line, count_line = map(_on_line, (_clamped, _counted))
