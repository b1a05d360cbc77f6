"""Every mistake gets one message: what is wrong with the numbers, the facts, the way out."""

import re

import numpy as np
import pytest

import npconv
from npconv import ProblemError, UnsupportedError, conv, plan

X, WEIGHT = np.ones((2, 4, 9, 8), np.float32), np.ones((6, 4, 3, 2), np.float32)


def test_the_layout_of_a_message():
    with pytest.raises(ProblemError, match=r"^conv: ") as caught:
        conv(np.ones((8, 4, 32, 32)), np.ones((16, 3, 3, 3)))
    assert str(caught.value).split("\n") == [
        "conv: x has 4 channels, weight wants 3 (3 per group, groups=1).",
        "  x       (8, 4, 32, 32)    NCHW",
        "  weight  (16, 3, 3, 3)     OIHW",
        "  rule    channels of x == weight's I * groups",
        "  fix     pass weight with I = 4, or groups that divide both channel counts",
    ]
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ProblemError, match=r"^plan: x has 4 channels"):
        plan((8, 4, 32, 32), (16, 3, 3, 3))


GEOMETRY = [
    ({"stride": 0}, r"stride is 0, and must be at least 1"),
    ({"stride": -2}, r"stride is -2, and must be at least 1"),
    ({"stride": (1, 0)}, r"stride is 0, and must be at least 1"),
    ({"stride": 1.0}, r"stride is 1\.0, not an integer"),
    ({"stride": (1, 2.5)}, r"stride is 2\.5, not an integer"),
    ({"stride": np.float64(2)}, r"stride is .*2\.0.*, not an integer"),
    ({"stride": np.array(2.0)}, r"stride is array\(2\.\), not an integer"),
    ({"stride": np.array([1.0, 2])}, r"stride is .*1\.0.*, not an integer"),
    ({"stride": "2"}, r"stride is '2', not an integer"),
    ({"stride": None}, r"stride is None, not an integer"),
    ({"stride": [[1, 2], 3]}, r"stride is .*, not an integer"),
    ({"stride": {"H": 1}}, r"stride is \{'H': 1\}, not an integer"),
    ({"stride": (1, 2, 3)}, r"(?s)stride \(1, 2, 3\) has 3 entries, there are 2 spatial.*rule"),
    ({"stride": ()}, r"stride \(\) has 0 entries"),
    ({"dilation": 0}, r"dilation is 0, and must be at least 1"),
    ({"dilation": -1}, r"dilation is -1, and must be at least 1"),
    ({"dilation": 1.5}, r"dilation is 1\.5, not an integer"),
    ({"dilation": (2,)}, r"dilation \(2,\) has 1 entries"),
    ({"dilation": 5}, r"kernel spans 11 and padded x only 9 on spatial axis 0 \(9 \+ 0 \+ 0\)"),
    ({"groups": 0}, r"groups is 0, and must be at least 1"),
    ({"groups": -4}, r"groups is -4, and must be at least 1"),
    ({"groups": 2.0}, r"groups is 2\.0, not an integer"),
    ({"groups": (2,)}, r"groups is \(2,\), not an integer"),
    ({"groups": None}, r"groups is None, not an integer"),
    ({"groups": 2}, r"(?s)x has 4 channels, weight wants 8 \(4 per group, groups=2\).*I = 2"),
    ({"padding": 1.5}, r"padding is 1\.5, not an integer"),
    ({"padding": None}, r"padding is None, not an integer"),
    ({"padding": np.array(1.5)}, r"padding is .*1\.5.*, not an integer"),
    ({"padding": (1, "same")}, r"padding is 'same', not an integer"),
    ({"padding": (1, 2, 3)}, r"padding \(1, 2, 3\) has 3 entries"),
    ({"padding": ((1, 2),)}, r"padding has 1 entries, there are 2 spatial axes"),
    ({"padding": ((1, 2, 3), (1, 2, 3))}, r"a \(before, after\) of padding \(1, 2, 3\) has 3"),
    ({"padding": ((1, 2), (1, 2.5))}, r"padding is 2\.5, not an integer"),
    ({"padding": (((1,), 2), (1, 2))}, r"padding is \(1,\), not an integer"),
    ({"padding": "sam"}, r"(?s)padding 'sam' is not known.*valid, same, same_lower, full"),
    ({"padding": -4}, r"kernel spans 3 and padded x only 1 on spatial axis 0 \(9 \+ -4 \+ -4\)"),
    ({"padding": ((-9, 9), (-4, -4))}, r"kernel spans 2 and padded x only 0 on spatial axis 1"),
    ({"padding_mode": "reflct"}, r"(?s)padding_mode 'reflct' is not known.*mean 'reflect'\?"),
    ({"padding_mode": "mirror"}, r"(?s)padding_mode 'mirror' is not known.*zeros, edge, reflect"),
    ({"padding_mode": None}, r"padding_mode None is not known"),
    ({"padding_mode": ["zeros"]}, r"padding_mode .*zeros.* is not known"),
    ({"precision": "exact"}, r"precision 'exact' is not \"strict\" or \"fast\""),
    ({"precision": None}, r"precision None is not"),
    ({"precision": ["strict"]}, r"precision \['strict'\] is not"),
]  # fmt: skip


@pytest.mark.parametrize(("keywords", "match"), GEOMETRY)
def test_geometry(keywords, match):
    with pytest.raises(ProblemError, match=match) as caught:
        conv(X, WEIGHT, **keywords)
    assert str(caught.value).startswith("conv: ")
    assert re.search(r"(?m)^  x +\(2, 4, 9, 8\) +NCHW$", str(caught.value))
    with pytest.raises(ProblemError, match=match):
        plan(X, WEIGHT, **keywords)


def test_padding_of_one_axis_says_how_to_write_a_pair():
    with pytest.raises(ProblemError, match=r"for \(before, after\) .* write padding=\(\(1, 2\),\)"):
        conv(np.ones((1, 1, 9)), np.ones((1, 1, 2)), padding=(1, 2))


@pytest.mark.parametrize(
    ("x", "weight", "keywords", "match"),
    [
        ((1, 4, 9, 9), (4, 4, 3), {}, r"weight has 3 axes, and beside x's layout NCHW it must"),
        ((1, 4, 9, 9), (3, 2, 3, 3), {"groups": 2}, r"has 3 output channels, which groups=2"),
        ((1, 4, 9, 9), (4, 1, 3, 3), {}, r"x has 4 channels, weight wants 1"),
        ((1, 4, 9, 9), (4, 4, 10, 3), {}, r"kernel spans 10 and padded x only 9 on spatial axis 0"),
        ((1, 4, 9, 9), (4, 4, 3, 12), {"padding": 1}, r"spans 12 and padded x only 11 on .* 1"),
        ((1, 4, 9, 9), (4, 4, 0, 3), {}, r"the kernel 0x3 has an axis of length 0"),
        ((1, 4, 0, 9), (4, 4, 1, 3), {}, r"spans 1 and padded x only 0"),
    ],
)  # fmt: skip
def test_shapes(x, weight, keywords, match):
    with pytest.raises(ProblemError, match=match):
        conv(np.ones(x), np.ones(weight), **keywords)
    with pytest.raises(ProblemError, match=match):
        plan(x, weight, **keywords)


@pytest.mark.parametrize("shape", [(5,), (1, 6), (6, 1), (2,), (0,), (1, 6, 1, 1)])
def test_bias_of_the_wrong_shape(shape):
    message = rf"bias has shape {re.escape(str(shape))}, the result has 6 channels"
    with pytest.raises(ProblemError, match=message):
        conv(X, WEIGHT, np.ones(shape))
    with pytest.raises(ProblemError, match=message):
        plan(X, WEIGHT)(X, WEIGHT, np.ones(shape))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.array([[[1, None]]]), r"has dtype object, which cannot be convolved"),
        ("abc", r"has dtype <U3, which cannot be convolved"),
        (np.array([b"abc"]), r"has dtype \|S3"),
        (np.zeros((1, 1, 3), "M8[s]"), r"has dtype datetime64\[s\]"),
        (np.zeros((1, 1, 3), "m8[s]"), r"has dtype timedelta64\[s\]"),
        (np.zeros((1, 1, 3), [("a", int)]), r"has dtype \[\('a', '<i8'\)\]"),
        (np.ma.masked_array(np.ones((1, 1, 3)), [[[0, 1, 0]]]), r"is a masked array, and its mask"),
        ([[1, 2], [3]], r"is not an array: .*inhomogeneous"),
        (None, r"has dtype object"),
        ({1: 2}, r"has dtype object"),
        ([[[2**70]]], r"has dtype object"),
    ],
)
def test_what_is_no_array_of_numbers(value, match):
    for arguments, name in (
        ((value, np.ones((1, 1, 1))), "x"),
        ((np.ones((1, 1, 3)), value), "weight"),
        ((np.ones((1, 1, 3)), np.ones((1, 1, 1)), value), "bias"),
    ):
        if name != "bias" or value is not None:
            with pytest.raises(ProblemError, match=rf"^conv: {name} {match}"):
                conv(*arguments)


def test_zero_dimensional_arrays():
    with pytest.raises(ProblemError, match="x has 0 axes, and without a layout"):
        conv(1.0, np.ones((1, 1, 1)))
    with pytest.raises(ProblemError, match="weight has 0 axes, and beside x's layout NCW"):
        conv(np.ones((1, 1, 3)), 2.0)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("fftt", r"(?s)algorithm 'fftt' is not known.*auto, naive.*did you mean 'fft'\?"),
        ("im2col_tild", r"did you mean 'im2col_tiled'\?"),
        ("xyz", r"(?s)algorithm 'xyz' is not known.*fix +algorithm=\"auto\""),
        (None, r"algorithm .*None.* is not known"),
        (3, r"algorithm .*3.* is not known"),
        (["fft"], r"algorithm .*fft.* is not known"),
    ],
)
def test_unknown_algorithms(name, match):
    with pytest.raises(ProblemError, match=match):
        conv(X, WEIGHT, algorithm=name)


def test_an_algorithm_that_cannot():
    with pytest.raises(UnsupportedError, match=r"^conv: fft cannot do this: .*rounds") as caught:
        conv(X.astype(int), WEIGHT.astype(int), algorithm="fft")
    assert isinstance(caught.value, ValueError)
    assert not isinstance(caught.value, ProblemError)
    fix = str(caught.value).splitlines()[-1]
    assert re.match(r"  fix +take one of naive, taps", fix)
    able = {
        row.algorithm
        for row in npconv.plan(X.astype(int), WEIGHT.astype(int)).rows
        if not row.why_not
    }
    for name in npconv.algorithms():
        assert (name in fix) == (name in able)
    with pytest.raises(UnsupportedError, match=r"toeplitz cannot do this: a 1x1 kernel"):
        conv(X, WEIGHT[:, :, :1, :1], algorithm="toeplitz")
    with pytest.raises(UnsupportedError, match=r"fft cannot do this: transforms are float64"):
        conv(X.astype(np.longdouble), WEIGHT, algorithm="fft")


@pytest.mark.parametrize(
    ("arguments", "keywords", "match"),
    [
        (((1, 4, 9.5), (1, 4, 3)), {}, r"x_shape is \(1, 4, 9\.5\)"),
        (((1, 4, -9), (1, 4, 3)), {}, r"x_shape \(1, 4, -9\) has a negative length"),
        (((1, 4, 9), "abc"), {}, r"weight_shape is 'abc'"),
        (((1, 4, 9), 3), {}, r"weight_shape is 3"),
        (((1, 4, 9), (1, 4, 3), "float33"), {}, r"dtype is 'float33'"),
        (((1, 4, 9), (1, 4, 3), "object"), {}, r"dtype object.* cannot be convolved"),
        (((1, 4, 9), (1, 4, 3)), {"effort": "guess"}, r"effort 'guess' is not \"estimate\" or"),
        (((1, 4, 9), (1, 4, 3)), {"effort": ["measure"]}, r"effort \['measure'\] is not"),
        (((1, 4, 9), (1, 4, 3)), {"memory_limit": 1e6}, r"memory_limit is 1000000\.0, not a"),
        (((1, 4, 9), (1, 4, 3)), {"memory_limit": "1G"}, r"memory_limit is '1G', not a number"),
    ],
)  # fmt: skip
def test_mistakes_in_plan(arguments, keywords, match):
    with pytest.raises(ProblemError, match=rf"^plan: .*{match}"):
        plan(*arguments, **keywords)


def test_errors_survive_a_process_boundary():
    import pickle

    with pytest.raises(ProblemError, match="x has 4 channels") as caught:
        conv(X, WEIGHT[:, :2])
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ProblemError
    assert str(again) == str(caught.value)


def test_a_tuple_of_numbers_is_shown_as_an_array_and_a_shape_as_a_shape():
    with pytest.raises(ProblemError, match=r"\n  x  +\(4,\)\n"):
        conv((1, 2, 3, 4), (1, 2), layout="HW")
    with pytest.raises(ProblemError, match=r"\n  x_shape  +\(1, 1, 10\)  +NCW\n"):
        plan((1, 1, 10), (1, 2, 3))
    with pytest.raises(ProblemError, match=r"\n  x_shape  +int\n"):
        plan(5, (1, 2))
