"""Drop-in for the convolutions of scipy.signal, computed by npconv's engine.

    from npconv import signal
    signal.convolve(samples, impulse_response, mode="same")

The functions have scipy.signal's names, arguments, meanings, numbers, dtypes and kinds of error.
What differs: the planner, not the function's name, decides whether a transform is used, and a NaN
or an infinity reaches only the elements whose sums hold it. SciPy need not be installed.
"""

from npconv.signal.convolution import (
    choose_conv_method,
    convolve,
    correlate,
    correlation_lags,
)
from npconv.signal.frequency import fftconvolve, oaconvolve
from npconv.signal.planar import convolve2d, correlate2d

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "fftconvolve",
    "oaconvolve",
]
