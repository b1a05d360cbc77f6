"""What pooling does to vectors: a lane for each channel, over all that windows hold.

A tile goes over a run of windows, all of whose boxes are alike: the first box is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npconv.kernels.pool_vectors import Tile

# Fields of a run, after the count.
BOX, TO, OTHER, NUMBER = range(4)


def make_largest(vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile of the largest, an intrinsic; part: only of the first `lanes` of a vector.

    ::

        largest(run, box, out, lanes, like)      out[v] = the largest of a box's [v]; NaN is larger
                                                 than any number
    """

    @intrinsic
    def largest(context: Any, run: Any, box: Any, out: Any, lanes: Any, like: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            run, box, out, lanes, _ = given
            tile = Tile(builder, like.name, vectors, lanes if part else None)
            held = tile.slots(_lowest(tile))
            with tile.windows(run, [tile.begin(box), out], [BOX, TO]) as (begin, to):
                tile.fill(held, _lowest(tile))
                with tile.taps(box, begin) as (at,):
                    for v in tile.vectors:
                        new, old = tile.load(at, v), builder.load(held[v])
                        # So that the first choice is one instruction.
                        more = builder.select(builder.fcmp_ordered(">", new, old), new, old)
                        lost = builder.fcmp_unordered("uno", new, new)
                        builder.store(builder.select(lost, new, more), held[v])
                for v in tile.vectors:
                    tile.store(builder.load(held[v]), to, v)
            return context.get_dummy_value()

        return types.void(run, box, types.int64, types.int64, like), emit

    return largest


def _lowest(tile: Tile) -> Any:
    return ir.Constant(tile.do.vector, [float("-inf")] * tile.do.lanes)


def make_winners(vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile of the largest and of where they stand, an intrinsic.

    ::

        winners(run, box, numbering, out, places, lanes, like)

        out[v], places[v] = the first largest of a box's [v], or the last NaN, and its place
    """

    @intrinsic
    def winners(
        context: Any, run: Any, box: Any, numbering: Any, out: Any, places: Any, lanes: Any,
        like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            run, box, numbering, out, places, lanes, _ = given
            tile = Tile(builder, like.name, vectors, lanes if part else None)
            begins = [tile.begin(box), out, places, tile.begin(numbering)]
            with tile.windows(run, begins, [BOX, TO, OTHER, NUMBER]) as (begin, to, where, first):
                held, stands = _search(tile, box, begin, numbering, first)
                for v in tile.vectors:
                    tile.store(held[v], to, v)
                    place = stands[v]
                    if tile.place != tile.places:
                        place = builder.sext(place, tile.places)
                    tile.store(place, where, v)
            return context.get_dummy_value()

        return types.void(run, box, numbering, *[types.int64] * 3, like), emit

    return winners


def _search(
    tile: Tile, box: Any, begin: Any, numbering: Any, first: Any
) -> tuple[list[Any], list[Any]]:
    """Return the largest of a box and their places."""
    builder = tile.builder
    held, stands = tile.slots(_lowest(tile)), tile.slots(tile.spread(first))
    with tile.taps(box, begin, numbering, first) as (at, number):
        here = tile.spread(number)
        for v in tile.vectors:
            new, old = tile.load(at, v), builder.load(held[v])
            lost = builder.fcmp_unordered("uno", new, new)
            wins = builder.or_(builder.fcmp_ordered(">", new, old), lost)
            builder.store(builder.select(wins, new, old), held[v])
            builder.store(builder.select(wins, here, builder.load(stands[v])), stands[v])
    return [builder.load(slot) for slot in held], [builder.load(slot) for slot in stands]


def make_mean(vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile of means, an intrinsic.

    ::

        mean(run, box, out, lanes, count)      out[v] = the sum of a box's [v] / count

    Lines are summed up each by itself: an error grows with a line's length and their number.
    """

    @intrinsic
    def mean(context: Any, run: Any, box: Any, out: Any, lanes: Any, count: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            run, box, out, lanes, count = given
            tile = Tile(builder, type_of.name, vectors, lanes if part else None)
            none = tile.do.zero
            total, held, divisor = tile.slots(none), tile.slots(none), tile.do.spread(count)
            with tile.windows(run, [tile.begin(box), out], [BOX, TO]) as (begin, to):
                tile.fill(total, none)
                with tile.lines(box, begin) as line:
                    tile.fill(held, none)
                    with tile.each(tile.length(box), line, [tile.step(box)]) as (at,):
                        for v in tile.vectors:
                            added = builder.fadd(builder.load(held[v]), tile.load(at, v))
                            builder.store(added, held[v])
                    for v in tile.vectors:
                        added = builder.fadd(builder.load(total[v]), builder.load(held[v]))
                        builder.store(added, total[v])
                for v in tile.vectors:
                    tile.store(builder.fdiv(builder.load(total[v]), divisor), to, v)
            return context.get_dummy_value()

        type_of = count
        return types.void(run, box, types.int64, types.int64, count), emit

    return mean


def make_give(vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile that adds a gradient where the largest of a box stands, an intrinsic.

    ::

        give(run, box, numbering, to, to_numbering, grad, lanes, like)

        to[v] += grad[v]      at the place of the largest of the box's [v]; elsewhere 0
    """

    @intrinsic
    def give(
        context: Any, run: Any, box: Any, numbering: Any, to: Any, to_numbering: Any, grad: Any,
        lanes: Any, like: Any,
    ) -> Any:  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            run, box, numbering, to, to_numbering, grad, lanes, _ = given
            tile = Tile(builder, like.name, vectors, lanes if part else None)
            begins = [tile.begin(one) for one in (box, numbering, to, to_numbering)]
            steps = [BOX, NUMBER, TO, NUMBER, OTHER]
            with tile.windows(run, [*begins, grad], steps) as (begin, first, end, last, given_at):
                _, stands = _search(tile, box, begin, numbering, first)
                values = [tile.load(given_at, v) for v in tile.vectors]
                with tile.taps(to, end, to_numbering, last) as (at, number):
                    here = tile.spread(number)
                    for v in tile.vectors:
                        meant = builder.icmp_signed("==", here, stands[v])
                        added = builder.select(meant, values[v], tile.do.zero)
                        tile.store(builder.fadd(tile.load(at, v), added), at, v)
            return context.get_dummy_value()

        numbers = box, numbering, to, to_numbering, types.int64, types.int64
        return types.void(run, *numbers, like), emit

    return give


def make_share(vectors: int, part: bool) -> Callable[..., None]:
    """Return the tile that adds a mean's gradient to all of a box, an intrinsic.

    ::

        share(run, to, grad, lanes, count)      to[v] += grad[v] / count
    """

    @intrinsic
    def share(context: Any, run: Any, to: Any, grad: Any, lanes: Any, count: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            run, to, grad, lanes, count = given
            tile = Tile(builder, type_of.name, vectors, lanes if part else None)
            divisor = tile.do.spread(count)
            with tile.windows(run, [tile.begin(to), grad], [TO, OTHER]) as (begin, given_at):
                values = [builder.fdiv(tile.load(given_at, v), divisor) for v in tile.vectors]
                with tile.taps(to, begin) as (at,):
                    for v in tile.vectors:
                        tile.store(builder.fadd(tile.load(at, v), values[v]), at, v)
            return context.get_dummy_value()

        type_of = count
        return types.void(run, to, types.int64, types.int64, count), emit

    return share


@intrinsic
def clear(context: Any, at: Any, nbytes: Any) -> Any:
    """Write zeros to so many bytes."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        where = builder.inttoptr(given[0], ir.IntType(8).as_pointer())
        cgutils.memset(builder, where, given[1], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit
