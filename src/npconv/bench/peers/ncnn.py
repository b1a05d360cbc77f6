"""ncnn on a network of one convolution."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from npconv.bench.arrays import Job, operands, padding_of

from .contender import Call, Contender
from .eligible import images_forward

_FLOAT32 = b"\0\0\0\0"  # ncnn's tag of weights stored as they are


def text(job: Job) -> str:
    """Write the network in ncnn's text format."""
    layer = job.layer
    vertical, horizontal = padding_of(layer)
    out_channels, _, height, width = layer.weight_shape
    numbers = {
        0: out_channels,
        1: width,
        11: height,
        2: layer.dilation,
        3: layer.stride,
        4: horizontal,
        14: vertical,
        6: int(np.prod(layer.weight_shape)),
    }
    kind = "Convolution"
    if layer.groups > 1:
        kind, numbers[7] = "ConvolutionDepthWise", layer.groups
    values = " ".join(f"{key}={value}" for key, value in numbers.items())
    return f"7767517\n2 2\nInput x 0 1 x\n{kind} conv 1 1 x out {values}\n"


def layer(job: Job) -> Call:
    """Prepare a network that runs the layer one image after another: ncnn knows no batches.

    The call gives a matrix an image, as ncnn leaves them.
    """
    import ncnn

    x, weight = operands(job)
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = False
    net.opt.use_bf16_storage = False
    with tempfile.TemporaryDirectory() as folder:
        net_file, weight_file = Path(folder, "layer.param"), Path(folder, "layer.bin")
        net_file.write_text(text(job), encoding="ascii")
        weight_file.write_bytes(_FLOAT32 + weight.tobytes())
        if net.load_param(str(net_file)) or net.load_model(str(weight_file)):
            raise RuntimeError("ncnn does not load the layer")

    # A Mat made of an array does not keep it alive: its copy owns its memory.
    images = [ncnn.Mat(image).clone() for image in x]

    def call() -> list[Any]:
        found = []
        for image in images:
            run = net.create_extractor()
            run.input("x", image)
            found.append(run.extract("out")[1])
        return found

    return call


def stacked(images: list[Any]) -> np.ndarray:
    """Make one array of ncnn's matrices."""
    return np.stack([np.asarray(image) for image in images])


LAYER = {"ncnn": Contender("layer", "ncnn", layer, images_forward, stacked)}
