"""One call for all data: it looks what a path is, and loads it."""

from __future__ import annotations

import os
from pathlib import Path

from npconv import ProblemError
from npconv.nn.data.arrays import Dataset
from npconv.nn.data.cifar import cifar_files, load_cifar
from npconv.nn.data.folder import load_folder
from npconv.nn.data.idx import idx_files, load_idx
from npconv.nn.data.npz import load_npz
from npconv.nn.data.parts import train_and_test

_RULE = (
    '"digits", a folder of IDX files (MNIST), of CIFAR\'s binary batches or with a folder for each '
    "class, or an .npz file"
)


def load_digits(seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels, a fifth of them as the test part.

    Parameters
    ----------
    seed : int
        Which images are the test part; each class has its share.

    Returns
    -------
    train, test : Dataset

    Raises
    ------
    ProblemError
        Where scikit-learn is not installed.

    Examples
    --------
    >>> load_digits()
    (Dataset(1438 images of 1 x 8 x 8, 10 classes), Dataset(359 images of 1 x 8 x 8, 10 classes))
    """
    try:
        from npconv.nn.scikit import digits
    except ImportError as error:
        raise ProblemError(
            "the digits come with scikit-learn, which is not installed.",
            fix="pip install 'npconv[nn]'",
            where="load_digits",
        ) from error
    return train_and_test(digits(), None, "load_digits", seed=seed)


def load_data(
    source: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of whatever `source` is.

    Parameters
    ----------
    source : "digits" or path
        A folder of IDX files (`load_idx`), of CIFAR's batches (`load_cifar`) or with a folder for
        each class (`load_folder`), or an .npz file (`load_npz`). The first two may lie one folder
        deeper, as archives unpack.
    size : int or (int, int), optional
        What the pictures of class folders are resized to.
    seed : int
        Which fifth becomes the test part where there is none.

    Returns
    -------
    train, test : Dataset

    Raises
    ------
    ProblemError
        Where it is none of these, or is damaged.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp(), "small.npz")
    >>> np.savez(path, images=np.zeros((10, 8, 8), np.uint8), labels=[1, 7] * 5)
    >>> train, test = load_data(path)
    >>> train
    Dataset(8 images of 1 x 8 x 8, 2 classes)
    """
    path = Path(source)
    if source == "digits":
        return load_digits(seed)
    if path.is_file() and path.suffix.lower() == ".npz":
        return load_npz(path, seed)
    if not path.is_dir():
        what = "is no .npz file" if path.exists() else "does not exist"
        raise ProblemError(f"{source} {what}.", rule=_RULE, where="load_data")
    inside = sorted(each for each in path.iterdir() if each.is_dir())
    for place in (path, *inside):
        if idx_files(place):
            return load_idx(place)
        if cifar_files(place):
            return load_cifar(place)
    if not inside:
        pickled = any(path.glob("data_batch_[0-9]"))
        raise ProblemError(
            f"{source} holds nothing that is known."
            if any(path.iterdir())
            else f"{source} is empty.",
            rule=_RULE,
            fix='CIFAR\'s pickles are not opened: download its "binary version"' if pickled else "",
            where="load_data",
        )
    return load_folder(path, size, seed=seed)
