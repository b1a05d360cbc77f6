"""What the tests of nn's data share: a few images, and files of them made by hand."""

from __future__ import annotations

import struct

import numpy as np

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (30, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


def idx(array: np.ndarray, kind: int = 8, dtype: str = "u1") -> bytes:
    """Return an IDX file's bytes."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.astype(dtype).tobytes()


def cifar(images: np.ndarray, *labels: np.ndarray) -> bytes:
    rows = [label[:, None].astype(np.uint8) for label in labels]
    return np.hstack([*rows, images.reshape(len(images), -1)]).tobytes()
