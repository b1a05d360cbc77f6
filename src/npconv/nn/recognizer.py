"""A trained classifier with all that it takes to show it pictures, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.data import Dataset
from npconv.nn.data.folder import read_picture
from npconv.nn.data.normal import normalise
from npconv.nn.evaluation import predict
from npconv.nn.layer import Layer
from npconv.nn.shapes import Upsample
from npconv.nn.weights import load_arrays, model_of, save

_KEYS = ("classes", "mean", "std", "shape")


def resized(images: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return pictures (N, C, H, W) of another size, lines between the pixels; uint8 stays so.

    Examples
    --------
    >>> resized(np.array([[[[0, 200]]]], np.uint8), (2, 4))[0, 0].tolist()
    [[0, 50, 150, 200], [0, 50, 150, 200]]
    """
    if images.shape[2:] == tuple(size):
        return images
    made = Upsample(tuple(size), mode="bilinear")(images)
    return made if images.dtype.kind == "f" else np.rint(made).astype(images.dtype)


class Recognizer:
    """A model that tells classes apart, and how pictures become its input.

    Parameters
    ----------
    model : Layer
    classes : sequence of str
        What the model's outputs are called.
    shape : (C, H, W)
        Of a picture as the model takes it.
    mean, std : array_like, shape (C,)
        What pictures are normalised by, in fractions of white.
    about : mapping of text to text, optional
        Anything more that should stand in the file.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> data = nn.Dataset(np.arange(80, dtype="uint8").reshape(10, 1, 2, 4), [0, 1] * 5, "ab")
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(8, 2, rng=0))
    >>> recognizer = nn.Recognizer.of(model, data)
    >>> recognizer.probabilities(data.images).shape
    (10, 2)
    """

    def __init__(
        self,
        model: Layer,
        classes: Sequence[str],
        shape: Sequence[int],
        mean: ArrayLike,
        std: ArrayLike,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.model, self.classes = model, tuple(map(str, classes))
        self.shape = tuple(int(n) for n in shape)
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        self.about = dict(about or {})
        if len(self.shape) != 3 or self.mean.shape != self.shape[:1] != self.std.shape:
            raise ProblemError(
                f"shape is {self.shape}, mean {self.mean.shape}, std {self.std.shape}.",
                rule="(C, H, W), and a mean and a std for each channel",
                where="Recognizer",
            )

    @classmethod
    def of(cls, model: Layer, data: Dataset, about: Mapping[str, str] | None = None) -> Recognizer:
        """Return one for a model that learnt from `data`."""
        return cls(model, data.classes, data.shape, data.mean, data.std, about)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model and the rest to a safetensors file, which `nn.load` reads too."""
        words: dict[str, Any] = {
            "classes": self.classes, "shape": self.shape,
            "mean": self.mean.tolist(), "std": self.std.tolist(),
        }  # fmt: skip
        save(self.model, path, {**self.about, **{k: json.dumps(v) for k, v in words.items()}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recognizer:
        """Return what `save` wrote; ProblemError where the file does not say all of it."""
        arrays, about = load_arrays(path)
        try:
            classes, mean, std, shape = (json.loads(about.pop(key)) for key in _KEYS)
        except (KeyError, ValueError):
            raise ProblemError(
                f"{os.fspath(path)} does not say what its classes are called or how pictures "
                "become the model's input.",
                fix="npconv train and Recognizer.save write such files; "
                "nn.load and nn.load_weights read others",
                where="Recognizer",
            ) from None
        return cls(model_of(path, arrays, about), classes, shape, mean, std, about)

    def read(self, paths: Iterable[str | os.PathLike[str]]) -> np.ndarray:
        """Return pictures from files as uint8 (N, C, H, W), of the model's size."""
        return np.stack([self._read(path) for path in paths])

    def _read(self, path: str | os.PathLike[str]) -> np.ndarray:
        channels, height, width = self.shape
        whole = read_picture(path, channels)
        if whole.shape[1] <= height and whole.shape[2] <= width:
            return resized(whole[None], (height, width))[0]
        return read_picture(path, channels, (height, width))

    def input(self, pictures: ArrayLike) -> np.ndarray:
        """Return pictures (N, C, H, W) as the model takes them: float32, normalised."""
        array = np.asarray(pictures)
        if array.shape[1:] != self.shape:
            raise ProblemError(
                f"pictures are {array.shape}, the model takes {('N', *self.shape)}.",
                where="Recognizer",
            )
        return normalise(array, self.mean, self.std)

    def dataset(self, data: Dataset) -> Dataset:
        """Return a dataset as the model takes it: normalised so, and its classes in its order."""
        unknown = [name for name in data.classes if name not in self.classes]
        if unknown or not data.classes or data.shape[0] != self.shape[0]:
            raise ProblemError(
                f"the model knows {len(self.classes)} classes of {self.shape} pictures, the data "
                f"has {len(data.classes)} of {data.shape}.",
                facts=(("unknown to the model", ", ".join(unknown[:5])),),
                where="evaluate",
            )
        order = np.array([self.classes.index(name) for name in data.classes])
        images = resized(data.images, self.shape[1:])
        return Dataset(images, order[data.targets], self.classes, mean=self.mean, std=self.std)

    def probabilities(self, pictures: ArrayLike) -> np.ndarray:
        """Return how likely each class is, (N, classes)."""
        scores = predict(self.model, self.input(pictures))
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))
