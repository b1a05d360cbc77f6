"""What the comparisons with torch share: random geometries that torch accepts, and borders."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

CONV = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
SPATIAL = {1: "W", 2: "HW", 3: "DHW"}
MODES = ("zeros", "reflect", "replicate", "circular")
DTYPES = ("float64", "float64", "float64", "float32", "complex128")
TOLERANCE = {"float64": 1e-11, "complex128": 1e-11, "float32": 1e-4}


@dataclass
class Case:
    """A convolution as torch's layers spell it; `pairs` is what functional.pad adds before it."""

    seed: int
    size: list
    channels: tuple
    batch: int | None
    kernel_size: list
    stride: list
    padding: str | list
    pairs: list | None
    dilation: list
    groups: int
    padding_mode: str
    bias: bool
    dtype: str
    channels_last: bool

    @property
    def rank(self):
        return len(self.size)

    @property
    def layout(self):
        return ("" if self.batch is None else "N") + "C" + SPATIAL[self.rank]

    @property
    def geometry(self):
        """The keywords of npconv."""
        padding = self.padding if self.pairs is None else self.pairs
        return {
            "stride": self.stride,
            "padding": padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
        }

    def layer(self):
        """torch's layer, its weights drawn from the seed."""
        torch.manual_seed(self.seed)
        padding = self.padding if isinstance(self.padding, str) else tuple(self.padding)
        layer = CONV[self.rank](
            *self.channels,
            tuple(self.kernel_size),
            stride=tuple(self.stride),
            padding=padding if self.pairs is None else 0,
            dilation=tuple(self.dilation),
            groups=self.groups,
            bias=self.bias,
            padding_mode=self.padding_mode if self.pairs is None else "zeros",
            dtype=getattr(torch, self.dtype),
        )
        return layer.to(memory_format=CHANNELS_LAST[self.rank]) if self.channels_last else layer

    def image(self):
        """A random input."""
        batch = () if self.batch is None else (self.batch,)
        return self.tensor((*batch, self.channels[0], *self.size), 0)

    def tensor(self, shape, number):
        """Random numbers in the case's dtype and memory order: its first array, its second."""
        rng = np.random.default_rng([self.seed, number])
        values = torch.from_numpy(numbers(rng, shape, self.dtype))
        if self.channels_last:
            values = values.contiguous(memory_format=CHANNELS_LAST[self.rank])
        return values

    def forward(self, layer, x):
        """torch's result, with the borders that its layers have no argument for."""
        return layer(x if self.pairs is None else bordered(x, self.pairs, self.padding_mode))


def numbers(rng, shape, dtype):
    """Normal numbers, complex where the dtype is."""
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def bordered(x, pairs, mode):
    """x with borders from functional.pad, then without what negative numbers crop."""
    grow = [max(side, 0) for pair in reversed(pairs) for side in pair]
    name = "constant" if mode == "zeros" else mode
    alone = x.ndim == len(pairs) + 1
    x = functional.pad(x[None] if alone else x, grow, mode=name)
    for axis, (before, after) in enumerate(pairs, 2):
        x = x.narrow(axis, max(-before, 0), x.shape[axis] + min(before, 0) + min(after, 0))
    return x[0] if alone else x


def draw(seed, top=5, dtypes=DTYPES):
    """Return one random geometry that torch accepts."""
    rng = random.Random(seed)
    rank = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 2, 3))
    kernel_size = [rng.randint(1, 4) for _ in range(rank)]
    dilation = [rng.randint(1, 3) for _ in range(rank)]
    padding, pairs = rng.choice(("valid", "same", "sizes", "pairs", "pairs")), None
    stride = [1 if padding == "same" else rng.randint(1, 4) for _ in range(rank)]
    mode = rng.choice(MODES)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    # torch wants borders narrower than the image where it mirrors or wraps.
    widest = reach
    if padding == "sizes":
        padding = [rng.randint(0, 4) for _ in range(rank)]
        widest = padding
    elif padding == "pairs":
        pairs = [(rng.randint(-2, 4), rng.randint(-2, 4)) for _ in range(rank)]
        padding = [0] * rank
        widest = [max(before, after, -before - after) for before, after in pairs]
    size = [max(r + 1, w + 1) + rng.randint(0, top) for r, w in zip(reach, widest, strict=True)]
    if pairs is not None:
        size = [
            n + max(r + 1 - n - before - after, 0)
            for n, r, (before, after) in zip(size, reach, pairs, strict=True)
        ]
    batch = rng.choice((None, 1, 2, 3))
    return Case(
        seed,
        size,
        (groups * rng.randint(1, 3), groups * rng.randint(1, 3)),
        batch,
        kernel_size,
        stride,
        padding,
        pairs,
        dilation,
        groups,
        mode,
        rng.random() < 0.5,
        rng.choice(dtypes),
        rank > 1 and batch is not None and rng.random() < 0.4,
    )


def close(array, expected, case):
    """Equal to the rounding of the case's dtype, and of that dtype."""
    assert array.dtype == case.dtype
    tolerance = TOLERANCE[case.dtype]
    np.testing.assert_allclose(array, expected, tolerance, tolerance, err_msg=str(case))


def lies_as(array, pattern):
    """Whether two arrays of one shape have their axes in the same order in memory."""
    return np.argsort(array.strides).tolist() == np.argsort(pattern.strides).tolist()
