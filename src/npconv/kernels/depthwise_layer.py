"""The records of depthwise kernels, and the scratch that they need.

Lanes of a vector are groups.  x and the result lie in planes, one for each channel, or output, of a
group: in a plane a pixel's groups lie side by side.  Weights are (outputs of a group, taps,
groups), where taps are those of the kernel for each channel of a group.  Steps are in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.direct_layer import Three
from npconv.kernels.fields import Grid


class Source(NamedTuple):
    """How x is read: its planes, bytes from image to image, an offset for each position.

    depth, height and width are addresses of int64: the byte offset of each padded position of their
    axis, -1 where there is a zero.  zeros is the address of as many zeros as there are groups.  x
    holds all that the windows first to last - 1 of a line read, a position `pixel` bytes after the
    one before it; and all that the lines line_first to line_last - 1 of a plane of windows do, of
    the planes plane_first to plane_last - 1.
    """

    planes: int
    plane: int
    image: int
    depth: int
    height: int
    width: int
    zeros: int
    pixel: int
    first: int
    last: int
    line_first: int
    line_last: int
    plane_first: int
    plane_last: int


class Target(NamedTuple):
    """Where out, or its gradient, lies: its planes, and bytes from one image ... pixel to the next.

    A step is that of an axis.
    """

    planes: int
    plane: int
    image: int
    depth: int
    height: int
    width: int


class Windows(NamedTuple):
    """Groups, and windows, taps, stride and dilation of each of the three axes."""

    groups: int
    out_size: Three
    kernel_size: Three
    stride: Three
    dilation: Three


class Call(NamedTuple):
    """What each call adds: addresses; bias: (outputs of a group, groups)."""

    x: int
    weights: int
    out: int
    bias: int


class Form(NamedTuple):
    """How many taps of a line a tile takes from where one is, a pixel's so far from the next's."""

    taps: int
    stride: int


class Planes(NamedTuple):
    """How an array lies channels first: bytes to the next image and channel, pixels of a plane."""

    image: int
    channel: int
    pixels: int


class Turn(NamedTuple):
    """What of arrays that lie channels first is laid channels last at once: `block` channels of x.

    block: 0 where arrays do not lie so.  out: the result's, or its gradient's.  tables: bytes of
    what comes before the (pixels, block) of either in a thread's scratch.
    """

    block: int
    x: Planes
    out: Planes
    tables: int


class Layer(NamedTuple):
    """The record of a convolution; a tile is a line of windows, a block `block` groups.

    Where arrays are turned, a group of the grid is an image, and source and target are of scratch.

    form: taps of the width and stride of a tile, where there is one for these, else 1 and 1.
    span and strip: groups, and tiles of a line, that are gone through for a few lines before the
    next are.  slots: tiles of a line whose addresses differ by more than where they are; 0 where
    they are too many to be held.  skips: whether a tap in the padding adds nothing, not even a NaN.
    each: bytes of a thread's scratch.
    """

    call: Call
    source: Source
    target: Target
    windows: Windows
    form: Form
    turn: Turn
    block: int
    span: int
    strip: int
    slots: int
    skips: int
    least: float
    most: float
    grid: Grid
    each: int


class Room(NamedTuple):
    """Scratch of one thread: addresses.

    weights    (rows) int64                  addresses of what rows are multiplied with
    table      (slots, rows, columns) int64  addresses in x
    out_table  (slots, pixels) int64         addresses in the result
    """

    weights: int
    table: int
    out_table: int


class Work(NamedTuple):
    """What every tile of an item is multiplied with.

    weights: as in Room.  w_step: bytes of a tap's weights, as of an output's biases.  planes, plane
    and matrix: how many outputs a group has, and bytes from one to the next, in the result and in
    the weights.
    """

    weights: int
    rows: int
    w_step: int
    zeros: int
    taps: int
    stride: int
    planes: int
    plane: int
    matrix: int
    bias: int


class Stays(NamedTuple):
    """Whose addresses the slots hold: whether x holds all that the line reads, where both are."""

    regular: int
    x: int
    out: int


class GradientCall(NamedTuple):
    """What each call adds: addresses."""

    x: int
    grad: int
    sums: int


class Gradient(NamedTuple):
    """The record of a weight gradient; a tile is a line of windows, a block `block` groups.

    Each share of the lines has sums (outputs of a group, rows, taps of the form, groups); rows are
    `held` at a time, and the first of them those of the kernel.  each: bytes of a thread's scratch,
    which is two tables of addresses in x: (rows, columns) of a tile, and of one pixel.
    """

    call: GradientCall
    source: Source
    grad: Target
    windows: Windows
    form: Form
    turn: Turn
    rows: int
    held: int
    block: int
    grid: Grid
    each: int
