"""Pooling: the largest of a window, its mean, and means over as many windows as are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

import npconv
from npconv import ProblemError
from npconv.nn.arguments import check_x, per_axis
from npconv.nn.layer import Backprop, Layer, Training
from npconv.nn.lying import Lying, run_sums


class _Pool(Layer):
    """A window, its steps, and what stands around x."""

    axes: int

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
        self.kernel_size = per_axis(self, "kernel_size", kernel_size, self.axes)
        steps = self.kernel_size if stride is None else stride
        self.stride = per_axis(self, "stride", steps, self.axes)
        self.padding = per_axis(self, "padding", padding, self.axes, 0)
        self.ceil_mode = bool(ceil_mode)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ProblemError(
                f"padding {self.padding} with kernel_size {self.kernel_size}.",
                rule="padding is at most half the window",
                where=type(self).__name__,
            )

    def _geometry(self) -> dict[str, Any]:
        names = ("stride", "padding", "ceil_mode")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        said = {"kernel_size": self.kernel_size, **self._geometry()}
        return ", ".join(f"{name}={value}" for name, value in said.items())


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = per_axis(self, "dilation", dilation, self.axes)
        if return_indices:
            raise ProblemError(
                "return_indices is True.",
                rule="a layer returns one array",
                fix="npconv.max_pool(x, kernel_size, return_indices=True)",
                where=type(self).__name__,
            )

    def _geometry(self) -> dict[str, Any]:
        return {**super()._geometry(), "dilation": self.dilation}

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the largest element of each window."""
        check_x(self, x, (self.axes,))
        size, geometry = self.kernel_size, self._geometry()
        indices = None
        if training:
            y, indices = npconv.max_pool(x, size, return_indices=True, **geometry)
        else:
            y = npconv.max_pool(x, size, **geometry)

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            if not wanted:
                return None
            return npconv.max_pool_grad(grad, x, size, indices=indices, **geometry)

        return y, backprop


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def _geometry(self) -> dict[str, Any]:
        return {**super()._geometry(), "count_include_pad": self.count_include_pad}

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the mean of each window."""
        check_x(self, x, (self.axes,))
        size, geometry = self.kernel_size, self._geometry()

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            return npconv.avg_pool_grad(grad, x, size, **geometry) if wanted else None

        return npconv.avg_pool(x, size, **geometry), backprop


class _AdaptiveAvgPool(Layer):
    axes: int

    def __init__(self, output_size: Any) -> None:
        many = isinstance(output_size, (tuple, list))
        wanted = output_size if many else (output_size,) * self.axes
        known = per_axis(self, "output_size", [1 if n is None else n for n in wanted], self.axes)
        # None stands for x's own size.
        self.output_size = tuple(
            None if n is None else size for n, size in zip(wanted, known, strict=True)
        )

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the mean of each window; along an axis they part x as evenly as can be."""
        check_x(self, x, (self.axes,))
        sizes = x.shape[2:]
        if 0 in sizes:
            raise ProblemError(f"x is {x.shape}: there is nothing to average.",
                               where=type(self).__name__)  # fmt: skip
        outs = tuple(n or size for n, size in zip(self.output_size, sizes, strict=True))
        pairs = list(zip(sizes, outs, strict=True))
        if not any(size % out for size, out in pairs):
            window = tuple(size // out for size, out in pairs)

            def alike(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
                return npconv.avg_pool_grad(grad, x, window) if wanted else None

            return npconv.avg_pool(x, window), alike
        lying = Lying(x)
        windows = [_windows(size, out) for size, out in pairs]
        holders = [_windows(out, size) for size, out in pairs]

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            if not wanted:
                return None
            seen = lying.seen(grad)
            for axis, (starts, stops) in enumerate(windows, 2):
                shares = seen / lying.along(axis, stops - starts, seen.dtype)
                seen = run_sums(shares, lying.place(axis), *holders[axis - 2])
            return lying.as_x(seen)

        y = lying.seen(x)
        for axis, (starts, stops) in enumerate(windows, 2):
            y = run_sums(y, lying.place(axis), starts, stops)
            y /= lying.along(axis, stops - starts, y.dtype)
        return lying.as_x(y), backprop

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return f"output_size={self.output_size}"


def _windows(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each of out windows begins and ends.

    The windows that hold an element are those that ``_windows(out, size)`` gives for it.
    """
    places = np.arange(out)
    return places * size // out, -((places + 1) * -size // out)


class MaxPool1d(_MaxPool):
    """The largest of each window along one axis; see `MaxPool2d`."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of images.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or sequence of int
        The window, the step between windows (by default its size), the elements on both sides of
        an axis, which never win, and the step between the window's elements.
    return_indices : bool
        Not for a layer: `npconv.max_pool` returns them.
    ceil_mode : bool
        Whether a last window may reach past the end.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest of each window of volumes; see `MaxPool2d`."""

    axes = 3


class AvgPool1d(_AvgPool):
    """The mean of each window along one axis; see `AvgPool2d`."""

    axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window of images.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As in `MaxPool2d`; the padding holds zeros.
    count_include_pad : bool
        Whether the padding counts.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of volumes; see `AvgPool2d`."""

    axes = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of as many windows along one axis as are wanted; see `AdaptiveAvgPool2d`."""

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of as many windows of images as are wanted.

    Parameters
    ----------
    output_size : int, None, or sequence of these
        How many windows along both axes, or along each; None for as many as x has elements.

    Notes
    -----
    Window i of n takes the elements from floor(i * size / n) to below ceil((i + 1) * size / n):
    neighbours share an element where n does not divide size.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.AdaptiveAvgPool2d((1, 2))(np.arange(9.0).reshape(1, 1, 3, 3))
    array([[[[3.5, 4.5]]]])
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of as many windows of volumes as are wanted; see `AdaptiveAvgPool2d`."""

    axes = 3
