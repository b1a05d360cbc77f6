"""Image files: every mode and depth, every kind of broken file, writing whole or not at all."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from npconv import ProblemError, images

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def random_pixels(dtype: str, channels: int) -> np.ndarray:
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    if dtype == "float32":
        return RNG.standard_normal(shape).astype(np.float32)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def png_chunks(header: bytes, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def png_header(height: int, width: int, depth: int, colour: int, interlaced: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def filtered_rows(pixels: np.ndarray, kinds: list[int]) -> bytes:
    """Encode 16-bit rows with the PNG filters named, straight from the specification."""
    step = 2 * pixels.shape[2]
    above, out = bytes(pixels.shape[1] * step), b""
    for row, kind in zip(pixels.astype(">u2"), kinds, strict=True):
        raw, line = row.tobytes(), bytearray()
        for i, value in enumerate(raw):
            a = raw[i - step] if i >= step else 0
            b, c = above[i], above[i - step] if i >= step else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        out += bytes([kind]) + bytes(line)
        above = raw
    return out


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

    monkeypatch.setattr(f"npconv.images.{room}.open", forbidden, raising=False)
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
