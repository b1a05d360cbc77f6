"""The arrays of a layer, and the job that a contender gets: the same numbers in every process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import npconv

from .layers import Layer

# For result arrays too: from the channels last to the channels first, by direction.
_TO_FIRST: Mapping[str, tuple[Any, Any]] = {
    "forward": (-1, 1),
    "input_grad": (-1, 1),
    "weight_grad": ((-1, -2), (0, 1)),
}


@dataclass(frozen=True)
class Job:
    """What a contender computes on a layer: one direction; `effort` is for npconv's planner."""

    layer: Layer
    direction: str = "forward"
    effort: str = "estimate"
    dtype: str = "float32"


@dataclass(frozen=True)
class Arrays:
    """A layer's arrays as `npconv.conv` takes them, with the geometry's keywords."""

    x: np.ndarray
    weight: np.ndarray
    layout: str
    geometry: dict[str, Any]


def batched(layer: Layer, batch: int) -> Layer:
    """Give the layer with `batch` images in place of one."""
    return replace(layer, x_shape=(batch, *layer.x_shape[1:]))


def padding_of(layer: Layer) -> tuple[int, ...]:
    """Give the layer's padding, one number an axis."""
    if isinstance(layer.padding, tuple):
        return layer.padding
    return (layer.padding,) * (len(layer.x_shape) - 2)


def layer_arrays(
    layer: Layer,
    memory_order: str = "channels_first",
    precision: str = "strict",
    dtype: str = "float32",
) -> Arrays:
    """Make random arrays (normal, fixed seed) for `layer` in the memory order asked for."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(layer.x_shape, dtype=np.float32).astype(dtype, copy=False)
    weight = rng.standard_normal(layer.weight_shape, dtype=np.float32).astype(dtype, copy=False)
    spatial = "DHW"[3 - (x.ndim - 2) :]
    layout = f"NC{spatial}"
    if memory_order == "channels_last":
        layout = f"N{spatial}C"
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        weight = np.ascontiguousarray(np.moveaxis(weight, (1, 0), (-2, -1)))
    geometry: dict[str, Any] = {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "layout": layout,
        "precision": precision,
    }
    return Arrays(x, weight, layout, geometry)


def out_shape(layer: Layer) -> tuple[int, ...]:
    """Give the shape of the layer's output, channels first."""
    plan = npconv.plan(
        layer.x_shape,
        layer.weight_shape,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    return (layer.x_shape[0], layer.weight_shape[0], *plan.problem.out_size)


def result_shape(job: Job) -> tuple[int, ...]:
    """Give the shape of the job's result, channels first."""
    if job.direction == "forward":
        return out_shape(job.layer)
    return job.layer.x_shape if job.direction == "input_grad" else job.layer.weight_shape


def operands(job: Job, memory_order: str = "channels_first") -> tuple[np.ndarray, np.ndarray]:
    """Make what the direction takes: x and weight, grad_out and weight, or grad_out and x."""
    arrays = layer_arrays(job.layer, memory_order, dtype=job.dtype)
    if job.direction == "forward":
        return arrays.x, arrays.weight
    rng = np.random.default_rng(1)
    grad_out = rng.standard_normal(out_shape(job.layer), dtype=np.float32)
    grad_out = grad_out.astype(job.dtype, copy=False)
    if memory_order == "channels_last":
        grad_out = np.ascontiguousarray(np.moveaxis(grad_out, 1, -1))
    return grad_out, arrays.weight if job.direction == "input_grad" else arrays.x


def channels_first(result: np.ndarray, direction: str) -> np.ndarray:
    """View a result that has its channels last as one that has them first."""
    return np.moveaxis(result, *_TO_FIRST[direction])
