"""Layers that change the shape, or nothing in use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npconv import ProblemError
from npconv.nn.arguments import check_x, per_axis, real
from npconv.nn.layer import Backprop, Layer, Training
from npconv.nn.lying import Lying, run_sums


class Identity(Layer):
    """x itself; arguments are taken and forgotten, as in PyTorch."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return x."""
        return x, lambda grad, wanted=True: grad


class Flatten(Layer):
    """Several axes as one: by default each image of a batch becomes a row.

    Parameters
    ----------
    start_dim, end_dim : int
        The first axis and the last.

    Notes
    -----
    Elements come in the order of x's axes, whatever its memory order: for channels-last memory a
    copy.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.Flatten()(np.ones((8, 16, 5, 5))).shape
    (8, 400)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return x with those axes as one."""
        first, last = (d + x.ndim * (d < 0) for d in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise ProblemError(
                f"x has {x.ndim} axes, none from {self.start_dim} to {self.end_dim}.",
                where="Flatten", facts=(("x", str(x.shape)),),
            )  # fmt: skip
        shape = (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])
        lying, was = Lying(x), x.shape

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            return lying.as_x(lying.seen(grad.reshape(was))) if wanted else None

        return x.reshape(shape), backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Dropout(Layer):
    """In training, 0 for a share p of the elements, and the others times 1 / (1 - p).

    Parameters
    ----------
    p : float
        How likely an element is dropped, each by itself.
    inplace : bool
        Taken as PyTorch takes it, and of no effect.

    Notes
    -----
    Which ones is drawn from the Generator that `forward` is given as training, in the order of
    x's memory.  Source: N. Srivastava et al., "Dropout", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> y, backprop = nn.Dropout(0.5).forward(np.ones((2, 4)), np.random.default_rng(1))
    >>> y
    array([[0., 2., 2., 2.],
           [0., 0., 2., 2.]])
    """

    whole = False  # whether whole channels are dropped

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = real(self, "p", p, 0, 1)

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return what is left of x."""
        if not training or self.p == 0:
            return x, lambda grad, wanted=True: grad
        rng = training if isinstance(training, np.random.Generator) else np.random.default_rng()
        lying = Lying(x)
        seen = lying.seen(x)
        if self.whole:
            shape = (*x.shape[:2], *(1,) * (x.ndim - 2))
            kept = (rng.random(shape, np.float32) >= self.p).transpose(lying.axes)
        else:
            kept = rng.random(seen.shape, np.float32) >= self.p
        scale = 0.0 if self.p == 1 else 1 / (1 - self.p)

        def drop(array: np.ndarray) -> np.ndarray:
            left = array * kept
            left *= scale
            return lying.as_x(left)

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            return drop(lying.seen(grad)) if wanted else None

        return drop(seen), backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return f"p={self.p:g}"


class Dropout2d(Dropout):
    """`Dropout` of whole channels, for any number of spatial axes."""

    whole = True


_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


class Upsample(Layer):
    """x with its spatial axes longer, or shorter: (N, C, *spatial) to (N, C, *size).

    Parameters
    ----------
    size : int or sequence of int, optional
        The spatial axes of the result.
    scale_factor : float or sequence of float, optional
        In place of size: floor(x's size * scale_factor).
    mode : {"nearest", "linear", "bilinear", "trilinear"}
        Each element again, or a line between the two next ones along one, two or three axes.
    align_corners : bool, optional
        Whether the first and last elements' middles stay where they are, not the outer edges; not
        for "nearest".

    Notes
    -----
    Every axis by itself, one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.Upsample(scale_factor=2)(np.array([[[1.0, 2.0]]]))
    array([[[1., 1., 2., 2.]]])
    >>> nn.Upsample(scale_factor=2, mode="linear")(np.array([[[1.0, 2.0]]]))
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        name = "Upsample"
        if (size is None) == (scale_factor is None):
            raise ProblemError("one of size and scale_factor is to be given.", where=name)
        if mode != "nearest" and mode not in _LINEAR:
            rule = ", ".join(["nearest", *_LINEAR])
            raise ProblemError(f"mode {mode!r} is not known.", rule=rule, where=name)
        if mode == "nearest" and align_corners is not None:
            raise ProblemError(
                "align_corners goes with a line between elements.",
                fix="mode='bilinear', or no align_corners", where=name,
            )  # fmt: skip
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,)
        if size is None and not all(real(self, "scale_factor", f, 0) for f in factors):
            raise ProblemError(f"scale_factor is {scale_factor!r}.", rule="above 0", where=name)
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return x with its spatial axes longer or shorter."""
        check_x(self, x, (_LINEAR[self.mode],) if self.mode in _LINEAR else (1, 2, 3))
        sizes, lying = x.shape[2:], Lying(x)
        if 0 in sizes:
            raise ProblemError(f"x is {x.shape}: there is nothing to repeat.", where="Upsample")
        ways = [
            _taps(size, out, ratio, self.mode in _LINEAR, bool(self.align_corners))
            for size, (out, ratio) in zip(sizes, self._outs(sizes), strict=True)
        ]

        def shared(seen: np.ndarray, axis: int, share: np.ndarray | None) -> np.ndarray:
            return seen if share is None else seen * lying.along(axis, share, seen.dtype)

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            if not wanted:
                return None
            seen = lying.seen(grad)
            for axis, taps in enumerate(ways, 2):
                ends = np.arange(sizes[axis - 2] + 1)
                found = [
                    run_sums(shared(seen, axis, share), lying.place(axis), *_runs(index, ends))
                    for index, share in taps
                ]
                seen = sum(found[1:], start=found[0])
            return lying.as_x(seen)

        y = lying.seen(x)
        for axis, taps in enumerate(ways, 2):
            found = [shared(y.take(index, lying.place(axis)), axis, share) for index, share in taps]
            y = sum(found[1:], start=found[0])
        return lying.as_x(y), backprop

    def _outs(self, sizes: tuple[int, ...]) -> list[tuple[int, float]]:
        """Return for each spatial axis the result's size, and x's elements for one of it."""
        if self.size is not None:
            outs = per_axis(self, "size", self.size, len(sizes))
            return [(out, size / out) for size, out in zip(sizes, outs, strict=True)]
        factors = self.scale_factor
        factors = factors if isinstance(factors, (tuple, list)) else (factors,) * len(sizes)
        if len(factors) != len(sizes):
            raise ProblemError(
                f"scale_factor {tuple(factors)} has {len(factors)} entries, x {len(sizes)} spatial "
                "axes.", where="Upsample",
            )  # fmt: skip
        outs = tuple(int(size * factor) for size, factor in zip(sizes, factors, strict=True))
        if 0 in outs:
            raise ProblemError(
                f"scale_factor {tuple(factors)} leaves nothing of {sizes}.", where="Upsample"
            )
        return [(out, 1 / factor) for out, factor in zip(outs, factors, strict=True)]

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        given = "size" if self.size is not None else "scale_factor"
        return f"{given}={getattr(self, given)}, mode={self.mode!r}"


_Taps = list[tuple[np.ndarray, np.ndarray | None]]


def _taps(size: int, out: int, ratio: float, linear: bool, corners: bool) -> _Taps:
    """Return what each element of the result sums: indices, never falling, and their shares."""
    places = np.arange(out)
    if not linear:
        # PyTorch reckons in float32, and so decides which side of an edge an element is on; it
        # takes these two sizes at their word, whatever the factor that led to them.
        ratio = size / out if out in (size, 2 * size) else ratio
        index = np.floor(places.astype(np.float32) * np.float32(ratio)).astype(np.intp)
        return [(np.minimum(index, size - 1), None)]
    if corners:
        at = places * ((size - 1) / (out - 1)) if out > 1 else np.zeros(1)
    else:
        at = np.maximum((places + 0.5) * ratio - 0.5, 0)
    below = np.minimum(at.astype(np.intp), size - 1)
    share = np.minimum(at - below, 1)
    return [(below, 1 - share), (np.minimum(below + 1, size - 1), share)]


def _runs(index: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each element of x where those that take it begin and end."""
    bounds = np.searchsorted(index, ends)
    return bounds[:-1], bounds[1:]
