"""The compiled transforms: every way of cutting, seams, scratch full of NaN, guarded memory."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import compiler, spare
from npconv.algorithms.fft import compiled, parts, tiles, turns
from npconv.problem import ConvProblem
from winograd_layers import Soiled

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
cut = importlib.import_module("npconv.algorithms.fft.cut")  # the package has a function so called
HERE = Path(__file__).parent
# Shapes of x and weight, channels first, and the rest.
SHAPES = {
    "a line": ((2, 1, 700), (1, 1, 60), {"padding": "same"}),
    "a line of one window": ((1, 1, 40), (1, 1, 40), {}),
    "a line in full": ((1, 1, 30), (1, 1, 90), {"padding": ((89, 89),)}),
    "lines": ((3, 4, 500), (4, 1, 33), {"padding": ((3, 40),), "groups": 4}),
    "two kernels a line": ((2, 2, 300), (4, 1, 7), {"groups": 2}),
    "holes": ((1, 1, 600), (1, 1, 20), {"dilation": 7, "padding": 11}),
    "cropped": ((1, 1, 640), (1, 1, 21), {"padding": ((-40, -17),)}),
    "wrapped": ((1, 1, 640), (1, 1, 21), {"padding": 10, "padding_mode": "wrap"}),
    "rows of a plane": ((1, 1, 5, 300), (1, 1, 1, 30), {"padding": ((0, 0), (29, 0))}),
    "columns": ((1, 2, 300, 37), (2, 1, 30, 1), {"padding": ((3, 29), (0, 0)), "groups": 2}),
    "few columns": ((2, 1, 90, 3), (1, 1, 12, 1), {}),
    "columns of planes": ((1, 1, 3, 70, 9), (1, 1, 1, 9, 1), {}),
    "a plane": ((2, 1, 60, 75), (1, 1, 9, 7), {"padding": "same"}),
    "planes": ((1, 3, 50, 41), (6, 1, 5, 12), {"groups": 3, "padding": ((0, 4), (11, 2))}),
    "plane reflected": ((1, 1, 40, 47), (1, 1, 6, 8), {"padding": 5, "padding_mode": "reflect"}),
    "plane cropped": ((1, 1, 70, 80), (1, 1, 6, 8), {"padding": ((-9, 3), (2, -30))}),
    "planes of a volume": ((1, 1, 4, 40, 47), (1, 1, 1, 6, 8), {}),
    "a volume": ((1, 1, 17, 26, 33), (1, 1, 3, 5, 4), {"padding": ((1, 1), (4, 0), (0, 3))}),
    "volumes with holes": ((2, 2, 14, 13, 30), (2, 1, 2, 3, 3), {"dilation": (3, 2, 4),
                                                               "groups": 2}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (compiled, parts, tiles, turns, spare):
        monkeypatch.setattr(module, "np", Soiled())
    forget()
    yield
    forget()


def forget():
    """Let nothing be known that was cut or laid out before."""
    for cached in (cut._cut, cut.tile_length, compiled._work, tiles.tile_table):
        cached.cache_clear()


@pytest.fixture(params=["least tiles", "tiles", "stages"])
def way(request, monkeypatch):
    """Cut into the smallest tiles, as planned, or so that threads share each tile."""
    if request.param == "least tiles":
        monkeypatch.setattr(cut, "_spent", lambda n, tiles, limit: n)
    few, worth = {"tiles": (0, 64), "least tiles": (0, 64), "stages": (10**6, 1)}[request.param]
    monkeypatch.setattr(compiled, "_FEW", few)
    monkeypatch.setattr(compiled, "_WORTH", worth)
    return request.param


def numbers(shape, seed=0):
    """Numbers of both signs."""
    return np.random.default_rng(seed).standard_normal(shape)


def problem_of(x_shape, weight_shape, geometry, dtype, precision="strict"):
    """The problem of shapes that are channels first."""
    kinds = dict.fromkeys(("x_dtype", "weight_dtype", "out_dtype"), np.dtype(dtype))
    canonical = (x_shape[0], *x_shape[2:], x_shape[1])
    kernel = (*weight_shape[2:], weight_shape[1], weight_shape[0])
    return ConvProblem.create(canonical, kernel, precision=precision, **kinds, **geometry)


def convolved(x, weight, geometry, precision="strict"):
    """The compiled result alone, channels first."""
    problem = problem_of(x.shape, weight.shape, geometry, x.dtype, precision)
    made = cut.cut(problem)
    assert made is not None
    out = np.full((x.shape[0], problem.out_channels, *problem.out_size), np.nan, x.dtype)
    given, kernel = np.moveaxis(x, 1, -1), np.moveaxis(weight, (0, 1), (-1, -2))
    compiled.forward(problem, made, given, kernel, np.moveaxis(out, 1, -1))
    return out


def check(x, weight, geometry, precision="strict"):
    """Hold a result to the direct sum, within what a transform of all of x may be off by."""
    problem = problem_of(x.shape, weight.shape, geometry, x.dtype, precision)
    paddings = {**geometry, "padding": problem.padding}
    out = convolved(x, weight, geometry, precision)
    want = oracle.direct(x, weight, **paddings)
    unit = oracle.UNIT[x.dtype.char] if precision == "fast" else 2.0**-53
    allowed = oracle.transform_allowed(x, weight, dtype=x.dtype, unit=unit, **paddings)
    error = np.abs(out - want)
    assert (error <= allowed).all(), float((error / allowed).max())
    return out


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", ["float32", "float64", "fast"])
def test_every_shape_is_the_direct_sum_however_it_is_cut(shapes, kind, way):
    x_shape, weight_shape, geometry = shapes
    dtype, precision = ("float32", "fast") if kind == "fast" else (kind, "strict")
    x, weight = numbers(x_shape).astype(dtype), numbers(weight_shape, 1).astype(dtype)
    check(x, weight, geometry, precision)


@pytest.mark.parametrize("name", ["lines", "columns", "planes", "volumes with holes"])
def test_arrays_may_lie_in_any_way(name, way):
    x_shape, weight_shape, geometry = SHAPES[name]
    x, weight = numbers(x_shape), numbers(weight_shape, 1)
    want = check(x, weight, geometry)
    letters = "NC" + "DHW"[5 - x.ndim :]
    backwards = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    swapped = x.astype(x.dtype.newbyteorder())
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for laid in (backwards, swapped, last, np.asfortranarray(x)):
        laid.flags.writeable = False
        out = npconv.conv(laid, weight, algorithm="fft", layout=letters, **geometry)
        np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("kinds", ["complex and real", "real and complex", "both complex"])
@pytest.mark.parametrize("name", ["a line", "planes", "columns", "volumes with holes"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_two_real_ones(name, kinds, dtype, way):
    x_shape, weight_shape, geometry = SHAPES[name]
    x, weight = numbers(x_shape), numbers(weight_shape, 1)
    if kinds != "real and complex":
        x = x + 1j * numbers(x_shape, 2)
    if kinds != "complex and real":
        weight = weight + 1j * numbers(weight_shape, 3)
    x, weight = (
        a.astype(dtype if a.dtype.kind == "c" else np.dtype(dtype).char.lower())
        for a in (x, weight)
    )
    letters = "NC" + "DHW"[5 - x.ndim :]
    out = npconv.conv(x, weight, algorithm="fft", layout=letters, **geometry)
    padding = problem_of(x_shape, weight_shape, geometry, dtype).padding
    paddings = {**geometry, "padding": padding}
    want = oracle.direct(x, weight, **paddings)
    assert out.dtype == dtype
    allowed = oracle.transform_allowed(x, weight, dtype=dtype, **paddings)
    error = np.abs(out - want)
    assert (error <= allowed).all(), float((error / allowed).max())


def test_what_padding_crops_is_not_read():
    x, weight = numbers((1, 1, 400)), numbers((1, 1, 21), 1)
    x[..., :30] = x[..., -40:] = np.nan
    assert np.isfinite(convolved(x, weight, {"padding": ((-30, -40),)})).all()


@pytest.mark.parametrize("name", ["lines", "columns", "planes", "a volume"])
def test_the_bits_are_the_same_for_any_number_of_threads(name, way):
    x_shape, weight_shape, geometry = SHAPES[name]
    x, weight = numbers(x_shape), numbers(weight_shape, 1)
    before = npconv.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            npconv.set_num_threads(threads)
            found.append(convolved(x, weight, geometry))
    finally:
        npconv.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("name", ["a line", "columns", "a plane", "a volume"])
def test_threads_that_share_tiles_or_stages_give_the_same_bits(name, monkeypatch):
    x_shape, weight_shape, geometry = SHAPES[name]
    x, weight = numbers(x_shape), numbers(weight_shape, 1)
    whole = convolved(x, weight, geometry)
    monkeypatch.setattr(compiled, "_FEW", 10**6)
    monkeypatch.setattr(compiled, "_WORTH", 1)
    compiled._work.cache_clear()
    np.testing.assert_array_equal(convolved(x, weight, geometry), whole)


@pytest.mark.parametrize("algorithm", ["fft", "auto"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_nan_of_one_tile_stays_where_the_direct_sum_has_it(algorithm, value, monkeypatch):
    monkeypatch.setattr(cut, "_spent", lambda n, tiles, limit: n)
    x, weight = numbers((1, 1, 3000)), numbers((1, 1, 80), 1)
    x[0, 0, 1234] = value
    out = npconv.conv(x, weight, algorithm=algorithm)[0, 0]
    touched = np.zeros(out.shape, bool)
    touched[1234 - 79 : 1235] = True
    np.testing.assert_array_equal(np.isfinite(out), ~touched)


def test_zeros_within_the_padding_may_be_any_lengths_of_it():
    x, weight = numbers((1, 1, 90)), numbers((1, 1, 17), 1)
    for before in (0, 5, 16, 40):
        for after in (0, 7, 16, 33):
            check(x, weight, {"padding": ((before, after),)})


@cases.examples(60, 1500)
@given(
    st.integers(1, 3), st.integers(2, 5000), st.integers(1, 5000), st.integers(0, 3000),
    st.sampled_from([2, 8, 16, 128, 512]),
)  # fmt: skip
def test_a_tile_has_its_outputs_and_what_they_read(ndim, span, outputs, more, unit):
    whole = outputs + span - 1 - min(more, span - 1)
    whole = max(whole, outputs, span)
    length, step = cut.tile_length.__wrapped__(span, outputs, whole, unit, ndim)
    assert length % unit == 0
    assert 1 <= step <= outputs
    left = length // unit
    for factor in (2, 3, 5):
        while left % factor == 0:
            left //= factor
    assert left == 1
    assert length >= whole if step == outputs else length >= step + span - 1


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 8, 15, 30, 32, 40, 45, 64, 75, 96, 125, 360])
def test_columns_of_every_length_are_transformed(n):
    kernel = 2 if n == 1 else min(n, 7)
    x, weight = numbers((1, 1, 2 * n - (n > 2), 5)), numbers((1, 1, kernel, 1), 1)
    problem = problem_of(x.shape, weight.shape, {}, "float64")
    made = cut.cut(problem)._replace(lengths=(2 * n, 0), rows=n, steps=(problem.out_size[0], 5))
    out = np.full((1, 1, *problem.out_size), np.nan)
    given, kernel = np.moveaxis(x, 1, -1), np.moveaxis(weight, (0, 1), (-1, -2))
    compiled.forward(problem, made, given, kernel, np.moveaxis(out, 1, -1))
    np.testing.assert_allclose(out, oracle.direct(x, weight).astype(float), rtol=0, atol=1e-13)


def test_what_is_not_for_the_kernels_is_left_to_numpy():
    for x_shape, weight_shape, geometry, dtype in (
        ((1, 4, 90), (4, 4, 9), {}, "float64"),
        ((1, 1, 90), (1, 1, 9), {"stride": 2}, "float64"),
        ((1, 4, 90), (4, 4, 9), {}, "complex64"),
        ((1, 1, 9, 8, 9), (1, 1, 3, 1, 3), {}, "float64"),
        ((1, 1, 9, 9), (1, 1, 3, 1), {"padding": 1}, "float64"),
    ):
        problem = problem_of(x_shape, weight_shape, geometry, dtype)
        assert cut.cut(problem) is None
        assert parts.of_parts(problem) is None
        x, weight = numbers(x_shape).astype(dtype), numbers(weight_shape, 1).astype(dtype)
        out = npconv.conv(x, weight, algorithm="fft", **geometry)
        want = oracle.direct(x, weight, **geometry)
        np.testing.assert_allclose(out, want.astype(dtype), rtol=1e-4, atol=1e-5)


def test_without_numba_numpy_transforms(monkeypatch):
    x, weight = numbers((2, 1, 300)), numbers((1, 1, 30), 1)
    want = npconv.conv(x, weight, algorithm="fft")
    monkeypatch.setattr(compiled, "forward", None)
    for reasons in ({"usable": lambda: False}, {"missing": lambda: "Numba is not installed"}):
        with monkeypatch.context() as patch:
            for name, answer in reasons.items():
                patch.setattr(compiler, name, answer)
            cases.forget_plans()
            out = npconv.conv(x, weight, algorithm="fft")
            np.testing.assert_allclose(out, want, rtol=0, atol=1e-13)
            assert not np.array_equal(out, want)
    cases.forget_plans()


@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_beside_an_array_is_touched(at_end):
    run = subprocess.run(
        [sys.executable, "fft_guarded.py", str(int(at_end))],
        cwd=HERE, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == f"{2 * len(SHAPES)} kept within their arrays"
