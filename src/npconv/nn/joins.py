"""Layers made of layers: one after the other, around one another, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.channelwise import Limits
from npconv.nn.layer import Backprop, Layer, Training, numbers


class _Several(Layer):
    """Layers with names: their numbers, unless a mapping says otherwise."""

    def __init__(self, layers: Sequence[Layer] | Mapping[str, Layer]) -> None:
        named = layers if isinstance(layers, Mapping) else dict(enumerate(layers))
        self.layers = {str(name): layer for name, layer in named.items()}
        for name, layer in self.layers.items():
            if not isinstance(layer, Layer):
                kind = type(layer).__name__
                raise ProblemError(f"{name!r} is a {kind}, not a layer.", where=type(self).__name__)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers and their names."""
        yield from self.layers.items()

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers.values())

    def __getitem__(self, name: int | str) -> Layer:
        return self.layers[name] if isinstance(name, str) else list(self.layers.values())[name]


class Sequential(_Several):
    """Layers one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
    >>> model(np.ones((2, 1, 8, 8))).shape
    (2, 256)
    """

    def __init__(self, *layers: Layer | Mapping[str, Layer]) -> None:
        one = layers[0] if len(layers) == 1 else None
        super().__init__(one if isinstance(one, Mapping) else layers)  # type: ignore[arg-type]

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the result as in use; what a layer has computed goes when the next one has."""
        for layer, limits in self._steps():
            x = layer(x) if limits is None else layer.clamped(numbers(x, layer), False, limits)[0]
        return np.asarray(x)

    def _steps(self) -> Iterator[tuple[Layer, Limits | None]]:
        """Yield the layers, and the limits of a layer behind one that clamps for it.

        A layer whose `forward` is the object's own is called by that.
        """
        layers = list(self)
        at = 0
        while at < len(layers):
            layer, after = layers[at], layers[at + 1] if at + 1 < len(layers) else None
            limits = None
            if (
                layer.clamps
                and after is not None
                and "forward" not in {**vars(layer), **vars(after)}
            ):
                limits = after.limits
            at += 1 if limits is None else 2
            yield layer, limits

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the last layer's result and the way back through all."""
        steps = []
        for layer, limits in self._steps():
            if limits is None:
                x, step = layer.forward(x, training)
            else:
                x, step = layer.clamped(x, training, limits)
            steps.append((step, layer))

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            learns = (at for at, (_, layer) in enumerate(steps) if layer.parameters())
            first = -1 if wanted else next(learns, len(steps))  # the last whose x nobody reads
            for at in range(len(steps) - 1, -1, -1):
                if grad is None:
                    break
                grad = steps[at][0](grad, at > first)
            return grad

        return x, backprop


class Residual(Layer):
    """``after(body(x) + shortcut(x))``, where shortcut is x itself unless it is a layer.

    names: those of body, shortcut and after in `state_dict`; "" where the parts of one count as
    this layer's own.
    """

    def __init__(
        self,
        body: Layer,
        shortcut: Layer | None = None,
        after: Layer | None = None,
        names: tuple[str, str, str] = ("body", "shortcut", "after"),
    ) -> None:
        self.body, self.shortcut, self.after, self.names = body, shortcut, after, names

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield body, shortcut and after, those that there are."""
        for name, layer in zip(self.names, (self.body, self.shortcut, self.after), strict=True):
            if layer is not None:
                yield name, layer

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the result as in use."""
        array = np.asarray(x)
        total = self._added(self.body(array), array if self.shortcut is None else self.shortcut(x))
        return total if self.after is None else self.after(total)

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the sum and the way back through both."""
        y, through_body = self.body.forward(x, training)
        past, around, after = x, None, None
        if self.shortcut is not None:
            past, around = self.shortcut.forward(x, training)
        total = self._added(y, past)
        if self.after is not None:
            total, after = self.after.forward(total, training)

        def backprop(grad: np.ndarray, wanted: bool = True) -> Any:
            if after is not None:
                grad = after(grad, True)
            inner = through_body(grad, wanted)
            outer = grad if around is None else around(grad, wanted)
            return inner + outer if wanted else None

        return total, backprop

    def _added(self, y: np.ndarray, past: np.ndarray) -> np.ndarray:
        if y.shape != past.shape:
            raise ProblemError(
                f"body gives {y.shape}, shortcut {past.shape}.",
                rule="both have the same shape",
                where="Residual",
            )
        return y + past


class Concat(_Several):
    """Layers side by side, all of x, their results joined along the channels."""

    def __init__(self, branches: Sequence[Layer] | Mapping[str, Layer], axis: int = 1) -> None:
        super().__init__(branches)
        self.axis = axis
        if not self.layers:
            raise ProblemError("there is no branch.", where="Concat")

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the results as in use."""
        return self._joined([branch(x) for branch in self])

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the results and the way back through all."""
        made = [branch.forward(x, training) for branch in self]
        ends = np.cumsum([y.shape[self.axis] for y, _ in made])[:-1]

        def backprop(grad: np.ndarray, wanted: bool = True) -> Any:
            parts = np.split(grad, ends, self.axis)
            found = [step(part, wanted) for (_, step), part in zip(made, parts, strict=True)]
            return sum(found[1:], start=found[0]) if wanted else None

        return self._joined([y for y, _ in made]), backprop

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        shapes = {p.shape[: self.axis] + p.shape[self.axis :][1:] for p in parts}
        if len(shapes) > 1:
            raise ProblemError(
                f"branches give {', '.join(str(p.shape) for p in parts)}.",
                rule=f"all alike but along axis {self.axis}",
                where="Concat",
            )
        return np.concatenate(parts, self.axis)
