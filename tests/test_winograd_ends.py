"""Winograd convolution's ending in the store, what it reports of NaN and Inf, and its memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import oracle
from winograd_layers import layers, problem, run, want

pytest.importorskip("numba")
guarded = pytest.importorskip("guarded")
from npconv import compiler, threads, tiling  # noqa: E402
from npconv.algorithms import winograd  # noqa: E402
from npconv.algorithms.contract import Ending  # noqa: E402

CLAMPS = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "top": (-9.0, -2.0),
}


def integers(made, seed=0, dtype="float32"):
    """x and weight of small integers."""
    rng = np.random.default_rng(seed)
    return (oracle.small_integers(rng, s, dtype) for s in (made.x_shape, made.weight_shape))


def ended(sums, ending):
    """What NumPy makes of an ending."""
    bias = 0 if ending.bias is None else ending.bias
    return np.minimum(np.maximum(sums + bias, ending.least), ending.most)


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bias_and_clamp(clamp, biased, whole, dtype, monkeypatch):
    if whole:
        monkeypatch.setattr(tiling, "_WORKSPACE", 1)
    made = problem((2, 9, 7, 6), (3, 3, 3, 82), dtype, padding=1, groups=2)
    assert tiling.cut(made).whole == whole
    x, weight = integers(made, dtype=dtype)
    bias = np.arange(82, dtype=dtype) - 40 if biased else None
    ending = Ending(bias, *CLAMPS[clamp])
    np.testing.assert_array_equal(
        run(made, x, weight, ending), ended(want(made, x, weight)[0], ending)
    )


@cases.examples(40, 2000)
@given(layers(), st.sampled_from(sorted(CLAMPS)), st.integers(0, 99))
def test_an_ending_is_numpys_of_the_plain_sums(layer, clamp, seed):
    x_shape, weight_shape, geometry = layer
    made = problem(x_shape, weight_shape, **geometry)
    if winograd.why_not(made):
        return
    x, weight = integers(made, seed)
    bias = np.random.default_rng(seed).standard_normal(made.out_channels).astype(np.float32)
    plain = run(made, x, weight)
    ending = Ending(bias, *CLAMPS[clamp])
    np.testing.assert_array_equal(
        run(made, x, weight, ending), ended(plain, ending).astype(np.float32)
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["first", "last", "middle", "weight"])
@pytest.mark.parametrize("shape", [(2, 9, 8, 17), (1, 4, 9, 8, 3)])
@pytest.mark.parametrize("whole", [False, True])
def test_a_sum_that_is_not_finite_is_reported(value, where, shape, whole, monkeypatch):
    if whole:
        monkeypatch.setattr(tiling, "_WORKSPACE", 1)
    made = problem(shape, (*[3] * (len(shape) - 2), shape[-1], 300), padding=1)
    assert tiling.cut(made).whole == whole
    x, weight = integers(made)
    out = np.empty(made.out_shape, np.float32)
    ending = Ending(np.full(300, -np.inf, np.float32), 0.0, 6.0)
    # What the ending makes of them counts for nothing.
    assert winograd.forward(made, x, weight, out, ending) is True
    assert (out == 0).all()
    place = {"first": 0, "last": -1, "middle": x.size // 2, "weight": weight.size // 3}[where]
    (weight if where == "weight" else x).flat[place] = value
    assert winograd.forward(made, x, weight, out, ending) is False
    packed = winograd.pack_weight(made, weight)
    assert winograd.forward_packed(made, x, packed, out, ending) is False
    assert winograd.forward(made, x, weight, out) is False


@pytest.mark.parametrize("place", [0, 12345, -1])
def test_one_part_of_many_reports_it(place, monkeypatch):
    monkeypatch.setattr(tiling, "_WORKSPACE", 1)
    made = problem((2, 40, 40, 6), (3, 3, 3, 8), groups=2)
    assert tiling.cut(made).items > 8
    x, weight = integers(made)
    out = np.empty(made.out_shape, np.float32)
    assert winograd.forward(made, x, weight, out) is True
    x.flat[place] = np.nan
    assert winograd.forward(made, x, weight, out) is False


def test_a_nan_goes_through_a_clamp():
    made = problem((1, 12, 12, 2), (3, 3, 2, 4))
    x, weight = integers(made)
    x[0, 0, 0, 0] = np.nan
    out = np.zeros(made.out_shape, np.float32)
    assert winograd.forward(made, x, weight, out, Ending(None, 0.0, 6.0)) is False
    assert np.isnan(out[0, 0, 0]).all()
    assert not np.isnan(out[0, 5:, 5:]).any()


def test_what_overflows_is_reported():
    made = problem((1, 8, 8, 4), (3, 3, 4, 4))
    x, weight = (np.full(s, 1e30, np.float32) for s in (made.x_shape, made.weight_shape))
    out = np.empty(made.out_shape, np.float32)
    assert winograd.forward(made, x, weight, out) is False


@cases.examples(40, 3000)
@given(layers(), st.booleans(), st.sampled_from((1 << 6, 1 << 14, 1 << 20)))
def test_every_array_flush_against_pages_without_access(layer, at_end, nbytes):
    x_shape, weight_shape, geometry = layer
    made = problem(x_shape, weight_shape, **geometry)
    if winograd.why_not(made):
        return
    x, weight = integers(made, 1)
    bias = np.arange(made.out_channels, dtype=np.float32)
    ending = Ending(bias, -5.0, 9.0)
    correct = ended(want(made, x, weight)[0], ending)
    given = [guarded.Guarded(array, at_end, read_only=True) for array in (x, weight, bias)]
    out = guarded.Guarded(np.full(made.out_shape, np.nan, np.float32), at_end)
    tolerance = 0.1 if geometry["precision"] == "fast" else 0.02
    with cases.small_tiles(nbytes), guarded.workspaces(at_end) as memory:
        threads.forget_plans()
        for packs in (False, True):
            out.array[...] = np.nan
            a, w, b = (owner.array for owner in given)
            call = winograd.forward_packed if packs else winograd.forward
            kernel = winograd.pack_weight(made, w) if packs else w
            assert call(made, a, kernel, out.array, ending._replace(bias=b))
            assert np.abs(out.array - correct).max() < tolerance
            del kernel
        threads.forget_plans()
        assert memory.taken
        assert memory.beside == []
    del a, w, b
    for owner in (*given, out):
        owner.close()


@pytest.mark.parametrize("shape", [(1, 9, 20, 21, 20), (6, 300, 20), (2, 31, 30, 20)])
def test_the_same_bits_for_any_number_of_threads(shape):
    rng = np.random.default_rng(2)
    ndim = len(shape) - 2
    geometry = {"padding": 2, "precision": "fast", "dilation": (1,) * (ndim - 1) + (2,)}
    made = problem(shape, (*[3] * ndim, 20, 70), **geometry)
    x, weight = (
        rng.standard_normal(s).astype(np.float32) for s in (made.x_shape, made.weight_shape)
    )
    ending = Ending(rng.standard_normal(70).astype(np.float32), 0.0)
    results = set()
    with cases.small_tiles(1 << 16):
        for number in (1, 3):
            with grad_cases.threads(number):
                results.add(run(made, x, weight, ending).tobytes())
    assert len(results) == 1


def test_little_work_does_not_wait_for_a_compiler(monkeypatch):
    made = problem((1, 10, 10, 4), (3, 3, 4, 4))
    monkeypatch.setattr(compiler, "ready", lambda *asked: True)
    ready = winograd.cost(made)
    monkeypatch.setattr(compiler, "ready", lambda *asked: asked == ("winograd",))
    assert winograd.cost(made).calls > 1e5 > ready.calls
    large = problem((8, 100, 100, 64), (3, 3, 64, 64))
    assert winograd.cost(large).calls < 1e5
