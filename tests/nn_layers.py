"""What the tests of npconv.nn's layers share: one of each, and input whose kinks lie far off."""

import numpy as np

from npconv import nn


def spread(*shape, seed=0):
    """Numbers at least 0.1 apart, none nearer than 0.05 to 0 or to 6."""
    size = int(np.prod(shape))
    values = np.random.default_rng(seed).permutation(size) - size // 2
    return ((values + 0.5) / 10).reshape(shape)


def channels_last(x):
    """The same numbers, channels-last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


# A name, what makes the layer, and the shape of an x for it.
LAYERS = [
    ("Conv1d", lambda: nn.Conv1d(3, 4, 3, stride=2, padding=1, rng=0), (2, 3, 8)),
    ("Conv2d", lambda: nn.Conv2d(4, 6, 3, padding="same", groups=2, rng=0), (2, 4, 5, 6)),
    ("Conv2d reflect", lambda: nn.Conv2d(
        2, 3, (3, 2), 1, (2, 1), 2, padding_mode="reflect", bias=False, rng=0), (2, 2, 6, 7)),
    ("Conv3d", lambda: nn.Conv3d(2, 3, 2, padding=1, rng=0), (2, 2, 3, 4, 3)),
    ("ConvTranspose1d", lambda: nn.ConvTranspose1d(3, 4, 3, 2, 1, 1, rng=0), (2, 3, 5)),
    ("ConvTranspose2d", lambda: nn.ConvTranspose2d(
        4, 6, 3, (2, 1), 1, (1, 0), 2, dilation=2, rng=0), (2, 4, 4, 5)),
    ("ConvTranspose3d", lambda: nn.ConvTranspose3d(2, 3, 2, 2, bias=False, rng=0), (1, 2, 2, 3, 2)),
    ("Linear", lambda: nn.Linear(7, 5, rng=0), (4, 7)),
    ("Linear 3 axes", lambda: nn.Linear(7, 5, bias=False, rng=0), (2, 3, 7)),
    ("BatchNorm1d", lambda: nn.BatchNorm1d(3), (5, 3)),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(3), (4, 3, 5, 3)),
    ("BatchNorm2d plain", lambda: nn.BatchNorm2d(
        3, affine=False, track_running_stats=False), (2, 3, 4, 4)),
    ("BatchNorm3d", lambda: nn.BatchNorm3d(2, momentum=None), (2, 2, 3, 2, 3)),
    ("GroupNorm", lambda: nn.GroupNorm(2, 4), (3, 4, 3, 5)),
    ("MaxPool1d", lambda: nn.MaxPool1d(3, 2, 1), (2, 3, 9)),
    ("MaxPool2d", lambda: nn.MaxPool2d(2, 1, 1, dilation=2, ceil_mode=True), (2, 3, 5, 6)),
    ("MaxPool3d", lambda: nn.MaxPool3d(2), (1, 2, 4, 4, 5)),
    ("AvgPool1d", lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 3, 9)),
    ("AvgPool2d", lambda: nn.AvgPool2d((3, 2), 2, 1, ceil_mode=True), (2, 3, 6, 7)),
    ("AvgPool3d", lambda: nn.AvgPool3d(2), (1, 2, 4, 4, 5)),
    ("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(4), (2, 3, 7)),
    ("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((3, 5)), (2, 3, 5, 2)),
    ("AdaptiveAvgPool2d 1", lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 5, 2)),
    ("AdaptiveAvgPool3d", lambda: nn.AdaptiveAvgPool3d((2, None, 1)), (1, 2, 3, 3, 4)),
    ("ReLU", nn.ReLU, (3, 4, 5, 2)),
    ("ReLU6", nn.ReLU6, (3, 4, 5, 4)),
    ("LeakyReLU", lambda: nn.LeakyReLU(0.2), (3, 4, 5, 2)),
    ("GELU", nn.GELU, (2, 3, 4, 2)),
    ("GELU tanh", lambda: nn.GELU("tanh"), (2, 3, 4, 2)),
    ("SiLU", nn.SiLU, (2, 3, 4, 2)),
    ("Sigmoid", nn.Sigmoid, (2, 3, 4, 2)),
    ("Tanh", nn.Tanh, (2, 3, 4)),
    ("Softmax", nn.Softmax, (3, 5, 2)),
    ("Flatten", nn.Flatten, (3, 4, 2, 2)),
    ("Identity", nn.Identity, (3, 4)),
    ("Dropout", lambda: nn.Dropout(0.3), (4, 3, 5, 5)),
    ("Dropout2d", lambda: nn.Dropout2d(0.3), (4, 5, 3, 3)),
    ("Upsample", lambda: nn.Upsample(scale_factor=(2, 1.5)), (2, 3, 4, 4)),
    ("Upsample less", lambda: nn.Upsample(size=3), (2, 3, 7)),
    ("Upsample linear", lambda: nn.Upsample(7, mode="linear", align_corners=True), (2, 3, 4)),
    ("Upsample bilinear", lambda: nn.Upsample(
        scale_factor=2, mode="bilinear"), (2, 3, 4, 3)),
    ("Upsample trilinear", lambda: nn.Upsample(
        (3, 2, 5), mode="trilinear"), (1, 2, 4, 3, 3)),
]  # fmt: skip


def with_numbers(layer, dtype="float64", seed=7):
    """The layer with parameters of a dtype that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data = rng.uniform(0.3, 1.5, parameter.data.shape)
    return layer.astype(dtype)
