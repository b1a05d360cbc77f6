"""The transposed convolution: layouts, dtypes, out, mistakes, and its geometry."""

import re

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import conv, conv_transpose
from transpose_cases import each, transposed


@pytest.mark.parametrize(
    ("layout", "weight_layout"),
    [
        ("NCHW", None), ("NCHW", "IOWH"), ("NHWC", None), ("NHWC", "OIHW"), ("HWC", None),
        ("CHW", None), ("WCNH", "OIHW"), ("CNHW", None),
    ],
)  # fmt: skip
def test_layouts(layout, weight_layout):
    rng = np.random.default_rng(3)
    batch = 2 if "N" in layout else 1
    x = oracle.small_integers(rng, (batch, 4, 5, 6), "float64")
    weight = oracle.small_integers(rng, (4, 3, 3, 2), "float64")
    bias = oracle.small_integers(rng, (6,), "float64")
    want = transposed(
        x, weight, bias, [1, 0], [10, 13], stride=[2, 2], dilation=[1, 2], groups=2
    )  # fmt: skip
    default = "OIHW" if layout.index("C") < layout.index("H") else "HWIO"
    kernel = weight.transpose(["OIHW".index(a) for a in weight_layout or default])

    def lay(array):
        array = array if "N" in layout else array[0]
        source = "NCHW" if "N" in layout else "CHW"
        return array.transpose([source.index(a) for a in layout])

    spatial = [a for a in layout if a in "HW"]
    keywords = {"stride": 2, "padding": ((1, 0), (0, 0)), "dilation": (1, 2), "groups": 2}
    keywords["output_padding"] = 0
    if spatial == ["W", "H"]:
        keywords |= {"padding": ((0, 0), (1, 0)), "dilation": (2, 1)}
    given = lay(x).copy()
    for name, out in each(
        given, kernel, bias, layout=layout, weight_layout=weight_layout, **keywords
    ):
        cases.same_numbers(name, out, lay(want))
        assert out.flags.c_contiguous, name


def test_images_without_channels_and_lists():
    for name, out in each([[1, 2], [3, 4]], [[1, 10], [100, 1000]], layout="HW", stride=2):
        assert out.tolist() == [
            [1, 10, 2, 20], [100, 1000, 200, 2000], [3, 30, 4, 40], [300, 3000, 400, 4000],
        ], name  # fmt: skip
    out = conv_transpose([1.0, 2.0], [1.0, 1.0, 1.0], 0.5, layout="W")
    assert out.tolist() == [1.5, 3.5, 3.5, 2.5]


def test_memory_follows_x_and_out_is_written():
    rng = np.random.default_rng(4)
    x = oracle.small_integers(rng, (2, 5, 6, 4), "float32").transpose(0, 3, 1, 2)
    weight = oracle.small_integers(rng, (4, 3, 3, 3), "float32")
    want = transposed(x, weight, None, [1, 1], [9, 11], stride=[2, 2], dilation=[1, 1])
    for name, out in each(x, weight, stride=2, padding=1):
        cases.same_numbers(name, out, want, np.float32)
        assert out.transpose(0, 2, 3, 1).flags.c_contiguous, name
        room = np.full(want.shape, np.nan, np.float32)
        got = conv_transpose(x, weight, stride=2, padding=1, algorithm=name, out=room)
        assert got is room
        cases.same_numbers(name, room, want)
    square = oracle.small_integers(rng, (3, 3, 5), "float64")
    want = transposed(square, square, None, [2], [5], stride=[1], dilation=[1])
    assert conv_transpose(square, square, padding=2, out=square) is square
    np.testing.assert_array_equal(square, want)


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int64", "uint64", "complex128"])
def test_dtypes(dtype):
    rng = np.random.default_rng(5)
    x, weight, bias = (oracle.small_integers(rng, s, dtype) for s in ((2, 2, 5), (2, 3, 3), (3,)))
    want = transposed(x, weight, bias, [1], [10], stride=[2], dilation=[1])
    result = np.int64 if dtype == "uint8" else dtype
    for name, out in each(x, weight, bias, stride=2, padding=((1, 0),)):
        assert out.dtype == result, name
        np.testing.assert_allclose(out, want.astype(result), atol=1e-2 * (name in cases.ROUNDS))


def test_half_precision_adds_the_bias_before_it_rounds():
    x, weight = np.full((1, 1, 1), 2048, np.float16), np.ones((1, 1, 1), np.float16)
    for name, out in each(x, weight, np.array([1.0], np.float16)):
        assert out.tolist() == [[[2048.0]]], name
    x[...] = 60000
    for name, out in each(x, weight * 2, np.array([-60000.0], np.float16)):
        assert out.tolist() == [[[60000.0]]], name


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "geometry", "want_shape"),
    [
        ((0, 4, 5), (4, 3, 3), {"stride": 2}, (0, 3, 11)),
        ((2, 0, 5), (0, 3, 3), {"stride": 2}, (2, 3, 11)),
        ((2, 0, 5), (0, 3, 3), {"groups": 2}, (2, 6, 7)),
        ((2, 4, 5), (4, 0, 3), {"stride": 2}, (2, 0, 11)),
        ((2, 2, 3), (2, 2, 2), {"stride": 4}, (2, 2, 10)),
    ],
)
def test_nothing_is_zeros_and_the_bias(x_shape, weight_shape, geometry, want_shape):
    bias = np.arange(want_shape[1], dtype=np.float32)
    x, weight = np.zeros(x_shape, np.float32), np.ones(weight_shape, np.float32)
    for name, out in each(x, weight, bias, **geometry):
        want = np.broadcast_to(bias[:, None], want_shape)
        np.testing.assert_array_equal(out, want, err_msg=name)
        assert out.dtype == np.float32
        room = np.full(want_shape, np.nan, np.float32)
        conv_transpose(x, weight, algorithm=name, out=room, **geometry)
        np.testing.assert_array_equal(room, np.zeros(want_shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_inf_reach_their_window_alone(value):
    x, weight = np.ones((1, 1, 9)), np.ones((1, 1, 3))
    x[..., 4] = value
    for name, out in each(x, weight, stride=2, padding=1):
        assert np.flatnonzero(~np.isfinite(out)).tolist() == [7, 8, 9], name


X, WEIGHT = np.ones((2, 4, 5, 6), np.float32), np.ones((4, 3, 3, 2), np.float32)


MISTAKES = [
    ({"output_padding": 1}, r"output_padding is 1 on spatial axis 0, where stride is 1 and"),
    ({"output_padding": (1, 2), "stride": 2}, r"output_padding is 2 on spatial axis 1"),
    ({"output_padding": -1, "stride": 2}, r"output_padding is -1 on spatial axis 0"),
    ({"output_padding": 3, "stride": 2, "dilation": 3}, r"output_padding is 3 on .*dilation 3"),
    ({"output_padding": 0.5, "stride": 2}, r"output_padding is 0\.5, not an integer"),
    ({"output_padding": (0, 0, 0)}, r"output_padding \(0, 0, 0\) has 3 entries"),
    ({"out_size": (7, 6)}, r"out_size is 6 on spatial axis 1.*"),
    ({"out_size": (7, 8)}, r"(?s)out_size is 8 on spatial axis 1.*7 to 7"),
    ({"out_size": (14, 12), "stride": 2}, r"out_size is 14 on .* axis 0"),
    ({"out_size": (12, 14), "stride": 2}, r"(?s)out_size is 14 on .* axis 1.*12 to 13"),
    ({"out_size": -3}, r"out_size is -3, and must be at least"),
    ({"out_size": 7.0}, r"out_size is 7\.0, not an integer"),
    ({"out_size": (7,)}, r"out_size \(7,\) has 1 entries"),
    ({"out_size": 11, "output_padding": 1, "stride": 2}, r"both settle the size"),
    ({"padding": "same", "output_padding": 1, "stride": 2}, r"both settle the size"),
    ({"padding": 9}, r"leaves the spatial size"),
    ({"padding": "sme"}, r"padding 'sme' is not known"),
    ({"padding": 1.5}, r"padding is 1\.5, not an integer"),
    ({"stride": 0}, r"stride is 0, and must be at least 1"),
    ({"dilation": 0}, r"dilation is 0, and must be at least 1"),
    ({"groups": 3}, r"groups=3"),
    ({"groups": 0}, r"groups is 0, and must be at least 1"),
    ({"bias": np.ones(4)}, r"bias has shape \(4,\), the result has 3 channels"),
    ({"bias": np.ones((3, 1))}, r"bias has shape \(3, 1\)"),
    ({"algorithm": "fftt"}, r"algorithm 'fftt' is not known"),
    ({"layout": "NHWC"}, r"x has 6 channels, weight wants 2"),
    ({"precision": "exact"}, r"precision 'exact' is not"),
    ({"out": np.ones((2, 3, 7, 8), np.float32)}, r"out has shape .*the result has \(2, 3, 7, 7\)"),
    ({"out": np.ones((2, 3, 7, 7), np.int32)}, r"out has dtype int32"),
]


@pytest.mark.parametrize(("keywords", "match"), MISTAKES)
def test_mistakes(keywords, match):
    room = np.full((2, 3, 7, 7), 7, np.float32)
    keywords = {"out": room, **keywords}
    with pytest.raises(npconv.ProblemError, match=match) as caught:
        conv_transpose(X, WEIGHT, **keywords)
    assert str(caught.value).startswith("conv_transpose: ")
    assert re.search(r"(?m)^  x +\(2, 4, 5, 6\)", str(caught.value))
    assert (room == 7).all()


@pytest.mark.parametrize(
    ("x", "weight", "match"),
    [
        (X, np.ones((3, 4, 3, 2)), r"x has 4 channels, weight wants 3"),
        (X, np.ones((4, 3, 3)), r"weight has 3 axes"),
        (X[0], np.ones((4, 3, 3, 2)), r"weight has 4 axes"),
        (X, np.ones((4, 3, 0, 2)), r"the kernel 0x2 has an axis of length 0"),
        (X[:, :, :0], WEIGHT, r"x has the spatial size \(0, 6\): there is nothing"),
        (X.astype(str), WEIGHT, r"x has dtype <U"),
        (X, WEIGHT.astype(object), r"weight has dtype object"),
        (1.0, WEIGHT, r"x has 0 axes"),
    ],
)
def test_arrays_that_do_not_fit(x, weight, match):
    with pytest.raises(npconv.ProblemError, match=rf"^conv_transpose: {match}"):
        conv_transpose(x, weight)


def test_an_algorithm_that_cannot_and_what_fits_in_no_memory():
    room = np.full((2, 3, 7, 7), 7)
    with pytest.raises(
        npconv.UnsupportedError, match=r"^conv_transpose: fft cannot do this: .*roun"
    ):
        conv_transpose(X.astype(int), WEIGHT.astype(int), algorithm="fft", out=room)
    assert (room == 7).all()
    for stride in (2**40, 2**62, 2**64, 10**400):
        with pytest.raises(MemoryError, match=r"^conv_transpose: .*\d.*B"):
            conv_transpose(X, WEIGHT, stride=stride)


def test_the_name_it_does_not_have():
    """A layer up and the layer down it undoes have the same weight, in the same layout."""
    small, weight = np.ones((1, 4, 5, 6)), np.ones((4, 2, 3, 3))
    big = conv_transpose(small, weight, stride=2, padding=1, output_padding=1)
    assert big.shape == (1, 2, 10, 12)
    assert conv(big, weight, stride=2, padding=1).shape == small.shape


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"padding": 1},
        {"padding": ((2, 0), (1, 3)), "output_padding": 1},
        {"dilation": 3, "output_padding": 2},
        {"padding": "same"},
        {"padding": "same_lower", "out_size": (9, 12)},
        {"padding": "same", "out_size": (40, 41)},
        {"out_size": (17, 14)},
    ],
    ids=str,
)
def test_its_geometry_gives_its_gradients(keywords):
    rng = np.random.default_rng(0)
    x = oracle.small_integers(rng, (2, 6, 5, 4), "float64")
    weight = oracle.small_integers(rng, (6, 2, 4, 5), "float64")
    shared = {"stride": 3, "groups": 2}
    y = conv_transpose(x, weight, **shared, **keywords)
    g = oracle.small_integers(rng, y.shape, "float64")
    shape, padding = npconv.conv_transpose_geometry(x, weight.shape, **shared, **keywords)
    assert shape == y.shape
    shared |= {"padding": padding, "dilation": keywords.get("dilation", 1)}
    inner = np.sum(g * y)
    assert inner == np.sum(x * npconv.conv(g, weight, **shared))
    assert inner == np.sum(weight * npconv.conv_weight_grad(x, g, weight, **shared))


def test_its_geometry_is_checked():
    with pytest.raises(npconv.ProblemError, match="conv_transpose_geometry: x has 3 channels"):
        npconv.conv_transpose_geometry((1, 3, 5), (2, 2, 3))
    with pytest.raises(npconv.ProblemError, match=r"x_shape is \(1, 2.5\)"):
        npconv.conv_transpose_geometry((1, 2.5), (2, 2, 3))
