"""The explain page as a file: what it holds, what it refuses, how it is put together."""

import json
import os
import re

import numpy as np
import pytest

import npconv
from npconv import explain
from npconv.explain import asked, assembling

SMALL = {"x": np.eye(5), "weight": [[1, 2], [3, 4]], "layout": "HW"}


def data_of(html):
    """What npconv wrote into a page."""
    found = re.findall(r'<script type="application/json" id="given">(.*?)</script>', html)
    assert len(found) == 1
    return json.loads(found[0])


def array_of(written):
    return np.array(written["data"], float).reshape(written["shape"])


def test_a_page_is_one_file_that_loads_nothing():
    html = explain.page()
    assert html.startswith("<!doctype html>")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    for directive in policy.split(";")[1:]:
        name, *sources = directive.split()
        assert set(sources) <= {"'unsafe-inline'", "'none'", "data:", "blob:"}, name
    bare = html.replace("http://www.w3.org/2000/svg", "")  # a name, which nothing loads
    assert not re.findall(r"""(?:src|href|url|import|fetch)\W{1,3}https?:""", bare)
    assert not re.findall(r"<(?:link|script|img)[^>]*(?:src|href)=[\"'](?!data:)", bare)
    assert "<!-- " not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_largest_page_is_less_than_a_megabyte():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(1, 8, 24, 24)), rng.normal(size=(8, 8, 11, 11))
    html = explain.page(x, weight, rng.normal(size=8), padding=5)
    assert len(html.encode()) < 1_000_000


@pytest.mark.parametrize(
    "title", ("a </script><script>alert(1)", "<!-- given -->", "\\1 \u2028 & \"'", "<b>")
)
def test_no_title_breaks_out_of_its_place(title):
    html = explain.page(**SMALL, title=title)
    assert data_of(html)["title"] == title
    assert html.count("<script") == explain.page(**SMALL).count("<script")
    assert "<b>" not in re.search(r"<title>(.*?)</title>", html)[1]


def test_the_same_arguments_give_the_same_page():
    assert explain.page(**SMALL) == explain.page(**SMALL)


def test_too_large_an_array_is_refused_with_a_crop_that_works():
    x = np.zeros((3, 200, 300))
    x[:, 96:102, 121:128] = np.random.default_rng(0).normal(size=(3, 6, 7))
    with pytest.raises(npconv.ProblemError, match=r"x is 200 x 300 cells: too many") as caught:
        explain.page(x, layout="CHW")
    assert "at most 24 x 24 cells" in caught.value.rule
    crop = [int(n) for n in re.match(r"--crop ([\d,]+),", caught.value.fix)[1].split(",")]
    row, column, height, width = crop
    assert row <= 96 <= 102 <= row + height
    assert column <= 121 <= 128 <= column + width
    shown = array_of(data_of(explain.page(x, layout="CHW", crop=crop))["x"])
    want = x[:, row : row + height, column : column + width][None]
    np.testing.assert_allclose(shown, want, rtol=1e-8)


@pytest.mark.parametrize(
    "keywords, says",
    (
        ({"x": np.zeros((1, 1, 8, 25))}, "x is 8 x 25 cells: too many"),
        ({"x": np.zeros((1, 20, 8, 8))}, "there are 20 channels of x, and at most 8"),
        ({"x": np.zeros((9, 1, 8, 8))}, "there are 9 images of x, and at most 8"),
        ({"x": np.zeros((8, 8, 24, 24))}, "there are 36,864 cells in all, and at most 6,000"),
        ({"padding": 20}, "there are 20 elements of padding a side, and at most 12"),
        ({"weight": np.zeros((1, 3, 13, 13)), "padding": 6}, "there are 13 taps along the kernel"),
        ({"transposed": True, "size": (24, 24), "stride": 4}, "there are 93 cells along out"),
        ({"x": np.full((1, 1, 4, 4), np.nan)}, "x holds 16 NaN or infinite numbers"),
        ({"x": np.ones((1, 1, 4, 4), complex)}, "x is of complex128"),
        ({"x": [[["a"]]]}, "x is of <U1"),
        ({"x": np.ones((4, 4))}, "x has 2 axes"),
        ({"x": np.ones((4, 4)), "layout": "DW"}, "layout 'DW': the page draws the axes"),
        ({"x": np.ones((1, 1, 4, 4)), "weight": np.ones((1, 2, 3, 3))}, "x has 1 channels, weight"),
        ({"x": np.ones((1, 1, 2, 2)), "weight": np.ones((1, 1, 3, 3))}, "the kernel spans 3"),
        ({"groups": 2.5}, "groups is 2.5, not an integer"),
        ({"groups": 0}, "groups is 0, and must be at least 1"),
        ({"padding_mode": "edge", "transposed": True}, "conv_transpose crops"),
        ({"output_padding": 1}, "output_padding is for a transposed convolution"),
        ({"bias": [1, 2, 3]}, r"bias has the shape \(3,\)"),
        ({"grad_out": np.ones((1, 2, 3, 3))}, "grad_out has the shape"),
        ({"crop": (6, 0, 4, 4), "x": np.ones((1, 1, 8, 8))}, "takes rows 6 to 9, x has 0 to 7"),
        ({"crop": (0, 0, 4), "x": np.ones((1, 1, 8, 8))}, "is not .row, column, height, width."),
        ({"size": (30, 8)}, "a picture of 30 x 8 cells"),
        ({"batch": 2, "layout": "HWC"}, "layout 'HWC' has no N"),
        ({"weight": "nonesuch"}, "kernel 'nonesuch' is not known"),
        ({"x": np.ones((1, 1, 5, 5)), "padding": -3, "weight": np.ones((1, 1, 1, 1))}, "spans 1"),
        ({"photo": np.ones((4, 4))}, "the photo is float64"),
    ),
)
def test_what_cannot_be_shown_says_why(keywords, says):
    with pytest.raises(npconv.ProblemError, match=says) as caught:
        explain.page(**keywords)
    assert caught.value.where == "explain"


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    said = explain.write_page(path, **SMALL)
    assert said == "x: x 1x1x5x5, weight 1x1x2x2, out 1x1x4x4"
    first = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already"):
        explain.write_page(path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        explain.write_page(tmp_path, overwrite=True)
    with pytest.raises(npconv.ProblemError, match="spans"):
        explain.write_page(path, overwrite=True, **{**SMALL, "weight": np.ones((9, 9))})
    assert path.read_bytes() == first
    os.chmod(path, 0o640)
    explain.write_page(path, overwrite=True)
    assert path.read_bytes() != first
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileNotFoundError, match="nowhere"):
        explain.write_page(tmp_path / "nowhere" / "page.html", **SMALL)
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        explain.write_page(path, **SMALL, overwrite=True)
    assert os.listdir(tmp_path) == ["page.html"]
    assert path.read_text() == "before"


def test_the_limits_are_those_of_the_scripts():
    text = (assembling.SOURCES / "scripts" / "geometry.js").read_text()
    found = re.search(r"export const LIMITS = \{(.*?)\}", text, re.DOTALL)[1]
    limits = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", found)}
    assert {name: limits[name] for name in asked.LIMITS} == asked.LIMITS
    layouts = re.search(r"export const LAYOUTS = \[(.*?)\]", text)[1]
    assert tuple(re.findall(r'"(\w+)"', layouts)) == asked.LAYOUTS


@pytest.fixture
def sources(tmp_path):
    """The smallest page there is, in a folder."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "styles").mkdir()
    marks = "".join(f"<!-- {name} -->" for name in ("title", "styles", "given", "scripts"))
    (tmp_path / "index.html").write_text(marks)

    def write(**scripts):
        for name, text in scripts.items():
            (tmp_path / "scripts" / f"{name}.js").write_text(text)
        return tmp_path

    return write


def test_scripts_come_after_what_they_import(sources):
    folder = sources(
        a='import { b, c } from "./z.js";\nexport function a() { return b + c; }\n',
        m='import {\n  a,\n} from "./a.js";\nconst used = a();\n',
        z="export const b = 1, d = 2;\nexport const c = 3;\nconst text = 'export const';\n",
    )
    text = assembling.scripts(folder / "scripts")
    assert text.index("const b") < text.index("function a") < text.index("const used")
    assert "import" not in text
    assert re.findall(r"^export", text, re.MULTILINE) == []
    assert "'export const'" in text


@pytest.mark.parametrize(
    "scripts, says",
    (
        (
            {"a": "const one = 1;\n", "b": "function one() {}\n"},
            "one is at the top of a.js and of b.js",
        ),
        ({"a": 'import { two } from "./b.js";\n', "b": "const two = 2;\n"}, "b.js does not export"),
        ({"a": 'import { two } from "./c.js";\n'}, "a.js imports two, which c.js does not export"),
        ({"a": 'import * as b from "./b.js";\n', "b": ""}, "not of the form that is assembled"),
        ({"a": "export default 3;\n"}, "not of the form that is assembled"),
        (
            {
                "a": 'import { b } from "./b.js";\nexport const a = 1;\n',
                "b": 'import { a } from "./a.js";\nexport const b = 1;\n',
            },
            "modules import one another: a.js -> b.js -> a.js",
        ),
    ),
)
def test_scripts_that_make_no_one_module_are_refused(sources, scripts, says):
    with pytest.raises(ValueError, match=says):
        assembling.scripts(sources(**scripts) / "scripts")


def test_a_page_without_its_marks_is_refused(sources):
    folder = sources()
    (folder / "index.html").write_text("<!-- title --><!-- styles --><!-- given -->")
    with pytest.raises(ValueError, match="marks scripts"):
        assembling.assemble({}, "", folder)


def test_styles_begin_with_the_tokens(sources):
    folder = sources()
    for name in ("alpha", "base", "tokens"):
        (folder / "styles" / f"{name}.css").write_text(f"/* {name} */")
    made = assembling.assemble({}, "", folder)
    assert "/* tokens *//* base *//* alpha */" in made


def test_every_script_is_short():
    for path in (assembling.SOURCES / "scripts").glob("*.js"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 320, f"{path.name}: {lines} lines"
