"""Models by their names, with the parameters and the names of PyTorch's torchvision.

>>> from npconv import nn
>>> sorted(nn.models.MODELS)
['alexnet', 'cifar_resnet', 'lenet5', 'mobilenet_v2', 'resnet18', 'resnet34', 'resnet50',
'small_net', 'vgg11', 'vgg11_bn', 'vgg16', 'vgg16_bn']
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.joins import Sequential
from npconv.nn.models.alexnet import alexnet
from npconv.nn.models.lenet import lenet5
from npconv.nn.models.mobilenet import mobilenet_v2
from npconv.nn.models.parts import Unset, named_arguments
from npconv.nn.models.resnet import cifar_resnet, resnet18, resnet34, resnet50
from npconv.nn.models.small import small_net
from npconv.nn.models.vgg import vgg11, vgg11_bn, vgg16, vgg16_bn

__all__ = [
    "MODELS",
    "alexnet",
    "build",
    "cifar_resnet",
    "find",
    "lenet5",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_net",
    "vgg11",
    "vgg11_bn",
    "vgg16",
    "vgg16_bn",
]

MODELS = {
    build.__name__: build
    for build in (
        lenet5, alexnet, vgg11, vgg11_bn, vgg16, vgg16_bn, resnet18, resnet34, resnet50,
        cifar_resnet, mobilenet_v2, small_net,
    )
}  # fmt: skip
_SHORT = {"lenet": "lenet5", "mobilenet": "mobilenet_v2", "small": "small_net"}


def build(name: str, /, **arguments: Any) -> Sequential:
    """Build a model by its name.

    Parameters
    ----------
    name : str
        One of `MODELS`; "lenet", "mobilenet" and "small" are understood, too.
    **arguments
        As its function takes them: num_classes, in_channels, rng, dtype and its own.

    Raises
    ------
    ProblemError
        Where there is no such model, or it has no such argument.

    Examples
    --------
    >>> from npconv import nn
    >>> nn.models.build("lenet", num_classes=3).recipe
    ('lenet5', {'num_classes': 3, 'in_channels': 1, 'image_size': 28})
    """
    function = find(name)
    own = named_arguments(function)
    for argument in arguments:
        if argument not in {*own, "rng", "dtype"}:
            raise ProblemError(
                f"{function.__name__} has no argument {argument!r}.",
                rule=", ".join(own),
                where="models",
            )
    return function(**arguments)


def find(name: str) -> Callable[..., Sequential]:
    """Return the function that builds a model, by its name as `build` takes it."""
    full = _SHORT.get(name, name)
    if full in MODELS:
        return MODELS[full]
    near = difflib.get_close_matches(str(name), MODELS, n=1)
    raise ProblemError(
        f"there is no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
        facts=(("models", ", ".join(MODELS)),),
        where="models",
    )


def rebuild(name: str, arguments: Any, dtype: DTypeLike, most: int) -> Sequential:
    """Build the model that a file names, of `most` numbers at the most; all of them are unset."""
    if not isinstance(arguments, dict) or {"rng", "dtype"} & set(arguments):
        raise ProblemError("the file does not say what its model was built with.", where="load")
    return build(name, **arguments, rng=Unset(most), dtype=dtype)
