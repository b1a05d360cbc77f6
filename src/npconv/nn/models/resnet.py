"""ResNet: blocks that add to what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.activations import ReLU
from npconv.nn.arguments import Seed
from npconv.nn.dense import Linear
from npconv.nn.joins import Residual, Sequential
from npconv.nn.layer import Layer
from npconv.nn.models.parts import conv, zoo
from npconv.nn.norms import BatchNorm2d
from npconv.nn.pools import AdaptiveAvgPool2d, MaxPool2d
from npconv.nn.shapes import Flatten

_NAMES = ("", "downsample", "relu")  # torchvision's: a block's own layers stand right in it
_PLAIN, _NARROW = 1, 4  # a block's channels at its end over those within
_CHANNELS = (64, 128, 256, 512)


@zoo
def resnet18(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return ResNet-18 for images of 32 x 32 or more; 11,689,512 parameters.

    Parameters
    ----------
    num_classes, in_channels : int
        Outputs, and channels of the images.
    rng : int or Generator, optional
        Where the first weights come from.
    dtype : {"float32", "float64"}
        Of the parameters.

    Notes
    -----
    Names and shapes are torchvision's.  For images under 64 x 64, `cifar_resnet` sees more.
    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.models.resnet18(num_classes=10)(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 10)
    """
    return _resnet((2, 2, 2, 2), _PLAIN, num_classes, in_channels, rng, dtype)


@zoo
def resnet34(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return ResNet-34; 21,797,672 parameters; see `resnet18`."""
    return _resnet((3, 4, 6, 3), _PLAIN, num_classes, in_channels, rng, dtype)


@zoo
def resnet50(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return ResNet-50, of blocks narrow inside; 25,557,032 parameters; see `resnet18`."""
    return _resnet((3, 4, 6, 3), _NARROW, num_classes, in_channels, rng, dtype)


@zoo
def cifar_resnet(
    num_classes: int = 10,
    *,
    depth: int = 20,
    in_channels: int = 3,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return a small ResNet for images of about 32 x 32; 272,474 parameters at depth 20.

    Parameters
    ----------
    depth : int
        How many layers have weights along the longest way: 8, 14, 20, 26, 32 ...
    num_classes, in_channels, rng, dtype
        As in `resnet18`.

    Notes
    -----
    Section 4.2 of the paper, with 1 x 1 convolutions where the channels double.
    """
    if not isinstance(depth, (int, np.integer)) or depth < 8 or depth % 6 != 2:
        raise ProblemError(
            f"depth is {depth!r}.", rule="6 n + 2, as in 20, 32, 44, 56", where="cifar_resnet"
        )
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    layers: dict[str, Layer] = {
        "conv1": conv(in_channels, 16, 3, padding=1, bias=False, **kept),
        "bn1": BatchNorm2d(16, dtype=dtype),
        "relu": ReLU(inplace=True),
    }
    layers |= _stages([depth // 6] * 3, (16, 32, 64), _PLAIN, 16, kept)
    return _ended(layers, 64, num_classes, kept)


def _resnet(
    counts: Sequence[int],
    widening: int,
    num_classes: int,
    in_channels: int,
    rng: Seed,
    dtype: DTypeLike,
) -> Sequential:
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    layers: dict[str, Layer] = {
        "conv1": conv(in_channels, 64, 7, stride=2, padding=3, bias=False, **kept),
        "bn1": BatchNorm2d(64, dtype=dtype),
        "relu": ReLU(inplace=True),
        "maxpool": MaxPool2d(3, stride=2, padding=1),
    }
    layers |= _stages(counts, _CHANNELS, widening, 64, kept)
    return _ended(layers, 512 * widening, num_classes, kept)


def _ended(
    layers: dict[str, Layer], channels: int, num_classes: int, kept: dict[str, Any]
) -> Sequential:
    last = {"avgpool": AdaptiveAvgPool2d(1), "flatten": Flatten()}
    return Sequential({**layers, **last, "fc": Linear(channels, num_classes, **kept)})


def _stages(
    counts: Sequence[int],
    widths: Sequence[int],
    widening: int,
    channels: int,
    kept: dict[str, Any],
) -> dict[str, Layer]:
    """Return the stages by their names; each but the first halves the image at its start."""
    stages: dict[str, Layer] = {}
    for number, (count, width) in enumerate(zip(counts, widths, strict=True), 1):
        blocks = []
        for place in range(count):
            stride = 2 if number > 1 and place == 0 else 1
            blocks.append(_block(channels, width, width * widening, stride, kept))
            channels = width * widening
        stages[f"layer{number}"] = Sequential(*blocks)
    return stages


def _block(before: int, width: int, after: int, stride: int, kept: dict[str, Any]) -> Residual:
    """Return a block: 3 x 3 twice, or, where it widens at its end, 1 x 1, 3 x 3 and 1 x 1."""
    if width == after:
        steps = [(before, width, 3, stride), (width, width, 3, 1)]
    else:
        steps = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
    body: dict[str, Layer] = {}
    for number, step in enumerate(steps, 1):
        body |= {f"relu{number - 1}": ReLU(inplace=True)} if number > 1 else {}
        body[f"conv{number}"], body[f"bn{number}"] = _normed(*step, kept)
    changes = stride != 1 or before != after
    shortcut = Sequential(*_normed(before, after, 1, stride, kept)) if changes else None
    return Residual(Sequential(body), shortcut, ReLU(inplace=True), names=_NAMES)


def _normed(
    before: int, after: int, size: int, stride: int, kept: dict[str, Any]
) -> tuple[Layer, Layer]:
    padding = size // 2
    convolution = conv(before, after, size, stride=stride, padding=padding, bias=False, **kept)
    return convolution, BatchNorm2d(after, dtype=kept["dtype"])
