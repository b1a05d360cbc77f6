"""Convolutions and transposed convolutions with weights that learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import npconv
from npconv import ProblemError
from npconv.channelwise import OPEN, Limits, channel_sums
from npconv.nn.arguments import Seed, check_x, divides, per_axis, uniform, whole
from npconv.nn.layer import Backprop, Layer, Training
from npconv.nn.lying import let_through

_ACTIVATIONS = {OPEN: None, Limits(0, math.inf): "relu", Limits(0, 6): "relu6"}
_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Layer):
    """What both kinds share: weight, bias, geometry and their names.

    axes: how many spatial axes x has.
    """

    axes: int
    padding: Any
    output_padding: tuple[int, ...] = ()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        dilation: Any,
        groups: int,
        padding_mode: str,
        precision: str,
        algorithm: str,
    ) -> None:
        self.in_channels = whole(self, "in_channels", in_channels)
        self.out_channels = whole(self, "out_channels", out_channels)
        self.kernel_size = per_axis(self, "kernel_size", kernel_size, self.axes)
        self.stride = per_axis(self, "stride", stride, self.axes)
        self.dilation = per_axis(self, "dilation", dilation, self.axes)
        self.groups = whole(self, "groups", groups)
        divides(self, groups=self.groups, in_channels=self.in_channels)
        divides(self, groups=self.groups, out_channels=self.out_channels)
        self.padding_mode = padding_mode
        self.precision, self.algorithm = precision, algorithm

    def _begin(self, shape: tuple[int, ...], bias: bool, dtype: DTypeLike, rng: Seed) -> None:
        """Draw the weight of this shape, and the bias, as PyTorch does."""
        generator = np.random.default_rng(rng)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = uniform(generator, shape, bound, dtype)
        self.bias = uniform(generator, (self.out_channels,), bound, dtype) if bias else None

    def _numbers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Check x; return the weight and the bias."""
        check_x(self, x, (self.axes,), self.in_channels)
        return self.weight.data, None if self.bias is None else self.bias.data

    def _learn(self, grad: np.ndarray, grad_weight: np.ndarray) -> None:
        self.weight.add_grad(grad_weight)
        if self.bias is not None:
            self.bias.add_grad(channel_sums(grad))

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        said = [f"{self.in_channels}, {self.out_channels}"]
        said += [f"kernel_size={self.kernel_size}, stride={self.stride}"]
        usual = {
            "padding": (0,) * self.axes, "dilation": (1,) * self.axes,
            "output_padding": (0,) * len(self.output_padding), "groups": 1,
            "bias": True, "padding_mode": "zeros",
        }  # fmt: skip
        given = {**vars(self), "bias": self.bias is not None}
        return ", ".join(
            [*said, *(f"{n}={given[n]}" for n, v in usual.items() if given.get(n, v) != v)]
        )


class _Conv(_Convolution):
    clamps = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        precision: str = "fast",
        algorithm: str = "auto",
        dtype: DTypeLike = "float32",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode,
            precision, algorithm,
        )  # fmt: skip
        name = type(self).__name__
        if padding_mode not in _MODES:
            raise ProblemError(
                f"padding_mode {padding_mode!r} is not known.", rule=", ".join(_MODES), where=name
            )
        if not isinstance(padding, str):
            padding = per_axis(self, "padding", padding, self.axes, 0)
        elif padding not in ("valid", "same"):
            raise ProblemError(
                f"padding {padding!r} is not known.",
                rule="'valid', 'same', one integer, or one for each spatial axis",
                where=name,
            )
        elif padding == "same" and set(self.stride) != {1}:
            raise ProblemError(
                f"padding 'same' with stride {self.stride}.", rule="'same' takes no stride",
                fix="padding=kernel_size // 2", where=name,
            )  # fmt: skip
        self.padding = padding
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._begin(shape, bias, dtype, rng)

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the convolution of x."""
        return self.clamped(x, training, OPEN)

    def clamped(
        self, x: np.ndarray, training: Training, limits: Limits
    ) -> tuple[np.ndarray, Backprop]:
        """Return it between limits."""
        weight, bias = self._numbers(x)
        geometry: dict[str, Any] = {
            "stride": self.stride, "padding": self.padding, "dilation": self.dilation,
            "groups": self.groups, "padding_mode": self.padding_mode,
            "precision": self.precision,
        }  # fmt: skip

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            if limits != OPEN:
                grad = let_through(grad, y, limits)
            self._learn(grad, npconv.conv_weight_grad(grad, x, weight, **geometry))
            return npconv.conv_input_grad(grad, weight, x, **geometry) if wanted else None

        y = npconv.conv(
            x, weight, bias, algorithm=self.algorithm, activation=_ACTIVATIONS[limits], **geometry
        )
        return y, backprop


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        precision: str = "fast",
        algorithm: str = "auto",
        dtype: DTypeLike = "float32",
        rng: Seed = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode,
            precision, algorithm,
        )  # fmt: skip
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ProblemError(f"padding_mode is {padding_mode!r}.", rule="'zeros'", where=name)
        self.padding = per_axis(self, "padding", padding, self.axes, 0)
        self.output_padding = per_axis(self, "output_padding", output_padding, self.axes, 0)
        steps = zip(self.stride, self.dilation, strict=True)
        if any(p >= max(two) for p, two in zip(self.output_padding, steps, strict=True)):
            raise ProblemError(
                f"output_padding {self.output_padding} with stride {self.stride} and dilation "
                f"{self.dilation}.",
                rule="output_padding < stride, or < dilation, along each axis",
                where=name,
            )
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self._begin(shape, bias, dtype, rng)

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return the transposed convolution of x."""
        weight, bias = self._numbers(x)
        geometry: dict[str, Any] = {
            "stride": self.stride, "dilation": self.dilation, "groups": self.groups,
        }  # fmt: skip
        ends: dict[str, Any] = {"padding": self.padding, "output_padding": self.output_padding}

        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            adjoint = npconv.conv_transpose_geometry(x.shape, weight.shape, **geometry, **ends)
            settings = {**geometry, "padding": adjoint.padding, "precision": self.precision}
            self._learn(grad, npconv.conv_weight_grad(x, grad, weight, **settings))
            if not wanted:
                return None
            out = np.empty_like(x, np.result_type(grad, weight))
            return npconv.conv(grad, weight, out=out, **settings)

        y = npconv.conv_transpose(
            x, weight, bias, precision=self.precision, algorithm=self.algorithm, **geometry, **ends
        )
        return y, backprop


class Conv1d(_Conv):
    """Convolution along one axis; see `Conv2d`."""

    axes = 1


class Conv2d(_Conv):
    """Convolution of images: x (N, in_channels, H, W) to (N, out_channels, H', W').

    Parameters
    ----------
    in_channels, out_channels : int
        Of x and of the result.
    kernel_size, stride, dilation : int or sequence of int
        One number, or one an axis.
    padding : int, sequence of int, or {"valid", "same"}
        Elements on both sides of an axis; "same" keeps x's size, and takes no stride.
    groups : int
        Splits the channels; in_channels is depthwise.
    bias : bool
        Whether a number is added to each channel.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What stands in the padding.
    precision, algorithm : str
        As in `npconv.conv`; the algorithm is the forward call's.
    dtype : {"float32", "float64"}
        Of weight, (out_channels, in_channels // groups, *kernel_size), and bias, (out_channels,).
    rng : int or Generator, optional
        Where the first weights come from: even between ±1 / sqrt(numbers that one output sums).

    Notes
    -----
    The result lies in memory as x does; channels-last memory is the quick one.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> layer = nn.Conv2d(3, 8, 3, stride=2, padding=1, rng=0)
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> y, backprop = layer.forward(np.ones((4, 3, 32, 32), np.float32), training=True)
    >>> y.shape, backprop(y).shape, layer.weight.grad.shape
    ((4, 8, 16, 16), (4, 3, 32, 32), (8, 3, 3, 3))
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution of volumes; see `Conv2d`."""

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution along one axis; see `ConvTranspose2d`."""

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images, which upsamples by stride.

    The arguments are `Conv2d`'s but for padding, integers alone that crop the result, and:

    Parameters
    ----------
    output_padding : int or sequence of int
        Elements added to the end of each axis of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)(np.ones((4, 8, 7, 7))).shape
    (4, 3, 14, 14)
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes; see `ConvTranspose2d`."""

    axes = 3
