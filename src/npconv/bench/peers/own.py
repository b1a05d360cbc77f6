"""npconv's own calls, the float64 result they are held against and the matmul they compete with."""

from __future__ import annotations

from functools import partial

import numpy as np

from npconv.bench.arrays import Job, layer_arrays, operands

from .contender import Call, Contender

MATMUL_SIZE = 512  # short enough to run undisturbed now and then


def conv(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's main call on one grey image."""
    from npconv import conv

    return lambda: conv(image, kernel, layout="HW", padding="same", padding_mode="symmetric")


def ndimage_correlate(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.correlate."""
    from npconv.ndimage import correlate

    return lambda: correlate(image, kernel, mode="reflect")


def gaussian_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.gaussian_filter."""
    from npconv.ndimage import gaussian_filter

    return lambda: gaussian_filter(image, sigma, mode="reflect")


def layer(job: Job, memory_order: str) -> Call:
    """Prepare the plan of one direction of a layer."""
    from npconv import plan

    arrays = layer_arrays(job.layer, memory_order, job.precision, job.dtype)
    chosen = plan(
        arrays.x,
        arrays.weight,
        direction=job.direction,
        effort=job.effort,
        **arrays.geometry,
    )
    first, second = operands(job, memory_order)
    return lambda: chosen(first, second)


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


def matmul(job: Job) -> Call:
    """Prepare a float32 matrix product by NumPy's BLAS, whatever the job."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, MATMUL_SIZE, MATMUL_SIZE), dtype=np.float32)
    out = np.empty_like(left)
    return lambda: np.matmul(left, right, out=out)


CORRELATE = {
    "npconv.conv": Contender("correlate", "npconv", conv),
    "npconv.ndimage.correlate": Contender("correlate", "npconv", ndimage_correlate),
}
GAUSSIAN = {
    "npconv.ndimage.gaussian_filter": Contender("gaussian", "npconv", gaussian_filter),
}
LAYER = {
    "npconv NCHW": Contender("layer", "npconv", partial(layer, memory_order="channels_first")),
    "npconv NHWC": Contender(
        "layer",
        "npconv",
        partial(layer, memory_order="channels_last"),
        channels_last=True,
    ),
}
YARDSTICKS = {
    "reference": Contender("reference", "npconv", reference),
    "matmul": Contender("matmul", "numpy", matmul),
}
