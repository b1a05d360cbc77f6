"""PyTorch: npconv inside its networks, on tensors in main memory, forward and backward.

::

    from npconv.bridges.torch import conv, replace_convs

    y = conv(x, weight, bias, stride=2, padding=1)      # as torch.nn.functional.conv1d, 2d, 3d
    replace_convs(network)                              # its convolution layers now run on npconv

Nothing is copied on the way in or out: NumPy and PyTorch look at the same memory, and a result is
channels-last in memory where x is.  Gradients are npconv's own, to any order, and only those that
are needed are computed.  Layers keep their parameters, so optimizers, hooks and saved weights do
not notice.
"""

from npconv.bridges.torch.calls import conv, conv_transpose
from npconv.bridges.torch.layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    replace_convs,
)

__all__ = [
    "conv",
    "conv_transpose",
    "replace_convs",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]
