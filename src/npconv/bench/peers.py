"""The contenders: npconv's own calls and the libraries they are measured against.

A contender is a name, the package it needs and a function that takes the case's arrays and gives
the call to time. That function imports its library itself and runs in a worker process of its
own, so no library is loaded beside another. A new peer is one function and one row in CONTENDERS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Call = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Contender:
    """A way to compute `operation`: `prepare(**arrays and numbers)` gives the call to time."""

    operation: str
    package: str
    prepare: Callable[..., Call]


def npconv_conv(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's main call on one grey image."""
    from npconv import conv

    return lambda: conv(image, kernel, layout="HW", padding="same", padding_mode="symmetric")


def npconv_ndimage_correlate(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.correlate."""
    from npconv.ndimage import correlate

    return lambda: correlate(image, kernel, mode="reflect")


def scipy_convolve2d(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's direct 2-D convolution; it flips the kernel, so a flipped one goes in."""
    from scipy.signal import convolve2d

    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    return lambda: convolve2d(image, flipped, mode="same", boundary="symm")


def scipy_fftconvolve(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's FFT convolution of the image padded by NumPy; it knows no borders itself."""
    from scipy.signal import fftconvolve

    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    before = [(size // 2, size // 2) for size in kernel.shape]
    return lambda: fftconvolve(np.pad(image, before, mode="symmetric"), flipped, mode="valid")


def scipy_ndimage_correlate(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare SciPy's N-D correlation."""
    from scipy.ndimage import correlate

    return lambda: correlate(image, kernel, mode="reflect")


def npconv_gaussian_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare npconv's drop-in for scipy.ndimage.gaussian_filter."""
    from npconv.ndimage import gaussian_filter

    return lambda: gaussian_filter(image, sigma, mode="reflect")


def scipy_gaussian_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare SciPy's Gaussian."""
    from scipy.ndimage import gaussian_filter

    return lambda: gaussian_filter(image, sigma, mode="reflect")


def skimage_gaussian(image: np.ndarray, sigma: float) -> Call:
    """Prepare scikit-image's Gaussian with the border and the cut that the others have."""
    from skimage.filters import gaussian

    return lambda: gaussian(image, sigma=sigma, mode="reflect", truncate=4.0, preserve_range=True)


# The first contender of an operation is the one the others' times are divided by.
CONTENDERS: dict[str, Contender] = {
    "npconv.conv": Contender("correlate", "npconv", npconv_conv),
    "npconv.ndimage.correlate": Contender("correlate", "npconv", npconv_ndimage_correlate),
    "scipy.ndimage.correlate": Contender("correlate", "scipy", scipy_ndimage_correlate),
    "scipy.signal.convolve2d": Contender("correlate", "scipy", scipy_convolve2d),
    "scipy.signal.fftconvolve": Contender("correlate", "scipy", scipy_fftconvolve),
    "npconv.ndimage.gaussian_filter": Contender("gaussian", "npconv", npconv_gaussian_filter),
    "scipy.ndimage.gaussian_filter": Contender("gaussian", "scipy", scipy_gaussian_filter),
    "skimage.filters.gaussian": Contender("gaussian", "scikit-image", skimage_gaussian),
}
