"""npconv's own calls, the float64 result they are held against and the machine's peak."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from npconv.bench.arrays import Job, layer_arrays, operands

from .contender import Call, Contender
from .eligible import float_images, grey_float_images

ORDERS = {"NHWC": "channels_last", "NCHW": "channels_first"}
PRECISIONS = ("fast", "strict")


def conv(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's main call on one grey image."""
    from npconv import conv

    return lambda: conv(image, kernel, layout="HW", padding="same", padding_mode="symmetric")


def ndimage_correlate(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.correlate."""
    from npconv.ndimage import correlate

    return lambda: correlate(image, kernel, mode="reflect", axes=(0, 1))


def gaussian_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.gaussian_filter."""
    from npconv.ndimage import gaussian_filter

    return lambda: gaussian_filter(image, sigma, mode="reflect", axes=(0, 1))


def images_apply(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's filter of images."""
    from npconv.images import apply
    from npconv.images import kernel as named

    compile_all()
    chosen = named(kernel)
    return lambda: apply(image, chosen)


def images_gaussian(image: np.ndarray, sigma: float) -> Call:
    """Prepare the same with a Gaussian, cut where the others' are."""
    radius = int(4 * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    line /= line.sum()
    return images_apply(image, np.outer(line, line))


def signal(function: str, x: np.ndarray, kernel: np.ndarray, mode: str, axis: int | None) -> Call:
    """Prepare npconv's drop-in for a function of scipy.signal."""
    from npconv import signal

    compile_all()
    call = getattr(signal, function)
    more = {} if axis is None else {"axes": axis}
    return lambda: call(x, kernel, mode, **more)


@cache
def compile_all() -> None:
    """Have every kernel ready: what is not compiled yet, a tiny call would not wait for."""
    from npconv.compiler import missing, warmup

    if not missing():
        warmup()


def layer(job: Job, memory_order: str, precision: str) -> Call:
    """Prepare the plan of one direction of a layer; a forward one with its weight packed."""
    from npconv import plan

    compile_all()
    arrays = layer_arrays(job.layer, memory_order, precision, job.dtype)
    chosen = plan(
        arrays.x,
        arrays.weight,
        direction=job.direction,
        effort=job.effort,
        packed=job.direction == "forward",
        **arrays.geometry,
    )
    first, second = operands(job, memory_order)
    given: Any = chosen.pack(second) if job.direction == "forward" else second
    return lambda: chosen(first, given)


def plain_conv(job: Job, memory_order: str = "channels_first", algorithm: str = "auto") -> Call:
    """Prepare the forward direction by `conv` itself, which plans and packs in every call."""
    from npconv import conv

    compile_all()
    arrays = layer_arrays(job.layer, memory_order, dtype=job.dtype)
    x, weight, geometry = arrays.x, arrays.weight, arrays.geometry
    return lambda: conv(x, weight, algorithm=algorithm, **geometry)


def reference(job: Job) -> Call:
    """Prepare the direct sum of the same arrays in float64, by the tiled im2col."""
    import npconv

    first, second = (each.astype(np.float64) for each in operands(job))
    arrays = layer_arrays(job.layer)
    geometry = {**arrays.geometry, "algorithm": "im2col_tiled"}
    if job.direction == "forward":
        return lambda: npconv.conv(first, second, **geometry)
    if job.direction == "input_grad":
        return lambda: npconv.conv_input_grad(first, second, job.layer.x_shape, **geometry)
    return lambda: npconv.conv_weight_grad(first, second, job.layer.weight_shape, **geometry)


def kernels() -> Call:
    """Prepare to compile what is not kept yet, long as that takes; the call counts the modules."""
    from npconv.compiler import missing, warmup

    return lambda: 0 if missing() else len(warmup())


def peak(job: Job) -> Call:
    """Prepare multiply-adds in registers on every thread; the call gives how many operations."""
    from npconv.peak import multiply_adds

    return partial(multiply_adds, job.dtype)


CORRELATE = {
    "npconv.images.apply": Contender("correlate", "npconv", images_apply),
    "npconv.conv": Contender("correlate", "npconv", conv, grey_float_images),
    "npconv.ndimage.correlate": Contender("correlate", "npconv", ndimage_correlate, float_images),
}
GAUSSIAN = {
    "npconv.images.apply, Gaussian": Contender("gaussian", "npconv", images_gaussian),
    "npconv.ndimage.gaussian_filter": Contender(
        "gaussian", "npconv", gaussian_filter, float_images
    ),
}
SIGNAL = {"npconv.signal": Contender("signal", "npconv", signal)}
LAYER = {
    f"npconv {order} {precision}": Contender(
        "layer",
        "npconv",
        partial(layer, memory_order=memory_order, precision=precision),
        channels_last=order == "NHWC",
    )
    for precision in PRECISIONS
    for order, memory_order in ORDERS.items()
}
# What goals alone are about: a call without a plan, and the direct algorithm by its name.
GOALS = {
    "npconv conv": Contender("layer", "npconv", plain_conv),
    "npconv direct": Contender(
        "layer",
        "npconv",
        partial(plain_conv, memory_order="channels_last", algorithm="indirect"),
        channels_last=True,
    ),
}
YARDSTICKS = {
    "kernels": Contender("kernels", "npconv", kernels, timed=False),
    "reference": Contender("reference", "npconv", reference, timed=False),
    "peak": Contender("peak", "npconv", peak),
}
