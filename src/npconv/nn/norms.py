"""Layers that bring each channel, or group of channels, to mean 0 and variance 1."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from npconv import ProblemError
from npconv.channelwise import OPEN, Channels, Limits, pass_between
from npconv.nn.arguments import check_x, divides, filled, float_type, real, whole
from npconv.nn.layer import Backprop, Buffer, Layer, Parameter, Training


class _Norm(Layer):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, with weight and bias by channel."""

    clamps = True
    weight: Parameter | None
    bias: Parameter | None

    def forward(self, x: np.ndarray, training: Training = False) -> tuple[np.ndarray, Backprop]:
        """Return x brought to mean 0 and variance 1."""
        return self.clamped(x, training, OPEN)

    def _begin(self, channels: int, eps: float, affine: bool, dtype: DTypeLike) -> None:
        self.eps, self.affine = real(self, "eps", eps, 0), bool(affine)
        self.weight = filled((channels,), 1, dtype) if affine else None
        self.bias = filled((channels,), 0, dtype) if affine else None

    def _normed(
        self,
        seen: np.ndarray,
        form: Channels,
        mean: np.ndarray,
        variance: np.ndarray,
        average: Callable[[np.ndarray], np.ndarray] | None,
        limits: Limits,
    ) -> tuple[np.ndarray, Backprop]:
        """Return the layer's result; mean and variance are (sets, C).

        average: from sums a channel to means over all elements that mean and variance were taken
        over; None where these are not of this x.
        """
        deviation = np.sqrt(variance + self.eps)
        scale, shift, dtype = 1 / deviation, np.zeros(()), seen.dtype
        if self.weight is not None and self.bias is not None:
            scale, shift = self.weight.data / deviation, self.bias.data
            dtype = np.result_type(dtype, self.weight.data)
        y = form.scaled(seen, scale, shift - mean * scale, dtype, limits)
        held = None if limits == OPEN else form.seen(y)

        @np.errstate(all="ignore")
        def backprop(grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
            given = form.seen(grad)
            if self.affine or average is not None:
                total, product = form.products(given, seen, held, limits)
                along = (product - mean * total) / deviation
            if self.weight is not None and self.bias is not None:
                self.weight.add_grad(along.sum(0).astype(self.weight.data.dtype))
                self.bias.add_grad(total.sum(0).astype(self.bias.data.dtype))
            if not wanted:
                return None
            if average is None:
                if held is not None:
                    given = pass_between(given, held, limits)
                return form.scaled(given, scale, np.zeros_like(scale), dtype)
            # Moving one x moves the mean and the variance of all, too.
            factor = scale * deviation
            share = -average(factor * along) / np.square(deviation)
            offset = -average(factor * total) / deviation - share * mean
            return form.mixed(given, scale, seen, share, offset, dtype, held, limits)

        return y, backprop


class _BatchNorm(_Norm):
    """What batch norms of any number of axes share; spatial: how many spatial axes x may have."""

    spatial: tuple[int, ...]
    running_mean: Buffer | None = None
    running_var: Buffer | None = None
    num_batches_tracked: Buffer | None = None
    _following = threading.Lock()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.num_features = whole(self, "num_features", num_features)
        self.momentum = None if momentum is None else real(self, "momentum", momentum, 0, 1)
        self._begin(self.num_features, eps, affine, dtype)
        self.track_running_stats = bool(track_running_stats)
        if track_running_stats:
            self.running_mean = Buffer(np.zeros(num_features, float_type(dtype)))
            self.running_var = Buffer(np.ones(num_features, float_type(dtype)))
            self.num_batches_tracked = Buffer(np.zeros((), np.int64))

    @np.errstate(all="ignore")
    def clamped(
        self, x: np.ndarray, training: Training, limits: Limits
    ) -> tuple[np.ndarray, Backprop]:
        """Return it: by the batch's mean and variance in training, else by the running ones."""
        check_x(self, x, self.spatial, self.num_features)
        form = Channels.of(x)
        seen = form.seen(x)
        if not training and self.running_mean is not None and self.running_var is not None:
            with self._following:
                mean, variance = self.running_mean.data, self.running_var.data
            wide = (mean[None].astype(np.float64), variance[None].astype(np.float64))
            return self._normed(seen, form, *wide, None, limits)
        count = form.count
        if count < 2:
            raise ProblemError(
                f"x has {count} elements a channel.",
                rule="a variance of the batch takes two or more",
                fix="a larger batch; in use, forward(x, training=False)",
                where=type(self).__name__,
                facts=(("x", str(x.shape)), ("layer", repr(self))),
            )
        mean, squares = form.moments(seen)
        if training:
            self._follow(mean[0], squares[0] / (count - 1))
        return self._normed(seen, form, mean, squares / count, lambda sums: sums / count, limits)

    def _follow(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Move the running statistics towards a batch's."""
        with self._following:
            if self.num_batches_tracked is None:
                return
            batches = self.num_batches_tracked.data + 1
            self.num_batches_tracked.data = np.asarray(batches)
            share = 1 / float(batches) if self.momentum is None else self.momentum
            for buffer, new in ((self.running_mean, mean), (self.running_var, variance)):
                if buffer is not None:
                    moved = (1 - share) * buffer.data + share * new
                    buffer.data = moved.astype(buffer.data.dtype)

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, W); see `BatchNorm2d`."""

    spatial = (0, 1)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W): each channel over the batch and all its places.

    ::

        y = (x - mean) / sqrt(variance + eps) * weight + bias

    Parameters
    ----------
    num_features : int
        C.
    eps : float
        Keeps a channel that does not vary from a division by zero.
    momentum : float or None
        How far a batch moves the running mean and variance; None averages over all batches.
    affine : bool
        Whether there are weight and bias, which begin at 1 and 0.
    track_running_stats : bool
        Whether `running_mean`, `running_var` and `num_batches_tracked` are kept and, in use,
        stand for the batch's.
    dtype : {"float32", "float64"}
        Of parameters and running statistics.

    Notes
    -----
    Reads x twice and writes y once; backprop reads x and grad_y twice.  Source: S. Ioffe,
    C. Szegedy, "Batch normalization", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> x = np.random.default_rng(0).normal(5, 2, (4, 3, 8, 8)).astype(np.float32)
    >>> y, backprop = layer.forward(x, training=True)
    >>> round(float(y[:, 0].std()), 3), layer.running_mean.data.round(1)
    (1.0, array([0.5, 0.5, 0.5], dtype=float32))
    """

    spatial = (2,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (N, C, D, H, W); see `BatchNorm2d`."""

    spatial = (3,)


class GroupNorm(_Norm):
    """Group normalization of (N, C, *spatial): channels in groups, each image by itself.

    Parameters
    ----------
    num_groups : int
        How many groups the channels make; 1 is layer normalization, C instance normalization.
    num_channels : int
        C.
    eps, affine, dtype
        As in `BatchNorm2d`.

    Notes
    -----
    The same in training and in use.  Source: Y. Wu, K. He, "Group normalization", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> x = np.arange(8.0).reshape(1, 4, 2)
    >>> nn.GroupNorm(2, 4)(x).round(2)[0, :2]
    array([[-1.34, -0.45],
           [ 0.45,  1.34]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.num_groups = whole(self, "num_groups", num_groups)
        self.num_channels = whole(self, "num_channels", num_channels)
        divides(self, num_groups=self.num_groups, num_channels=self.num_channels)
        self._begin(self.num_channels, eps, affine, dtype)

    @np.errstate(all="ignore")
    def clamped(
        self, x: np.ndarray, training: Training, limits: Limits
    ) -> tuple[np.ndarray, Backprop]:
        """Return it, each image's groups by themselves."""
        check_x(self, x, (0, 1, 2, 3), self.num_channels)
        form = Channels.of(x, apart=True)
        seen = form.seen(x)
        each, count = self.num_channels // self.num_groups, max(form.count, 1)

        def average(sums: np.ndarray) -> np.ndarray:
            groups = sums.reshape(len(sums), self.num_groups, each).sum(2) / (count * each)
            return np.repeat(groups, each, 1)

        means, squares = form.moments(seen)
        mean = average(count * means)
        variance = average(squares + count * np.square(means - mean))
        return self._normed(seen, form, mean, variance, average, limits)

    def extra_repr(self) -> str:
        """Return the arguments as PyTorch writes them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps:g}, affine={self.affine}"
