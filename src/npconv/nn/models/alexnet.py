"""AlexNet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv.nn.activations import ReLU
from npconv.nn.arguments import Seed
from npconv.nn.convolutions import Conv2d
from npconv.nn.dense import Linear
from npconv.nn.joins import Sequential
from npconv.nn.models.parts import zoo
from npconv.nn.pools import AdaptiveAvgPool2d, MaxPool2d
from npconv.nn.shapes import Dropout, Flatten

HIDDEN = 4096  # channels of the dense layers within


@zoo
def alexnet(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return AlexNet for images of 63 x 63 or more, commonly 224 x 224; 61,100,840 parameters.

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
    Names and shapes are torchvision's.  Source: A. Krizhevsky, "One weird trick for parallelizing
    convolutional neural networks", 2014.
    """
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    features = Sequential(
        Conv2d(in_channels, 64, 11, stride=4, padding=2, **kept),
        ReLU(inplace=True),
        MaxPool2d(3, stride=2),
        Conv2d(64, 192, 5, padding=2, **kept),
        ReLU(inplace=True),
        MaxPool2d(3, stride=2),
        Conv2d(192, 384, 3, padding=1, **kept),
        ReLU(inplace=True),
        Conv2d(384, 256, 3, padding=1, **kept),
        ReLU(inplace=True),
        Conv2d(256, 256, 3, padding=1, **kept),
        ReLU(inplace=True),
        MaxPool2d(3, stride=2),
    )
    classifier = Sequential(
        Dropout(dropout),
        Linear(256 * 6 * 6, HIDDEN, **kept),
        ReLU(inplace=True),
        Dropout(dropout),
        Linear(HIDDEN, HIDDEN, **kept),
        ReLU(inplace=True),
        Linear(HIDDEN, num_classes, **kept),
    )
    return Sequential(
        {
            "features": features,
            "avgpool": AdaptiveAvgPool2d(6),
            "flatten": Flatten(),
            "classifier": classifier,
        }
    )
