"""The explain page's own arithmetic is npconv's; its store keeps what it is told."""

import re
import shutil
from pathlib import Path

import page_cases
import pytest

from npconv.explain import assembling

HERE = Path(__file__).parent
MODULES = ("geometry", "faults", "arithmetic", "numbers", "check", "state")


@pytest.fixture
def scripts(browser, tmp_path):
    """Some of the page's scripts in an empty page of a browser, by what holds them to cases."""
    for name in MODULES:
        shutil.copy(assembling.SOURCES / "scripts" / f"{name}.js", tmp_path)
    for path in HERE.glob("page_*.mjs"):
        shutil.copy(path, tmp_path / f"{path.stem}.js")
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.js"))
    names = re.findall(r"^export (?:function|const) (\w+)", text, re.MULTILINE)
    page = browser.new_page()
    page.evaluate(
        f"(() => {{ {assembling.scripts(tmp_path)}\n"
        f"globalThis.page = {{ {', '.join(names)} }}; }})()"
    )
    yield lambda name, cases: page.evaluate(f"(cases) => page.{name}(page, cases)", cases)
    page.close()


def test_every_value_and_every_sum_written_out_is_npconvs(scripts):
    report = scripts("compareAll", page_cases.cases(500, seed=7))
    assert report["faults"] == []
    assert report["checked"] > 300
    assert report["refused"] > 20
    assert report["values"] > 30_000


def test_a_wrong_value_is_found(scripts):
    given = next(case for case in page_cases.cases(9, seed=1) if "out" in case)
    given["gradX"]["data"][3] += 1e-3
    report = scripts("compareAll", [given])
    assert len(report["faults"]) == 2  # by the array, and by the cell
    assert "gradX" in report["faults"][1]


def test_the_store_and_its_links_keep_what_they_are_told(scripts):
    assert scripts("checkStates", page_cases.cases(60, seed=3)) == []
