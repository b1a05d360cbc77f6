"""Named kernels over photographs: read, filter, write.

>>> import numpy as np
>>> from npconv import images
>>> photo = np.zeros((4, 6, 3), dtype=np.uint8)
>>> images.apply(photo, "gaussian:sigma=2").shape
(4, 6, 3)

A folder of photographs is one loop::

    for path in pathlib.Path("photos").glob("*.jpg"):
        images.write(out / path.name, images.apply(images.read(path), "sharpen"))
"""

from npconv.images.apply import Border, apply
from npconv.images.definition import Kernel, Signed
from npconv.images.files import MAX_PIXELS, Photo, load, read
from npconv.images.filters import kernel, kernels
from npconv.images.gallery_picture import gallery
from npconv.images.writing import FORMATS, check_target, write

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Border",
    "Kernel",
    "Photo",
    "Signed",
    "apply",
    "check_target",
    "gallery",
    "kernel",
    "kernels",
    "load",
    "read",
    "write",
]
