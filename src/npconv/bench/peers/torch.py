"""PyTorch, in both of its memory formats, its weights as they are: it has no public packing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from npconv.bench.arrays import Job, layer_arrays, operands, padding_of

from .contender import Call, Contender
from .eligible import not_1d
from .pooling import PoolCase, first, planes_only, pool_arrays
from .training import TrainCase, torch_step


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


def pool(case: PoolCase, last: bool) -> Call:
    """Prepare a pooling, unfold or fold, the arrays in the channels_last format or not."""
    import torch
    from torch.nn import functional

    aten, form = torch.ops.aten, torch.channels_last if last else torch.contiguous_format
    arrays = pool_arrays(case)
    x, grad = (torch.from_numpy(array).contiguous(memory_format=form) for array in arrays[:2])
    columns = torch.from_numpy(arrays[2])
    windows = [case.kernel_size] * 2, [case.stride] * 2, [case.padding] * 2
    if case.operation == "max backward":
        index = aten.max_pool2d_with_indices(x, *windows)[1]
        return lambda: aten.max_pool2d_with_indices_backward(
            grad, x, *windows, [1, 1], False, index
        )
    whole = case.kernel_size == case.x_shape[2] == case.x_shape[3]
    average = partial(functional.adaptive_avg_pool2d, output_size=1)
    size, step, pad = windows
    calls: dict[str, Call] = {
        "max": lambda: functional.max_pool2d(x, *windows),
        "max with indices": lambda: functional.max_pool2d(x, *windows, return_indices=True),
        "average": lambda: average(x) if whole else functional.avg_pool2d(x, *windows),
        "average backward": lambda: aten.avg_pool2d_backward(grad, x, *windows, False, True, None),
        "unfold": lambda: functional.unfold(x, size, padding=pad, stride=step),
        "fold": lambda: functional.fold(columns, x.shape[2:], size, padding=pad, stride=step),
    }
    return calls[case.operation]


def train(case: TrainCase, last: bool) -> Call:
    """Prepare a training step, its images and weights in the channels_last format or not."""
    import torch

    return torch_step(torch, case, last)


LAYER = {
    "torch NCHW": Contender("layer", "torch", partial(layer, last=False)),
    "torch NHWC": Contender("layer", "torch", partial(layer, last=True), not_1d),
}
POOL = {
    f"torch pooling {order}": Contender(
        "pool", "torch", partial(pool, last=last), partial(planes_only, last=last), first
    )
    for order, last in (("NCHW", False), ("NHWC", True))
}
TRAINING = {
    f"torch training {order}": Contender("training", "torch", partial(train, last=last))
    for order, last in (("NCHW", False), ("NHWC", True))
}
