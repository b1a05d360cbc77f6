"""The record of an input gradient of few channels, and the scratch that it needs.

Steps are in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.fields import Grid


class Call(NamedTuple):
    """What each call adds: addresses."""

    grad: int
    weight: int
    out: int


class Steps(NamedTuple):
    """Where an array lies: bytes to the next image, depth, line, pixel and channel."""

    image: int
    depth: int
    height: int
    width: int
    channel: int


class Axis(NamedTuple):
    """Elements of grad_x, how many are padded before them, and the windows over them."""

    size: int
    before: int
    windows: int
    taps: int
    stride: int
    dilation: int


class Span(NamedTuple):
    """Windows of an axis, the first and how many."""

    first: int
    count: int


class Sizes(NamedTuple):
    """Channels of grad_x and of grad_out, how products lie, and what is held of them.

    A pixel's products are `blocks` of `block`, for one depth of the kernel.  A line of the kernel
    is `runs` of them that are each `run` numbers side by side in grad_x.
    held: lines of products.  turned: lines of grad_out with their channels side by side, 0 where
    they lie so.  widest: pixels of a line of these, at most.  lines: of grad_x.  line: numbers of
    one of these, with what is beside it.
    """

    channels: int
    outputs: int
    block: int
    blocks: int
    runs: int
    run: int
    held: int
    turned: int
    widest: int
    lines: int
    line: int


class Room(NamedTuple):
    """Scratch of one thread: where each begins, in bytes; pixel: bytes of a pixel's products.

    start      (block)                        what is added to products: zeros
    products   (held, widest, blocks, block)  and a vector more
    turned     (turned, widest, outputs)
    lines      (lines, line)
    table      (tiles, rows) int64            addresses in grad_out
    out_table  (tiles, rows) int64            addresses in `products`
    sources    (taps of the height) int64     addresses in `products`
    """

    start: int
    products: int
    turned: int
    lines: int
    table: int
    out_table: int
    sources: int
    pixel: int


class Layer(NamedTuple):
    """The record of an input gradient.

    The grid's groups are images' depths of grad_x, its tiles lines, its blocks columns.  each:
    bytes of a thread's scratch.
    """

    call: Call
    grad: Steps
    out: Steps
    depth: Axis
    height: Axis
    width: Axis
    sizes: Sizes
    room: Room
    grid: Grid
    each: int


class Patch(NamedTuple):
    """What of a plane of grad_x is computed from what of one of grad_out.

    grad, weight and out are the addresses of the plane of grad_out, of a depth of the kernel, and
    of the plane of grad_x; then elements of grad_x, first and last + 1, and the windows over them.
    """

    grad: int
    weight: int
    out: int
    line: int
    last_line: int
    column: int
    last_column: int
    down: Span
    across: Span
