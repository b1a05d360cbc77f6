"""What happens within a model: a copy of it whose layers tell what went through them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn.convolutions import Conv2d
from npconv.nn.layer import Backprop, Layer, Training


class _Watched(Layer):
    """A layer, with the result of its last forward and that result's gradient."""

    y: np.ndarray | None = None
    grad: np.ndarray | None = None

    def __init__(self, inner: Layer) -> None:
        self.inner = inner

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layer as this one's own."""
        yield "", self.inner

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return what the layer does, and keep it."""
        y, step = self.inner.forward(x, training)
        self.y = y.copy("K")  # the next layer may write over it

        def backprop(grad: np.ndarray, wanted: bool = True) -> Any:
            self.grad = grad.copy("K")
            return step(grad, wanted)

        return y, backprop


def convolutions(model: Layer) -> dict[str, Conv2d]:
    """Return a model's two-dimensional convolutions by their names, in the order of its parts."""
    return {name: layer for name, layer in model.modules() if isinstance(layer, Conv2d)}


class Seen:
    """An image's way through a model, forth, and back from the score of one class.

    score        (classes,) what the model says of the image
    label        the class whose score was followed back
    maps         name of a convolution -> (C, H, W), its result
    grads        name of a convolution -> (C, H, W), the score's gradient in that
    input_grad   (C, H, W), the score's gradient in the image
    """

    def __init__(self, model: Layer, image: np.ndarray, label: int | None = None) -> None:
        layers = convolutions(model)
        if not layers or image.ndim != 3:
            raise ProblemError(
                f"the model has {len(layers)} convolutions and the image is {image.shape}.",
                rule="a model with a Conv2d, and an image (C, H, W)",
                where="look",
            )
        own = copy.deepcopy(model)  # its gradients are nobody's
        watched: dict[int, _Watched] = {}
        _replace(own, lambda layer: watched.setdefault(id(layer), _Watched(layer)))
        dtype = next(iter(layers.values())).weight.data.dtype
        scores, backprop = own.forward(image[None].astype(dtype), False)
        if scores.ndim != 2:
            raise ProblemError(
                f"the model gives {scores.shape}, not a score for each class.", where="look"
            )
        self.score = scores[0]
        self.label = int(self.score.argmax()) if label is None else label
        if not 0 <= self.label < len(self.score):
            raise ProblemError(
                f"label is {self.label}, the model has {len(self.score)} classes.", where="look"
            )
        follow = np.zeros_like(scores)
        follow[0, self.label] = 1
        self.input_grad = backprop(follow, True)[0]
        found = list(zip(layers, watched.values(), strict=True))
        self.maps = {name: each.y[0] for name, each in found if each.y is not None}
        self.grads = {name: each.grad[0] for name, each in found if each.grad is not None}

    @property
    def probabilities(self) -> np.ndarray:
        """The scores as probabilities: their softmax."""
        powers = np.exp(self.score - self.score.max())
        return np.asarray(powers / powers.sum())

    def grad_cam(self, layer: str | None = None) -> np.ndarray:
        """Return where a convolution speaks for the class, (H, W) from 0 to 1.

        Its channels are added with the means of their gradients as weights, and what speaks against
        the class counts as 0.  layer: the last convolution by default.

        Source: Selvaraju et al., Grad-CAM, 2017.
        """
        name = layer or list(self.maps)[-1]
        if name not in self.maps:
            raise ProblemError(
                f"{name!r} is no convolution of the model.",
                rule="one of " + ", ".join(self.maps),
                where="look",
            )
        weights = self.grads[name].mean((1, 2))
        total = np.maximum(np.tensordot(weights, self.maps[name], 1), 0)
        most = total.max()
        return np.asarray(total / most if most > 0 else total)


def _replace(layer: Layer, made: Callable[[Layer], Layer]) -> None:
    """Put made(convolution) in the place of each convolution within."""
    for name, value in vars(layer).items():
        if isinstance(value, Conv2d):
            setattr(layer, name, made(value))
        elif isinstance(value, Layer):
            _replace(value, made)
        elif isinstance(value, dict):
            for key, part in value.items():
                if isinstance(part, Conv2d):
                    value[key] = made(part)
                elif isinstance(part, Layer):
                    _replace(part, made)
