"""PyTorch, in both of its memory formats, its weights as they are: it has no public packing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from npconv.bench.arrays import Job, layer_arrays, operands, padding_of

from .contender import Call, Contender
from .eligible import not_1d


def layer(job: Job, last: bool) -> Call:
    """Prepare one direction of a layer, the arrays in PyTorch's channels_last format or not."""
    import torch

    axes = len(job.layer.x_shape) - 2

    def tensor(array: np.ndarray) -> Any:
        made = torch.from_numpy(array)
        if not last:
            return made
        form = torch.channels_last if axes == 2 else torch.channels_last_3d
        return made.contiguous(memory_format=form)

    first, second = map(tensor, operands(job))
    stride, dilation = [job.layer.stride] * axes, [job.layer.dilation] * axes
    padding, groups = list(padding_of(job.layer)), job.layer.groups
    if job.direction == "forward":
        convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[axes - 1]

        return lambda: convolve(first, second, None, stride, padding, dilation, groups)
    arrays = layer_arrays(job.layer)
    x, weight = tensor(arrays.x), tensor(arrays.weight)
    wanted = [job.direction == "input_grad", job.direction == "weight_grad", False]

    def gradient() -> Any:
        found = torch.ops.aten.convolution_backward(
            first, x, weight, None, stride, padding, dilation, False, [0] * axes, groups, wanted
        )
        return found[wanted.index(True)]

    return gradient


LAYER = {
    "torch NCHW": Contender("layer", "torch", partial(layer, last=False)),
    "torch NHWC": Contender("layer", "torch", partial(layer, last=True), not_1d),
}
