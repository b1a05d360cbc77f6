"""What the models share: how their weights begin, and what each was built with."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.convolutions import Conv2d
from npconv.nn.dense import Linear
from npconv.nn.joins import Sequential

P = ParamSpec("P")
L = TypeVar("L", Conv2d, Linear)
_NOT_KEPT = ("rng", "dtype")  # arguments that a file says by its arrays


class _Nothing(np.ndarray):
    """Zeros that take no memory and stay zeros: a place for numbers to come."""

    def __isub__(self, other: Any) -> _Nothing:  # type: ignore[misc, override]
        return self

    def __imul__(self, other: Any) -> _Nothing:  # type: ignore[misc]
        return self


class Unset(np.random.Generator):
    """Stands for random numbers where others come right after: gives zeros, `most` at the most.

    A half gigabyte of weights is then written once, when they are there.
    """

    def __init__(self, most: float = math.inf) -> None:
        super().__init__(np.random.PCG64(0))
        self.most = most

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Return zeros that cannot be written."""
        self.most -= math.prod(size)
        if self.most < 0:
            raise ProblemError("the file holds fewer numbers than the model it names.")
        return np.broadcast_to(np.zeros((), dtype), size).view(_Nothing)


UNSET = Unset()


def zoo(build: Callable[P, Sequential]) -> Callable[P, Sequential]:
    """Write down in each model that a function builds its name and arguments."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> Sequential:
        model = build(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        kept = {name: v for name, v in bound.arguments.items() if name not in _NOT_KEPT}
        model.recipe = (build.__name__, kept)
        return model

    return recorded


def named_arguments(build: Callable[..., Sequential]) -> list[str]:
    """Return the arguments that a file may give to one of these functions."""
    return [name for name in inspect.signature(build).parameters if name not in _NOT_KEPT]


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    rng: np.random.Generator,
    dtype: DTypeLike,
    **more: Any,
) -> Conv2d:
    """Return a convolution that begins as K. He's do: normal weights, a bias of zeros.

    Notes
    -----
    The deviation is sqrt(2 / (out_channels * kernel's size)), PyTorch's mode "fan_out".
    """
    layer = Conv2d(in_channels, out_channels, kernel_size, rng=_unset(rng), dtype=dtype, **more)
    deviation = math.sqrt(2 / (layer.out_channels * math.prod(layer.kernel_size)))
    return _drawn(layer, deviation, rng)


def dense(
    in_features: int, out_features: int, *, rng: np.random.Generator, dtype: DTypeLike
) -> Linear:
    """Return a dense layer that begins with normal weights of deviation 0.01, a bias of zeros."""
    return _drawn(Linear(in_features, out_features, rng=_unset(rng), dtype=dtype), 0.01, rng)


def _unset(rng: np.random.Generator) -> Unset:
    return rng if isinstance(rng, Unset) else UNSET


def _drawn(layer: L, deviation: float, rng: np.random.Generator) -> L:
    if isinstance(rng, Unset):
        return layer
    weight, bias = layer.weight.data, layer.bias
    drawn = rng.standard_normal(weight.shape, weight.dtype.type)
    drawn *= deviation
    layer.weight.data = drawn
    if bias is not None:
        bias.data = np.zeros(bias.data.shape, bias.data.dtype)
    return layer
