"""`npconv explain`: from a terminal to a page."""

import json
import re
import webbrowser

import numpy as np
import pytest
from typer.testing import CliRunner

from npconv import images
from npconv.cli import app

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def run(*words):
    return RUNNER.invoke(app, ["explain", *map(str, words)], prog_name="npconv")


def data_in(path):
    found = re.search(r'id="given">(.*?)</script>', path.read_text(encoding="utf-8"))
    return json.loads(found[1])


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """What the browser was asked to open."""
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or True)
    monkeypatch.setenv("DISPLAY", ":0")
    return asked


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_page_at_once(here, opened):
    result = run()
    assert result.exit_code == 0, result.output
    assert result.output.startswith("explain.html  a drawn picture: x 1x3x8x8, weight 2x3x3x3")
    assert opened == [(here / "explain.html").as_uri()]
    assert data_in(here / "explain.html")["problem"]["padding"] == [[1, 1], [1, 1]]
    again = run()
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert run("--overwrite", "--no-open").exit_code == 0
    assert len(opened) == 1


def test_every_option_reaches_the_page(here, opened):
    result = run(
        "-o", "page.html", "--no-open", "--kernel", "sobel", "-k", "1 2; 3 4; 5 6", "--size", "9x7",
        "--batch", 2, "--stride", "2,1", "--padding", "1:2,0:-1", "--padding-mode", "reflect",
        "--dilation", 2, "--groups", 3, "--layout", "NHWC", "--title", "Mine",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "kernels of 3 x 3, 3 x 2 have no common middle" in result.output
    result = run(
        "-o", "page.html", "--no-open", "-k", "sobel", "-k", "box:3", "--size", "9x7",
        "--batch", 2, "--stride", "2,1", "--padding", "1:2,0:-1", "--padding-mode", "reflect",
        "--dilation", 2, "--groups", 3, "--layout", "NHWC", "--title", "Mine",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = data_in(here / "page.html")
    assert data["title"] == "Mine"
    assert data["problem"] == {
        "batch": 2, "inChannels": 3, "outChannels": 6, "size": [9, 7], "kernelSize": [3, 3],
        "stride": [2, 1], "padding": [[1, 2], [0, -1]], "dilation": [2, 2], "groups": 3,
        "mode": "reflect", "transposed": False, "outputPadding": [0, 0], "layout": "NHWC",
    }  # fmt: skip
    assert opened == []


def test_a_transposed_convolution(here):
    result = run("--no-open", "--transposed", "--stride", 2, "--output-padding", "1,0")
    assert result.exit_code == 0, result.output
    data = data_in(here / "explain.html")
    assert data["problem"]["transposed"]
    assert data["problem"]["outputPadding"] == [1, 0]
    assert data["out"]["shape"] == [1, 2, 16, 15]


def test_a_photo_and_a_crop_of_it(here):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    images.write(here / "cat.png", pixels)
    result = run("cat.png", "--no-open")
    assert result.exit_code == 0, result.output
    assert re.match(r"cat.explain.html  cat.png, crop \d+,\d+,8,8: x 1x3x8x8", result.output)
    data = data_in(here / "cat.explain.html")
    assert (data["photo"]["width"], data["photo"]["height"]) == (30, 40)
    assert data["photo"]["name"] == "cat.png"
    assert data["shown"] == f"cat.png, crop {','.join(map(str, data['photo']['crop']))}"
    result = run("cat.png", "--no-open", "-o", "b.html", "--crop", "3,4,5,6")
    assert result.exit_code == 0, result.output
    shown = np.array(data_in(here / "b.html")["x"]["data"]).reshape(3, 5, 6)
    np.testing.assert_array_equal(shown, pixels[3:8, 4:10].transpose(2, 0, 1))


def test_an_array_that_is_too_large_is_refused_with_a_crop(here):
    np.save(here / "x.npy", np.random.default_rng(0).normal(size=(100, 90)))
    result = run("x.npy", "--layout", "HW", "--no-open")
    assert result.exit_code == 1
    crop = re.search(r"--crop (\S+),", result.output)[1]
    result = run("x.npy", "--layout", "HW", "--no-open", "--crop", crop)
    assert result.exit_code == 0, result.output
    assert f"x.npy, crop {crop}" in result.output


@pytest.mark.parametrize(
    "words, code, says",
    (
        (("absent.png",), 1, "absent.png"),
        (("--stride", "two"), 2, "is not a stride"),
        (("--crop", "1,2,x,3"), 2, "is not a crop"),
        (("--size", "8by8"), 2, "is not a size"),
        (("--padding", "1:2:3"), 2, "is not a padding"),
        (("--kernel", "nonesuch"), 1, "kernel 'nonesuch' is not known"),
        (("--kernel", "1 2; 3"), 1, "kernel"),
        (("--photo", "absent.png"), 1, "absent.png"),
        (("-o", "nowhere/page.html"), 1, "nowhere"),
        (("-o", "."), 1, "is a folder"),
    ),
)
def test_what_is_wrong_is_said(here, opened, words, code, says):
    result = run(*words)
    assert result.exit_code == code, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    assert opened == []
    assert list(here.iterdir()) == []


def test_without_a_screen_no_browser_takes_the_terminal(here, monkeypatch, opened):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    result = run()
    assert result.exit_code == 0, result.output
    assert "No browser was found" in result.output
    assert opened == []
