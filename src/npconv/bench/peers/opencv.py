"""OpenCV's filter of images."""

from __future__ import annotations

import numpy as np

from npconv.bench.arrays import Job, operands, out_shape

from .contender import Call, Contender
from .eligible import images_filters


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


LAYER = {"opencv": Contender("layer", "opencv-python-headless", layer, images_filters)}
