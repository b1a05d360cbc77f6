"""OpenCV's filter of images."""

from __future__ import annotations

import numpy as np

from npconv.bench.arrays import Job, operands, out_shape

from .contender import Call, Contender
from .eligible import images_filters


def filter2d(image: np.ndarray, kernel: np.ndarray) -> Call:
    """Prepare OpenCV's correlation."""
    import cv2

    return lambda: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT)


def gaussian_blur(image: np.ndarray, sigma: float) -> Call:
    """Prepare OpenCV's Gaussian, cut where the others' are."""
    import cv2

    size = _length(sigma), _length(sigma)
    return lambda: cv2.GaussianBlur(image, size, sigma, borderType=cv2.BORDER_REFLECT)


def separable_filter(image: np.ndarray, sigma: float) -> Call:
    """Prepare OpenCV's filter of a column times a row, a Gaussian's."""
    import cv2

    line = cv2.getGaussianKernel(_length(sigma), sigma, cv2.CV_32F)
    return lambda: cv2.sepFilter2D(image, -1, line, line, borderType=cv2.BORDER_REFLECT)


def _length(sigma: float) -> int:
    return 2 * int(4 * sigma + 0.5) + 1


def layer(job: Job) -> Call:
    """Prepare OpenCV's filter2D of each channel with its own kernel."""
    import cv2

    x, weight = operands(job)
    out = np.empty(out_shape(job.layer), np.float32)

    def call() -> np.ndarray:
        for image, filtered in zip(x, out, strict=True):
            for plane, kernel, result in zip(image, weight, filtered, strict=True):
                cv2.filter2D(plane, -1, kernel[0], dst=result, borderType=cv2.BORDER_CONSTANT)
        return out

    return call


_PACKAGE = "opencv-python-headless"
CORRELATE = {"cv2.filter2D": Contender("correlate", _PACKAGE, filter2d)}
GAUSSIAN = {
    "cv2.GaussianBlur": Contender("gaussian", _PACKAGE, gaussian_blur),
    "cv2.sepFilter2D": Contender("gaussian", _PACKAGE, separable_filter),
}
LAYER = {"opencv": Contender("layer", _PACKAGE, layer, images_filters)}
