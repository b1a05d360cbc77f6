"""The gallery picture: its size, its labels, its tiles."""

from __future__ import annotations

import numpy as np
import pytest

from npconv import ProblemError, images

RNG = np.random.default_rng(3)
PAPER = np.array([17, 19, 24])
PHOTO = RNG.integers(60, 256, (40, 60, 3), dtype=np.uint8)


def drawn(picture: np.ndarray) -> np.ndarray:
    """Where the picture is not bare paper."""
    return np.abs(picture.astype(int) - PAPER).max(axis=2) > 12


def test_every_kernel_is_drawn_and_labelled() -> None:
    picture = images.gallery(PHOTO, width=1200, title="photo.jpg")
    assert picture.shape[1:] == (1200, 3)
    assert picture.dtype == np.uint8
    marks = drawn(picture)
    # Margins are bare; between them tiles and labels leave only the gaps.
    assert not marks[:, :20].any()
    assert not marks[:, -20:].any()
    assert not marks[-20:].any()
    assert marks[20:-40].any(axis=1).mean() > 0.8


def test_labels_are_drawn_below_each_tile() -> None:
    tall = images.gallery(PHOTO, ["blur"], width=600)
    picture = images.gallery(PHOTO, ["gaussian:sigma=3"], width=600)
    assert tall.shape == picture.shape
    different = np.abs(tall.astype(int) - picture).max(axis=2) > 0
    marks = drawn(picture)
    rows = np.flatnonzero(different.any(axis=1))
    assert rows.size
    # The last tile's columns: picture, then a gap of paper, then the label's ink.
    column = np.flatnonzero(different.any(axis=0))
    inked = marks[:, column[0] : column[-1] + 1].any(axis=1)
    starts = np.flatnonzero(np.diff(inked.astype(int)) == 1)
    assert starts.size >= 2


def test_the_tile_is_the_filtered_photo() -> None:
    flat = np.full((40, 60), 200, dtype=np.uint8)
    for kernel, level in (("blur", 200), ("sobel", 0), ("laplacian", 128), ("0.5", 100)):
        picture = images.gallery(flat, [kernel], width=480)
        values, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
        common = {tuple(value.tolist()) for value in values[np.argsort(counts)[-3:]]}
        assert (level,) * 3 in common


@pytest.mark.parametrize("count", [0, 1, 2, 5, 12, 23])
@pytest.mark.parametrize("width", [480, 900, 1801])
def test_any_number_of_kernels_fits(count: int, width: int) -> None:
    picture = images.gallery(PHOTO, ["emboss"] * count, width=width)
    assert picture.shape[1] == width
    assert not drawn(picture)[:, -8:].any()
    assert not drawn(picture)[-8:].any()


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (1, 400)])
@pytest.mark.parametrize("title", ["", "a very long name indeed " * 20])
def test_odd_shapes_and_long_titles(size: tuple[int, int], title: str) -> None:
    picture = images.gallery(np.full(size, 90, np.uint8), ["blur", "box"], width=500, title=title)
    assert picture.shape[1] == 500
    assert not drawn(picture)[:, -8:].any()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_image(dtype: str, channels: int) -> None:
    most = 1 if dtype.startswith(("float", "bool")) else np.iinfo(dtype).max
    white = np.full((6, 9, channels), most, dtype=dtype)
    picture = images.gallery(white, ["blur"], width=480)
    assert (picture == 255).all(axis=2).mean() > 0.2


def test_transparent_pixels_show_the_paper() -> None:
    clear = np.full((6, 9, 4), 255, dtype=np.uint8)
    clear[:, :, 3] = 0
    assert not (images.gallery(clear, [], width=480) == 255).all(axis=2).any()


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((2, 2, 5), np.uint8), {}, r"shape \(2, 2, 5\)"),
        (np.zeros((0, 2), np.uint8), {}, r"shape \(0, 2, 1\)"),
        (np.zeros((2, 2), np.int32), {}, r"dtype int32"),
        (PHOTO, {"width": 100}, r"480 to 8000"),
        (PHOTO, {"width": 10**9}, r"480 to 8000"),
        (PHOTO, {"kernels": ["blurr"]}, r"did you mean 'blur'"),
    ],
)
def test_bad_calls(image: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        images.gallery(image, **options)  # type: ignore[arg-type]
