"""Every mistake in a gradient's arguments gets one message, and leaves out as it was."""

import re

import numpy as np
import pytest

import grad_cases
import npconv
from npconv import conv_grad, conv_input_grad, conv_weight_grad, plan
from test_errors import GEOMETRY

X, WEIGHT = np.ones((2, 4, 9, 8), np.float32), np.ones((6, 4, 3, 2), np.float32)
GRAD = np.ones((2, 6, 7, 7), np.float32)


def calls(grad_out=GRAD, x=X, weight=WEIGHT, x_shape=None, weight_shape=None, **keywords):
    """Both gradients of these arrays, as calls, with an out that must be left as it was."""
    x_shape = X.shape if x_shape is None else x_shape
    weight_shape = WEIGHT.shape if weight_shape is None else weight_shape
    room = {
        name: np.full(a.shape, 7, np.float32) for name, a in (("x", X), ("weight", WEIGHT))
    }  # fmt: skip
    yield (
        "conv_input_grad",
        lambda: conv_input_grad(grad_out, weight, x_shape, **{"out": room["x"], **keywords}),
    )
    yield (
        "conv_weight_grad",
        lambda: conv_weight_grad(grad_out, x, weight_shape, **{"out": room["weight"], **keywords}),
    )
    assert (room["x"] == 7).all()
    assert (room["weight"] == 7).all()


def test_the_layout_of_a_message():
    with pytest.raises(npconv.ProblemError, match=r"^conv_input_grad: ") as caught:
        conv_input_grad(GRAD, WEIGHT, X.shape, stride=2)
    lines = str(caught.value).split("\n")
    assert re.match(
        r"conv_input_grad: grad_out has shape \(2, 6, 7, 7\), .*\(2, 6, 4, 4\)", lines[0]
    )
    assert [re.split(r" {2,}", line.strip()) for line in lines[1:4]] == [
        ["grad_out", "(2, 6, 7, 7)", "NCHW"],
        ["weight", "(6, 4, 3, 2)", "OIHW"],
        ["x_shape", "(2, 4, 9, 8)", "NCHW"],
    ]
    assert lines[4].startswith("  rule ")
    with pytest.raises(npconv.ProblemError, match=r"^conv_weight_grad: ") as caught:
        conv_weight_grad(GRAD, X, WEIGHT.shape, stride=2)
    assert [re.split(r" {2,}", line.strip()) for line in str(caught.value).split("\n")[1:4]] == [
        ["grad_out", "(2, 6, 7, 7)", "NCHW"],
        ["x", "(2, 4, 9, 8)", "NCHW"],
        ["weight_shape", "(6, 4, 3, 2)", "OIHW"],
    ]
    with pytest.raises(npconv.ProblemError, match=r"^conv_grad: grad_out has shape") as caught:
        conv_grad(GRAD, X, WEIGHT, stride=2)
    assert re.search(r"(?s)\n  grad_out .*\n  x  .*\n  weight  ", str(caught.value))


@pytest.mark.parametrize(("keywords", "match"), GEOMETRY)
def test_geometry(keywords, match):
    for name, call in calls(**keywords):
        with pytest.raises(npconv.ProblemError, match=match) as caught:
            call()
        assert str(caught.value).startswith(f"{name}: ")
    with pytest.raises(npconv.ProblemError, match=match) as caught:
        conv_grad(GRAD, X, WEIGHT, **keywords)
    assert str(caught.value).startswith("conv_grad: ")
    for direction in grad_cases.DIRECTIONS:
        with pytest.raises(npconv.ProblemError, match=match):
            plan(X, WEIGHT, direction=direction, **keywords)


@pytest.mark.parametrize(
    "shape",
    [
        (2, 6, 7, 8), (2, 6, 8, 7), (2, 5, 7, 7), (1, 6, 7, 7), (0, 6, 7, 7), (2, 6, 1, 1),
        (2, 4, 9, 8), (3, 6, 7, 7), (2, 0, 7, 7),
    ],
)  # fmt: skip
def test_grad_out_of_another_shape(shape):
    """One that would broadcast is refused too."""
    wrong = np.ones(shape, np.float32)
    message = rf"grad_out has shape {re.escape(str(shape))}, .* \(2, 6, 7, 7\)"
    for name, call in calls(grad_out=wrong):
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: {message}"):
            call()
    with pytest.raises(npconv.ProblemError, match=rf"^conv_grad: {message}"):
        conv_grad(wrong, X, WEIGHT)


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({"stride": 2}, (2, 6, 4, 4)), ({"padding": 1}, (2, 6, 9, 9)),
        ({"dilation": 3}, (2, 6, 3, 5)), ({"padding": "same"}, (2, 6, 9, 8)),
    ],
)  # fmt: skip
def test_grad_out_of_another_geometry(keywords, wanted):
    for name, call in calls(**keywords):
        with pytest.raises(
            npconv.ProblemError, match=rf"^{name}: grad_out has shape .*{re.escape(str(wanted))}"
        ):
            call()


@pytest.mark.parametrize("shape", [(2, 6, 7), (6, 7, 7), (1, 2, 6, 7, 7), (), (588,)])
def test_grad_out_of_another_rank(shape):
    wrong = np.ones(shape, np.float32)
    match = rf"grad_out has {len(shape)} axes"
    for name, call in calls(grad_out=wrong):
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: .*{match}"):
            call()
    with pytest.raises(npconv.ProblemError, match=rf"^conv_grad: .*{match}"):
        conv_grad(wrong, X, WEIGHT)
    with pytest.raises(npconv.ProblemError, match=match):
        conv_weight_grad(wrong, X, WEIGHT.shape, layout="NCHW", weight_layout="OIHW")


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (GRAD.astype(str), r"dtype <U32, which cannot be convolved"),
        (GRAD.astype(object), r"dtype object, which cannot be convolved"),
        (np.zeros(GRAD.shape, "M8[s]"), r"dtype datetime64\[s\]"),
        (np.ma.masked_array(GRAD, GRAD > 0), r"is a masked array, and its mask"),
        ([[1, 2], [3]], r"is not an array: .*inhomogeneous"),
        (None, r"dtype object"),
    ],
)
def test_what_is_no_array_of_numbers(value, match):
    for name, call in calls(grad_out=value):
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: grad_out .*{match}"):
            call()
    for name, call in calls(x=value, weight=value):
        other = {"conv_input_grad": "weight", "conv_weight_grad": "x"}[name]
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: {other} .*{match}"):
            call()
    for place, arrays in (
        ("grad_out", (value, X, WEIGHT)),
        ("x", (GRAD, value, WEIGHT)),
        ("weight", (GRAD, X, value)),
    ):
        with pytest.raises(npconv.ProblemError, match=rf"^conv_grad: {place} .*{match}"):
            conv_grad(*arrays)


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((2, 4, 9), r"3 axes|has 4 axes"),
        ((1, 2, 4, 9, 8), r"5 axes|has 4 axes"),
        ((), r"grad_out has 4 axes, x has 0"),
        ((2, 4, -9, 8), r"x_shape \(2, 4, -9, 8\) has a negative length"),
        ((2, 4, 9.0, 8), r"x_shape is \(2, 4, 9\.0, 8\)"),
        ((2, 4, None, 8), r"x_shape is \(2, 4, None, 8\)"),
        ("NCHW", r"x_shape is 'NCHW'"),
        (None, r"x_shape is None"),
        (8, r"x_shape is 8"),
        ((2, 3, 9, 8), r"x has 3 channels, weight wants 4"),
        ((2, 8, 9, 8), r"x has 8 channels, weight wants 4"),
        ((3, 4, 9, 8), r"grad_out has shape \(2, 6, 7, 7\), .*\(3, 6, 7, 7\)"),
        ((2, 4, 10, 8), r"grad_out has shape \(2, 6, 7, 7\), .*\(2, 6, 8, 7\)"),
        ((2, 4, 2, 8), r"kernel spans 3 and padded x only 2 on spatial axis 0"),
        ((2, 4, 0, 8), r"kernel spans 3 and padded x only 0"),
        (np.ones((2, 3, 9, 8)), r"x has 3 channels"),
        (np.array([2, 4, 9, 8]), r"1 axes|has 4 axes"),
    ],
)
def test_an_impossible_x_shape(shape, match):
    out = np.full(X.shape, 7, np.float32)
    with pytest.raises(npconv.ProblemError, match=rf"^conv_input_grad: .*({match})"):
        conv_input_grad(GRAD, WEIGHT, shape, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((6, 4, 3), r"weight has 3 axes, and beside x's layout NCHW"),
        ((6, 4, 3, 2, 1), r"weight has 5 axes"),
        ((), r"weight has 0 axes"),
        ((6, 4, -3, 2), r"weight_shape \(6, 4, -3, 2\) has a negative length"),
        ((6, 4, 3, 2.5), r"weight_shape is \(6, 4, 3, 2\.5\)"),
        ("OIHW", r"weight_shape is 'OIHW'"),
        (None, r"weight_shape is None"),
        (3, r"weight_shape is 3"),
        ((6, 3, 3, 2), r"x has 4 channels, weight wants 3"),
        ((6, 2, 3, 2), r"x has 4 channels, weight wants 2"),
        ((5, 4, 3, 2), r"grad_out has shape \(2, 6, 7, 7\), .*\(2, 5, 7, 7\)"),
        ((6, 4, 2, 2), r"grad_out has shape \(2, 6, 7, 7\), .*\(2, 6, 8, 7\)"),
        ((6, 4, 0, 2), r"the kernel 0x2 has an axis of length 0"),
        ((6, 4, 10, 2), r"kernel spans 10 and padded x only 9"),
        (np.ones((6, 4, 2, 2)), r"grad_out has shape"),
    ],
)
def test_an_impossible_weight_shape(shape, match):
    out = np.full(WEIGHT.shape, 7, np.float32)
    with pytest.raises(npconv.ProblemError, match=rf"^conv_weight_grad: .*{match}"):
        conv_weight_grad(GRAD, X, shape, out=out)
    assert (out == 7).all()


def test_a_shape_is_shown_without_what_the_caller_never_gave():
    with pytest.raises(npconv.ProblemError, match="x_shape") as caught:
        conv_input_grad(GRAD, WEIGHT, (2, 4, 9.5, 8))
    assert "float32" not in str(caught.value)


@pytest.mark.parametrize("layout", ["HW", "NHW"])
def test_channels_where_the_layout_has_none(layout):
    grad_out = np.ones((2, 7, 7)[-len(layout) :])
    x = np.ones((2, 9, 8)[-len(layout) :])
    with pytest.raises(npconv.ProblemError, match=r"6 output channels, and layout has no C"):
        conv_weight_grad(grad_out, x, (6, 3, 2), layout=layout, weight_layout="OHW")
    with pytest.raises(npconv.ProblemError, match=r"weight wants 4"):
        conv_input_grad(grad_out, np.ones((4, 3, 2)), x.shape, layout=layout, weight_layout="IHW")


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"layout": "NCHH"}, r"names an axis twice"),
        ({"layout": "NCH"}, r"names 3 axes"),
        ({"layout": 5}, r"layout is 5, not a string"),
        ({"layout": ["NCHW"]}, r"layout is \['NCHW'\], not a string"),
        ({"weight_layout": "OIHD"}, r"weight_layout 'OIHD' has the spatial axes"),
        ({"weight_layout": "NCHW"}, r"which weight has no axis for"),
    ],
)
def test_layouts(keywords, match):
    for name, call in calls(**keywords):
        with pytest.raises(npconv.ProblemError, match=rf"^{name}: .*{match}"):
            call()
    with pytest.raises(npconv.ProblemError, match=rf"^conv_grad: .*{match}"):
        conv_grad(GRAD, X, WEIGHT, **keywords)
