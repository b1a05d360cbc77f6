"""The errors in the docs: of every tile there is, as `make errors` has written them."""

import importlib.util
from pathlib import Path

import pytest

import cases
from npconv.kernels import toom

DOCS = Path(__file__).parents[1] / "docs"
PLACES = [place for place, row in enumerate(toom.ROWS) if row.outputs > 1]


def measure():
    spec = importlib.util.spec_from_file_location("errors", DOCS / "winograd_errors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written():
    page = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    module = measure()
    lines = page.split(module.BEGIN)[1].split(module.END)[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_tile_has_its_line_and_strict_ones_err_no_more_than_the_direct_sum():
    found = written()
    rows = [toom.ROWS[place] for place in PLACES]
    names = [(f"F({r.outputs}, {r.taps})²", f"{r.taps}x{r.taps}, {r.stride}") for r in rows]
    assert [(name, kernel) for name, kernel, *_ in found] == names
    for row, (_, _, precision, _, error, direct) in zip(rows, found, strict=True):
        assert precision == ("strict" if row.strict else "fast")
        assert float(error) <= (1 if row.strict else 10) * float(direct)


@pytest.mark.skipif(cases.absent(), reason="measured with compiled kernels")
@pytest.mark.parametrize("place", PLACES[1::6])
def test_the_numbers_are_those_of_the_kernels(place):
    line = written()[PLACES.index(place)]
    for got, there in zip(measure().errors(place), line[-2:], strict=True):
        assert 0.4 < got / float(there) < 2.5
