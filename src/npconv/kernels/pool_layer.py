"""The records of pooling kernels.

Arrays are (images, depth, height, width, channels), whichever way they lie; channels are the lanes
of vectors.  Steps are in bytes, and positions count x's elements along an axis.
"""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.direct_layer import Three
from npconv.kernels.fields import Grid

LARGEST, PLACES, MEAN = range(3)  # what is made of windows; PLACES: the largest, and where they are


class Lies(NamedTuple):
    """How an array lies: bytes from one image, depth, height, width and channel to the next."""

    image: int
    depth: int
    height: int
    width: int
    channel: int


class Axis(NamedTuple):
    """Windows along an axis: tap t of window i stands at first + i * stride + t * dilation.

    Of x's `size` positions windows meet those from `low` to `high` - 1; what is beyond is padding.
    """

    size: int
    windows: int
    taps: int
    stride: int
    dilation: int
    first: int
    low: int
    high: int


class Geometry(NamedTuple):
    """The windows along three axes.

    units: elements of an image and channel, row-major, from one depth, height and width to the
    next.  counts: addresses of int64, what each window of an axis is divided by.
    """

    depth: Axis
    height: Axis
    width: Axis
    units: Three
    counts: Three


class Cut(NamedTuple):
    """How work is cut up: a tile of the grid is `band` depths, a block `block` of the channels.

    turned: whether arrays lie in planes, whose channels are laid side by side in scratch, those of
    a block and a band at a time.  first, second, third: where in a thread's scratch, of `each`
    bytes, comes what.
    """

    channels: int
    block: int
    band: int
    turned: int
    first: int
    second: int
    third: int
    grid: Grid
    each: int


class Call(NamedTuple):
    """What each call adds: addresses; places: where the largest stand, int64."""

    x: int
    out: int
    places: int


class Layer(NamedTuple):
    """The record of a pooling: bands are windows of the depth; scratch is x's, out's, places'."""

    call: Call
    kind: int
    x: Lies
    out: Lies
    places: Lies
    geometry: Geometry
    cut: Cut


class GradientCall(NamedTuple):
    """What each call adds: addresses; x: of the numbers whose largest counted, if these count."""

    grad: int
    out: int
    x: int


class Gradient(NamedTuple):
    """The record of a gradient: bands are positions of x's depth; scratch is out's, grad's, x's.

    kind: LARGEST or MEAN.
    """

    call: GradientCall
    kind: int
    grad: Lies
    out: Lies
    x: Lies
    geometry: Geometry
    cut: Cut


class ScatterCall(NamedTuple):
    """What each call adds: addresses; strayed, 0: becomes 1 where a place is none of out's."""

    grad: int
    out: int
    places: int
    strayed: int


STRAYED = 3  # where that is


class Scatter(NamedTuple):
    """The record of a gradient by places: a group of the grid is an image, a block a channel.

    Places count out's `pixels`, which are `unit` bytes apart.  apart: whether channels lie in
    planes, whose pixels follow one another; else channels do.
    """

    call: ScatterCall
    grad: Lies
    out: Lies
    places: Lies
    windows: Three
    pixels: int
    unit: int
    apart: int
    grid: Grid


class Met(NamedTuple):
    """What a window meets of an axis: the first position, and how many, a dilation apart."""

    position: int
    count: int


class View(NamedTuple):
    """Some channels of an image: the address of its first element, and steps along the axes."""

    at: int
    depth: int
    height: int
    width: int


class Box(NamedTuple):
    """What a window holds: the address of its first element, counts and steps along the axes."""

    at: int
    depths: int
    heights: int
    widths: int
    depth_step: int
    height_step: int
    width_step: int


class Numbering(NamedTuple):
    """The place of a box's first element, and how far on those after it are along the axes."""

    first: int
    depth_unit: int
    height_unit: int
    width_unit: int


class Run(NamedTuple):
    """Windows of a line that hold as much, one after the other: how many, and how far apart.

    box, to, other: bytes from what a window holds to what the next one does, and so of what is
    written or read beside; number: of places.
    """

    count: int
    box: int
    to: int
    other: int
    number: int
