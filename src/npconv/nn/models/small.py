"""A small network that fits its images: what the estimators take unless told."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.activations import ReLU
from npconv.nn.arguments import Seed
from npconv.nn.convolutions import Conv1d, Conv2d
from npconv.nn.dense import Linear
from npconv.nn.joins import Sequential
from npconv.nn.layer import Layer
from npconv.nn.models.parts import zoo
from npconv.nn.norms import BatchNorm1d, BatchNorm2d
from npconv.nn.pools import MaxPool2d
from npconv.nn.shapes import Dropout, Flatten

_WIDTH, _MOST = 32, 128  # channels of the first convolution, and of the last ones at most


@zoo
def small_net(
    num_classes: int = 10,
    *,
    in_channels: int = 1,
    image_size: int | tuple[int, ...] = 28,
    dropout: float = 0.3,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return 3 x 3 convolutions with batch norm and ReLU, pooled while the image is large enough.

    Parameters
    ----------
    num_classes, in_channels : int
        Outputs, and channels of the images.
    image_size : int, (int, int) or (int,)
        Height and width, one number for both; or the length of sequences, which are not pooled:
        each place in a row of numbers has its own meaning.
    dropout : float
        Of what the last layer sees of images; six splits of the digits gained by it, from 99.1 to
        99.4 % on average.
    rng : int or Generator, optional
        Where the first weights come from.
    dtype : {"float32", "float64"}
        Of the parameters.

    Notes
    -----
    Images of 8 x 8 go through 32, 32 and 64 channels (30,762 parameters for ten classes) and learn
    the digits in seconds; those of 32 x 32 through five convolutions of up to 128.

    Examples
    --------
    >>> small_net(10, image_size=(8, 8)).parameter_count
    30762
    """
    kept: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    size = whole = _size(image_size)
    conv, norm = ((Conv1d, BatchNorm1d), (Conv2d, BatchNorm2d))[len(size) - 1]
    layers: list[Layer] = []

    def step(before: int, after: int) -> None:
        convolution = conv(before, after, 3, padding=1, bias=False, **kept)
        layers.extend([convolution, norm(after, dtype=dtype), ReLU(inplace=True)])

    step(in_channels, _WIDTH)
    width = _WIDTH
    if len(size) == 1:
        step(width, width)
    while len(size) == 2 and min(size) >= 4:
        after = _WIDTH if size == whole else min(2 * width, _MOST)
        step(width, after)
        layers.append(MaxPool2d(2))
        width, size = after, (size[0] // 2, size[1] // 2)
    layers.append(Flatten())
    if dropout and len(size) == 2:
        layers.append(Dropout(dropout))
    layers.append(Linear(width * math.prod(size), num_classes, **kept))
    return Sequential(*layers)


def _size(given: Any) -> tuple[int, ...]:
    try:
        size = tuple(map(operator.index, (given, given) if isinstance(given, int) else given))
    except TypeError:
        size = ()
    if len(size) not in (1, 2) or min(size) < 1:
        raise ProblemError(
            f"image_size is {given!r}.",
            rule="(height, width), one integer for both, or (length,)",
            where="small_net",
        )
    return size
