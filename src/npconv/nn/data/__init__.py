"""Data to learn from: readers, mini-batches, augmentation.

::

    train, test = load_data("digits")          # or a folder, or an .npz file
    train = train.augmented(RandomShift(1), RandomRotation(10))
    for x, y in train.batches(64, rng=0, training=True):
        ...
"""

from npconv.nn.data.arrays import Dataset
from npconv.nn.data.augment import RandomCrop, RandomFlip, RandomRotation, RandomShift
from npconv.nn.data.cifar import load_cifar
from npconv.nn.data.folder import load_folder, read_picture
from npconv.nn.data.idx import load_idx, read_idx
from npconv.nn.data.normal import normalise
from npconv.nn.data.npz import load_npz
from npconv.nn.data.source import load_data, load_digits

__all__ = [
    "Dataset",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomShift",
    "load_cifar",
    "load_data",
    "load_digits",
    "load_folder",
    "load_idx",
    "load_npz",
    "normalise",
    "read_idx",
    "read_picture",
]
