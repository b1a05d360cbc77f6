"""Image files: every mode and depth, every kind of broken file, writing whole or not at all."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from npconv import ProblemError, images
from picture_files import COLOUR, DEEP, GREY, RNG, filtered_rows, png_chunks, png_header


def random_pixels(dtype: str, channels: int) -> np.ndarray:
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    if dtype == "float32":
        return RNG.standard_normal(shape).astype(np.float32)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


LOSSLESS = [
    (ending, dtype, channels)
    for ending, known in images.FORMATS.items()
    for dtype, depths in known.channels.items()
    for channels in depths
    if known.name in ("PNG", "TIFF", "BMP", "PPM")
]


@pytest.mark.parametrize(("ending", "dtype", "channels"), LOSSLESS)
def test_round_trips(ending: str, dtype: str, channels: int, tmp_path: Path) -> None:
    pixels = random_pixels(dtype, channels)
    path = tmp_path / f"image{ending}"
    images.write(path, pixels)
    again = images.read(path)
    assert again.dtype == pixels.dtype
    np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".gif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats_keep_the_picture(ending: str, channels: int, tmp_path: Path) -> None:
    shape = (32, 40) if channels == 1 else (32, 40, 3)
    smooth = np.broadcast_to(np.linspace(40, 200, 40)[None, :, None], (32, 40, channels))
    pixels = smooth.reshape(shape).astype(np.uint8)
    images.write(tmp_path / f"image{ending}", pixels)
    again = images.read(tmp_path / f"image{ending}").astype(float)
    if again.ndim > pixels.ndim:
        again = again.mean(axis=2)
    assert again.shape == shape
    assert np.abs(again - pixels).max() < 8


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_tiffs_are_read_by_others(channels: int, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = np.ascontiguousarray(DEEP[:, :, :channels])
    images.write(tmp_path / "ours.tif", pixels, dpi=(300, 150), icc_profile=b"p" * 9)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "ours.tif"), pixels)
    photo = images.load(tmp_path / "ours.tif")
    assert photo.dpi == (300, 150)
    assert photo.icc_profile == b"p" * 9


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"rowsperstrip": 2},
        {"tile": (16, 16)},
    ],
)
def test_sixteen_bit_tiffs_of_others_are_read(options: dict[str, Any], tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = np.ascontiguousarray(DEEP[:, :, :3])
    tifffile.imwrite(tmp_path / "theirs.tif", pixels, photometric="rgb", **options)
    np.testing.assert_array_equal(images.read(tmp_path / "theirs.tif"), pixels)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_tiff_planes_are_refused(compression: str | None, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.ascontiguousarray(np.moveaxis(DEEP[:, :, :3], -1, 0))
    tifffile.imwrite(
        tmp_path / "apart.tif",
        planes,
        photometric="rgb",
        planarconfig="separate",
        compression=compression,
    )
    with pytest.raises(ProblemError, match=r"16 bits a channel.*TIFF planes; .*lose half"):
        images.read(tmp_path / "apart.tif")


@pytest.mark.parametrize(("channels", "colour"), [(2, 4), (3, 2), (4, 6)])
def test_sixteen_bit_png_with_every_row_filter(channels: int, colour: int) -> None:
    pixels = DEEP[:, :, :channels]
    data = png_chunks(png_header(5, 7, 16, colour), filtered_rows(pixels, [0, 1, 2, 3, 4]))
    np.testing.assert_array_equal(images.read(io.BytesIO(data)), pixels)


def test_sixteen_bit_interlaced_png() -> None:
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = b""
    for top, left, down, right in [*steps, (1, 0, 2, 1)]:
        part = DEEP[top::down, left::right, :3]
        rows += filtered_rows(part, [0] * len(part)) if part.size else b""
    data = png_chunks(png_header(5, 7, 16, 2, interlaced=1), rows)
    np.testing.assert_array_equal(images.read(io.BytesIO(data)), DEEP[:, :, :3])


@pytest.mark.parametrize(("depth", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_a_transparent_colour_becomes_alpha(depth: int, dtype: type) -> None:
    pixels: np.ndarray = np.arange(12, dtype=dtype).reshape(2, 2, 3)
    body = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    key = (b"tRNS", struct.pack(">HHH", 3, 4, 5))
    again = images.read(io.BytesIO(png_chunks(png_header(2, 2, depth, 2), body, key)))
    assert again.shape == (2, 2, 4)
    np.testing.assert_array_equal(again[:, :, :3], pixels)
    most = np.iinfo(dtype).max
    np.testing.assert_array_equal(again[:, :, 3], [[most, 0], [most, most]])


def test_palette_grey_bit_and_cmyk_images(tmp_path: Path) -> None:
    def reread(image: Image.Image, name: str, **options: Any) -> np.ndarray:
        image.save(tmp_path / name, **options)
        return images.read(tmp_path / name)

    few = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], dtype=np.uint8)
    palette = Image.fromarray(few).quantize(4)
    np.testing.assert_array_equal(reread(palette, "palette.png"), few)
    clear = reread(palette, "clear.png", transparency=palette.getpixel((0, 0)))
    np.testing.assert_array_equal(clear[:, :, 3], [[0, 255], [255, 255]])
    bits = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(reread(Image.fromarray(bits), "bits.png"), bits * np.uint8(255))
    inks = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    red = reread(inks, "inks.tif")
    assert red.shape == (3, 4, 3)
    assert red[0, 0].tolist() == [255, 0, 0]


def test_deep_grey_of_other_kinds(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    grey = np.ascontiguousarray(DEEP[:, :, 0])
    tifffile.imwrite(tmp_path / "white.tif", grey, photometric="miniswhite")
    np.testing.assert_array_equal(images.read(tmp_path / "white.tif"), 65535 - grey)
    tifffile.imwrite(tmp_path / "big.tif", grey, byteorder=">")
    np.testing.assert_array_equal(images.read(tmp_path / "big.tif"), grey)
    (tmp_path / "deep.pgm").write_bytes(b"P5\n# note\n7 5\n65535\n" + grey.astype(">u2").tobytes())
    np.testing.assert_array_equal(images.read(tmp_path / "deep.pgm"), grey)


def test_depths_that_would_be_reduced_are_refused(tmp_path: Path) -> None:
    body = np.ascontiguousarray(DEEP[:, :, :3]).astype(">u2").tobytes()
    (tmp_path / "deep.ppm").write_bytes(b"P6 7 5 65535\n" + body)
    with pytest.raises(ProblemError, match=r"deep.ppm has 16 bits a channel.*PPM"):
        images.read(tmp_path / "deep.ppm")
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "inks.tif", DEEP, photometric="separated")
    with pytest.raises(ProblemError, match=r"inks.tif has 16 bits a channel.*CMYK"):
        images.read(tmp_path / "inks.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["photo.png", "photo.tif", "photo.webp"])
def test_exif_orientation(orientation: int, name: str, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(COLOUR)
    options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
    image.save(tmp_path / name, exif=exif, **options)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(images.read(tmp_path / name), upright)


def test_exif_orientation_of_a_deep_png() -> None:
    exif = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    rows = filtered_rows(DEEP[:, :, :3], [0] * 5)
    data = png_chunks(png_header(5, 7, 16, 2), rows, (b"eXIf", exif))
    np.testing.assert_array_equal(images.read(io.BytesIO(data)), np.rot90(DEEP[:, :, :3], -1))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "deep.png", "deep.tif"])
def test_profile_and_resolution_are_kept(name: str, tmp_path: Path) -> None:
    pixels = DEEP[:, :, :3] if "deep" in name else COLOUR
    profile = bytes(range(200))
    images.write(tmp_path / name, pixels, icc_profile=profile, dpi=(300, 300))
    photo = images.load(tmp_path / name)
    assert photo.icc_profile == profile
    if not name.endswith("webp"):
        assert photo.dpi is not None
        assert [round(value) for value in photo.dpi] == [300, 300]


@pytest.mark.parametrize("name", ["pages.gif", "pages.tif", "pages.png", "pages.webp"])
def test_animations_are_refused_or_the_first_frame_taken(name: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 6, 3), level, np.uint8)) for level in (10, 200, 90)]
    options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    with pytest.raises(ProblemError, match=r"holds 3 pictures"):
        images.read(tmp_path / name)
    first = images.read(tmp_path / name, first_frame=True)
    assert first.shape == (4, 6, 3)
    assert (first == 10).all()


def test_transparency_is_laid_on_a_background(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :, 3] = 51
    images.write(tmp_path / "a.bmp", pixels[:, :, [0, 3]], background="white")
    np.testing.assert_array_equal(images.read(tmp_path / "a.bmp"), np.full((8, 8), 204))
    images.write(tmp_path / "a.jpg", pixels, background="#ff0000")
    assert np.abs(images.read(tmp_path / "a.jpg").astype(int) - [204, 0, 0]).max() <= 3
    images.write(tmp_path / "a.png", pixels, background="white")
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), pixels)
    with pytest.raises(ProblemError, match=r"'wight' is not a colour"):
        images.write(tmp_path / "b.jpg", pixels, background="wight")


def test_bool_big_endian_and_one_channel_arrays(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", GREY > 99)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), (GREY > 99) * np.uint8(255))
    images.write(tmp_path / "b.png", DEEP.astype(">u2"))
    np.testing.assert_array_equal(images.read(tmp_path / "b.png"), DEEP)
    images.write(tmp_path / "c.png", GREY[:, :, None])
    np.testing.assert_array_equal(images.read(tmp_path / "c.png"), GREY)


def test_few_colours_make_a_palette(tmp_path: Path) -> None:
    images.write(tmp_path / "few.png", COLOUR, colours=4)
    with Image.open(tmp_path / "few.png") as image:
        assert image.mode == "P"
    assert len(np.unique(images.read(tmp_path / "few.png").reshape(-1, 3), axis=0)) <= 4
    with pytest.raises(ProblemError, match=r"8-bit PNG only"):
        images.write(tmp_path / "few.jpg", COLOUR, colours=4)
