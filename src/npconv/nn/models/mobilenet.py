"""MobileNet-V2: wide inside, narrow between, and depthwise convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv.nn.activations import ReLU6
from npconv.nn.arguments import Seed
from npconv.nn.joins import Residual, Sequential
from npconv.nn.layer import Layer
from npconv.nn.models.parts import conv, dense, zoo
from npconv.nn.norms import BatchNorm2d
from npconv.nn.pools import AdaptiveAvgPool2d
from npconv.nn.shapes import Dropout, Flatten

_STAGES = (  # how much wider inside, channels at the end, blocks, the first one's stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_FIRST, _LAST = 32, 1280


@zoo
def mobilenet_v2(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.2,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return MobileNet-V2 for images of 32 x 32 or more; 3,504,872 parameters.

    Parameters
    ----------
    num_classes, in_channels : int
        Outputs, and channels of the images.
    dropout : float
        The share of the last layer's inputs that training leaves out.
    rng : int or Generator, optional
        Where the first weights come from.
    dtype : {"float32", "float64"}
        Of the parameters.

    Notes
    -----
    Names and shapes are torchvision's.  Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C.
    Chen, "MobileNetV2: inverted residuals and linear bottlenecks", 2018.
    """
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    layers: list[Layer] = [_step(in_channels, _FIRST, 3, kept, stride=2)]
    channels = _FIRST
    for widening, after, count, first in _STAGES:
        for place in range(count):
            layers.append(_block(channels, after, first if place == 0 else 1, widening, kept))
            channels = after
    layers.append(_step(channels, _LAST, 1, kept))
    return Sequential(
        {
            "features": Sequential(*layers),
            "avgpool": AdaptiveAvgPool2d(1),
            "flatten": Flatten(),
            "classifier": Sequential(Dropout(dropout), dense(_LAST, num_classes, **kept)),
        }
    )


def _block(before: int, after: int, stride: int, widening: int, kept: dict[str, Any]) -> Layer:
    inner = before * widening
    body: list[Layer] = [] if widening == 1 else [_step(before, inner, 1, kept)]
    body += [
        _step(inner, inner, 3, kept, stride=stride, groups=inner),
        conv(inner, after, 1, bias=False, **kept),
        BatchNorm2d(after, dtype=kept["dtype"]),
    ]
    if stride == 1 and before == after:
        return Residual(Sequential(*body), names=("conv", "", ""))
    return Sequential({"conv": Sequential(*body)})


def _step(before: int, after: int, size: int, kept: dict[str, Any], **more: Any) -> Sequential:
    """Return a convolution, its batch normalization and what bends."""
    return Sequential(
        conv(before, after, size, padding=size // 2, bias=False, **more, **kept),
        BatchNorm2d(after, dtype=kept["dtype"]),
        ReLU6(inplace=True),
    )
