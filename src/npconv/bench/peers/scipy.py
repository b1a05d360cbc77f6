"""SciPy's convolutions and filters."""

from __future__ import annotations

import numpy as np

from npconv.bench.arrays import Job, operands, out_shape

from .contender import Call, Contender
from .eligible import filters, float_images, grey_float_images


def convolve2d(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's direct 2-D convolution; it flips the kernel, so a flipped one goes in."""
    from scipy.signal import convolve2d

    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    return lambda: convolve2d(image, flipped, mode="same", boundary="symm")


def fftconvolve(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's FFT convolution of the image padded by NumPy; it knows no borders itself."""
    from scipy.signal import fftconvolve

    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    before = [(size // 2, size // 2) for size in kernel.shape]
    return lambda: fftconvolve(np.pad(image, before, mode="symmetric"), flipped, mode="valid")


def ndimage_correlate(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's N-D correlation."""
    from scipy.ndimage import correlate

    weights = kernel.reshape(*kernel.shape, *[1] * (image.ndim - 2))
    return lambda: correlate(image, weights, mode="reflect")


def gaussian_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare SciPy's Gaussian."""
    from scipy.ndimage import gaussian_filter

    each = (sigma, sigma, 0.0)[: image.ndim]
    return lambda: gaussian_filter(image, each, mode="reflect")


def signal(function: str, x: np.ndarray, kernel: np.ndarray, mode: str, axis: int | None) -> Call:
    """Prepare a function of scipy.signal."""
    from scipy import signal

    call = getattr(signal, function)
    more = {} if axis is None else {"axes": axis}
    return lambda: call(x, kernel, mode, **more)


def layer_filters(job: Job) -> Call:
    """Prepare SciPy's N-D correlation of each channel with its own kernel."""
    from scipy.ndimage import correlate

    x, weight = operands(job)
    out = np.empty(out_shape(job.layer), x.dtype)

    def call() -> np.ndarray:
        for image, filtered in zip(x, out, strict=True):
            for plane, kernel, result in zip(image, weight, filtered, strict=True):
                correlate(plane, kernel[0], output=result, mode="constant")
        return out

    return call


CORRELATE = {
    "scipy.ndimage.correlate": Contender("correlate", "scipy", ndimage_correlate, float_images),
    "scipy.signal.convolve2d": Contender("correlate", "scipy", convolve2d, grey_float_images),
    "scipy.signal.fftconvolve": Contender("correlate", "scipy", fftconvolve, grey_float_images),
}
GAUSSIAN = {
    "scipy.ndimage.gaussian_filter": Contender("gaussian", "scipy", gaussian_filter, float_images)
}
LAYER = {"scipy.ndimage": Contender("layer", "scipy", layer_filters, filters)}
SIGNAL = {"scipy.signal": Contender("signal", "scipy", signal)}
