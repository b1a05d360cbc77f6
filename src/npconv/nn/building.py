"""Models and optimizers by name, by function or as they are: what an estimator's arguments say."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn import models
from npconv.nn.layer import Layer
from npconv.nn.optimizer import Optimizer
from npconv.nn.optimizers import SGD, Adam, AdamW

OPTIMIZERS: dict[str, Callable[[Layer, float], Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "sgd": lambda model, lr: SGD(model, lr, momentum=0.9, nesterov=True),
}


def build_model(
    given: Any, shape: tuple[int, ...], outputs: int, rng: np.random.Generator, where: str
) -> Layer:
    """Return the model for images of a shape (C, *spatial) and so many outputs.

    Parameters
    ----------
    given : str, callable or Layer
        A name of `nn.models`, what is called with those of num_classes, in_channels, image_size and
        rng that it takes, or a layer, which is copied.
    """
    if isinstance(given, Layer):
        return copy.deepcopy(given)
    build = given
    if isinstance(given, str):
        if len(shape) < 3:
            raise ProblemError(
                f"X has flat rows, {given} takes images.",
                fix="image_shape=(height, width)",
                where=where,
            )
        try:
            build = models.find(given)
        except ProblemError as error:
            raise error.at(where, error.facts) from None
    if not callable(build):
        raise ProblemError(
            f"model is {given!r}.",
            rule="a name, a Layer, None, or what builds a Layer",
            where=where,
        )
    known: dict[str, Any] = {
        "num_classes": outputs,
        "in_channels": shape[0],
        "image_size": shape[1:],
        "rng": rng,
    }
    taken = inspect.signature(build).parameters.values()
    if not any(each.kind is each.VAR_KEYWORD for each in taken):
        names = {each.name for each in taken}
        known = {name: value for name, value in known.items() if name in names}
    return build(**known)


def build_optimizer(given: Any, model: Layer, learning_rate: float, where: str) -> Optimizer:
    """Return the optimizer of a name of `OPTIMIZERS`, or what is called as they are."""
    build = OPTIMIZERS.get(given) if isinstance(given, str) else given
    if not callable(build):
        raise ProblemError(
            f"optimizer is {given!r}.",
            rule=f"{', '.join(map(repr, OPTIMIZERS))}, or a callable (model, lr)",
            where=where,
        )
    return build(model, learning_rate)
