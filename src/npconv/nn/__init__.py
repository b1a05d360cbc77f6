"""Layers that learn: convolution networks in NumPy, from digits to ResNet.

Every layer has ``forward(x, training)``, which returns ``(y, backprop)``; weights go to and from
PyTorch under its names.
"""

from importlib import import_module
from typing import Any

from npconv.nn import models
from npconv.nn.activations import LeakyReLU, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from npconv.nn.checkpoints import Checkpoint
from npconv.nn.clipping import clip_grad_norm, clip_grad_value
from npconv.nn.confusion import confusion, draw_confusion
from npconv.nn.convolutions import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from npconv.nn.cross_entropy import CrossEntropyLoss
from npconv.nn.data import (
    Dataset,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShift,
    load_cifar,
    load_data,
    load_digits,
    load_folder,
    load_idx,
    load_npz,
)
from npconv.nn.dense import Linear
from npconv.nn.evaluation import evaluate, predict
from npconv.nn.gelu import GELU
from npconv.nn.history import History
from npconv.nn.joins import Concat, Residual, Sequential
from npconv.nn.layer import Buffer, Layer, Parameter
from npconv.nn.looking import look
from npconv.nn.losses import BCEWithLogitsLoss, L1Loss, Loss, MSELoss
from npconv.nn.metrics import accuracy, binary_accuracy
from npconv.nn.norms import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm
from npconv.nn.optimizer import Optimizer
from npconv.nn.optimizers import SGD, Adam, AdamW
from npconv.nn.pools import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from npconv.nn.recognizer import Recognizer, resized
from npconv.nn.schedules import CosineAnnealingLR, LinearLR, SequentialLR, StepLR
from npconv.nn.shapes import Dropout, Dropout2d, Flatten, Identity, Upsample
from npconv.nn.summary import Summary, summary
from npconv.nn.training import fit
from npconv.nn.weights import load, load_arrays, load_weights, save, save_arrays

__all__ = [
    "Recognizer",
    "confusion",
    "draw_confusion",
    "look",
    "resized",
    "GELU",
    "LeakyReLU",
    "ReLU",
    "ReLU6",
    "Sigmoid",
    "SiLU",
    "Softmax",
    "Tanh",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Linear",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Identity",
    "Upsample",
    "Buffer",
    "Concat",
    "Dataset",
    "Layer",
    "Parameter",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomShift",
    "Residual",
    "Sequential",
    "load",
    "load_arrays",
    "load_weights",
    "save",
    "save_arrays",
    "Summary",
    "summary",
    "models",
    "load_cifar",
    "load_data",
    "load_digits",
    "load_folder",
    "load_idx",
    "load_npz",
    "Checkpoint",
    "clip_grad_norm",
    "clip_grad_value",
    "CrossEntropyLoss",
    "evaluate",
    "predict",
    "History",
    "BCEWithLogitsLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "accuracy",
    "binary_accuracy",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "CosineAnnealingLR",
    "LinearLR",
    "SequentialLR",
    "StepLR",
    "fit",
]
_ESTIMATORS = ("ConvNetClassifier", "ConvNetRegressor")  # which want scikit-learn


def __getattr__(name: str) -> Any:
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'npconv.nn' has no attribute {name!r}")
    return getattr(import_module("npconv.nn.estimators"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ESTIMATORS])
