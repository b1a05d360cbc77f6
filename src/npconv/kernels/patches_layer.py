"""The records of kernels that lay out windows as a matrix, and add them back."""

from __future__ import annotations

from typing import NamedTuple

from npconv.kernels.direct_layer import Three
from npconv.kernels.fields import Grid
from npconv.kernels.pool_layer import Axis, Lies


class Call(NamedTuple):
    """What each call adds: the addresses of what is read and of what is written."""

    read: int
    written: int


class Patches(NamedTuple):
    """The record of x and its windows as a matrix, which is dense.

    ::

        columns[image, channel, taps, windows]      channels first
        columns[image, windows, taps, channel]      channels last

    offsets: addresses of int64, for each padded position of an axis the bytes that x has it at, -1
    where it is a zero.  A group is an image; a block a channel where channels are first; a tile
    where they are last a line of windows, or `band` depths of x where these are added up.
    """

    call: Call
    x: Lies
    depth: Axis
    height: Axis
    width: Axis
    offsets: Three
    channels: int
    band: int
    grid: Grid
