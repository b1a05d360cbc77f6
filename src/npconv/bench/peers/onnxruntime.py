"""ONNX Runtime on a model of one Conv node."""

from __future__ import annotations

from typing import Any

import numpy as np

from npconv.bench.arrays import Job, operands, out_shape, padding_of

from .contender import Call, Contender
from .eligible import forward_only


def model(job: Job, weight: np.ndarray) -> bytes:
    """Make a model whose weight is a constant, so that the runtime may pack it beforehand."""
    from onnx import TensorProto, helper, numpy_helper

    layer = job.layer
    axes = weight.ndim - 2
    node = helper.make_node(
        "Conv",
        ["x", "weight"],
        ["out"],
        strides=[layer.stride] * axes,
        pads=[*padding_of(layer), *padding_of(layer)],
        dilations=[layer.dilation] * axes,
        group=layer.groups,
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, layer.x_shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape(layer))],
        [numpy_helper.from_array(weight, "weight")],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    return bytes(made.SerializeToString())


def layer(job: Job) -> Call:
    """Prepare a session that runs the layer."""
    import onnxruntime

    x, weight = operands(job)
    session: Any = onnxruntime.InferenceSession(
        model(job, weight), providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})[0]


LAYER = {"onnxruntime": Contender("layer", "onnxruntime", layer, forward_only)}
