"""Tables, JSON there and back, and the measured part of the README."""

import json
import math
import os
import stat

import pytest

import npconv
from bench_cases import TINY
from npconv.bench import report


def test_tables():
    assert report.text_table(("name", "ms"), [("a", "10.0"), ("bcd", "-")]) == (
        "name    ms\n----  ----\na     10.0\nbcd      -"
    )
    assert report.markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(1.234567, "1235"), (0.0123456, "12.3"), (0.0012345, "1.23"), (1.23e-6, "0.00123")],
)
def test_milliseconds_have_three_digits(seconds, written):
    assert report.milliseconds(seconds) == written


def test_milliseconds_of_nothing():
    assert report.milliseconds(math.nan) == "-"


def test_json_has_no_nan(tmp_path):
    report.write_json(tmp_path / "a.json", {"a": math.nan, "b": (1, TINY)})
    raw = json.loads((tmp_path / "a.json").read_text())
    assert raw["a"] is None
    assert raw["b"][1]["count"] == 3


README = b"# Title\r\n<!-- t -->\nold\n<!-- /t -->\nthe rest\n"


def test_only_the_marked_part_of_the_readme_is_rewritten(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes(README)
    readme.chmod(0o640)
    for _ in range(2):
        report.rewrite_marked(readme, "t", "new\n")
    assert readme.read_bytes() == README.replace(b"old", b"new")
    assert stat.S_IMODE(readme.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["README.md"]


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- t --> open",
        "<!-- /t --> closed",
        "<!-- /t --> backwards <!-- t -->",
        "<!-- t --><!-- /t --><!-- t --><!-- /t -->",
    ],
)
def test_missing_markers_leave_the_readme_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(npconv.ProblemError, match=r"needs one <!-- t --> and, after it, one"):
        report.rewrite_marked(readme, "t", "new")
    with pytest.raises(npconv.ProblemError, match="needs one"):
        report.check_marked(readme, "t")
    assert readme.read_text() == text


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_bytes(README)

    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr(report.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        report.rewrite_marked(readme, "t", "new")
    assert readme.read_bytes() == README
    assert os.listdir(tmp_path) == ["README.md"]
