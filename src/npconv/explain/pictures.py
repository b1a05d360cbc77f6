"""The picture and the kernels that a page shows where none are given, and photos as data."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from npconv import ProblemError, images

_PHOTO_SIDE = 512  # pixels
_PNG_PIXELS = 1 << 14  # up to so many lose nothing
EDGE = np.array([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
BLUR = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])


def drawn_picture(batch: int, channels: int, rows: int, columns: int) -> np.ndarray:
    """Return a picture of whole numbers from 0 to 9, (batch, channels, rows, columns) float64.

    Its channels are a disc, a step and a slope, in turn; each further image is the last mirrored.

    Examples
    --------
    >>> from npconv.explain.pictures import drawn_picture
    >>> drawn_picture(1, 2, 1, 6)[0, 1]
    array([[1., 1., 1., 7., 7., 7.]])
    """
    i, j = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    if rows == 1:
        i = np.zeros_like(i)
    disc = 9 * np.clip(1.5 - 1.5 * np.hypot(i, j), 0, 1)
    step = np.where(j > 0, 7, 1)
    slope = 2.25 * (i + j) + 4.5
    planes = [(disc, step, slope)[c % 3] for c in range(channels)]
    image = np.rint(np.stack(planes))
    return np.stack([image[..., ::-1] if n % 2 else image for n in range(batch)])


def default_weight(channels: int, groups: int, rows: int, transposed: bool = False) -> np.ndarray:
    """Return an edge kernel and a blur of 3 x 3 (1 x 3 for one row), each over x's channels alike.

    (2 * groups, channels / groups, rows, 3) float64, and (channels, 2, rows, 3) where transposed.
    """
    kernels = [EDGE, BLUR] if rows > 1 else [EDGE[1:2], BLUR[1:2]]
    if transposed:
        return np.stack([np.stack(kernels)] * channels)
    return stacked(kernels, channels, groups)


def stacked(kernels: list[np.ndarray], x_channels: int, groups: int) -> np.ndarray:
    """Return 2-D kernels as a weight (O, channels of a group, rows, columns).

    One output a kernel, and of several groups one a group and kernel; each looks at every channel
    of its group.  Smaller kernels stand in the middle of zeros.
    """
    if groups < 1 or x_channels % groups:
        raise ProblemError(f"x has {x_channels} channels, which groups={groups} does not divide.")
    size = [max(kernel.shape[axis] for kernel in kernels) for axis in range(2)]
    centred = []
    for kernel in kernels:
        more = [n - k for n, k in zip(size, kernel.shape, strict=True)]
        if any(n % 2 for n in more):
            sizes = ", ".join(f"{k.shape[0]} x {k.shape[1]}" for k in kernels)
            raise ProblemError(f"kernels of {sizes} have no common middle.", fix="one at a time")
        centred.append(np.pad(kernel, [(n // 2, n // 2) for n in more]))
    inside = x_channels // groups
    planes = [np.repeat(kernel[None], inside, 0) for _ in range(groups) for kernel in centred]
    return np.stack(planes).astype(np.float64)


def photo_data(pixels: np.ndarray, name: str = "") -> dict[str, Any]:
    """Return a photo for the page: {name, width, height, data}, data a URI of at most 512 pixels.

    pixels (height, width) or (height, width, 1 to 4), as `npconv.images.read` gives them.
    """
    height, width = pixels.shape[:2]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ProblemError(
            f"the photo is {pixels.dtype} of the shape {pixels.shape}.",
            rule="(height, width) or (height, width, 1 to 4) of uint8, uint16 or bool",
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE), Image.Resampling.LANCZOS)
    kind = "png" if picture.width * picture.height <= _PNG_PIXELS else "jpeg"
    buffer = io.BytesIO()
    images.write(buffer, np.asarray(picture), format=kind, background="white")
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {
        "name": name,
        "width": picture.width,
        "height": picture.height,
        "original": [height, width],
        "data": f"data:image/{kind};base64,{text}",
    }
