"""LeNet-5, the first of them: small grey images, ten kinds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.activations import ReLU
from npconv.nn.arguments import Seed
from npconv.nn.convolutions import Conv2d
from npconv.nn.dense import Linear
from npconv.nn.joins import Sequential
from npconv.nn.models.parts import zoo
from npconv.nn.pools import MaxPool2d
from npconv.nn.shapes import Flatten

_LEAST, _ROOMY = 4, 12  # the smallest side; from here on the second convolution takes no padding


@zoo
def lenet5(
    num_classes: int = 10,
    *,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 28,
    rng: Seed = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return LeNet-5 as it is built today: ReLU and max pooling; 61,706 parameters.

    Parameters
    ----------
    num_classes, in_channels : int
        Outputs, and channels of the images.
    image_size : int or (int, int)
        Height and width of the images, 4 or more; where they are under 12, the second convolution
        is padded as the first is.
    rng : int or Generator, optional
        Where the first weights come from.
    dtype : {"float32", "float64"}
        Of the parameters.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    Examples
    --------
    >>> from npconv import nn
    >>> nn.models.lenet5().parameter_count
    61706
    """
    height, width = _size(image_size)
    generator = np.random.default_rng(rng)
    kept: dict[str, Any] = {"rng": generator, "dtype": dtype}
    padding = 0 if min(height, width) >= _ROOMY else 2
    sides = [(side // 2 + 2 * padding - 4) // 2 for side in (height, width)]
    features = Sequential(
        Conv2d(in_channels, 6, 5, padding=2, **kept),
        ReLU(inplace=True),
        MaxPool2d(2),
        Conv2d(6, 16, 5, padding=padding, **kept),
        ReLU(inplace=True),
        MaxPool2d(2),
    )
    classifier = Sequential(
        Linear(16 * sides[0] * sides[1], 120, **kept),
        ReLU(inplace=True),
        Linear(120, 84, **kept),
        ReLU(inplace=True),
        Linear(84, num_classes, **kept),
    )
    return Sequential({"features": features, "flatten": Flatten(), "classifier": classifier})


def _size(given: Any) -> tuple[int, int]:
    size = (given, given) if isinstance(given, int) else given
    try:
        height, width = map(operator.index, size)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < _LEAST:
        raise ProblemError(
            f"image_size is {given!r}.",
            rule=f"one integer of {_LEAST} or more, or a height and a width",
            where="lenet5",
        )
    return height, width
