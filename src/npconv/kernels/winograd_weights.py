"""The weights of a Winograd convolution, transformed and laid as its register tile reads them."""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.entry import entry
from npconv.kernels.fields import cell, nbytes, read, scratch
from npconv.kernels.inner import inner
from npconv.kernels.winograd_layer import VECTORS, Layer
from npconv.kernels.winograd_transforms import transform

copy = simd.copy
fill = simd.fill
gather = simd.gather


@inner
def pack_block(record, group, kb, packed, taps, zero):
    """Write block kb of a group's transformed weight to the address `packed`.

    It is (planes, taps of the depth, channels, block), zeros after the last output.  taps: address
    of room for (rows, columns, block).
    """
    layer = read(record, Layer)
    weight, high, wide = layer.weight, layer.high, layer.wide
    size = simd.nbytes(zero)
    block = VECTORS * simd.width(zero)
    row = block * size
    here = min(block, layer.outputs - kb * block)
    first = weight.address + group * weight.group + kb * block * weight.output
    for p in range(layer.depth.taps):
        for c in range(layer.channels):
            kernel = first + p * weight.depth + c * weight.channel
            write = taps
            for i in range(high.taps):
                for j in range(wide.taps):
                    given = kernel + i * weight.row + j * weight.column
                    if weight.output == size:
                        copy(write, given, here, zero)
                    else:
                        gather(write, given, weight.output, here, zero)
                    fill(write + here * size, block - here, zero)
                    write += row
            transform(layer.transforms.kernel, VECTORS, taps, wide.taps * row, row,
                      packed + (p * layer.channels + c) * row, wide.span * layer.plane,
                      layer.plane)  # fmt: skip


@inner
def _pack(record, item, thread, zero):
    layer, part = read(record, Layer), cell(read(record, Layer).grid, item)
    room = scratch(record, nbytes(Layer), layer.room.nbytes, thread)
    block = layer.high.span * layer.wide.span * layer.plane
    for kb in range(part.block, part.last_block):
        at = layer.call.packed + part.group * layer.shared.packed + kb * block
        pack_block(record, part.group, kb, at, room + layer.room.transform, zero)


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
