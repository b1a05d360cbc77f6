"""Means of whole planes: sums along memory, a lane of a vector for every so many pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import Grid, cell, read
from npconv.kernels.pool_vectors import VECTORS, Tile
from npconv.kernels.record import of_type
from npconv.kernels.simd import Vectors


class Call(NamedTuple):
    """What each call adds: addresses."""

    x: int
    out: int


class Planes(NamedTuple):
    """The record of means of planes of `pixels` that follow one another; a block is a plane.

    Steps are bytes from plane to plane, and from mean to mean; a group is an image.
    """

    call: Call
    image: int
    step: int
    out_image: int
    out_step: int
    pixels: int
    grid: Grid


@intrinsic
def _sum(context: Any, at: Any, count: Any, like: Any) -> Any:
    """Return the sum of `count` numbers that lie side by side: by lanes, then these by halves."""

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        at, count, _ = given
        wide = Tile(builder, like.name, VECTORS, None)
        do, total = wide.do, wide.slots(wide.do.zero)
        each = do.integer(VECTORS * do.lanes)
        span = do.integer(VECTORS * do.lanes * do.nbytes)
        loops = builder.sdiv(count, each)
        with wide.each(loops, [at], [span]) as (here,):
            for v in wide.vectors:
                builder.store(builder.fadd(builder.load(total[v]), wide.load(here, v)), total[v])
        done = builder.mul(loops, each)
        left = builder.sub(count, done)
        at = do.at(at, done)
        narrow = Tile(builder, like.name, 1, None)
        parts = builder.sdiv(left, do.integer(do.lanes))
        with narrow.each(parts, [at], [do.integer(do.lanes * do.nbytes)]) as (here,):
            builder.store(builder.fadd(builder.load(total[0]), narrow.load(here, 0)), total[0])
        whole = builder.mul(parts, do.integer(do.lanes))
        rest = Tile(builder, like.name, 1, builder.sub(left, whole)).load(do.at(at, whole), 0)
        builder.store(builder.fadd(builder.load(total[0]), rest), total[0])
        sums = [builder.load(slot) for slot in total]
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [builder.fadd(first, second) for first, second in pairs]
        return _added(do, sums[0])

    return like(types.int64, types.int64, like), emit


def _added(do: Vectors, vector: Any) -> Any:
    """Return the sum of a vector's lanes."""
    half = do.lanes // 2
    while half:
        lanes = [(lane + half) % do.lanes for lane in range(do.lanes)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), do.lanes), lanes)
        other = do.builder.shuffle_vector(vector, vector, mask)
        vector = do.builder.fadd(vector, other)
        half //= 2
    return do.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@entries
def mean(record, item, thread, zero):
    """Write the means of an item's planes."""
    given = read(record, Planes)
    part, count = cell(given.grid, item), of_type(given.pixels, zero)
    for n in range(part.group, part.last_group):
        for c in range(part.block, part.last_block):
            at = given.call.x + n * given.image + c * given.step
            total = _sum(at, given.pixels, zero)
            simd.store(given.call.out + n * given.out_image + c * given.out_step, total / count)


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(mean)
