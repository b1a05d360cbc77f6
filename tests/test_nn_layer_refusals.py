"""What the layers refuse, and what their messages say."""

import numpy as np
import pytest

from npconv import ProblemError, UnsupportedError, nn

MADE = [
    (lambda: nn.Conv2d(0, 4, 3), "Conv2d: in_channels is 0.*rule +an integer of 1 or more"),
    (lambda: nn.Conv2d(3, 2.5, 3), r"Conv2d: out_channels is 2\.5"),
    (lambda: nn.Conv2d(3, 4, 0), "Conv2d: kernel_size is 0"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), r"kernel_size \(3, 3, 3\) has 3 entries.*each of H, W"),
    (lambda: nn.Conv3d(3, 4, (3, 3)), r"Conv3d: kernel_size \(3, 3\) has 2.*each of D, H, W"),
    (lambda: nn.Conv1d(3, 4, 3, stride=0), "Conv1d: stride is 0"),
    (lambda: nn.Conv2d(3, 4, 3, padding=-1), "padding is -1.*0 or more"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), "padding 'full' is not known.*'valid', 'same'"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), r"'same' with stride \(2, 2\).*kernel_size // 2"),
    (lambda: nn.Conv2d(3, 4, 3, dilation=0), "dilation is 0"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels 3 is no multiple of groups 2"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), "out_channels 3 is no multiple of groups 2"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "padding_mode 'mirror'.*reflect"),
    (lambda: nn.Conv2d(3, 4, 3, dtype="float16"), "dtype float16.*float32 or float64"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1), "output_padding .*< stride"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, padding_mode="reflect"), "padding_mode is 'reflect'"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, padding="same"), "ConvTranspose1d: padding is 'same'"),
    (lambda: nn.Linear(0, 4), "Linear: in_features is 0"),
    (lambda: nn.BatchNorm2d(0), "BatchNorm2d: num_features is 0"),
    (lambda: nn.BatchNorm2d(3, eps=-1), "eps is -1.*0 or more"),
    (lambda: nn.BatchNorm2d(3, momentum=2), "momentum is 2.*0 to 1"),
    (lambda: nn.GroupNorm(3, 4), "num_channels 4 is no multiple of num_groups 3"),
    (lambda: nn.MaxPool2d(2, padding=2), r"padding \(2, 2\).*at most half the window"),
    (lambda: nn.MaxPool2d(2, return_indices=True), r"return_indices.*npconv\.max_pool"),
    (lambda: nn.AvgPool1d((2, 2)), r"AvgPool1d: kernel_size \(2, 2\) has 2 entries"),
    (lambda: nn.AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d: output_size is 0"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), "output_size .*has 3 entries"),
    (lambda: nn.LeakyReLU(-0.1), "negative_slope is -0.1"),
    (lambda: nn.GELU("erf"), "GELU: approximate is 'erf'.*'none' or 'tanh'"),
    (lambda: nn.Dropout(1.5), "Dropout: p is 1.5.*0 to 1"),
    (lambda: nn.Upsample(), "one of size and scale_factor"),
    (lambda: nn.Upsample(4, 2), "one of size and scale_factor"),
    (lambda: nn.Upsample(4, mode="cubic"), "mode 'cubic'.*nearest, linear, bilinear"),
    (lambda: nn.Upsample(4, align_corners=True), "align_corners goes with a line"),
    (lambda: nn.Upsample(scale_factor=0), "scale_factor is 0.*above 0"),
    (lambda: nn.Upsample(scale_factor=-1), "scale_factor is -1"),
]


@pytest.mark.parametrize("make, message", MADE, ids=[message[:40] for _, message in MADE])
def test_at_construction(make, message):
    with pytest.raises(ProblemError, match=f"(?s){message}"):
        make()


GIVEN = [
    (
        nn.Conv2d(3, 4, 3),
        (2, 4, 8, 8),
        r"Conv2d: x has 4 channels, the layer takes 3.*\(2, 4, 8, 8",
    ),
    (nn.Conv2d(3, 4, 3), (3, 8, 8), r"x has 3 axes.*\(N, C, H, W\).*x\[None\]"),
    (nn.Conv2d(3, 4, 3), (2, 3, 2, 2), "padded x only"),
    (nn.ConvTranspose2d(3, 4, 3), (2, 4, 8, 8), "x has 4 channels, the layer takes 3"),
    (nn.Linear(8, 4), (2, 9), r"Linear: x is \(2, 9\), the layer takes 8 features"),
    (nn.Linear(8, 4), (2, 2, 2, 2), r"nn\.Flatten\(\) before it"),
    (nn.BatchNorm2d(3), (2, 4, 5, 5), "BatchNorm2d: x has 4 channels, the layer takes 3"),
    (nn.BatchNorm1d(3), (2, 3, 5, 5), r"x has 4 axes.*\(N, C\) or \(N, C, W\)"),
    (nn.BatchNorm1d(3), (1, 3), "BatchNorm1d: x has 1 elements a channel.*two or more"),
    (nn.BatchNorm2d(3), (0, 3, 2, 2), "x has 0 elements a channel"),
    (nn.GroupNorm(2, 4), (2, 6, 5), "GroupNorm: x has 6 channels, the layer takes 4"),
    (nn.MaxPool2d(2), (2, 8, 8), "MaxPool2d: x has 3 axes"),
    (nn.AvgPool3d(2), (2, 3, 8, 8), r"AvgPool3d: x has 4 axes.*\(N, C, D, H, W\)"),
    (nn.AvgPool2d(9), (2, 3, 8, 8), "avg_pool: "),
    (nn.AdaptiveAvgPool2d(2), (2, 3, 0, 8), "nothing to average"),
    (nn.Softmax(2), (2, 3), "Softmax: x has 2 axes, dim is 2"),
    (nn.Flatten(3), (2, 3), "Flatten: x has 2 axes, none from 3 to -1"),
    (nn.Upsample(4, mode="bilinear"), (2, 3, 4), r"Upsample: x has 3 axes.*\(N, C, H, W\)"),
    (nn.Upsample((4, 4)), (2, 3, 4), r"size \(4, 4\) has 2 entries"),
    (nn.Upsample(scale_factor=(2, 2)), (2, 3, 4), "has 2 entries, x 1 spatial"),
    (nn.Upsample(scale_factor=0.1), (2, 3, 4), "leaves nothing"),
    (nn.Upsample(3), (2, 3, 0), "nothing to repeat"),
]


@pytest.mark.parametrize("layer, shape, message", GIVEN, ids=[each[2][:40] for each in GIVEN])
def test_when_used(layer, shape, message):
    state = {name: value.copy() for name, value in layer.state_dict().items()}
    with pytest.raises(ProblemError, match=f"(?s){message}"):
        layer.forward(np.ones(shape, np.float32), True)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_an_algorithm_that_cannot():
    layer = nn.Conv2d(3, 4, 1, algorithm="winograd")
    with pytest.raises(UnsupportedError, match="conv: winograd cannot do this"):
        layer(np.ones((1, 3, 9, 9)))


def test_complex_numbers():
    with pytest.raises(ProblemError, match="ReLU: x is complex128, not real numbers"):
        nn.ReLU()(np.ones((2, 2), complex))
