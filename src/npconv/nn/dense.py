"""Layers that take all features at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.nn.arguments import Seed, uniform, whole
from npconv.nn.layer import Backprop, Layer, Training


class Linear(Layer):
    """``x @ weight.T + bias``: x (..., in_features) to (..., out_features).

    Parameters
    ----------
    in_features, out_features : int
        Of x's last axis and of the result's.
    bias : bool
        Whether a number is added to each feature.
    dtype : {"float32", "float64"}
        Of weight, (out_features, in_features), and bias, (out_features,).
    rng : int or Generator, optional
        Where the first weights come from: even between ±1 / sqrt(in_features).

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.Linear(400, 10)(np.ones((8, 400), np.float32)).shape
    (8, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = "float32",
        rng: Seed = None,
    ) -> None:
        self.in_features = whole(self, "in_features", in_features)
        self.out_features = whole(self, "out_features", out_features)
        generator = np.random.default_rng(rng)
        bound = 1 / math.sqrt(self.in_features)
        shape = (self.out_features, self.in_features)
        self.weight = uniform(generator, shape, bound, dtype)
        self.bias = uniform(generator, shape[:1], bound, dtype) if bias else None

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the sums."""
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ProblemError(
                f"x is {x.shape}, the layer takes {self.in_features} features.",
                rule="x is (..., in_features)",
                fix="nn.Flatten() before it makes each image one row" if x.ndim > 2 else "",
                where="Linear",
                facts=(("layer", repr(self)),),
            )
        weight = self.weight.data
        y = np.asarray(x @ weight.T)
        if self.bias is not None:
            y += self.bias.data

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            rows = grad.reshape(-1, self.out_features)
            self.weight.add_grad(rows.T @ x.reshape(-1, self.in_features))
            if self.bias is not None:
                self.bias.add_grad(rows.sum(0))
            return grad @ weight if wanted else None

        return y, backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
