"""Image files that are damaged, too large or not there, and what a write leaves behind."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from npconv import ProblemError, images
from picture_files import COLOUR, DEEP, GREY, RNG, filtered_rows, png_chunks, png_header


@pytest.mark.parametrize(
    "format_name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"]
)
def test_truncated_images(format_name: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, format_name)
    data = buffer.getvalue()
    for share in (0.2, 0.5, 0.8):
        with pytest.raises(ProblemError, match=r"(damaged|cut short|not an image)"):
            images.read(io.BytesIO(data[: int(len(data) * share)]))


def test_a_truncated_deep_png() -> None:
    rows = filtered_rows(DEEP[:, :, :3], [0] * 5)
    with pytest.raises(ProblemError, match=r"damaged or cut short"):
        images.read(io.BytesIO(png_chunks(png_header(5, 7, 16, 2), rows[:100])[:-12]))


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_damaged_files_never_raise_anything_else(position: int) -> None:
    buffer = io.BytesIO()
    formats = ("PNG", "GIF", "TIFF", "BMP", "JPEG", "WEBP")
    Image.fromarray(COLOUR).save(buffer, formats[position % len(formats)])
    data = bytearray(buffer.getvalue())
    data[position % len(data)] ^= 0xFF
    try:
        pixels = images.read(io.BytesIO(bytes(data)), max_pixels=10**6)
    except ProblemError as error:
        assert "images: the stream" in str(error)
    else:
        assert pixels.ndim in (2, 3)


def test_things_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ProblemError, match=r"text.jpg is not an image"):
        images.read(tmp_path / "text.jpg")
    with pytest.raises(ProblemError, match=r"empty.png is empty"):
        images.read(tmp_path / "empty.png")
    with pytest.raises(FileNotFoundError, match=r"none.png cannot be read: no such file"):
        images.read(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError, match=r"cannot be read: is a directory"):
        images.read(tmp_path)


@pytest.mark.parametrize("room", ["files", "writing"])
def test_a_file_without_permission(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    opener = {"files": "images.files", "writing": "replacing"}[room]  # where the file is opened
    monkeypatch.setattr(f"npconv.{opener}.open", forbidden, raising=False)
    verb = "read" if room == "files" else "written"
    with pytest.raises(PermissionError, match=rf"a.png cannot be {verb}: permission denied"):
        if room == "files":
            images.read(tmp_path / "a.png")
        else:
            images.write(tmp_path / "a.png", GREY)


def test_a_bomb_is_refused_before_decoding() -> None:
    bomb = png_chunks(png_header(200_000, 200_000, 8, 2), b"")
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ProblemError, match=r"40,000,000,000 pixels.*nothing was decoded"):
        images.read(io.BytesIO(bomb))
    assert before == Image.MAX_IMAGE_PIXELS
    buffer = io.BytesIO()
    images.write(buffer, GREY, format="png")
    with pytest.raises(ProblemError, match=r"more than the 34 allowed"):
        images.read(io.BytesIO(buffer.getvalue()), max_pixels=34)
    assert images.read(io.BytesIO(buffer.getvalue()), max_pixels=35).shape == (5, 7)


def test_more_than_pillows_own_cap_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    buffer = io.BytesIO()
    images.write(buffer, GREY, format="png")
    np.testing.assert_array_equal(images.read(io.BytesIO(buffer.getvalue())), GREY)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    images.write(path, GREY)
    path.chmod(0o640)
    with pytest.raises(FileExistsError, match=r"is there already"):
        images.write(path, 255 - GREY)
    np.testing.assert_array_equal(images.read(path), GREY)
    images.write(path, 255 - GREY, overwrite=True)
    np.testing.assert_array_equal(images.read(path), 255 - GREY)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), KeyboardInterrupt("no space left")],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    images.write(path, GREY)
    before = path.read_bytes()

    def save(self: Image.Image, stream: io.BufferedWriter, **options: Any) -> None:
        stream.write(b"half an image")
        stream.flush()
        raise failure

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(type(failure), match="no space left"):
        images.write(path, COLOUR, overwrite=True)
    with pytest.raises(type(failure), match="no space left"):
        images.write(tmp_path / "new.png", COLOUR)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    images.write(tmp_path / "real.png", GREY)
    (tmp_path / "link.png").symlink_to("real.png")
    images.write(tmp_path / "link.png", 255 - GREY, overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    np.testing.assert_array_equal(images.read(tmp_path / "real.png"), 255 - GREY)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot be written: no such file"):
        images.write(tmp_path / "nowhere" / "a.png", GREY)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"is a folder"):
        images.write(tmp_path / "folder.png", GREY, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"cannot be written: not a directory"):
        images.write(tmp_path / "file" / "a.png", GREY)


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("a.xyz", GREY, r"'\.xyz' names no format"),
        ("a.jgp", GREY, r"did you mean '\.jpg'"),
        ("a", GREY, r"'' names no format"),
        ("a.jpg", DEEP, r"JPEG cannot hold uint16"),
        ("a.jpg", np.zeros((2, 2, 4), np.uint8), r"JPEG has no transparency"),
        ("a.ppm", np.zeros((2, 2, 2), np.uint8), r"PPM has no transparency"),
        ("a.ppm", DEEP[:, :, :3], r"PPM cannot hold 3 channels of uint16"),
        ("a.tif", DEEP[:, :, :2], r"no transparency|cannot hold 2 channels of uint16"),
        ("a.png", GREY.astype(float), r"PNG cannot hold float64"),
        ("a.tif", GREY.astype(float), r"TIFF cannot hold float64"),
        ("a.png", np.zeros((2, 2, 5), np.uint8), r"no image that a file can hold"),
        ("a.png", np.zeros((0, 2), np.uint8), r"no image that a file can hold"),
        ("a.png", np.zeros(3, np.uint8), r"no image that a file can hold"),
        ("a.jpg", np.zeros((1, 70000), np.uint8), r"JPEG cannot hold this image of 70000 x 1"),
    ],
)
def test_what_a_format_cannot_hold(
    name: str, pixels: np.ndarray, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProblemError, match=message):
        images.write(tmp_path / name, pixels)
    assert list(tmp_path.iterdir()) == []


def test_streams_need_a_format() -> None:
    with pytest.raises(ProblemError, match=r"give format='png'"):
        images.write(io.BytesIO(), GREY)


def test_check_target_says_now_what_write_would_say_later(tmp_path: Path) -> None:
    images.check_target(tmp_path / "a.png")
    (tmp_path / "a.png").touch()
    images.check_target(tmp_path / "a.png", overwrite=True)
    with pytest.raises(FileExistsError, match=r"is there already"):
        images.check_target(tmp_path / "a.png")
    with pytest.raises(ProblemError, match=r"names no format"):
        images.check_target(tmp_path / "a.pgn2")
