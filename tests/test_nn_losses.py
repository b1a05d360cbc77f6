"""Losses against their definitions and their gradients against differences; what they refuse."""

import warnings

import numpy as np
import pytest

from npconv import ProblemError, nn


def labels(rng, y, axis=1):
    return rng.integers(0, y.shape[axis], y.shape[:axis] + y.shape[axis + 1 :])


def cases():
    rng = np.random.default_rng(0)
    for shape in ((6, 4), (3, 5, 2, 2), (4,)):
        y = rng.normal(size=shape)
        axis = min(1, y.ndim - 1)
        weight = rng.uniform(0.5, 2, shape[axis])
        label = labels(rng, y, axis)
        share = np.moveaxis(rng.dirichlet(np.ones(shape[axis]), label.shape), -1, axis)
        for keywords in (
            {},
            {"label_smoothing": 0.2},
            {"weight": weight},
            {"weight": weight, "label_smoothing": 0.3, "ignore_index": 1},
        ):
            yield nn.CrossEntropyLoss(**keywords), y, label
            yield nn.CrossEntropyLoss(reduction="sum", **keywords), y, share
    y, share = rng.normal(size=(5, 3)), rng.random((5, 3))
    yield nn.BCEWithLogitsLoss(), y, share
    yield nn.BCEWithLogitsLoss(rng.random(3), "sum", rng.random(3)), y, share > 0.5
    for kind in (nn.MSELoss, nn.L1Loss):
        yield kind(), y, share
        yield kind("sum"), y, share


@pytest.mark.parametrize("loss, y, target", list(cases()))
def test_the_gradient_is_the_slope(loss, y, target):
    grad = loss(y, target)[1]
    for place in np.ndindex(y.shape):
        step = np.zeros_like(y)
        step[place] = 1e-5
        slope = (loss(y + step, target)[0] - loss(y - step, target)[0]) / 2e-5
        assert grad[place] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("loss, y, target", list(cases()))
def test_float32_stays_and_y_is_only_read(loss, y, target):
    single = np.moveaxis(np.moveaxis(y, 0, -1).copy(), -1, 0).astype(np.float32)
    single.flags.writeable = False
    value, grad = loss(single, target)
    assert type(value) is float
    assert (grad.dtype, grad.shape) == (np.float32, y.shape)
    assert value == pytest.approx(loss(y, target)[0], rel=1e-5)
    np.testing.assert_allclose(grad, loss(y, target)[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss, y, target", list(cases()))
def test_terms_scale_apart(loss, y, target):
    loss = type(loss)(**{**vars(loss), "reduction": "none"})
    values, grad = loss(y, target)
    total = type(loss)(**{**vars(loss), "reduction": "sum"})(y, target)
    assert values.sum() == pytest.approx(total[0], rel=1e-12)
    np.testing.assert_array_equal(grad, total[1])
    alike = y.shape if values.shape == y.shape else np.delete(y.shape, min(1, y.ndim - 1))
    assert values.shape == tuple(alike)


def test_values_known_by_hand():
    y = np.log([[1.0, 3.0], [1.0, 1.0]])
    assert nn.CrossEntropyLoss()(y, [1, 0])[0] == pytest.approx(np.log([4 / 3, 2]).mean())
    weighted = nn.CrossEntropyLoss(weight=[1, 3])(y, [1, 0])[0]
    assert weighted == pytest.approx((3 * np.log(4 / 3) + np.log(2)) / 4)
    ignored = nn.CrossEntropyLoss(ignore_index=7)(y, [1, 7])
    assert ignored[0] == pytest.approx(np.log(4 / 3))
    assert (ignored[1][1] == 0).all()
    assert nn.BCEWithLogitsLoss()([np.log(3)], [1])[0] == pytest.approx(np.log(4 / 3), rel=1e-6)
    yes = nn.BCEWithLogitsLoss(pos_weight=[2.0])([np.log(3)], [1])[0]
    assert yes == pytest.approx(2 * np.log(4 / 3), rel=1e-6)


@pytest.mark.parametrize("size", (1e4, 3e38))
def test_no_logit_is_too_large(size):
    y = np.array([[size, 0, -size], [size, 0, -size]], np.float32)
    value, grad = nn.CrossEntropyLoss(reduction="none")(y, [0, 1])
    assert value.tolist() == [0, np.float32(size)]
    assert np.isfinite(grad).all()
    value, grad = nn.BCEWithLogitsLoss(reduction="none")(y[0], [1, 1, 0])
    assert value.tolist() == pytest.approx([0, np.log(2), 0])
    assert grad.tolist() == [0, -0.5, 0]


def test_nan_goes_on_quietly():
    y = np.full((2, 3), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(nn.CrossEntropyLoss()(y, [0, 1])[0])
        assert np.isnan(nn.MSELoss()(y, y)[0])
        assert np.isnan(nn.CrossEntropyLoss()(np.full((1, 2), np.inf), [0])[0])


def test_nothing_counts():
    value, grad = nn.CrossEntropyLoss(ignore_index=0)(np.ones((2, 3)), [0, 0])
    assert np.isnan(value)
    assert (grad == 0).all()
    value, grad = nn.CrossEntropyLoss(reduction="sum")(np.ones((0, 3)), np.zeros(0, int))
    assert value == 0
    assert grad.shape == (0, 3)


WRONG = [
    (lambda: nn.MSELoss("average"), "MSELoss: reduction is 'average'"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), "label_smoothing is 1.5"),
    (lambda: nn.CrossEntropyLoss(weight=np.ones((2, 2))), r"weight is \(2, 2\)"),
    (lambda: nn.CrossEntropyLoss()(np.ones((2, 3)), [0, 3]), "holds 3 at .1,., y has 3 classes"),
    (lambda: nn.CrossEntropyLoss()(np.ones((2, 3)), [0, -1]), "holds -1 at"),
    (lambda: nn.CrossEntropyLoss()(np.ones((2, 3)), [0.0, 1.0]), "labels are integers"),
    (lambda: nn.CrossEntropyLoss()(np.ones((2, 3)), [0, 1, 1]), r"y is \(2, 3\), target \(3,\)"),
    (lambda: nn.CrossEntropyLoss([1, 2])(np.ones((2, 3)), [0, 1]), "3 classes, weight 2 numbers"),
    (lambda: nn.CrossEntropyLoss()(np.ones((0, 3)), np.zeros(0, int)), "no mean of nothing"),
    (lambda: nn.CrossEntropyLoss(reduction="sum")(np.ones((2, 0)), [0, 0]), "no classes"),
    (lambda: nn.CrossEntropyLoss()(np.ones((2, 3), complex), [0, 1]), "complex128, not real"),
    (lambda: nn.BCEWithLogitsLoss()([1.0], [2]), "target goes from 2.0 to 2.0"),
    (lambda: nn.BCEWithLogitsLoss()([1.0], [np.nan]), "target goes from nan"),
    (lambda: nn.BCEWithLogitsLoss(pos_weight=[1, 2, 3])(np.ones((2, 2)), np.ones((2, 2))), "pos_w"),
    (lambda: nn.MSELoss()(np.ones((2, 1)), [1, 2]), r"fix\s+target.reshape\(\(2, 1\)\)"),
    (lambda: nn.L1Loss()(np.ones(2), np.ones(3)), r"L1Loss: y is \(2,\), target \(3,\)"),
    (lambda: nn.L1Loss()(np.ones(1), ["a"]), "target is <U1, not real numbers"),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_what_is_refused(call, message):
    with pytest.raises(ProblemError, match=message):
        call()


def test_repr_says_the_arguments():
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"
    assert "label_smoothing=0.1" in repr(nn.CrossEntropyLoss(label_smoothing=0.1))
