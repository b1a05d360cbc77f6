"""The exact matrices of one axis: held to the definition in fractions, and to the search."""

import dataclasses
import random
from fractions import Fraction

import pytest

import cases
from npconv import toom_search
from npconv.kernels import toom


def times(matrix, vector):
    """A matrix times a vector, in fractions."""
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


@pytest.mark.parametrize("row", toom.ROWS, ids=str)
def test_each_row_computes_a_correlation(row):
    draw = random.Random(row.taps)
    axis = toom.axis(row.outputs, row.taps, row.stride)
    x = [Fraction(draw.randint(-99, 99), draw.randint(1, 9)) for _ in range(row.span)]
    weight = [Fraction(draw.randint(-99, 99), draw.randint(1, 9)) for _ in range(row.taps)]
    products = [
        a * b for a, b in zip(times(axis.kernel, weight), times(axis.input, x), strict=True)
    ]
    want = [
        sum(weight[k] * x[i * row.stride + k] for k in range(row.taps)) for i in range(row.outputs)
    ]
    assert times(axis.output, products) == want
    assert axis.products == axis.span == row.span


@pytest.mark.parametrize("name", ["output", "kernel", "input"])
def test_a_wrong_number_is_noticed(name):
    axis = toom.axis(2, 3)
    for i in range(len(getattr(axis, name))):
        matrix = [list(row) for row in getattr(axis, name)]
        matrix[i][-1] += Fraction(1, 7)
        with pytest.raises(AssertionError, match=r"\(2, 3,"):
            dataclasses.replace(axis, **{name: tuple(map(tuple, matrix))})


def test_products_saved():
    saved = {(r.taps, r.stride, r.outputs): r.taps * r.outputs / r.span for r in toom.ROWS}
    assert saved[3, 1, 2] == 1.5
    assert saved[3, 1, 4] == 2
    assert saved[5, 1, 4] == 2.5
    assert saved[3, 2, 2] == 1.2
    assert all(gain == 1 if outputs == 1 else gain > 1 for (*_, outputs), gain in saved.items())


def test_strict_rows_keep_rounding_errors_small():
    growth = {row: axis.amplification for row, axis in zip(toom.ROWS, toom.axes(), strict=True)}
    assert all(value < 2.4 for row, value in growth.items() if row.strict)
    assert growth[toom.Row(3, 1, 2, True)] == pytest.approx(1.29, abs=0.01)
    assert growth[toom.Row(3, 1, 4, False)] == pytest.approx(2.18, abs=0.01)
    assert growth[toom.Row(7, 1, 3, False)] == pytest.approx(7.09, abs=0.01)


def test_choices():
    rows = [toom.ROWS[i] for i in toom.choices(3, 1, strict=False)]
    assert [row.outputs for row in rows] == [1, 2, 4]
    assert [toom.ROWS[i].outputs for i in toom.choices(3, 1, strict=True)] == [1, 2]
    assert [toom.ROWS[i].outputs for i in toom.choices(3, 3, strict=False)] == [1]
    assert toom.choices(8, 1, strict=False) == []


# More than five points take minutes.
SEARCHED = [at for at in toom.POINTS if sum(at) <= 6 or cases.ALL]


@pytest.mark.parametrize("outputs, taps", SEARCHED)
def test_the_search_finds_none_much_better(outputs, taps):
    found = toom_search.search(outputs, taps)
    table = toom.rms_growth(*toom.cook_toom(outputs, taps, toom.POINTS[outputs, taps]))
    assert found[0].amplification <= table <= 1.05 * found[0].amplification


def test_the_search_prints_the_table(monkeypatch, capsys):
    monkeypatch.setattr(toom_search, "POINTS", {(2, 3): toom.POINTS[2, 3]})
    toom_search.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "F(2,3)   1.29  0 inf 1 -1" in lines
