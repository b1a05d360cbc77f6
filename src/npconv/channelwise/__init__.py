"""Passes over the channels of an array: sums of each, elements scaled, added up and clamped.

What batch norm and its kin are made of, forth and back.  Compiled kernels do it on several threads;
where they do not serve, NumPy does, a block of rows at a time.
"""

from npconv.channelwise.channels import Channels, channel_sums
from npconv.channelwise.elements import clamp, pass_between
from npconv.channelwise.limits import OPEN, Limits

__all__ = ["OPEN", "Channels", "Limits", "channel_sums", "clamp", "pass_between"]
