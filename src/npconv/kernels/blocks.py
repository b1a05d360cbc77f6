"""Weights as the register tile reads them: blocks of outputs, taps and channels in a row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entry
from npconv.kernels.fields import opened, read
from npconv.kernels.inner import inner
from npconv.kernels.planes import transpose

copy = simd.copy
fill = simd.fill


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


@entry
def pack_float32(record, item, thread):
    """Write an item's blocks."""
    _pack(record, item, np.float32(0))


@entry
def pack_float64(record, item, thread):
    """Write an item's blocks."""
    _pack(record, item, np.float64(0))


PACK = {"f": pack_float32, "d": pack_float64}


@inner
def _pack(record, item, zero):
    """Write an item's blocks."""
    given = read(record, Weights)
    row = given.block * simd.nbytes(zero)
    group_blocks = -(-given.outputs // given.block)
    first = item * given.item_blocks
    for kb in range(first, min(first + given.item_blocks, given.blocks)):
        output = kb // group_blocks * given.outputs + kb % group_blocks * given.block
        here = min(given.block, given.outputs - kb % group_blocks * given.block)
        write = given.packed + kb * given.taps * given.channels * row
        _pack_block(given, given.weight + output * given.output_step, here, write, zero)


@inner
def _pack_block(given, source, here, write, zero):
    """Write `here` outputs as rows of a block."""
    size, channels, taps = simd.nbytes(zero), given.channels, given.taps
    row = given.block * size
    if given.channel_step == size and given.output_step != size:
        for t in range(taps):
            at = source + simd.read_int(given.offsets + 8 * t)
            to = write + t * channels * row
            transpose(at, given.output_step, here, channels, to, row, zero)
    else:
        for c in range(channels):
            for t in range(taps):
                at = source + c * given.channel_step + simd.read_int(given.offsets + 8 * t)
                to = write + (t * channels + c) * row
                if given.output_step == size:
                    copy(to, at, here, zero)
                else:
                    simd.gather(to, at, given.output_step, here, zero)
    if here < given.block:
        for c in range(taps * channels):
            fill(write + c * row + here * size, given.block - here, zero)


def warm() -> None:
    """Run each kernel once, on one number, for each type it is compiled for."""
    tap = np.zeros(1, np.int64)
    for dtype in map(np.dtype, PACK):
        data = np.zeros(1, dtype)
        at, size = data.ctypes.data, data.itemsize
        memory = opened(Weights(at, at, tap.ctypes.data, 1, size, size, 1, 1, 1, 1, 1), 0)
        PACK[dtype.char](memory.ctypes.data, 0, 0)
