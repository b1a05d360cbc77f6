"""`npconv filter` and `npconv gallery`: one photograph, many, and the ones that fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from npconv import images
from npconv.cli import app

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
PIXELS = np.random.default_rng(5).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def run(*words: str | Path) -> Result:
    return RUNNER.invoke(app, [str(word) for word in words], prog_name="npconv")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    images.write(tmp_path / "photo.png", PIXELS)
    return tmp_path / "photo.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good images, one of them deeper, and one bad one."""
    place = tmp_path / "photos"
    (place / "trip").mkdir(parents=True)
    images.write(place / "a.png", PIXELS)
    images.write(place / "b.png", 255 - PIXELS)
    images.write(place / "trip" / "a.png", PIXELS[::-1])
    (place / "bad.png").write_bytes((place / "a.png").read_bytes()[:60])
    (place / "notes.txt").write_text("not an image")
    return place


def names(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def test_one_photo_to_one_file(photo: Path) -> None:
    result = run("filter", photo, "sharpen", "-o", photo.with_name("out.png"))
    assert result.exit_code == 0, result.output
    assert "photo.png -> " in result.output
    assert "16 x 12, uint8" in result.output
    np.testing.assert_array_equal(
        images.read(photo.with_name("out.png")), images.apply(PIXELS, "sharpen")
    )


def test_without_out_the_result_stands_beside(photo: Path) -> None:
    assert run("filter", photo, "gaussian:sigma=1").exit_code == 0
    assert run("filter", photo, "--kernel", "0 -1 0; -1 5 -1; 0 -1 0").exit_code == 0
    assert names(photo.parent) == ["photo.filtered.png", "photo.gaussian.png", "photo.png"]
    np.testing.assert_array_equal(
        images.read(photo.with_name("photo.filtered.png")), images.apply(PIXELS, "sharpen")
    )
    Image.fromarray(PIXELS).save(photo.with_name("old.tga"))
    assert run("filter", photo.with_name("old.tga"), "blur").exit_code == 0
    assert photo.with_name("old.blur.png").exists()


def test_options_reach_the_filter(photo: Path) -> None:
    out = photo.with_name("out.png")
    run("filter", photo, "sobel", "-o", out, "--signed", "offset", "--border", "zeros")
    wanted = images.apply(PIXELS, "sobel", signed="offset", border="zeros")
    np.testing.assert_array_equal(images.read(out), wanted)
    run("filter", photo, "-k", "-1 0 1", "--signed", "abs", "-o", out, "--overwrite")
    np.testing.assert_array_equal(images.read(out), images.apply(PIXELS, "-1 0 1", signed="abs"))


def test_nothing_is_overwritten_unless_asked(photo: Path) -> None:
    result = run("filter", photo, "blur", "-o", photo)
    assert result.exit_code == 1
    assert "is there already" in result.output
    assert "--overwrite" in result.output
    np.testing.assert_array_equal(images.read(photo), PIXELS)
    assert run("filter", photo, "blur", "-o", photo, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(images.read(photo), images.apply(PIXELS, "blur"))


def test_profile_and_depth_are_kept(tmp_path: Path) -> None:
    deep = np.random.default_rng(6).integers(0, 65536, (9, 8, 4), dtype=np.uint16)
    for name in ("deep.png", "deep.tif"):
        images.write(tmp_path / name, deep, icc_profile=b"profile" * 20, dpi=(300, 300))
        result = run("filter", tmp_path / name, "blur", "-o", tmp_path / f"out-{name}")
        assert result.exit_code == 0, result.output
        photo = images.load(tmp_path / f"out-{name}")
        np.testing.assert_array_equal(photo.pixels, images.apply(deep, "blur"))
        np.testing.assert_array_equal(photo.pixels[:, :, 3], deep[:, :, 3])
        assert photo.icc_profile == b"profile" * 20


def test_a_folder_with_one_bad_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("filter", folder, "blur", "-o", out)
    assert result.exit_code == 1
    assert names(out) == ["a.png", "b.png"]
    assert "failed: " in result.output
    assert "bad.png is damaged or cut short" in " ".join(result.output.split())
    assert "2 written, 1 failed" in result.output
    np.testing.assert_array_equal(images.read(out / "b.png"), images.apply(255 - PIXELS, "blur"))


def test_a_folder_into_the_folder_beside_it(folder: Path) -> None:
    (folder / "bad.png").unlink()
    assert run("filter", folder, "sobel", "--recursive").exit_code == 0
    assert names(folder.with_name("photos.sobel")) == ["a.png", "b.png", "trip/a.png"]
    assert run("filter", folder, "sobel").exit_code == 1
    assert run("filter", folder, "sobel", "--overwrite", "-q").output.strip() == ""


def test_results_inside_the_folder_are_not_filtered_again(folder: Path) -> None:
    (folder / "bad.png").unlink()
    for _ in range(2):
        result = run("filter", folder, "blur", "-r", "-o", folder / "out", "--overwrite")
        assert result.exit_code == 0
        assert "3 written, 0 failed" in result.output


def test_several_files_into_a_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = run("filter", folder / "a.png", folder / "b.png", "blur", "-o", out)
    assert result.exit_code == 0, result.output
    assert names(out) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{a}", "{deep}", "blur", "-o", "{out}"), "2 images would all be written to"),
        (("{a}", "{b}", "blur", "-o", "{a}"), "several images need a folder"),
        (("blur",), "no image is named"),
        (("{a}",), "no kernel is named"),
        (("blur", "{a}"), "the kernel's name goes last"),
        (("{a}", "blur:3"), "takes no settings"),
        (("{a}", "-k", "1 2; 3"), "rows differ in length"),
        (("{a}", "-k", "1 nan"), "not a finite number"),
        (("{a}", "blur", "--border", "mirror"), "'mirror'"),
        (("{a}", "blur", "--signed", "wrap"), "'wrap'"),
        (("{a}", "blur", "--max-pixels", "0"), "Invalid value for '--max-pixels'"),
        (("-", "{a}", "blur"), "'-' stands alone"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_exits_with_2(
    words: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    places = {"a": folder / "a.png", "b": folder / "b.png", "deep": folder / "trip" / "a.png"}
    before = names(tmp_path)
    result = run("filter", *(word.format(**places, out=tmp_path / "out") for word in words))
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{folder}/none.png", "blur"), "cannot be read: no such file"),
        (("{folder}/bad.png", "blur"), "damaged or cut short"),
        (("{folder}/notes.txt", "blur"), "is not an image"),
        (("{folder}/trip/..", "blur", "-o", "{folder}/notes.txt"), "several images need a folder"),
        (("{folder}/a.png", "blur", "-o", "{folder}/out.xyz"), "names no format"),
        (("{folder}/a.png", "blur", "-o", "{folder}/notes.txt/a.png"), "notes.txt"),
        (("{folder}/a.png", "blur", "--max-pixels", "100"), "more than the 100 allowed"),
        (("{empty}", "blur"), "has no images"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    words: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"folder": folder, "empty": tmp_path / "empty"}
    result = run("filter", *(word.format(**places) for word in words))
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_transparency_and_animations_by_choice(tmp_path: Path) -> None:
    clear = np.dstack([PIXELS, np.full((12, 16), 128, np.uint8)])
    images.write(tmp_path / "clear.png", clear)
    words: tuple[str | Path, ...]
    words = ("filter", tmp_path / "clear.png", "blur", "-o", tmp_path / "solid.jpg")
    assert "has no transparency" in run(*words).output
    assert run(*words, "--background", "white").exit_code == 0
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    words = ("filter", tmp_path / "moving.png", "blur")
    refused = run(*words)
    assert refused.exit_code == 1
    assert "--first-frame" in refused.output
    assert run(*words, "--first-frame").exit_code == 0
    np.testing.assert_array_equal(
        images.read(tmp_path / "moving.blur.png"), images.apply(PIXELS, "blur")
    )


def test_gallery(photo: Path) -> None:
    result = run("gallery", photo, "--width", "600")
    assert result.exit_code == 0, result.output
    picture = images.read(photo.with_name("photo.gallery.png"))
    np.testing.assert_array_equal(picture, images.gallery(PIXELS, width=600, title="photo.png"))
    again = run("gallery", photo)
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_gallery_of_some_kernels_in_few_colours(photo: Path) -> None:
    out = photo.with_name("few.png")
    words = ("gallery", photo, "-o", out, "-k", "blur", "-k", "1 2 1", "--width", "500")
    assert run(*words, "--colours", "16").exit_code == 0
    assert len(np.unique(images.read(out).reshape(-1, 3), axis=0)) <= 16
    assert run(*words, "-k", "blurr").exit_code == 2
    assert run("gallery", photo, "-o", out, "--overwrite", "--width", "5").exit_code == 1
