"""Functions of each element by itself, and softmax."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from npconv import ProblemError
from npconv.channelwise import Limits, clamp
from npconv.nn.arguments import real
from npconv.nn.layer import Backprop, Layer, Training
from npconv.nn.lying import BLOCK, each, gapless, let_through


class Elementwise(Layer):
    """A function of each element.

    by_result: whether the slope follows from the result, so that x need not be kept.
    """

    by_result = True
    inplace = False

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the function of each element."""
        y = each(self.fill, x, inplace=self.inplace)
        kept = y if self.by_result else x

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            return each(self.fill_grad, kept, grad) if wanted else None

        return y, backprop

    def fill(self, out: np.ndarray, x: np.ndarray) -> None:
        """Write the function of a row x to out."""
        raise NotImplementedError

    def fill_grad(self, out: np.ndarray, kept: np.ndarray, grad: np.ndarray) -> None:
        """Write grad times the slope to out; kept is the result or x, as `by_result` says."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return "inplace=True" if self.inplace else ""


class ReLU(Layer):
    """``max(x, 0)``.

    Parameters
    ----------
    inplace : bool
        Whether the result is written over x: it saves memory where nothing else reads x.

    Notes
    -----
    The slope follows from the result, so x is not kept.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.ReLU()(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    limits = Limits(0, math.inf)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return x between the limits."""
        limits = self.limits

        def clamped(seen: np.ndarray) -> np.ndarray:
            return clamp(seen, limits, seen if self.inplace and seen.flags.writeable else None)

        y = gapless(clamped, x)

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            return let_through(grad, y, limits) if wanted else None

        return y, backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return "inplace=True" if self.inplace else ""


class ReLU6(ReLU):
    """``min(max(x, 0), 6)``; see `ReLU`."""

    limits = Limits(0, 6)


class LeakyReLU(Elementwise):
    """x where it is positive, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
        From 0, as otherwise the slope would not follow from the result.
    inplace : bool
        As in `ReLU`.
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = real(self, "negative_slope", negative_slope, 0)
        self.inplace = bool(inplace)

    def fill(self, out: np.ndarray, x: np.ndarray) -> None:
        """Write x or its part to out."""
        below = np.minimum(x, _all(0, x))
        below *= self.negative_slope
        np.maximum(x, _all(0, x), out=out)
        out += below

    def fill_grad(self, out: np.ndarray, kept: np.ndarray, grad: np.ndarray) -> None:
        """Write grad or its part to out."""
        above = kept > 0
        below = grad * ~above
        below *= self.negative_slope
        np.multiply(grad, above, out=out)
        out += below

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        said = [f"negative_slope={self.negative_slope:g}", super().extra_repr()]
        return ", ".join(part for part in said if part)


class Sigmoid(Elementwise):
    """``1 / (1 + exp(-x))``."""

    def fill(self, out: np.ndarray, x: np.ndarray) -> None:
        """Write the sigmoid of x to out."""
        _sigmoid(out, x)

    def fill_grad(self, out: np.ndarray, kept: np.ndarray, grad: np.ndarray) -> None:
        """Write grad * y * (1 - y) to out."""
        np.subtract(1, kept, out=out)
        out *= kept
        out *= grad


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    def fill(self, out: np.ndarray, x: np.ndarray) -> None:
        """Write tanh(x) to out."""
        np.tanh(x, out=out)

    def fill_grad(self, out: np.ndarray, kept: np.ndarray, grad: np.ndarray) -> None:
        """Write grad * (1 - y**2) to out."""
        np.multiply(kept, kept, out=out)
        np.subtract(1, out, out=out)
        out *= grad


class SiLU(Elementwise):
    """``x * sigmoid(x)``, also known as swish.

    Parameters
    ----------
    inplace : bool
        Taken as PyTorch takes it, and of no effect: the slope needs x.
    """

    by_result = False

    def __init__(self, inplace: bool = False) -> None:
        pass

    def fill(self, out: np.ndarray, x: np.ndarray) -> None:
        """Write x * sigmoid(x) to out."""
        _sigmoid(out, x)
        out *= x

    def fill_grad(self, out: np.ndarray, kept: np.ndarray, grad: np.ndarray) -> None:
        """Write grad * s * (1 + x * (1 - s)) to out, with s = sigmoid(x)."""
        share = np.empty_like(kept)
        _sigmoid(share, kept)
        np.subtract(1, share, out=out)
        out *= kept
        out += 1
        out *= share
        out *= grad


class Softmax(Layer):
    """``exp(x) / sum of exp(x)`` along an axis.

    Parameters
    ----------
    dim : int
        The axis, by default the channels.

    Notes
    -----
    Losses from logits do not want it before them.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.Softmax()(np.log([[1.0, 2.0, 5.0]])).round(3)
    array([[0.125, 0.25 , 0.625]])
    """

    def __init__(self, dim: int = 1) -> None:
        self.dim = dim

    @np.errstate(all="ignore")
    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return shares that add up to 1."""
        if not -x.ndim <= self.dim < x.ndim:
            raise ProblemError(
                f"x has {x.ndim} axes, dim is {self.dim}.", where="Softmax",
                facts=(("x", str(x.shape)),),
            )  # fmt: skip
        y = x - x.max(self.dim, keepdims=True, initial=-np.inf)
        np.exp(y, out=y)
        y /= y.sum(self.dim, keepdims=True)

        @np.errstate(all="ignore")
        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            if not wanted:
                return None
            along = np.multiply(y, grad, out=np.empty_like(y))
            along -= y * along.sum(self.dim, keepdims=True)
            return along

        return y, backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return f"dim={self.dim}"


@cache
def _row(value: float, dtype: np.dtype) -> np.ndarray:
    return np.full(BLOCK, value, dtype)


def _all(value: float, x: np.ndarray) -> np.ndarray:
    """Return a row like x that holds one value.

    NumPy compares two arrays twice as fast as an array and a number.
    """
    return _row(value, x.dtype)[: x.size]


def _sigmoid(out: np.ndarray, x: np.ndarray) -> None:
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1  # 1 / inf is the right 0
    np.reciprocal(out, out=out)
