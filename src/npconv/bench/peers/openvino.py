"""OpenVINO on a model of one convolution."""

from __future__ import annotations

import numpy as np

from npconv.bench.arrays import Job, operands, padding_of

from .contender import Call, Contender
from .eligible import forward_only


def layer(job: Job) -> Call:
    """Prepare a compiled model that runs the layer in float32, its weight a constant."""
    import openvino
    from openvino import opset13

    x, weight = operands(job)
    given = job.layer
    axes = x.ndim - 2
    padding = list(padding_of(given))
    entry = opset13.parameter(list(x.shape), np.float32)
    convolve = opset13.convolution
    if given.groups > 1:
        convolve = opset13.group_convolution
        weight = weight.reshape(given.groups, -1, *weight.shape[1:])
    node = convolve(
        entry,
        opset13.constant(weight),
        strides=[given.stride] * axes,
        pads_begin=padding,
        pads_end=padding,
        dilations=[given.dilation] * axes,
    )
    model = openvino.Model([node], [entry], "layer")
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x))

    def call() -> np.ndarray:
        request.infer()
        return request.get_output_tensor().data

    return call


LAYER = {"openvino": Contender("layer", "openvino", layer, forward_only)}
