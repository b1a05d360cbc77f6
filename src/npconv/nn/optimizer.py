"""What every optimizer has: parameters by name, what is kept of each, and `step`.

Parameters are changed in place, a stretch at a time that fits the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.layer import Layer, Parameter

STRETCH = 1 << 15  # numbers: five arrays of them fit the second-level cache


class Optimizer:
    """What every optimizer has: its parameters by name, what it keeps of each, and `step`.

    Parameters
    ----------
    parameters : Layer, or iterable of Parameter or of (name, Parameter)
    lr : float
        The learning rate; `step` may be given another.
    """

    KEEPS: tuple[str, ...] = ()  # the arrays kept of a parameter

    def __init__(
        self,
        parameters: Layer | Iterable[Parameter] | Iterable[tuple[str, Parameter]],
        lr: float,
        **numbers: float,
    ) -> None:
        self.parameters = dict(_named(parameters, type(self).__name__))
        self.lr = float(lr)
        for name, value in {"lr": lr, **numbers}.items():
            if not value >= 0:
                raise ProblemError(
                    f"{name} is {value}.", rule="0 or more", where=type(self).__name__
                )
        self._kept: dict[str, dict[str, np.ndarray]] = {}
        self._steps: dict[str, int] = {}

    def step(self, lr: float | None = None) -> None:
        """Change every parameter that has a gradient.

        Parameters
        ----------
        lr : float, optional
            The learning rate of this step; the optimizer's own unless given.
        """
        rate = float(self.lr if lr is None else lr)
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            if parameter.grad.shape != parameter.data.shape:
                raise ProblemError(
                    f"{name} is {parameter.data.shape}, its gradient {parameter.grad.shape}.",
                    where=type(self).__name__,
                )
            count = self._steps[name] = self._steps.get(name, 0) + 1
            kept = self._kept.get(name)
            if kept is None:
                kept = {part: np.zeros_like(parameter.data) for part in self.KEEPS}
                self._kept[name] = kept
            settings = self._settings(count, rate)
            for arrays in _stretches(parameter.data, parameter.grad, kept.values()):
                self._change(*arrays, **settings)

    def zero_grad(self) -> None:
        """Forget the gradients that were added up."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of what is kept, by ``parameter's name.part``, and each one's steps."""
        state = {
            f"{name}.{part}": array.copy()
            for name, kept in self._kept.items()
            for part, array in kept.items()
        }
        return state | {f"{n}.step": np.array(count) for n, count in self._steps.items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take copies of what another `state_dict` returned, all of it or none.

        Raises
        ------
        ProblemError
            Where a name is not this optimizer's, or a part is missing or has another shape.
        """
        left = dict(state)
        kept: dict[str, dict[str, np.ndarray]] = {}
        steps: dict[str, int] = {}
        for name, parameter in self.parameters.items():
            if f"{name}.step" not in left:
                continue
            steps[name] = int(np.asarray(left.pop(f"{name}.step")))
            kept[name] = {part: np.zeros_like(parameter.data) for part in self.KEEPS}
            for part, array in kept[name].items():
                if f"{name}.{part}" not in left:
                    raise self._unfit(f"{name}.{part} is missing.")
                new = np.asarray(left.pop(f"{name}.{part}"))
                if new.shape != array.shape or new.dtype.kind != "f":
                    raise self._unfit(f"{name}.{part} is {new.shape} {new.dtype}.")
                array[...] = new
        if left:
            raise self._unfit(f"{', '.join(sorted(left)[:5])} is not this optimizer's.")
        self._kept, self._steps = kept, steps

    def _settings(self, count: int, lr: float) -> dict[str, Any]:
        """Return what `_change` is told at a parameter's step, the first being 1."""
        raise NotImplementedError(f"{type(self).__name__} has no _settings")

    def _change(self, data: np.ndarray, grad: np.ndarray, *kept: np.ndarray, **at: Any) -> None:
        """Change data and what is kept, stretches of them; grad is only read."""
        raise NotImplementedError(f"{type(self).__name__} has no _change")

    def _unfit(self, sentence: str) -> ProblemError:
        return ProblemError(
            sentence,
            rule="the names and shapes of state_dict()",
            where=f"{type(self).__name__}.load_state_dict",
        )

    def __repr__(self) -> str:
        hidden = {"parameters", "KEEPS"}
        own = [f"{n}={v}" for n, v in vars(self).items() if n[0] != "_" and n not in hidden]
        return f"{type(self).__name__}({', '.join(own)})"


def _named(given: Any, where: str) -> Iterable[tuple[str, Parameter]]:
    """Yield parameters and their names: numbers, where they have none."""
    pairs = given.named_parameters() if isinstance(given, Layer) else enumerate(given)
    found = False
    for name, each in pairs:
        if isinstance(each, tuple):
            name, each = each
        if not isinstance(each, Parameter):
            raise ProblemError(
                f"{type(each).__name__} is no parameter.",
                rule="a model, its parameters, or (name, parameter) pairs",
                where=where,
            )
        found = True
        yield str(name), each
    if not found:
        raise ProblemError("there are no parameters.", where=where)


def _stretches(
    data: np.ndarray, grad: np.ndarray, kept: Iterable[np.ndarray]
) -> Iterable[list[np.ndarray]]:
    """Cut arrays of one shape into short flat ones, data's and those kept being views."""
    if data.ndim and data.size <= STRETCH:
        yield [data, grad, *kept]
        return
    order = sorted(range(data.ndim), key=lambda axis: -data.strides[axis])
    turned = [array.transpose(order) for array in (data, grad, *kept)]
    # Holes between the numbers, or kept in another order than data: all in one piece.
    if not all(array.flags.c_contiguous for array in (turned[0], *turned[2:])):
        yield [data, grad, *kept]
        return
    flat = [array.reshape(-1) for array in turned]  # of grad perhaps a copy
    for start in range(0, data.size, STRETCH):
        yield [array[start : start + STRETCH] for array in flat]
