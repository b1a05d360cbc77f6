"""The weights of a Winograd convolution, transformed and laid as its register tile reads them."""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.sandwich import of_kernel
from npconv.kernels.winograd_layer import VECTORS, Depth, Layer, Side, Weight

copy = simd.copy
fill = simd.fill
gather = simd.gather


@compiled
def pack(weight, layer, packed, first, last, scratch):
    """Write blocks `first` to `last` - 1 of the transformed weight from the address `packed` on.

    Each is (planes, taps of the depth, channels, block), zeros after the last output.  scratch:
    address of rows*columns*block + span*columns*lanes elements.
    """
    high, wide, zero = layer.high, layer.wide, layer.zero
    size = simd.nbytes(zero)
    lanes = simd.width(zero)
    vector = lanes * size
    block = VECTORS * lanes
    row = block * size
    panel = layer.channels * row
    plane = layer.depth.taps * panel
    middle = scratch + high.taps * wide.taps * row
    for kb in range(first, last):
        here = min(block, layer.outputs - kb * block)
        start = packed + (kb - first) * high.span * wide.span * plane
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
                at = start + p * panel + c * row
                for v in range(0, block, lanes):
                    of_kernel(high.number, wide.taps, scratch + v * size, wide.taps * row, row,
                              middle, wide.taps * vector, vector, zero)  # fmt: skip
                    of_kernel(wide.number, high.span, middle, vector, wide.taps * vector,
                              at + v * size, plane, wide.span * plane, zero)  # fmt: skip


def warm() -> None:
    """Run each kernel once, on one pixel, for each type it is compiled for."""
    one, depth = Side(0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0), Depth(1, 1, 1, 1, 1, 1, 0, 0, 0)
    for dtype in (np.float32, np.float64):
        block = VECTORS * simd.lanes(np.dtype(dtype).name)
        data, scratch = np.zeros(block, dtype), np.zeros(3 * block, dtype)
        layer = Layer(np.zeros(1, np.int64), depth, one, one, 1, 1, dtype(0))
        at = data.ctypes.data
        pack(Weight(at, 0, 0, 0, 0, 0), layer, at, 0, 1, scratch.ctypes.data)
