"""Drop-in for the linear filters of scipy.ndimage, computed by npconv's engine.

    from npconv import ndimage
    ndimage.gaussian_filter(photo, sigma=2)

The functions have scipy.ndimage's names, arguments, meanings, numbers, dtypes and kinds of error.
What differs: float32 arrays are summed in float32 (SciPy sums in float64 and rounds once), and a
NaN reaches only the windows of `uniform_filter` that hold it. float16, longdouble and object arrays
raise RuntimeError, as in SciPy. SciPy need not be installed.
"""

from npconv.ndimage.correlation import convolve, convolve1d, correlate, correlate1d
from npconv.ndimage.derivatives import (
    gaussian_laplace,
    generic_laplace,
    laplace,
    prewitt,
    sobel,
)
from npconv.ndimage.gaussian import gaussian_filter, gaussian_filter1d
from npconv.ndimage.uniform import uniform_filter, uniform_filter1d

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_laplace",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
