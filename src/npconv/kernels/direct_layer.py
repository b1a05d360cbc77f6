"""The record of a direct convolution, and the scratch that it needs.

Arrays lie channels last; steps are in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.blocks import Weights
from npconv.kernels.fields import Grid


class Call(NamedTuple):
    """What each call adds: addresses (bias: 0 for none), and whether out may be streamed."""

    x: int
    weights: int
    out: int
    bias: int
    streams: int


class Three(NamedTuple):
    """One number for each axis."""

    depth: int
    height: int
    width: int


class Source(NamedTuple):
    """How x is read: bytes from group to group and image to image, an offset for each position.

    depth, height and width are addresses of int64: the byte offset of each padded position of their
    axis, -1 where there is a zero.  zeros is the address of as many zeros as a tap holds numbers.
    x holds all that the outputs first to last - 1 of a line read, a pixel `pixel` bytes after the
    one before it.
    """

    group: int
    image: int
    depth: int
    height: int
    width: int
    zeros: int
    pixel: int
    first: int
    last: int


class Target(NamedTuple):
    """Where the result is written: bytes from one group, image and output to the next."""

    group: int
    image: int
    depth: int
    height: int
    width: int


class Windows(NamedTuple):
    """Outputs, taps, stride and dilation of each of the three axes.

    merged: how many taps of the width count as one, with all their channels: 1, or all of them.
    """

    out_size: Three
    kernel_size: Three
    stride: Three
    dilation: Three
    merged: int


class Sizes(NamedTuple):
    """Images, a group's channels and outputs, the outputs of a block, tiles known at once."""

    images: int
    channels: int
    outputs: int
    block: int
    held: int


class Limits(NamedTuple):
    """Between what sums are clamped."""

    least: float
    most: float


class Layer(NamedTuple):
    """The record of a convolution; a tile is one of pixels, a block one of outputs.

    each: bytes of a thread's scratch.  fresh: how the weight lies, of which each block is packed
    where it is used; of block 0 where it comes packed.
    """

    call: Call
    source: Source
    target: Target
    windows: Windows
    sizes: Sizes
    limits: Limits
    grid: Grid
    each: int
    fresh: Weights


PACKED = Weights(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Room(NamedTuple):
    """Scratch of one thread: addresses.

    spare      (rows, block)              what the result does not hold whole
    start      (block)                    what is added to sums
    packed     (taps, channels, block)    the weight of a block, where it is packed here
    table      (held, runs, rows) int64   addresses in x
    out_table  (held, rows) int64         addresses in the result
    row_table  (rows) int64               addresses of the rows of `spare`
    patches    (held, rows, merged run)   runs of taps that do not lie side by side in x
    """

    spare: int
    start: int
    packed: int
    table: int
    out_table: int
    row_table: int
    patches: int
