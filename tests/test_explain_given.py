"""What npconv writes into a page, held to the definition and to what it is called."""

import math
from fractions import Fraction

import numpy as np
import pytest

import npconv
import oracle
import oracle_grad
from npconv import compiler, insides
from npconv.explain import asked, given

MODES = tuple(oracle.PAD_MODES)
PLAIN = {
    "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "layout": None,
    "weight_layout": None, "padding_mode": "zeros", "transposed": False,
}  # fmt: skip


def ask(x, weight, bias=None, **keywords):
    return asked.read(x, weight, bias, **{**PLAIN, **keywords})


def array_of(written):
    return np.array(written["data"], float).reshape(written["shape"])


def sample(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.integers(-5, 6, shape).astype(float) for shape in shapes]


@pytest.mark.parametrize("mode", MODES)
def test_results_are_the_definitions(mode):
    x, weight, bias = sample(3, (2, 4, 7, 6), (6, 2, 3, 2), (6,))
    geometry = {"stride": (2, 1), "padding": ((2, -1), (1, 3)), "dilation": (1, 2), "groups": 2}
    data = given.given(ask(x, weight, bias, padding_mode=mode, **geometry))
    geometry["padding_mode"] = mode
    np.testing.assert_array_equal(
        array_of(data["out"]), oracle.direct(x, weight, bias, **geometry).astype(float)
    )
    grad = array_of(data["gradOut"])
    assert set(np.unique(grad)) <= {-2, -1, 0, 1, 2}
    want = oracle_grad.input_grad(grad, weight, x.shape, **geometry)
    np.testing.assert_array_equal(array_of(data["gradX"]), want.astype(float))
    want = oracle_grad.weight_grad(grad, x, weight.shape, **geometry)
    np.testing.assert_array_equal(array_of(data["gradWeight"]), want.astype(float))
    assert data["problem"]["padding"] == [[2, -1], [1, 3]]
    assert data["problem"]["mode"] == mode


def test_a_transposed_result_is_the_adjoint():
    x, weight = sample(4, (1, 4, 3, 4), (4, 1, 3, 2))
    geometry = {"stride": (2, 3), "padding": ((1, 0), (1, 1)), "dilation": (2, 1), "groups": 2}
    data = given.given(ask(x, weight, output_padding=(1, 2), transposed=True, **geometry))
    assert data["problem"]["outputPadding"] == [1, 2]
    assert data["problem"]["padding"] == [[1, 0], [1, 1]]
    out, grad = array_of(data["out"]), array_of(data["gradOut"])
    adjoint = {**geometry, "padding": ((1, -1), (1, -1))}
    np.testing.assert_array_equal(
        out, oracle_grad.input_grad(x, weight, out.shape, **adjoint).astype(float)
    )
    np.testing.assert_array_equal(
        array_of(data["gradX"]), oracle.direct(grad, weight, **adjoint).astype(float)
    )
    want = oracle_grad.weight_grad(x, grad, weight.shape, **adjoint).astype(float)
    np.testing.assert_array_equal(array_of(data["gradWeight"]), want)
    assert "output_padding=(1, 2)" in data["call"]


@pytest.mark.parametrize("layout", asked.LAYOUTS)
def test_any_layout_shows_the_same_cells(layout):
    letters = [letter for letter in "NCHW" if letter in layout]
    (x,) = sample(5, [{"N": 2, "C": 3, "H": 4, "W": 5}[letter] for letter in letters])
    spatial = "HW" if "H" in layout else "W"
    pair = "OI" if "C" in layout else ""
    (weight,) = sample(6, [{"O": 2, "I": 3, "H": 2, "W": 3}[a] for a in pair + spatial])
    laid = x.transpose([letters.index(letter) for letter in layout])
    made = ask(laid, weight, layout=layout, weight_layout=pair + spatial)
    missing = tuple(i for i, letter in enumerate("NCHW") if letter not in layout)
    np.testing.assert_array_equal(made.x, np.expand_dims(x, missing))
    missing = tuple(i for i, letter in enumerate("OIHW") if letter not in pair + spatial)
    np.testing.assert_array_equal(made.weight, np.expand_dims(weight, missing))
    assert made.problem["layout"] == layout
    want = npconv.conv(laid, weight, layout=layout, weight_layout=pair + spatial)
    out = array_of(given.given(made)["out"])
    back = out[tuple(slice(None) if a in layout else 0 for a in "NCHW")]
    np.testing.assert_array_equal(
        back.transpose([letters.index(letter) for letter in layout]), want
    )


def test_results_are_those_of_the_numbers_as_they_are_written():
    rng = np.random.default_rng(1)
    x, weight = rng.normal(size=(1, 2, 5, 5)) * 1e-7, rng.normal(size=(1, 2, 3, 3)) / 3
    data = given.given(ask(x, weight))
    shown = [array_of(data[name]) for name in ("x", "weight")]
    assert (shown[1] != weight).any()  # nine digits are fewer
    np.testing.assert_allclose(shown[0], x, rtol=5e-9)
    for name in ("x", "weight", "out", "gradX", "gradWeight"):
        assert all(float(f"{v:.9g}") == v for v in data[name]["data"]), name
    want = oracle.direct(*shown).astype(float)
    np.testing.assert_allclose(array_of(data["out"]), want, rtol=6e-9, atol=1e-21)


def test_algorithms_are_the_plans_rows():
    made = ask(*sample(2, (1, 3, 8, 8), (2, 3, 3, 3)), padding=1)
    rows = given.given(made)["algorithms"]
    assert [row["name"] for row in rows] == list(npconv.algorithms())
    for row, planned in zip(rows, made.plan.rows, strict=True):
        assert row["why_not"] == planned.why_not
        assert (row["seconds"] is None) == bool(planned.why_not)
        assert row["summary"]
        assert row["formula"]
        if not row["why_not"]:
            assert row["flops"] > 0
            assert row["workspace"] >= 0
    (chosen,) = (row for row in rows if row["chosen"])
    assert chosen["seconds"] == min(row["seconds"] for row in rows if row["seconds"] is not None)
    by_name = {row["name"]: row for row in rows}
    assert by_name["naive"]["flops"] == 2 * made.plan.problem.macs
    assert "Dukhan" in by_name["indirect"]["source"]
    assert "\n" not in by_name["winograd"]["when_not"]


def test_costs_do_not_depend_on_what_is_compiled(monkeypatch):
    """Little work in a fresh process waits for the compiler: that is no algorithm's cost."""
    monkeypatch.setattr(compiler, "_READY", set())
    monkeypatch.setattr(compiler, "_can_load", lambda *_: False)
    problem = ask(*sample(2, (1, 3, 8, 8), (2, 3, 3, 3)), padding=1).plan.problem
    for row in npconv.plan((1, 3, 8, 8), (2, 3, 3, 3), padding=1).rows:
        if not row.why_not and row.algorithm != "naive":
            assert insides.spent(problem, row.algorithm).seconds < 1e-2, row.algorithm


def test_growth_has_an_entry_a_side():
    growth = given.given(ask(*sample(2, (1, 1, 4, 4), (1, 1, 3, 3))))["growth"]
    assert growth["sides"] == list(given.SIDES)
    for columns in growth["rows"].values():
        assert {len(values) for values in columns.values()} == {len(given.SIDES)}
    naive = growth["rows"]["naive"]["flops"]
    assert naive == [2 * 9 * (side - 2) ** 2 for side in given.SIDES]


@pytest.mark.parametrize("layout", ("NCHW", "NHWC", "NCW", "HWC", "WC"))
def test_growth_goes_on_from_the_costs_shown(layout):
    sizes = {"N": 1, "C": 2, "H": 8, "W": 8}
    (x,) = sample(1, [sizes[letter] for letter in layout])
    spatial = layout.strip("NC")
    for transposed in (False, True):
        (weight,) = sample(1, (2, 2, *[3] * len(spatial)))
        how = {"layout": layout, "weight_layout": f"OI{spatial}", "transposed": transposed}
        data = given.given(ask(x, weight, padding=1, stride=2, **how))
        for row in data["algorithms"]:
            grown = data["growth"]["rows"][row["name"]]
            for key in ("flops", "nbytes", "workspace", "seconds"):
                assert grown[key][0] == row[key], (row["name"], key)


def test_growth_begins_where_the_kernel_fits():
    x, weight = sample(2, (1, 1, 24, 24), (1, 1, 11, 11))
    growth = given.given(ask(x, weight, layout="NCHW"))["growth"]
    naive = growth["rows"]["naive"]["flops"]
    assert naive[0] is None
    assert naive[1] == 2 * 121 * 4


@pytest.mark.parametrize("mode", MODES)
def test_im2col_is_a_product_with_the_matrix(mode):
    x, weight = sample(7, (1, 2, 6, 5), (3, 2, 3, 2))
    geometry = {"stride": 2, "padding": ((1, 2), (0, 1)), "dilation": (1, 2)}
    data = given.given(ask(x, weight, padding_mode=mode, **geometry))
    held = data["extras"]["im2col"]
    matrix, out = array_of(held["matrix"]), array_of(data["out"])
    np.testing.assert_array_equal((weight.reshape(3, -1) @ matrix).ravel(), out.ravel())
    pads = data["problem"]["padding"]
    padded = oracle.pad(x, pads, mode)[0]
    i, j, k = (np.array(held[name]) for name in "ijk")
    np.testing.assert_array_equal(padded[k, i, j], matrix)
    height, width, _ = held["padded_shape"]
    flat = padded[:, :height, :width].reshape(2, -1)
    index = np.array(held["index"])
    np.testing.assert_array_equal(flat[:, index.T].reshape(matrix.shape), matrix)
    buffer = np.ascontiguousarray(padded[:, :height, :width].transpose(1, 2, 0))
    assert [s // 8 for s in buffer.strides] == list(held["padded_strides"])
    strides = [8 * s for s in held["view_strides"]]
    view = np.lib.stride_tricks.as_strided(buffer, held["view_shape"], strides)
    pixels, terms = held["matrix_shape"]
    rows = view.reshape(pixels, terms)  # taps, then channels
    turned = rows.reshape(pixels, -1, 2).transpose(2, 1, 0).reshape(matrix.shape)
    np.testing.assert_array_equal(turned, matrix)


def test_addresses_lead_to_what_the_windows_read():
    x, weight = sample(8, (1, 3, 4, 5), (1, 3, 3, 3))
    data = given.given(ask(x, weight, padding=((1, 1), (2, 0)), padding_mode="reflect"))
    rows, columns = data["extras"]["indirect"]
    last = x[0].transpose(1, 2, 0).ravel()
    padded = oracle.pad(x, ((1, 1), (2, 0)), "reflect")[0]
    for h, row in enumerate(rows):
        for w, column in enumerate(columns):
            np.testing.assert_array_equal(last[row + column :][:3], padded[:, h, w])
    zeros = given.given(ask(x, weight, padding=1))["extras"]["indirect"]
    assert [table[0] for table in zeros] == [-1, -1]


def test_winograds_matrices_convolve():
    rng = np.random.default_rng(9)
    held = given.given(ask(*sample(2, (1, 3, 8, 8), (2, 3, 3, 3)), padding=1))
    held = held["extras"]["winograd"]
    assert [(tile["m"], tile["r"]) for tile in held["tiles"]] == [(2, 3), (4, 3)]
    assert [tile["products"] for tile in held["tiles"]] == [4, 6]
    for tile in [*held["tiles"], *held["chosen"]]:
        at, g, bt = (np.array(tile[name]) for name in ("AT", "G", "BT"))
        x = rng.integers(-4, 5, (tile["m"] - 1) * tile["stride"] + tile["r"])
        weight = rng.integers(-4, 5, tile["r"])
        windows = np.lib.stride_tricks.sliding_window_view(x, tile["r"])[:: tile["stride"]]
        np.testing.assert_allclose(at @ ((g @ weight) * (bt @ x)), windows @ weight, atol=1e-6)
        for name in ("AT", "G", "BT"):
            exact = [[float(Fraction(text)) for text in row] for row in tile["text"][name]]
            np.testing.assert_allclose(exact, tile[name], rtol=1e-8)
    assert held["definition"] == 64 * 9 * 3 * 2
    assert held["products"] < held["definition"]
    tiles = math.prod(tile["products"] * -(-8 // tile["m"]) for tile in held["chosen"])
    assert held["products"] == tiles * 3 * 2


def test_what_saves_no_products_has_no_tiles():
    held = given.given(ask(*sample(2, (1, 1, 4, 4), (1, 1, 1, 1))))["extras"]["winograd"]
    assert held["chosen"] == []
    assert held["products"] == held["definition"] == 16


def test_long_indices_are_left_out():
    x, weight = sample(2, (1, 8, 24, 24), (8, 8, 5, 5))
    held = given.given(ask(x, weight))["extras"]["im2col"]
    assert [held[name] for name in ("index", "i", "j", "k", "matrix")] == [None] * 5


@pytest.mark.parametrize("size", ((1, 1), (1, 9), (9, 1)))
def test_the_smallest_problems_have_their_data(size):
    x, weight = sample(2, (1, 1, *size), (1, 1, 1, 1))
    data = given.given(ask(x, weight))
    np.testing.assert_array_equal(array_of(data["out"]), x * weight)
    assert len(data["algorithms"]) == len(npconv.algorithms())
