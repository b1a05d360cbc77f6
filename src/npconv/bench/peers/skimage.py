"""scikit-image's filters."""

from __future__ import annotations

import numpy as np

from .contender import Call, Contender
from .eligible import float_images


def gaussian(image: np.ndarray, sigma: float) -> Call:
    """Prepare scikit-image's Gaussian with the border and the cut that the others have."""
    from skimage.filters import gaussian

    each = (sigma, sigma, 0.0)[: image.ndim]
    return lambda: gaussian(image, sigma=each, mode="reflect", truncate=4.0, preserve_range=True)


GAUSSIAN = {
    "skimage.filters.gaussian": Contender("gaussian", "scikit-image", gaussian, float_images)
}
