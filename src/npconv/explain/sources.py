"""Where a page's arrays come from: given, read from a file, a kernel's name, or drawn."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from npconv import ProblemError, images
from npconv.explain.asked import CROP, LIMITS
from npconv.explain.crops import crop_text, cut, liveliest
from npconv.explain.pictures import default_weight, drawn_picture, stacked

_SIDE = 8  # cells of the picture that is drawn where none is given
_ARRAYS = (".npy", ".npz")


class Source(NamedTuple):
    """x in its layout, its name, the crop that was taken, and the whole photo that it is from.

    x is None where the picture has to be drawn.
    """

    x: np.ndarray | None
    layout: str | None
    name: str
    crop: Sequence[int] | None = None
    photo: np.ndarray | None = None

    @property
    def words(self) -> str:
        """Return its name and crop."""
        return self.name if self.crop is None else f"{self.name}, crop {crop_text(*self.crop)}"


class Weight(NamedTuple):
    """A weight in its layout, or 2-D kernels to be laid over every channel, or neither."""

    array: np.ndarray | None
    layout: str | None
    kernels: list[np.ndarray] | None

    def channels(self, groups: int, transposed: bool) -> int:
        """Return how many channels the x has that it is for; 3 where any number does."""
        if self.array is None:
            return groups if groups > 1 else 3
        shape = self.array.shape
        letters = (self.layout or {3: "OIW", 4: "OIHW"}.get(len(shape), "")).upper()
        at = letters.find("O" if transposed else "I")
        count = shape[at] if 0 <= at < len(shape) else 1
        return count if transposed else count * groups


def axes(layout: str | None, ndim: int) -> str:
    """Return x's letters; what is no layout is refused when it is read."""
    return (layout or {3: "NCW", 4: "NCHW"}.get(ndim, "")).upper().replace("L", "W")


def read_x(
    x: Any, layout: str | None, size: Sequence[int] | None, crop: Sequence[int] | None
) -> Source:
    """Return the array, image or array file asked for, cut to `crop` or to `size` where given.

    Of an image too large to draw, and wherever size is given, the liveliest piece is taken.
    """
    if x is None:
        return Source(None, layout, "a drawn picture")
    photo, name = None, "x"
    if isinstance(x, (str, os.PathLike)):
        name = Path(x).name
        if Path(x).suffix.lower() in _ARRAYS:
            x = read_array(Path(x), "x")
        else:
            photo = images.read(x)
            x, layout = _as_array(photo, layout)
    array = np.asarray(x)
    letters = axes(layout, array.ndim)
    sound = len(letters) == array.ndim and "W" in letters and not set(letters) - set("NCHW")
    if sound and 0 not in array.shape and crop is None:
        sides = [array.shape[letters.index(a)] for a in "HW" if a in letters]
        if size is not None or (photo is not None and max(sides) > LIMITS["size"]):
            crop = liveliest(array, letters, _two(size or (CROP, CROP)))
    if crop is None:
        return Source(array, layout, name, None, photo)
    if not sound:
        raise ProblemError(f"crop needs to know x's axes: layout {layout!r}, shape {array.shape}.")
    taken = cut(array, letters, tuple(crop))
    return Source(taken, layout, name, crop, photo)


def draw_x(layout: str | None, size: Sequence[int] | None, batch: int, channels: int) -> np.ndarray:
    """Return the picture that is drawn where no x is given, in layout's axes."""
    letters = axes(layout, 4)
    rows, columns = _two(size or (_SIDE, _SIDE))
    if min(rows, columns, batch, channels) < 1:
        raise ProblemError(f"a picture of {rows} x {columns} cells leaves nothing to draw.")
    if max(rows, columns) > LIMITS["size"] or batch > LIMITS["batch"]:
        raise ProblemError(
            f"a picture of {rows} x {columns} cells, {batch} times, is too much to draw.",
            rule=f"at most {LIMITS['size']} x {LIMITS['size']} cells, {LIMITS['batch']} times",
        )
    if batch > 1 and "N" not in letters:
        raise ProblemError(f"layout {layout!r} has no N for a batch of {batch}.")
    picture = drawn_picture(
        batch, channels if "C" in letters else 1, rows if "H" in letters else 1, columns
    )
    return _laid(picture, letters)


def read_weight(weight: Any, weight_layout: str | None) -> Weight:
    """Return a weight, or the 2-D kernels that names, numbers in text or files stand for.

    A name gives one kernel, or two where it is a filter of two directions.
    """
    if weight is None:
        return Weight(None, None, None)
    if isinstance(weight, (str, os.PathLike, images.Kernel)):
        weight = [weight]
    named = isinstance(weight, (list, tuple)) and len(weight) > 0
    if not named or not all(isinstance(a, (str, os.PathLike, images.Kernel)) for a in weight):
        return Weight(np.asarray(weight), weight_layout, None)
    kernels: list[np.ndarray] = []
    for one in weight:
        if isinstance(one, images.Kernel):
            kernels += _numbers_of(one)
        elif Path(one).suffix.lower() not in _ARRAYS:
            kernels += _numbers_of(_known(str(one)))
        else:
            numbers = read_array(Path(one), "weight")
            if numbers.ndim != 2 and len(weight) == 1:
                return Weight(numbers, weight_layout, None)
            if numbers.ndim != 2:
                raise ProblemError(f"{one} holds {numbers.ndim} axes.", fix="give it alone")
            kernels.append(numbers)
    return Weight(None, None, kernels)


def lay_kernels(
    kernels: list[np.ndarray] | None,
    x: np.ndarray,
    layout: str | None,
    groups: int,
    transposed: bool,
) -> tuple[np.ndarray, str | None]:
    """Return a weight of these 2-D kernels, or of an edge and a blur, and its layout."""
    letters = axes(layout, x.ndim)
    if "W" not in letters or len(letters) != x.ndim:
        return np.ones((1,) * x.ndim), None  # the layout is refused when x is read
    channels = x.shape[letters.index("C")] if "C" in letters else 1
    rows = x.shape[letters.index("H")] if "H" in letters else 1
    if kernels is None:
        weight = default_weight(channels, groups, rows, transposed)
    elif transposed:
        weight = np.swapaxes(stacked([*kernels], channels, 1), 0, 1)
    else:
        weight = stacked(kernels, channels, groups)
    spatial = "HW" if "H" in letters else "W"
    if "H" not in letters:
        if weight.shape[2] > 1:
            raise ProblemError(f"the kernel has {weight.shape[2]} rows, x has one line.")
        weight = weight[:, :, 0]
    if "C" in letters:
        return weight, f"OI{spatial}"
    if kernels is not None and len(kernels) > 1:
        raise ProblemError(f"layout {layout!r} has no C for {len(kernels)} kernels' results.")
    return weight[0, 0], spatial


def read_array(path: Path, name: str) -> np.ndarray:
    """Return the array of an .npy file, or of an .npz that one of: holds one, or one of this name.

    No Python objects are read.
    """
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as held:
            names = list(held.files)
            if name in names or len(names) == 1:
                return held[name if name in names else names[0]]
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ProblemError(
            f"{path} is damaged or holds Python objects: no array can be read."
        ) from error
    raise ProblemError(
        f"{path} holds {len(names)} arrays and none is named {name}.",
        facts=(("has", ", ".join(names[:12])),),
        fix=f"np.save the one to show, or name it {name}",
    )


def _known(name: str) -> images.Kernel:
    """Return the kernel of a name, or of numbers in text."""
    try:
        return images.kernel(name)
    except ProblemError as error:
        sentence = error.sentence.removeprefix("images: ")
        raise ProblemError(sentence, error.rule, error.fix, facts=error.facts) from None


def _numbers_of(kernel: images.Kernel) -> list[np.ndarray]:
    return [numbers for numbers in (kernel.numbers, kernel.cross) if numbers is not None]


def _as_array(photo: np.ndarray, layout: str | None) -> tuple[np.ndarray, str]:
    """Return a photo without its transparency, in layout's axes or as it is."""
    plain = photo if photo.ndim == 2 else photo[..., : {2: 1, 4: 3}.get(photo.shape[2])]
    if layout is None:
        return plain, "HW" if plain.ndim == 2 else "HWC"
    letters = layout.upper().replace("L", "W")
    if set(letters) - set("NCHW") or "H" not in letters or "W" not in letters:
        raise ProblemError(f"layout {layout!r} does not name an image's axes.", fix="HWC or NCHW")
    if "C" not in letters and plain.ndim == 3:
        raise ProblemError(f"layout {layout!r} has no C, and the image has colours.", fix="HWC")
    planes = plain[None] if plain.ndim == 2 else np.moveaxis(plain, 2, 0)
    return _laid(planes[None], letters), layout


def _laid(nchw: np.ndarray, letters: str) -> np.ndarray:
    """Return an array NCHW in the axes named; those that are not named have length 1."""
    index = tuple(slice(None) if letter in letters else 0 for letter in "NCHW")
    kept = [letter for letter in "NCHW" if letter in letters]
    return nchw[index].transpose([kept.index(letter) for letter in letters if letter in kept])


def _two(size: Sequence[int]) -> tuple[int, int]:
    """Return rows and columns: one number is both."""
    size = [*size] * 2 if len(size) == 1 else size
    if len(size) != 2:
        raise ProblemError(f"size {tuple(size)} is not (rows, columns).")
    return int(size[0]), int(size[1])
