"""VGG: 3 x 3 convolutions, twice as many channels after each pooling, three dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv.nn.activations import ReLU
from npconv.nn.arguments import Seed
from npconv.nn.joins import Sequential
from npconv.nn.layer import Layer
from npconv.nn.models.parts import conv, dense, zoo
from npconv.nn.norms import BatchNorm2d
from npconv.nn.pools import AdaptiveAvgPool2d, MaxPool2d
from npconv.nn.shapes import Dropout, Flatten

# How many convolutions stand before each of the five poolings.
_VGG11 = (1, 1, 2, 2, 2)
_VGG16 = (2, 2, 3, 3, 3)
_CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096  # channels of the dense layers within


@zoo
def vgg11(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-11 for images of 32 x 32 or more; 132,863,336 parameters; see `vgg16`."""
    return _vgg(_VGG11, False, num_classes, in_channels, dropout, rng, dtype)


@zoo
def vgg11_bn(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-11 with batch normalization; 132,868,840 parameters; see `vgg16`."""
    return _vgg(_VGG11, True, num_classes, in_channels, dropout, rng, dtype)


@zoo
def vgg16(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-16 for images of 32 x 32 or more; 138,357,544 parameters.

    Parameters
    ----------
    num_classes, in_channels : int
        Outputs, and channels of the images.
    dropout : float
        The share of the dense layers' inputs that training leaves out.
    rng : int or Generator, optional
        Where the first weights come from.
    dtype : {"float32", "float64"}
        Of the parameters.

    Notes
    -----
    Names and shapes are torchvision's.  Without batch normalization it learns only from weights
    that are no longer random, or with patience.  Source: K. Simonyan, A. Zisserman, "Very deep
    convolutional networks for large-scale image recognition", 2014.
    """
    return _vgg(_VGG16, False, num_classes, in_channels, dropout, rng, dtype)


@zoo
def vgg16_bn(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-16 with batch normalization; 138,365,992 parameters; see `vgg16`."""
    return _vgg(_VGG16, True, num_classes, in_channels, dropout, rng, dtype)


def _vgg(
    counts: Sequence[int],
    batch_norm: bool,
    num_classes: int,
    in_channels: int,
    dropout: float,
    rng: Seed,
    dtype: DTypeLike,
) -> Sequential:
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    layers: list[Layer] = []
    for count, channels in zip(counts, _CHANNELS, strict=True):
        for _ in range(count):
            layers.append(conv(in_channels, channels, 3, padding=1, **kept))
            layers += [BatchNorm2d(channels, dtype=dtype)] if batch_norm else []
            layers.append(ReLU(inplace=True))
            in_channels = channels
        layers.append(MaxPool2d(2))
    classifier = Sequential(
        dense(512 * 7 * 7, HIDDEN, **kept),
        ReLU(inplace=True),
        Dropout(dropout),
        dense(HIDDEN, HIDDEN, **kept),
        ReLU(inplace=True),
        Dropout(dropout),
        dense(HIDDEN, num_classes, **kept),
    )
    return Sequential(
        {
            "features": Sequential(*layers),
            "avgpool": AdaptiveAvgPool2d(7),
            "flatten": Flatten(),
            "classifier": classifier,
        }
    )
