"""Weights as the register tile reads them: blocks of outputs, taps and channels in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from npconv.kernels import simd
from npconv.kernels.ahead import LINE, expect
from npconv.kernels.combs import comb, has_comb
from npconv.kernels.entry import entries, prepare
from npconv.kernels.fields import read
from npconv.kernels.inner import inner
from npconv.kernels.planes import transpose, turned

copy = simd.copy
fill = simd.fill
_AHEAD = 4  # channels that are asked for before they are read


class Weights(NamedTuple):
    """The record of (taps, channels, groups * outputs) written as (blocks, taps, channels, block).

    weight and packed are addresses, offsets that of `taps` int64: the byte offset of each; steps
    are in bytes.  A group has ceil(outputs / block) blocks, zeros after its last output; `blocks`
    are those of all the groups, `item_blocks` those of an item.
    """

    weight: int
    packed: int
    offsets: int
    taps: int
    channel_step: int
    output_step: int
    channels: int
    outputs: int
    block: int
    blocks: int
    item_blocks: int


@entries
def pack(record, item, thread, zero):
    """Write an item's blocks."""
    given = read(record, Weights)
    row = given.block * simd.nbytes(zero)
    group_blocks = -(-given.outputs // given.block)
    first = item * given.item_blocks
    for kb in range(first, min(first + given.item_blocks, given.blocks)):
        output = kb // group_blocks * given.outputs + kb % group_blocks * given.block
        here = min(given.block, given.outputs - kb % group_blocks * given.block)
        write = given.packed + kb * given.taps * given.channels * row
        pack_block(given, given.weight + output * given.output_step, here, write, zero)


@inner
def pack_block(given, source, here, write, zero):
    """Write `here` outputs as rows of a block; `source` is the address of the first."""
    size, width, channels, taps = simd.nbytes(zero), simd.width(zero), given.channels, given.taps
    row = given.block * size
    tap_step = _tap_step(given, size)
    if given.output_step == size:
        for t in range(taps):
            at = source + simd.read_int(given.offsets + 8 * t)
            for c in range(channels):
                ahead = at + (c + 2 * _AHEAD) * given.channel_step
                for line in range(0, row, LINE):
                    expect(ahead + line)
                copy(write + (t * channels + c) * row, at + c * given.channel_step, here, zero)
    elif given.channel_step == size:
        for t in range(taps):
            at = source + simd.read_int(given.offsets + 8 * t)
            to = write + t * channels * row
            transpose(at, given.output_step, here, channels, to, row, zero)
    elif tap_step == 0 or here < width:
        _one_by_one(given, source, here, write, zero)
    elif given.channel_step == taps * size and channels * taps >= width:
        _by_runs(given, source, tap_step, here, write, zero)
    elif given.output_step == taps * size and has_comb(taps):
        lowest, to, step = _lowest(given, source, tap_step, write, size)
        for c in range(channels):
            at = lowest + c * given.channel_step
            for line in range(0, here * given.output_step, LINE):
                expect(at + _AHEAD * given.channel_step + line)
            comb(at, taps, here, to + c * row, step, zero)
    else:
        _one_by_one(given, source, here, write, zero)
    if here < given.block:
        for c in range(taps * channels):
            fill(write + c * row + here * size, given.block - here, zero)


@inner
def _one_by_one(given, source, here, write, zero):
    """Write each channel of each tap by itself."""
    size, row = simd.nbytes(zero), given.block * simd.nbytes(zero)
    for c in range(given.channels):
        for t in range(given.taps):
            at = source + c * given.channel_step + simd.read_int(given.offsets + 8 * t)
            to = write + (t * given.channels + c) * row
            if given.output_step == size:
                copy(to, at, here, zero)
            else:
                simd.gather(to, at, given.output_step, here, zero)


@inner
def _tap_step(given, size):
    """Return the bytes from tap to tap where they lie side by side, in either order, else 0."""
    if given.taps < 2:
        return 0
    first = simd.read_int(given.offsets)
    step = simd.read_int(given.offsets + 8) - first
    for t in range(given.taps):
        if simd.read_int(given.offsets + 8 * t) != first + t * step:
            return 0
    return step if abs(step) == size else 0


@inner
def _lowest(given, source, tap_step, write, size):
    """Return where the lowest tap lies, where it is written, and the next one after it."""
    step = given.channels * given.block * size
    if tap_step > 0:
        return source, write, step
    last = given.taps - 1
    return source + last * tap_step, write + last * step, -step


@inner
def _by_runs(given, source, tap_step, here, write, zero):
    """Write channels whose taps follow one another, squares of these runs."""
    size, width, taps = simd.nbytes(zero), simd.width(zero), given.taps
    row, run = given.block * size, given.channels * taps
    lowest, to, step = _lowest(given, source, tap_step, write, size)
    for i in range(0, run, width):
        begin = min(i, run - width)
        c, t = begin // taps, begin % taps
        for j in range(0, here, width):
            output = min(j, here - width)
            at = lowest + output * given.output_step + begin * size
            _deal(at, given.output_step, to + c * row + t * step + output * size, taps - t,
                  taps, step, row, zero)  # fmt: skip


@intrinsic
def _deal(
    context: Any, source: Any, source_step: Any, target: Any, left: Any, taps: Any, tap_step: Any,
    channel_step: Any, like: Any,
) -> Any:  # fmt: skip
    """Transpose a square, and write each row where the next tap of a channel stands.

    After `left` rows the next channel's first tap follows.
    """

    def emit(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        read, read_step, write, left, taps, step, channel_step, _ = given
        do = simd.Vectors(builder, like.name)
        one = do.integer(1)
        back = builder.mul(step, builder.sub(taps, one))
        following = builder.sub(channel_step, back)
        rows = []
        for _ in range(do.lanes):
            rows.append(do.load(read))
            read = builder.add(read, read_step)
        for row in turned(do, rows):
            do.store(row, write)
            ends = builder.icmp_signed("==", left, one)
            write = builder.add(write, builder.select(ends, following, step))
            left = builder.select(ends, taps, builder.sub(left, one))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7, like), emit


def warm() -> None:
    """Have each entry compiled, or loaded."""
    prepare(pack)
