"""The contenders: npconv's own calls and the libraries they are measured against.

A contender is a name, the package it needs and a function that takes what is to be computed and
gives the call to time. That function imports its library itself and runs in a worker process of
its own, so no library is loaded beside another. A new peer is one file and one line here.
"""

from __future__ import annotations

from . import (
    jax,
    ncnn,
    numpy,
    onnxruntime,
    opencv,
    openvino,
    own,
    pooling,
    scipy,
    skimage,
    torch,
    training,
)
from .contender import Call, Contender

__all__ = [
    "CONTENDERS",
    "GOAL_CONTENDERS",
    "LAYER_CONTENDERS",
    "OWN",
    "POOL_CONTENDERS",
    "TRAIN_CONTENDERS",
    "YARDSTICKS",
    "Call",
    "Contender",
]

# The first contender of an operation is the one the others' times are divided by.
CONTENDERS: dict[str, Contender] = {
    **own.CORRELATE,
    **opencv.CORRELATE,
    **scipy.CORRELATE,
    **own.GAUSSIAN,
    **opencv.GAUSSIAN,
    **scipy.GAUSSIAN,
    **skimage.GAUSSIAN,
    **own.SIGNAL,
    **scipy.SIGNAL,
    **numpy.SIGNAL,
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

OWN = tuple(own.LAYER)  # those that the others are divided by

# What `npconv bench goals` measures.
GOAL_CONTENDERS: dict[str, Contender] = {**LAYER_CONTENDERS, **own.GOALS}

# What `npconv bench pooling` measures.
POOL_CONTENDERS: dict[str, Contender] = {**pooling.POOL, **torch.POOL}

# What `npconv bench training` measures, and what its losses are held against.
TRAIN_CONTENDERS: dict[str, Contender] = {**training.TRAINING, **torch.TRAINING}
TRAIN_REFERENCE = training.REFERENCE

# What layers are held against, the float64 result and the machine's peak; and the compiler.
YARDSTICKS = own.YARDSTICKS
