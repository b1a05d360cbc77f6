"""What peers cannot do, in words: each function answers "" where a job is within reach."""

from __future__ import annotations

import numpy as np

from npconv.bench.arrays import Job, padding_of


def forward_only(job: Job) -> str:
    """Turn down gradients: the library only infers."""
    return "" if job.direction == "forward" else "has no gradients"


def not_1d(job: Job) -> str:
    """Turn down 1-D layers: the memory format is for images and volumes."""
    return "" if len(job.layer.x_shape) > 3 else "has no such memory format in 1-D"


def images_forward(job: Job) -> str:
    """Turn down all but the forward direction in 2-D."""
    return forward_only(job) or ("" if len(job.layer.x_shape) == 4 else "does 2-D layers only")


def filters(job: Job) -> str:
    """Turn down what is not one filter a channel that keeps the size."""
    layer = job.layer
    channels, kernel_size = layer.x_shape[1], layer.weight_shape[2:]
    alone = layer.groups == channels == layer.weight_shape[0]
    whole = all(k == 2 * p + 1 for k, p in zip(kernel_size, padding_of(layer), strict=True))
    if alone and whole and layer.stride == layer.dilation == 1:
        return forward_only(job)
    return "does one filter a channel that keeps the size, nothing else"


def float_images(image: np.ndarray, **_: object) -> str:
    """Turn down images of whole numbers, whose sums are not rounded, or wrap."""
    return "" if image.dtype.kind == "f" else "does not round and cut off"


def grey_float_images(image: np.ndarray, **_: object) -> str:
    """Turn down those, and colours."""
    return float_images(image) or ("" if image.ndim == 2 else "does one channel only")


def images_filters(job: Job) -> str:
    """Turn down what is no filter of images."""
    return images_forward(job) or filters(job)
