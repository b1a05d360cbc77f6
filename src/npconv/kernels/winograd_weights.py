"""The weights of a Winograd convolution, transformed and laid as its register tile reads them."""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.entry import entry
from npconv.kernels.winograd_layer import VECTORS
from npconv.kernels.winograd_record import (
    block_of,
    group_of,
    layer_of,
    packed_of,
    part_of,
    weight_of,
)
from npconv.kernels.winograd_transforms import transform

copy = simd.copy
fill = simd.fill
gather = simd.gather


@compiled
def pack_block(weight, layer, kb, packed, scratch):
    """Write block kb of the transformed weight to the address `packed`.

    It is (planes, taps of the depth, channels, block), zeros after the last output.  scratch:
    address of rows*columns*block elements.
    """
    high, wide, zero = layer.high, layer.wide, layer.zero
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    block = VECTORS * lanes
    row = block * size
    panel = layer.channels * row
    plane = layer.depth.taps * panel
    here = min(block, layer.outputs - kb * block)
    for p in range(layer.depth.taps):
        for c in range(layer.channels):
            kernel = weight.address + p * weight.depth + c * weight.channel
            kernel += kb * block * weight.output
            for i in range(high.taps):
                for j in range(wide.taps):
                    read = kernel + i * weight.row + j * weight.column
                    write = scratch + (i * wide.taps + j) * row
                    if weight.output == size:
                        copy(write, read, here, zero)
                    else:
                        gather(write, read, weight.output, here, zero)
                    fill(write + here * size, block - here, zero)
            at = packed + p * panel + c * row
            for v in range(0, block, lanes):
                transform(layer.transforms.kernel, scratch + v * size, wide.taps * row, row,
                          at + v * size, wide.span * plane, plane)  # fmt: skip


@compiled
def _pack(record, item, thread, zero):
    part, record = part_of(record, item), group_of(record, item)
    weight, layer = weight_of(record), layer_of(record, zero)
    _, scratch = block_of(record, thread)
    for kb in range(part.first_block, part.last_block):
        pack_block(weight, layer, kb, packed_of(record, kb), scratch)


@entry
def pack_single(record, item, thread):
    """Write a part of the blocks of the transformed weight."""
    _pack(record, item, thread, np.float32(0))


@entry
def pack_double(record, item, thread):
    """Do the same in float64."""
    _pack(record, item, thread, np.float64(0))


PACK = {"f": pack_single, "d": pack_double}


def warm() -> None:
    """Have each entry compiled, or loaded."""
    for one in PACK.values():
        one.prepare()
