"""The input gradient of few channels: any geometry and cut, from scratch that is full of NaN."""

import contextlib

import numpy as np
import pytest

import cases
import grad_cases
import guarded
import npconv
import oracle
import oracle_grad
from npconv import arrays, compiler, directions, packing, relayout, spare, templates
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.indirect import slides
from winograd_layers import Soiled

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
# Shapes of x and weight, channels first, and the rest.
LAYERS = {
    "3x3": ((2, 3, 17, 30), (40, 3, 3, 3), {"padding": 1}),
    "7x7, every second": ((2, 3, 25, 31), (20, 3, 7, 7), {"padding": 3, "stride": 2}),
    "11x11, every fourth": ((1, 3, 40, 43), (9, 3, 11, 11), {"padding": 2, "stride": 4}),
    "patches": ((2, 3, 16, 18), (33, 3, 4, 4), {"stride": 4}),
    "strides past the kernel": ((2, 5, 19, 22), (6, 5, 2, 3), {"stride": (3, 4)}),
    "remainder": ((1, 4, 23, 24), (7, 4, 3, 2), {"stride": (4, 3), "padding": ((0, 1), (2, 0))}),
    "asymmetric": ((3, 2, 14, 15), (5, 2, 3, 4), {"padding": ((2, 0), (0, 3))}),
    "cropped": ((2, 3, 20, 21), (18, 3, 3, 3), {"padding": ((-4, 2), (1, -5)), "stride": (1, 2)}),
    "cropped away": ((1, 3, 30, 30), (4, 3, 2, 2), {"padding": ((-9, -9), (-12, -6))}),
    "holes": ((2, 3, 22, 25), (17, 3, 3, 3), {"dilation": 2, "padding": 2, "stride": (1, 3)}),
    "wide holes": ((1, 7, 30, 28), (3, 7, 2, 3), {"dilation": (5, 9), "padding": (4, 11)}),
    "one channel": ((2, 1, 18, 33), (70, 1, 3, 3), {"padding": 1}),
    "one channel of two": ((2, 1, 18, 33), (2, 1, 5, 5), {"padding": 2}),
    "15 channels": ((2, 15, 12, 13), (19, 15, 3, 3), {"padding": 1, "stride": 2}),
    "one tap": ((2, 3, 11, 12), (24, 3, 1, 1), {}),
    "one window": ((2, 3, 5, 6), (24, 3, 5, 6), {"stride": 1 << 40}),
    "narrow": ((3, 3, 40, 2), (21, 3, 3, 2), {"padding": 1}),
    "small images": ((9, 4, 3, 3), (12, 4, 3, 3), {"padding": 1}),
    "one axis": ((2, 2, 150), (11, 2, 9), {"stride": 2, "padding": 4}),
    "three axes": ((2, 3, 7, 8, 9), (8, 3, 3, 2, 3), {"padding": 1, "stride": (1, 2, 1)}),
    "three axes, holes": ((1, 2, 9, 8, 9), (5, 2, 3, 2, 2),
                          {"padding": ((0, 2), (1, 1), (-1, 0)), "dilation": (2, 1, 3),
                           "stride": (2, 1, 1)}),
    "reflected": ((2, 3, 15, 16), (14, 3, 3, 3), {"padding": 2, "padding_mode": "reflect"}),
    "wrapped": ((1, 3, 12, 13), (6, 3, 3, 5), {"padding": ((0, 3), (2, -1)), "stride": (2, 1),
                                               "padding_mode": "wrap"}),
}  # fmt: skip
# Multiply-adds of a share, bytes of products, and how long parts are.
CUTS = {
    "whole": (1 << 40, 1 << 40, 4),
    "lines": (64, 1 << 40, 1),
    "lines and columns": (64, 1, 1),
    "columns": (1 << 40, 1 << 10, 2),
}


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (slides, templates, relayout, spare, packing):
        monkeypatch.setattr(module, "np", Soiled())


@pytest.fixture(autouse=True)
def any_outputs(monkeypatch):
    """Let it own problems of few outputs too."""
    many = slides._MANY
    monkeypatch.setattr(slides, "_MANY", 1)
    slides.suits.cache_clear()
    yield many
    slides.suits.cache_clear()


@contextlib.contextmanager
def cut_as(name):
    limits = zip(
        (arrays, slides, slides), ("WORTH_SHARING", "_PANEL_NBYTES", "_LONG"), CUTS[name],
        strict=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for owner, limit, value in limits:
            patch.setattr(owner, limit, value)
        slides._cut.cache_clear()
        yield
    slides._cut.cache_clear()


class Trial:
    """A layer's problem, its operands and its gradient, which are canonical views."""

    def __init__(self, name, dtype="float32", last=True, whole=True):
        x_shape, weight_shape, self.geometry = LAYERS[name]
        self.x_shape, self.last = x_shape, last
        self.made = npconv.plan(
            self.lay(np.zeros(x_shape, dtype)), np.zeros(weight_shape, dtype),
            direction="input_grad", layout=self.letters, weight_layout=self.weight_letters,
            **self.geometry,
        ).problem  # fmt: skip
        rng = np.random.default_rng(len(name))
        size = x_shape[0], weight_shape[0], *self.made.out_size
        draw = oracle.small_integers if whole else cases.real
        self.grad, self.weight = (draw(rng, s, dtype) for s in (size, weight_shape))

    @property
    def letters(self):
        axes = "DHW"[3 - (len(self.x_shape) - 2) :]
        return f"N{axes}C" if self.last else f"NC{axes}"

    @property
    def weight_letters(self):
        return "OI" + self.letters.replace("N", "").replace("C", "")

    def lay(self, array):
        """An array channels first as the layout has it."""
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if self.last else array

    def operands(self):
        """grad_out and weight as algorithms take them."""
        grad = np.moveaxis(self.grad, 1, -1)
        grad = np.ascontiguousarray(grad) if self.last else grad
        turn = (*range(2, self.weight.ndim), 1, 0)
        return grad, self.weight.transpose(turn)

    def out(self):
        """A gradient full of NaN."""
        dense = np.full(self.x_shape, np.nan, self.made.compute_dtype)
        return np.full_like(self.lay(dense), np.nan) if self.last else np.moveaxis(dense, 1, -1)

    def run(self):
        """The gradient channels first, without the planner."""
        out = self.out()
        assert directions.own(self.made, "indirect")
        directions.run(self.made, "indirect", self.operands(), out)
        return np.moveaxis(out, -1, 1)

    def want(self):
        with np.errstate(invalid="ignore"):
            return oracle_grad.input_grad(self.grad, self.weight, self.x_shape, **self.geometry)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_small_integers_come_out_exact(name, cut, dtype):
    if LAYERS[name][0][1] > 7 and dtype == "float64":
        return
    for last in (False, True):
        with cut_as(cut):
            trial = Trial(name, dtype, last)
            np.testing.assert_array_equal(trial.run(), trial.want())


@pytest.mark.parametrize("channels", range(1, 16))
def test_any_few_channels(channels, monkeypatch):
    outputs = 70 - 4 * channels
    layer = (2, channels, 9, 20), (outputs, channels, 3, 3), {"padding": 1, "stride": (1, 2)}
    monkeypatch.setitem(LAYERS, "these", layer)
    for last in (False, True):
        trial = Trial("these", last=last)
        np.testing.assert_array_equal(trial.run(), trial.want())


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_for_any_number_of_threads(name, last):
    results = set()
    for threads in (1, 2, 5):
        with grad_cases.threads(threads), cut_as("lines"):
            results.add(np.ascontiguousarray(Trial(name, last=last, whole=False).run()).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_nan_and_infinities_stay_where_they_are(name, last, value):
    trial = Trial(name, last=last)
    trial.weight[trial.weight == 0] = 1
    for place in (0, 0.4, 1):
        trial.grad[tuple(int(place * (n - 1)) for n in trial.grad.shape)] = value
    want = trial.want()
    assert not np.isfinite(want).all() or "cropped" in name
    with cut_as("lines"), np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(trial.run(), want)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_it_touches_nothing_beside_its_arrays(name, at_end, last):
    trial = Trial(name, last=last)
    laid = trial.made.channels_last
    grad, weight = (np.moveaxis(a, -1, 1) if not laid else a for a in trial.operands())
    out = np.moveaxis(trial.out(), -1, 1) if not laid else trial.out()
    owners = [guarded.Guarded(np.ascontiguousarray(a), at_end, True) for a in (grad, weight)]
    owners.append(guarded.Guarded(out, at_end))
    given = [np.moveaxis(o.array, 1, -1) if not laid else o.array for o in owners]
    with grad_cases.threads(1), cut_as("lines"):
        directions.run(trial.made, "indirect", (given[0], given[1]), given[2])  # what stays is made
        given[2][...] = np.nan
        with guarded.workspaces(at_end) as spaces:
            directions.run(trial.made, "indirect", (given[0], given[1]), given[2])
    np.testing.assert_array_equal(np.moveaxis(given[2], -1, 1), trial.want())
    assert spaces.taken
    assert spaces.beside == []
    del given
    for owner in owners:
        owner.close()


@pytest.mark.parametrize("name", ["3x3", "one channel", "15 channels", "three axes"])
def test_arrays_of_any_strides(name):
    trial = Trial(name)
    grad, weight = trial.operands()
    for place in cases.PLACES.values():
        out = place(trial.out())
        if not out.flags.writeable:
            continue
        slides.input_grad(trial.made, place(grad), place(weight), out)
        np.testing.assert_array_equal(np.moveaxis(out, -1, 1), trial.want())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "complex64"])
@pytest.mark.parametrize("last", [False, True])
def test_other_dtypes_are_computed_or_refused(dtype, last):
    trial = Trial("3x3", last=last)
    grad, weight = (a.astype(dtype) for a in (trial.lay(trial.grad), trial.weight))
    like = trial.lay(np.zeros(trial.x_shape, dtype))
    keywords = {"layout": trial.letters, "weight_layout": trial.weight_letters}
    keywords |= {"algorithm": "indirect", **trial.geometry}
    if np.dtype(dtype).kind == "f":
        got = npconv.conv_input_grad(grad, weight, like, **keywords)
        np.testing.assert_array_equal(got, trial.lay(trial.want()))
    else:
        with pytest.raises(npconv.UnsupportedError, match="indirect cannot do this: its registers"):
            npconv.conv_input_grad(grad, weight, like, **keywords)


def test_what_it_leaves_to_phases(any_outputs, monkeypatch):
    monkeypatch.setattr(slides, "_MANY", any_outputs)

    def owns(x_shape, weight_shape, dtype="float32", **geometry):
        x, weight = np.zeros(x_shape, dtype), np.zeros(weight_shape, dtype)
        made = npconv.plan(x, weight, direction="input_grad", **geometry)
        return directions.own(made.problem, "indirect")

    assert owns((2, 3, 20, 20), (16, 3, 3, 3))
    assert not owns((2, 16, 20, 20), (16, 16, 3, 3))
    assert not owns((2, 8, 20, 20), (16, 8, 3, 3), "float64")
    assert not owns((2, 4, 20, 20), (16, 2, 3, 3), groups=2)
    assert not owns((1, 3, 100000), (16, 3, 2), dilation=90000)  # lines that no cache holds
    assert not owns((2, 3, 20, 20), (8, 3, 3, 3))
    assert hasattr(ALGORITHMS["indirect"], "input_grad_cost")


def test_the_cost_says_how_much_is_held():
    trial = Trial("3x3")
    cost = slides.input_grad_cost(trial.made)
    cut = slides._planned(trial.made)
    assert cost.each == cut.each > 0
    assert cost.workspace > cut.each
    with cut_as("lines"):
        assert slides.input_grad_cost(trial.made).helpers > cost.helpers == 0
        assert slides._planned(trial.made).again > 1 >= cut.again
