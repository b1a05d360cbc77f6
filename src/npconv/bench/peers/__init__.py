"""The contenders: npconv's own calls and the libraries they are measured against.

A contender is a name, the package it needs and a function that takes what is to be computed and
gives the call to time. That function imports its library itself and runs in a worker process of
its own, so no library is loaded beside another. A new peer is one file and one line here.
"""

from __future__ import annotations

from . import jax, ncnn, onnxruntime, opencv, openvino, own, scipy, skimage, torch
from .contender import Call, Contender
from .own import MATMUL_SIZE

__all__ = ["CONTENDERS", "LAYER_CONTENDERS", "MATMUL_SIZE", "YARDSTICKS", "Call", "Contender"]

# The first contender of an operation is the one the others' times are divided by.
CONTENDERS: dict[str, Contender] = {
    **own.CORRELATE,
    **scipy.CORRELATE,
    **own.GAUSSIAN,
    **scipy.GAUSSIAN,
    **skimage.GAUSSIAN,
}

# What `npconv bench layers` measures.
LAYER_CONTENDERS: dict[str, Contender] = {
    **own.LAYER,
    **torch.LAYER,
    **onnxruntime.LAYER,
    **openvino.LAYER,
    **ncnn.LAYER,
    **opencv.LAYER,
    **scipy.LAYER,
    **jax.LAYER,
}

# What layers are held against: the float64 result, and a matmul for the machine's peak.
YARDSTICKS = own.YARDSTICKS
