"""Channels first to channels last and back: squares of vectors, transposed in registers."""

from __future__ import annotations

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled


@compiled
def transpose(source, source_step, rows, columns, target, target_step, like):
    """Write target[j, i] = source[i, j] for i < rows, j < columns.

    Addresses, and the bytes from row to row; elements of a row lie side by side.
    """
    size = simd.nbytes(like)
    width = simd.width(like)
    for i in range(0, rows, width):
        high = min(width, rows - i)
        for j in range(0, columns, width):
            wide = min(width, columns - j)
            read = source + i * source_step + j * size
            write = target + j * target_step + i * size
            if high == width and wide == width:
                simd.transpose_square(read, source_step, write, target_step, like)
            else:
                for a in range(wide):
                    simd.gather(write + a * target_step, read + a * size, source_step, high, like)


def warm() -> None:
    """Run the kernel once for each type it is compiled for."""
    for dtype in (np.float32, np.float64):
        one = np.zeros(2, dtype)
        at, size = one.ctypes.data, one.itemsize
        transpose(at, size, 1, 1, at + size, size, dtype(0))
