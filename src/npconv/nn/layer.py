"""What a layer is: `forward` returns the result and the way back, and nothing is kept in between.

::

    y, backprop = layer.forward(x, training=True)
    grad_x = backprop(grad_y)          # and adds to the parameters' .grad

Two calls at once do not know of each other, so threads may share a model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npconv import ProblemError
from npconv.channelwise import Limits

# backprop(grad_y, wanted=True): `wanted` is False where nobody reads the gradient of x, which may
# then be None.
Backprop = Callable[..., Any]
Training = bool | np.random.Generator


class Buffer:
    """An array that belongs to a layer's state and does not learn, as batch norm's running mean."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.data.shape}, {self.data.dtype})"


class Parameter(Buffer):
    """An array that learns.

    data   what it is now
    grad   what backprops have added up since `zero_grad`, of data's shape; None for nothing
    """

    def __init__(self, data: np.ndarray) -> None:
        super().__init__(data)
        self.grad: np.ndarray | None = None
        self._lock = threading.Lock()

    def add_grad(self, grad: np.ndarray) -> None:
        """Add to grad; several threads may."""
        with self._lock:
            self.grad = grad if self.grad is None else self.grad + grad

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "grad": self.grad}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["data"])  # type: ignore[misc]
        self.grad = state["grad"]


class Layer:
    """A function of an array that may have parameters.

    A subclass gives `forward`; parameters, buffers and layers within are its attributes, and the
    names of these are their names in `state_dict`, as in PyTorch.
    """

    recipe: tuple[str, dict[str, Any]] | None = None  # a model's name and arguments in nn.models
    limits: Limits | None = None  # of a layer that does nothing but clamp its x
    clamps = False  # whether there is `clamped`, which is `forward` and such a layer after it

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the result and its `backprop`.

        Parameters
        ----------
        x : ndarray
            (N, C, *spatial) or (N, features).
        training : bool or numpy.random.Generator
            Whether layers behave as in training; a Generator is where random numbers come from.

        Returns
        -------
        y : ndarray
        backprop : callable
            ``backprop(grad_y, wanted=True)`` returns the gradient of x and adds those of the
            parameters to their `grad`; wanted: whether anybody reads the gradient of x, which may
            else be None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def clamped(
        self, x: np.ndarray, training: Training, limits: Limits
    ) -> tuple[np.ndarray, Backprop]:
        """Return what `forward` does, between limits, and its `backprop`."""
        raise NotImplementedError(f"{type(self).__name__} has no clamped")

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the result as in use: nothing random, and nothing held for the way back."""
        return self.forward(numbers(x, self), False)[0]

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers within and their names; "" for one whose parts count as its own."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield this layer and all within, with their full names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.modules(_joined(prefix, name))

    def _named(self, kind: type[Buffer]) -> Iterator[tuple[str, Any]]:
        found: dict[int, tuple[str, Any]] = {}
        _collect(self, kind, "", found)
        yield from found.values()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their names, each once."""
        yield from self._named(Parameter)

    def parameters(self) -> list[Parameter]:
        """Return the parameters, each once."""
        return [parameter for _, parameter in self.named_parameters()]

    @property
    def parameter_count(self) -> int:
        """How many numbers learn."""
        return sum(parameter.data.size for parameter in self.parameters())

    def zero_grad(self) -> None:
        """Forget the gradients that were added up."""
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return parameters and buffers by their names: the arrays themselves, no copies."""
        return {name: each.data for name, each in self._named(Buffer)}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take copies of arrays by their names, all of them or none.

        Raises
        ------
        ProblemError
            Where a name is missing or too many, or a shape is another one; nothing is changed.
        """
        own = dict(self._named(Buffer))
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise ProblemError(
                f"{len(missing)} names are missing and {len(unknown)} are not this model's.",
                where="load_state_dict",
                facts=(("missing", ", ".join(missing[:5])), ("unknown", ", ".join(unknown[:5]))),
                rule="the names of state_dict()",
            )
        new = {}
        for name, each in own.items():
            array = np.asarray(state[name])
            if array.shape != each.data.shape or array.dtype.kind not in "fiub":
                raise ProblemError(
                    f"{name} is {array.shape} {array.dtype}, the model's is {each.data.shape} "
                    f"{each.data.dtype}.",
                    where="load_state_dict",
                )
            new[name] = np.array(array, each.data.dtype)
        for name, each in own.items():
            each.data = new[name]

    def astype(self, dtype: DTypeLike) -> Layer:
        """Turn the parameters and buffers of real numbers into another dtype; return the model."""
        for _, each in self._named(Buffer):
            if each.data.dtype.kind == "f":
                each.data = each.data.astype(dtype)
        return self

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of repr."""
        return ""

    def __repr__(self) -> str:
        rows = [f"({name}): {child!r}" for name, child in self.children()]
        if not rows:
            return f"{type(self).__name__}({self.extra_repr()})"
        body = "\n".join(rows).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"


def _collect(
    layer: Layer, kind: type[Buffer], prefix: str, found: dict[int, tuple[str, Any]]
) -> None:
    """Add what a layer and those within have of a kind, by id, with names."""
    for name, value in vars(layer).items():
        if isinstance(value, kind):
            found.setdefault(id(value), (_joined(prefix, name), value))
    for name, child in layer.children():
        _collect(child, kind, _joined(prefix, name), found)


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def numbers(x: ArrayLike, layer: Layer) -> np.ndarray:
    """Return real numbers as an array of floats."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ProblemError(f"x is {array.dtype}, not real numbers.", where=type(layer).__name__)
    return array if array.dtype.kind == "f" else array.astype(np.float32)
