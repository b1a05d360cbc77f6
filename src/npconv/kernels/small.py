"""The definition as loops over a table of offsets: for what is too small to prepare anything for.

All that is known of a problem beforehand lies in one array, so that a call has few arguments.
"""

from __future__ import annotations

import itertools

import numpy as np

from npconv.kernels import simd
from npconv.kernels.compile import compiled
from npconv.kernels.inner import inner

load, store = simd.load, simd.store
COUNTS = 12  # numbers at the start of the table


@compiled
def convolve(x, weight, bias, out, table, limits):
    """Write a convolution.

    x, weight, out: addresses; bias: that of a number for each output channel.
    table: int64; images, pixels, taps, groups, channels and outputs of a group; bytes from image to
    image and channel to channel of x, channel to channel and output to output of weight, image to
    image and channel to channel of out; then the byte offset of each pixel in out, of each tap in
    weight, and of each tap of each pixel in x, -1 where there is a zero.
    limits (3,): zero, and the least and the most that is written.
    """
    _convolve(x, weight, bias, out, table, limits)


@inner
def _convolve(x, weight, bias, out, table, limits):
    """Do the same, where the addresses are int64."""
    images, pixels, taps = table[0], table[1], table[2]
    groups, channels, outputs = table[3], table[4], table[5]
    x_image, x_channel, w_channel, w_output = table[6], table[7], table[8], table[9]
    out_image, out_channel = table[10], table[11]
    zero, least, most = limits[0], limits[1], limits[2]
    size = simd.nbytes(zero)
    for n in range(images):
        for o in range(groups * outputs):
            first = x + n * x_image + o // outputs * channels * x_channel
            kernel = weight + o * w_output
            start = load(bias + o * size, zero)
            at = COUNTS + pixels + taps
            for p in range(pixels):
                total = zero
                for t in range(taps):
                    w_at = kernel + table[COUNTS + pixels + t]
                    offset = table[at]
                    at += 1
                    for c in range(channels):
                        value = zero
                        if offset != -1:
                            value = load(first + offset + c * x_channel, zero)
                        total += value * load(w_at + c * w_channel, zero)
                total += start
                if total < least:
                    total = least
                if total > most:
                    total = most
                store(out + n * out_image + o * out_channel + table[COUNTS + p], total)


@compiled
def convolve_arrays(x, weight, bias, out, table, limits):
    """Write a convolution of arrays as `convolve` does: their strides are those of the table."""
    _convolve(
        np.int64(x.ctypes.data), np.int64(weight.ctypes.data), np.int64(bias.ctypes.data),
        np.int64(out.ctypes.data), table, limits,
    )  # fmt: skip


def warm() -> None:
    """Run the kernels once, on one pixel, for each type and number of axes."""
    table = np.zeros(COUNTS + 3, np.int64)
    table[:6] = 1
    for dtype, ndim in itertools.product((np.float32, np.float64), (2, 3, 4, 5)):
        x, weight, out = (np.zeros((1,) * ndim, dtype) for _ in range(3))
        bias, limits = np.zeros(1, dtype), np.zeros(3, dtype)
        convolve_arrays(x, weight, bias, out, table, limits)
        at = x.ctypes.data
        convolve(at, weight.ctypes.data, bias.ctypes.data, out.ctypes.data, table, limits)
