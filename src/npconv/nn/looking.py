"""One picture of what a model sees in an image: filters, feature maps, gradient and Grad-CAM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from npconv.figures import figure
from npconv.nn.layer import Layer
from npconv.nn.watching import Seen, convolutions

_MOST = 32  # filters and maps that are drawn
_TOP = 5  # classes


def look(
    model: Layer,
    image: np.ndarray,
    label: int | None = None,
    *,
    class_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> Any:
    """Draw what a model sees in an image.

    Parameters
    ----------
    model : Layer
        A classifier with two-dimensional convolutions.
    image : ndarray
        (C, H, W), as the model takes it.
    label : int, optional
        The class that is asked about; the likeliest by default.
    class_names : sequence of str, optional
    layer : str, optional
        The convolution that Grad-CAM speaks of; the last one by default.

    Returns
    -------
    matplotlib.figure.Figure
        The image and the likeliest classes; the filters of the first convolution and what they make
        of the image; the gradient of the class's score in the image, and Grad-CAM.

    Raises
    ------
    ProblemError
        Where the model has no Conv2d, or the image or the label does not fit; where Matplotlib is
        not installed.
    """
    drawn = figure(11, 7.5, "look")
    seen = Seen(model, np.asarray(image), label)
    names = [str(i) for i in range(len(seen.score))] if class_names is None else list(class_names)
    upper, lower = drawn.subfigures(2, 1, height_ratios=(1, 1.25))
    _draw_answers(upper.subplots(1, 4), np.asarray(image), seen, names, layer)
    left, right = lower.subfigures(1, 2)
    first, convolution = next(iter(convolutions(model).items()))
    filters = convolution.weight.data
    left.suptitle(f"filters of {first}, {filters.shape[0]} of {_size(filters)}")
    _draw_grid(left, [_as_picture(f) for f in filters[:_MOST]])
    maps = seen.maps[first]
    right.suptitle(f"what they make of the image, each {_size(maps)}")
    _draw_grid(right, list(maps[:_MOST]))
    return drawn


def _draw_answers(
    panels: Any, image: np.ndarray, seen: Seen, names: list[str], layer: str | None
) -> None:
    shown, bars, gradient, cam = panels
    _show(shown, _as_picture(image), "the image")
    likely = np.argsort(seen.probabilities)[::-1][:_TOP][::-1]
    bars.barh([names[i] for i in likely], seen.probabilities[likely])
    bars.set_xlim(0, 1)
    bars.set_title("probabilities")
    strength = np.abs(seen.input_grad).max(0)
    _show(gradient, strength, f"what changes the score of {names[seen.label]}")
    _show(cam, _as_picture(image), f"Grad-CAM for {names[seen.label]}")
    height, width = image.shape[1:]
    cam.imshow(
        seen.grad_cam(layer), cmap="inferno", alpha=0.55, interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5), vmin=0, vmax=1,
    )  # fmt: skip


def _draw_grid(part: Any, pictures: list[np.ndarray]) -> None:
    columns = max(math.ceil(math.sqrt(len(pictures) * 2)), 1)
    rows = -(-len(pictures) // columns)
    panels = part.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, picture in zip(panels, pictures, strict=False):
        _show(panel, picture, "")


def _show(panel: Any, picture: np.ndarray, title: str) -> None:
    panel.axis("off")
    panel.set_title(title, fontsize="medium")
    panel.imshow(picture, cmap=None if picture.ndim == 3 else "gray", interpolation="nearest")


def _as_picture(array: np.ndarray) -> np.ndarray:
    """Return (C, H, W) as a colour or grey picture from 0 to 1: of other channels, their mean."""
    moved = np.moveaxis(array, 0, -1) if len(array) == 3 else array.mean(0)
    low, high = moved.min(), moved.max()
    return np.asarray((moved - low) / (high - low or 1), np.float64)


def _size(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape[1:]))
