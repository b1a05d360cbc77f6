"""Depthwise convolution: any geometry and cut, every direction, scratch that is full of NaN."""

import contextlib
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import guarded
import npconv
import oracle
import oracle_grad
from npconv import arrays, compiler, directions, relayout, spare, templates
from npconv.algorithms.contract import Ending
from npconv.algorithms.depthwise import places, sums, weights
from winograd_layers import Soiled

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
NAME = "depthwise"
DIRECTIONS = ("forward", "input_grad", "weight_grad")
# Shapes of x and weight, channels first, and the rest; groups are the lesser number of channels.
LAYERS = {
    "3x3": ((2, 32, 9, 15), (32, 1, 3, 3), {"padding": 1}),
    "3x3, every second": ((2, 37, 9, 16), (37, 1, 3, 3), {"padding": 1, "stride": 2}),
    "wide": ((1, 40, 3, 61), (40, 1, 3, 3), {"padding": 1}),
    "wide, every second": ((1, 17, 4, 62), (17, 1, 3, 3), {"padding": 1, "stride": (1, 2)}),
    "5x5": ((1, 50, 9, 20), (50, 1, 5, 5), {"padding": 2}),
    "5x5, every second": ((1, 20, 11, 31), (20, 1, 5, 5), {"padding": 2, "stride": 2}),
    "7x7": ((1, 33, 9, 9), (33, 1, 7, 7), {"padding": 3}),
    "one tap": ((2, 40, 5, 8), (40, 1, 1, 1), {}),
    "1x2": ((2, 40, 5, 17), (40, 1, 1, 2), {"padding": ((0, 0), (1, 0))}),
    "three groups": ((3, 3, 12, 13), (3, 1, 3, 3), {"padding": 1}),
    "many groups": ((1, 2100, 3, 4), (2100, 1, 3, 3), {"padding": 1}),
    "two outputs": ((2, 18, 7, 16), (36, 1, 3, 3), {"padding": 1, "stride": (1, 2)}),
    "three outputs": ((2, 5, 9, 16), (15, 1, 5, 3), {"padding": ((2, 1), (-1, 3)),
                                                    "stride": (1, 2), "dilation": (1, 2)}),
    "two channels": ((2, 36, 7, 16), (18, 2, 3, 3), {"padding": 1, "stride": (2, 1)}),
    "cropped": ((2, 17, 12, 14), (17, 1, 3, 3), {"padding": ((-4, 2), (1, -5))}),
    "strides past the kernel": ((2, 16, 14, 23), (16, 1, 2, 3), {"stride": (3, 4)}),
    "holes": ((2, 19, 13, 25), (19, 1, 3, 3), {"dilation": (2, 3), "padding": 2}),
    "holes and strides": ((1, 16, 13, 40), (16, 1, 3, 3), {"dilation": (1, 3), "stride": (2, 2)}),
    "one window": ((2, 24, 5, 6), (24, 1, 5, 6), {"stride": 1 << 40}),
    "one axis": ((2, 70, 50), (70, 1, 4), {"padding": 1, "stride": 2}),
    "three axes": ((1, 20, 5, 6, 9), (20, 1, 3, 2, 3), {"padding": 1, "stride": (2, 1, 1)}),
    "reflected": ((2, 21, 8, 11), (21, 1, 3, 3), {"padding": 2, "padding_mode": "reflect"}),
    "wrapped": ((1, 16, 9, 18), (16, 1, 5, 3), {"padding": ((0, 3), (2, -1)),
                                               "padding_mode": "wrap"}),
    "edges": ((1, 16, 9, 18), (32, 1, 3, 3), {"padding": 1, "padding_mode": "edge"}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (sums, weights, templates, relayout, spare):
        monkeypatch.setattr(module, "np", Soiled())


@contextlib.contextmanager
def cut(worth=64, turned=4 << 20):
    """Small shares, and so many bytes of planes that are turned at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "WORTH_SHARING", worth)
        patch.setattr(places, "_MOST_TURNED", turned)
        for cached in (sums._template, weights._template, weights._cut):
            cached.cache_clear()  # whatever else they depended on
        yield


@dataclass
class Trial:
    """A layer's arrays channels first, and how they are laid for the algorithm."""

    x_shape: tuple
    weight_shape: tuple
    geometry: dict
    dtype: str = "float32"
    last: bool = True
    whole: bool = True

    def __post_init__(self):
        groups = min(self.x_shape[1], self.weight_shape[0])
        self.geometry = {**self.geometry, "groups": groups}
        self.space = "DHW"[5 - len(self.x_shape) :]
        rng = np.random.default_rng(len(str(self.geometry)))
        draw = oracle.small_integers if self.whole else cases.real
        x, weight = (draw(rng, s, self.dtype) for s in (self.x_shape, self.weight_shape))
        out = draw(rng, oracle.direct(x, weight, **self.geometry).shape, self.dtype)
        self.values = {"x": x, "weight": weight, "out": out}

    def lay(self, array):
        """An array, channels first, as a canonical view that lies as the layout has it."""
        moved = np.moveaxis(array, 1, -1)
        return np.ascontiguousarray(moved) if self.last else moved

    def problem(self, direction):
        axes = f"N{self.space}C" if self.last else f"NC{self.space}"
        x = self.lay(self.values["x"])
        return npconv.plan(
            x if self.last else np.moveaxis(x, -1, 1), self.values["weight"], direction=direction,
            layout=axes, weight_layout=f"OI{self.space}", **self.geometry,
        ).problem  # fmt: skip

    def canonical(self):
        turn = (*range(2, self.values["weight"].ndim), 1, 0)
        laid = {name: self.lay(array) for name, array in self.values.items() if name != "weight"}
        return {**laid, "weight": self.values["weight"].transpose(turn)}

    def run(self, direction, ending=None):
        """The result of a direction channels first, without the planner."""
        given = self.canonical()
        sought = {"forward": "out", "input_grad": "x", "weight_grad": "weight"}[direction]
        operands = {"forward": ("x", "weight"), "input_grad": ("out", "weight"),
                    "weight_grad": ("out", "x")}[direction]  # fmt: skip
        out = np.full_like(given[sought], np.nan)
        problem = self.problem(direction)
        assert directions.why_not(problem, NAME) == ""
        more = {} if ending is None else {"ending": ending}
        directions.run(problem, NAME, tuple(given[name] for name in operands), out, **more)
        if direction == "weight_grad":
            return out.transpose(-1, -2, *range(out.ndim - 2))
        return np.moveaxis(out, -1, 1)

    def want(self, direction):
        x, weight, out = (self.values[name] for name in ("x", "weight", "out"))
        with np.errstate(invalid="ignore"):
            if direction == "forward":
                return oracle.direct(x, weight, **self.geometry)
            if direction == "input_grad":
                return oracle_grad.input_grad(out, weight, x.shape, **self.geometry)
            return oracle_grad.weight_grad(out, x, weight.shape, **self.geometry)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_small_integers_come_out_exact(name, dtype):
    for last, turned in ((True, 0), (False, 0), (False, 4 << 20)):
        trial = Trial(*LAYERS[name], dtype, last)
        for direction in DIRECTIONS:
            for worth in (64, 1 << 40):
                with cut(worth, turned):
                    got = trial.run(direction)
                np.testing.assert_array_equal(got, trial.want(direction), direction)


@pytest.mark.parametrize("limits", [(1, 1 << 16), (2 << 10, 1 << 16), (24 << 10, 0)])
@pytest.mark.parametrize("name", LAYERS)
def test_however_little_is_gone_through_at_once(name, limits, monkeypatch):
    """A tile and a block of groups at a time, in other orders, and with no addresses held."""
    for limit, value in zip(("_NEAR", "_HELD"), limits, strict=True):
        monkeypatch.setattr(places, limit, value)
    trial = Trial(*LAYERS[name])
    with cut(1 << 40):
        for direction in ("forward", "input_grad"):
            np.testing.assert_array_equal(trial.run(direction), trial.want(direction), direction)


@st.composite
def layers(draw):
    """A random layer of one to three axes."""
    ndim, groups = draw(st.integers(1, 3)), draw(st.sampled_from((2, 3, 8, 15, 16, 17, 33, 48)))
    channels, outputs = draw(st.sampled_from(((1, 1), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1))))
    each = {1: 40, 2: 18, 3: 8}[ndim]
    size = draw(st.tuples(*[st.integers(4, each)] * ndim))
    kernel = draw(st.tuples(*[st.integers(1, 5)] * ndim))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * ndim))
    needs = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = [
        draw(st.tuples(st.integers(max(0, -(-(need - n) // 2)), 4), st.integers(need, need + 2)))
        if need > n
        else draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        for need, n in zip(needs, size, strict=True)
    ]
    geometry = {
        "padding": tuple(padding), "dilation": dilation,
        "stride": draw(st.tuples(*[st.integers(1, 3)] * ndim)),
        "padding_mode": draw(st.sampled_from(sorted(oracle.PAD_MODES))),
    }  # fmt: skip
    batch = draw(st.integers(1, 3))
    return (batch, groups * channels, *size), (groups * outputs, channels, *kernel), geometry


@cases.examples(60, 3000)
@given(layers(), st.booleans(), st.sampled_from(("float32", "float64")), st.sampled_from((64, 1e9)))
def test_random_layers(layer, last, dtype, worth):
    trial = Trial(*layer, dtype, last)
    with cut(int(worth)):
        for direction in DIRECTIONS:
            np.testing.assert_array_equal(trial.run(direction), trial.want(direction), direction)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_for_any_number_of_threads(name, last):
    for direction in DIRECTIONS:
        results = set()
        for threads in (1, 2, 5):
            with grad_cases.threads(threads), cut():
                got = Trial(*LAYERS[name], last=last, whole=False).run(direction)
            results.add(np.ascontiguousarray(got).tobytes())
        assert len(results) == 1, direction


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["x", "weight", "out"])
@pytest.mark.parametrize("name", LAYERS)
def test_nan_and_infinities_stand_where_the_direct_sum_has_them(name, which, value):
    for last in (False, True):
        trial = Trial(*LAYERS[name], last=last)
        for array in trial.values.values():
            array[array == 0] = 1
        array = trial.values[which]
        for place in (0, 0.4, 1):
            array[tuple(int(place * (n - 1)) for n in array.shape)] = value
        for direction in DIRECTIONS:
            with cut(), np.errstate(invalid="ignore"):
                got = trial.run(direction)
            np.testing.assert_array_equal(got, trial.want(direction), direction)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["3x3", "three groups", "two outputs", "three axes", "7x7"])
def test_bias_and_clamp_in_the_store(name, last):
    trial = Trial(*LAYERS[name], last=last)
    trial.values["x"][0, 0, 0] = np.nan
    outputs = trial.weight_shape[0]
    bias = np.arange(outputs, dtype="float32") - 3
    sums_ = trial.want("forward") + bias.reshape(-1, *[1] * len(trial.space))
    with cut():
        np.testing.assert_array_equal(
            trial.run("forward", Ending(bias, 0, 6)), np.clip(sums_, 0, 6)
        )
        np.testing.assert_array_equal(trial.run("forward", Ending(bias)), sums_)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_it_touches_nothing_beside_its_arrays(name, at_end, last):
    axes = "DHW"[5 - len(LAYERS[name][0]) :]
    trial = Trial(*LAYERS[name], last=last)
    letters = {"layout": f"N{axes}C" if last else f"NC{axes}", "weight_layout": f"OI{axes}"}
    keywords = {**letters, **trial.geometry, "algorithm": NAME}
    dense = {
        key: np.ascontiguousarray(np.moveaxis(a, 1, -1)) if last and key != "weight" else a
        for key, a in trial.values.items()
    }
    owners = {key: guarded.Guarded(a, at_end, True) for key, a in dense.items()}
    calls = {
        "forward": (npconv.conv, ("x", "weight"), "out"),
        "input_grad": (npconv.conv_input_grad, ("out", "weight", "x"), "x"),
        "weight_grad": (npconv.conv_weight_grad, ("out", "x", "weight"), "weight"),
    }
    with grad_cases.threads(1), cut():
        for direction, (call, given, sought) in calls.items():
            room = guarded.Guarded(np.full_like(dense[sought], np.nan), at_end)
            operands = [owners[key].array for key in given]
            call(*operands, out=room.array, **keywords)  # what stays is made
            room.array[...] = np.nan
            with guarded.workspaces(at_end) as spaces:
                call(*operands, out=room.array, **keywords)
            got = np.moveaxis(room.array, -1, 1) if last and sought != "weight" else room.array
            np.testing.assert_array_equal(got, trial.want(direction), direction)
            assert spaces.taken
            assert spaces.beside == []
            del got, operands
            room.close()
    for owner in owners.values():
        owner.close()


def test_arrays_of_any_strides():
    trial = Trial(*LAYERS["3x3"])
    given = trial.canonical()
    for place in cases.PLACES.values():
        out = place(np.full_like(given["out"], np.nan))
        if not out.flags.writeable:
            continue
        sums.forward(trial.problem("forward"), place(given["x"]), place(given["weight"]), out)
        np.testing.assert_array_equal(np.moveaxis(out, -1, 1), trial.want("forward"))


def test_what_it_refuses():
    def reason(x_shape, weight_shape, dtype="float32", **geometry):
        made = npconv.plan(np.zeros(x_shape, dtype), np.zeros(weight_shape, dtype), **geometry)
        return next(row.why_not for row in made.rows if row.algorithm == NAME)

    assert "one group" in reason((1, 4, 9, 9), (4, 4, 3, 3))
    assert "not of 2 and 3" in reason((1, 4, 9, 9), (6, 2, 3, 3), groups=2)
    assert "not int" in reason((1, 4, 9, 9), (4, 1, 3, 3), "int16", groups=4)
    deep = {"layout": "NCABDE", "weight_layout": "OIABDE"}
    assert "three spatial axes" in reason((1, 4, 3, 3, 3, 3), (4, 1, 1, 1, 1, 2), groups=4, **deep)
    assert "tables list each" in reason((1, 2, 1 << 25), (2, 1, 3), groups=2)
    assert reason((1, 4, 9, 9), (4, 1, 3, 3), "float16", groups=4) == ""


def test_the_planner_takes_it_for_large_layers():
    for shape in ((1, 96, 112, 112), (8, 32, 56, 56)):
        for direction in DIRECTIONS:
            made = npconv.plan(
                np.zeros(shape, "float32"), np.zeros((shape[1], 1, 3, 3), "float32"), padding=1,
                groups=shape[1], direction=direction,
            )  # fmt: skip
            assert made.algorithm == NAME, made
