"""The stencil by itself: every mode, axis and tail, held to the oracle number for number."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import guarded
import npconv
import oracle
from npconv import arrays, lines, spare, templates
from npconv.algorithms import stencil
from npconv.algorithms.contract import Ending
from npconv.algorithms.stencil import sums
from winograd_layers import Soiled

pytest.importorskip("numba")

NAME = "stencil"
# x and weight channels first, and the rest of the geometry.
LAYERS = {
    "3x3": ((1, 1, 19, 70), (1, 1, 3, 3), {"padding": 1}),
    "7x7": ((1, 1, 21, 131), (1, 1, 7, 7), {"padding": 3, "padding_mode": "reflect"}),
    "tall": ((1, 1, 50, 18), (1, 1, 31, 1), {"padding": (15, 0), "padding_mode": "symmetric"}),
    "wide": ((1, 1, 6, 210), (1, 1, 1, 31), {"padding": (0, 15), "padding_mode": "edge"}),
    "wrapped": ((2, 1, 9, 33), (1, 1, 4, 5), {"padding": ((0, 3), (2, 7)), "padding_mode": "wrap"}),
    "planes": ((2, 5, 14, 17), (5, 1, 3, 3), {"padding": 1, "groups": 5}),
    "outputs": ((2, 3, 11, 40), (9, 1, 2, 3), {"padding": ((-1, 2), (3, -2)), "groups": 3}),
    "holes": ((1, 2, 17, 60), (2, 1, 3, 4), {"dilation": (2, 5), "padding": 4, "groups": 2}),
    "one axis": ((3, 1, 1201), (2, 1, 9), {"padding": 4}),
    "three axes": ((1, 2, 6, 7, 37), (2, 1, 3, 4, 3), {"padding": 2, "groups": 2,
                                                       "dilation": (2, 1, 1)}),
    "all padding": ((1, 1, 2, 3), (1, 1, 3, 3), {"padding": ((5, 4), (20, 3))}),
    "one window": ((2, 1, 5, 6), (1, 1, 5, 6), {"stride": 1 << 40}),
    "cropped": ((1, 1, 17, 90), (1, 1, 3, 3), {"padding": ((-4, 2), (20, -25))}),
}  # fmt: skip
MODES = sorted(oracle.PAD_MODES)


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (sums, templates, spare):
        monkeypatch.setattr(module, "np", Soiled())


@contextlib.contextmanager
def cut(worth=64, held=3 << 16):
    """Small shares, and so many bytes of lines that are held at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "WORTH_SHARING", worth)
        patch.setattr(lines, "_HELD", held)
        sums._template.cache_clear()  # whatever else it depended on
        yield
    sums._template.cache_clear()


def values(name, dtype="float32", whole=True):
    """x, weight and the geometry of a layer."""
    x_shape, weight_shape, geometry = LAYERS[name]
    rng = np.random.default_rng(len(name))
    draw = oracle.small_integers if whole else cases.real
    return draw(rng, x_shape, dtype), draw(rng, weight_shape, dtype), geometry


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", LAYERS)
def test_small_integers_come_out_exact(name, dtype):
    x, weight, geometry = values(name, dtype)
    want = oracle.direct(x, weight, **geometry)
    for worth, held in ((64, 64), (1 << 40, 3 << 16)):
        with cut(worth, held):
            np.testing.assert_array_equal(npconv.conv(x, weight, algorithm=NAME, **geometry), want)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("one window", "cropped")])
def test_every_padding_mode(name, mode):
    x, weight, geometry = values(name)
    geometry = {**geometry, "padding_mode": mode}
    want = oracle.direct(x, weight, **geometry)
    np.testing.assert_array_equal(npconv.conv(x, weight, algorithm=NAME, **geometry), want)


@st.composite
def layers(draw):
    """A random layer of one to three axes."""
    ndim, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    outputs = groups * draw(st.integers(1, 2))
    size = [draw(st.integers(3, (7, 14)[i < ndim - 1])) for i in range(ndim - 1)]
    size.append(draw(st.sampled_from((3, 15, 16, 17, 31, 40, 95, 97, 130, 200))))
    kernel = draw(st.tuples(*[st.integers(1, 6)] * ndim))
    dilation = draw(st.tuples(*[st.integers(1, 3)] * ndim))
    needs = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = tuple(
        (max(need - n, 0) + draw(st.integers(-1, 4)), draw(st.integers(1, 5)))
        for need, n in zip(needs, size, strict=True)
    )
    geometry = {
        "padding": padding, "dilation": dilation, "groups": groups,
        "padding_mode": draw(st.sampled_from(MODES)),
    }  # fmt: skip
    return (draw(st.integers(1, 2)), groups, *size), (outputs, 1, *kernel), geometry


@cases.examples(80, 4000)
@given(layers(), st.sampled_from(("float32", "float64")), st.sampled_from((64, 1e9)),
       st.sampled_from((64, 1 << 14)), st.booleans())  # fmt: skip
def test_random_layers(layer, dtype, worth, held, last):
    x_shape, weight_shape, geometry = layer
    rng = np.random.default_rng(x_shape[-1])
    x, weight = (oracle.small_integers(rng, s, dtype) for s in (x_shape, weight_shape))
    if last:  # pixels lie apart
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    with cut(int(worth), held):
        got = npconv.conv(x, weight, algorithm=NAME, **geometry)
    np.testing.assert_array_equal(got, oracle.direct(x, weight, **geometry))


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_for_any_number_of_threads(name):
    x, weight, geometry = values(name, whole=False)
    results = set()
    for threads in (1, 2, 5):
        with grad_cases.threads(threads), cut(held=1 << 12):
            results.add(npconv.conv(x, weight, algorithm=NAME, **geometry).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["x", "weight"])
@pytest.mark.parametrize("name", LAYERS)
def test_nan_and_infinities_stand_where_the_direct_sum_has_them(name, which, value):
    x, weight, geometry = values(name)
    for array in (x, weight):
        array[array == 0] = 1
    array = x if which == "x" else weight
    for place in (0, 0.4, 1):
        array[tuple(int(place * (n - 1)) for n in array.shape)] = value
    with np.errstate(invalid="ignore"):
        want = oracle.direct(x, weight, **geometry)
    np.testing.assert_array_equal(npconv.conv(x, weight, algorithm=NAME, **geometry), want)


@pytest.mark.parametrize("name", ["3x3", "outputs", "one axis", "planes"])
def test_bias_and_clamp_in_the_store(name):
    x, weight, geometry = values(name)
    x[0, 0, 0] = np.nan
    bias = np.arange(len(weight), dtype="float32") - 3
    want = oracle.direct(x, weight, **geometry) + bias.reshape(-1, *[1] * (x.ndim - 2))
    problem = npconv.plan(x, weight, **geometry).problem
    turned = weight.transpose(*range(2, weight.ndim), 1, 0)
    out = np.empty(want.shape, "float32")
    for ending in (Ending(bias), Ending(bias, 0, 6)):
        out[...] = np.nan
        stencil.forward(problem, np.moveaxis(x, 1, -1), turned, np.moveaxis(out, 1, -1), ending)
        np.testing.assert_array_equal(out, np.clip(want, ending.least, ending.most))


def test_arrays_of_any_strides():
    x, weight, geometry = values("outputs")
    want = oracle.direct(x, weight, **geometry)
    for place in cases.PLACES.values():
        out = place(np.full(want.shape, np.nan, "float32"))
        if out.flags.writeable:
            npconv.conv(place(x), place(weight), algorithm=NAME, out=out, **geometry)
            np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_it_touches_nothing_beside_its_arrays(name, at_end):
    x, weight, geometry = values(name)
    want = oracle.direct(x, weight, **geometry)
    owners = [guarded.Guarded(a, at_end, True) for a in (x, weight)]
    room = guarded.Guarded(np.full_like(want, np.nan, "float32"), at_end)
    for held in (64, 3 << 16):
        with grad_cases.threads(1), cut(held=held):
            operands = [owner.array for owner in owners]
            npconv.conv(*operands, out=room.array, algorithm=NAME, **geometry)
            room.array[...] = np.nan
            with guarded.workspaces(at_end) as spaces:
                sums._template.cache_clear()
                npconv.conv(*operands, out=room.array, algorithm=NAME, **geometry)
                sums._template.cache_clear()
            np.testing.assert_array_equal(room.array, want)
            assert spaces.taken
            assert spaces.beside == []
            del operands
    for owner in (*owners, room):
        owner.close()


@pytest.mark.parametrize("name", ["3x3", "planes", "holes", "one axis", "three axes"])
def test_the_input_gradient_is_a_stencil(name):
    x, weight, geometry = values(name)
    x, weight = x[:, : geometry.get("groups", 1)], weight[: geometry.get("groups", 1)]
    grad = oracle.small_integers(
        np.random.default_rng(5), oracle.direct(x, weight, **geometry).shape, "float32"
    )
    got = npconv.conv_input_grad(grad, weight, x.shape, algorithm=NAME, **geometry)
    want = grad_cases.oracle_grad.input_grad(grad, weight, x.shape, **geometry)
    np.testing.assert_array_equal(got, want)


def test_what_it_refuses():
    def reason(x_shape, weight_shape, dtype="float32", **geometry):
        made = npconv.plan(np.zeros(x_shape, dtype), np.zeros(weight_shape, dtype), **geometry)
        return next(row.why_not for row in made.rows if row.algorithm == NAME)

    assert "not of 4" in reason((1, 4, 9, 9), (4, 4, 3, 3))
    assert "a stride leaves some out" in reason((1, 1, 9, 9), (1, 1, 3, 3), stride=2)
    assert "not int" in reason((1, 1, 9, 9), (1, 1, 3, 3), "int16")
    deep = {"layout": "NCABDE", "weight_layout": "OIABDE"}
    assert "three spatial axes" in reason((1, 1, 3, 3, 3, 3), (1, 1, 1, 1, 1, 2), **deep)
    assert reason((1, 4, 9, 9), (4, 1, 3, 3), "float16", groups=4) == ""


def test_the_planner_takes_it_for_images_and_signals():
    for shape, kernel in (
        ((1080, 1920), (3, 3)), ((1080, 1920), (15, 15)), ((1080, 1920), (1, 31)),
        ((1000000,), (31,)), ((64, 64, 64), (3, 3, 3)),
    ):  # fmt: skip
        made = npconv.plan((1, 1, *shape), (1, 1, *kernel))
        assert made.algorithm == NAME, made
    assert npconv.plan((1, 1, 1000, 1000), (1, 1, 301, 301)).algorithm == "fft"
