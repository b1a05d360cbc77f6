"""Optimizers by PyTorch's names, arguments and defaults: ``step()`` follows the gradients.

::

    optimizer = nn.SGD(model, lr=0.1, momentum=0.9)
    ...                      # forward, loss, backprop
    optimizer.step()
    model.zero_grad()
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn.layer import Layer, Parameter
from npconv.nn.optimizer import Optimizer


class SGD(Optimizer):
    """Steps down the gradient, with momentum where it is asked for.

    ``v = momentum * v + (1 - dampening) * g``, ``data -= lr * v``, where g is the gradient plus
    ``weight_decay * data``; the first v is g. nesterov steps by ``g + momentum * v``.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> weight = nn.Parameter(np.array([1.0, 2.0]))
    >>> weight.add_grad(np.array([10.0, 0.0]))
    >>> nn.SGD([weight], lr=0.05).step()
    >>> weight.data
    array([0.5, 2. ])
    """

    def __init__(
        self,
        parameters: Layer | Iterable[Parameter] | Iterable[tuple[str, Parameter]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ProblemError(
                f"momentum is {momentum}, dampening {dampening}.",
                rule="nesterov needs momentum and no dampening",
                where="SGD",
            )
        self.momentum, self.dampening = float(momentum), float(dampening)
        self.weight_decay, self.nesterov = float(weight_decay), bool(nesterov)
        self.KEEPS = ("momentum_buffer",) if momentum else ()

    def _settings(self, count: int, lr: float) -> dict[str, Any]:
        return {"lr": lr, "first": count == 1}

    def _change(self, data: np.ndarray, grad: np.ndarray, *kept: np.ndarray, **at: Any) -> None:
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        for velocity in kept:
            if at["first"]:
                velocity[...] = grad
            else:
                velocity *= self.momentum
                velocity += grad if self.dampening == 0 else (1 - self.dampening) * grad
            grad = grad + self.momentum * velocity if self.nesterov else velocity
        data -= at["lr"] * grad


class Adam(Optimizer):
    """Steps by the gradient's running mean over the root of its running mean square.

    ``m = b1 * m + (1 - b1) * g``, ``s = b2 * s + (1 - b2) * g**2``, both divided by what they lack
    of a full mean, ``data -= lr * m / (sqrt(s) + eps)``; g is the gradient plus
    ``weight_decay * data``. amsgrad divides by the largest s so far.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> weight = nn.Parameter(np.array([1.0, 2.0]))
    >>> weight.add_grad(np.array([10.0, -1.0]))
    >>> nn.Adam([weight], lr=0.5).step()
    >>> weight.data.round(6)
    array([0.5, 2.5])
    """

    def __init__(
        self,
        parameters: Layer | Iterable[Parameter] | Iterable[tuple[str, Parameter]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ProblemError(
                f"betas are {betas}.", rule="0 or more, below 1", where=type(self).__name__
            )
        self.betas, self.eps = (float(betas[0]), float(betas[1])), float(eps)
        self.weight_decay, self.amsgrad = float(weight_decay), bool(amsgrad)
        self.KEEPS = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if amsgrad else ()))

    def _settings(self, count: int, lr: float) -> dict[str, Any]:
        first, second = (1 - beta**count for beta in self.betas)
        return {"lr": lr, "step": lr / first, "root": second**0.5}

    def _decayed(self, data: np.ndarray, grad: np.ndarray, lr: float) -> np.ndarray:
        return grad + self.weight_decay * data

    def _change(self, data: np.ndarray, grad: np.ndarray, *kept: np.ndarray, **at: Any) -> None:
        if self.weight_decay:
            grad = self._decayed(data, grad, at["lr"])
        (first, second), (mean, square, *largest) = self.betas, kept
        mean += (1 - first) * (grad - mean)
        square *= second
        square += (1 - second) * grad * grad
        for most in largest:
            np.maximum(most, square, out=most)
            square = most
        root = np.sqrt(square)
        root /= at["root"]
        root += self.eps
        np.divide(mean, root, out=root)
        root *= at["step"]
        data -= root


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: ``data *= 1 - lr * weight_decay``."""

    def __init__(
        self,
        parameters: Layer | Iterable[Parameter] | Iterable[tuple[str, Parameter]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    def _decayed(self, data: np.ndarray, grad: np.ndarray, lr: float) -> np.ndarray:
        data *= 1 - lr * self.weight_decay
        return grad
