"""What all readers end with: labels become classes, and there is a test part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset

TEST_FRACTION = 0.2  # of what comes without a test part
Part = tuple[np.ndarray, np.ndarray]  # images and labels


def train_and_test(
    train: Part,
    test: Part | None,
    where: str,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Return two datasets normalised alike, by the training part.

    Labels that are floats are values; of all others the distinct ones are the classes, `names`
    what they are called. Without a test part a fifth is drawn, by `seed`.
    """
    for part, (images, labels) in zip(("training", "test"), (train, test or train), strict=True):
        if len(images) != len(labels):
            raise ProblemError(
                f"{len(images)} {part} images, {len(labels)} labels.",
                rule="one label an image",
                where=where,
            )
    train, test = _alike(train, test, where)
    classes = None
    targets = train[1], (test or train)[1]
    if train[1].dtype.kind != "f":
        train_targets, classes = numbered(train[1], where)
        targets = train_targets, _found(targets[1], classes, where)
    called = None if classes is None else [_name(label, names) for label in classes.tolist()]
    whole = Dataset(train[0], targets[0], called)
    if test is None:
        rest, part_ = whole.split(TEST_FRACTION, seed)
        fit = Dataset(rest.images, rest.targets, called)  # normalised by what is learnt from
        return fit, Dataset(part_.images, part_.targets, called, mean=fit.mean, std=fit.std)
    return whole, Dataset(test[0], targets[1], called, mean=whole.mean, std=whole.std)


def _alike(train: Part, test: Part | None, where: str) -> tuple[Part, Part | None]:
    """Return both with images of one type, in which the same number is the same brightness."""
    (x, y), (x_test, y_test) = train, test or train
    if x.shape[1:] != x_test.shape[1:] or x.dtype != x_test.dtype:
        raise ProblemError(
            f"training images are {x.shape[1:]} {x.dtype}, test images {x_test.shape[1:]} "
            f"{x_test.dtype}.",
            rule="one size and one number of channels (C, H, W), and one type",
            where=where,
        )
    if x.dtype.kind == "i" and x.size and x_test.size:
        bytes_ = min(x.min(), x_test.min()) >= 0 and max(x.max(), x_test.max()) <= 255
        x, x_test = (each.astype(np.uint8 if bytes_ else np.float32) for each in (x, x_test))
    return (x, y), None if test is None else (x_test, y_test)


def numbered(labels: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each label's place among the distinct ones, and these; refuse a single one."""
    if labels.size == 0:
        raise ProblemError("there are no images.", where=where)
    if labels.dtype.kind not in "iubUS":
        raise ProblemError(
            f"labels are {labels.dtype}.", rule="whole numbers, text, or floats", where=where
        )
    classes, places = np.unique(labels, return_inverse=True)
    if len(classes) == 1:
        raise ProblemError(
            f"there is only one class, {classes[0]}: nothing to tell apart.",
            rule="two classes or more",
            where=where,
        )
    return places.reshape(labels.shape), classes


def _found(labels: np.ndarray, classes: np.ndarray, where: str) -> np.ndarray:
    if (labels.dtype.kind in "US") != (classes.dtype.kind in "US") or labels.dtype.kind == "f":
        raise ProblemError(
            f"training labels are {classes.dtype}, test labels {labels.dtype}.", where=where
        )
    new = np.setdiff1d(labels, classes)
    if new.size:
        raise ProblemError(
            f"the test part has classes that the training part has not: {new[:5].tolist()}.",
            where=where,
        )
    return np.searchsorted(classes, labels)


def _name(label: object, names: Sequence[str] | None) -> str:
    if isinstance(label, int) and names is not None and 0 <= label < len(names):
        return names[label]
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
