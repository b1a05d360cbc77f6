"""unfold and fold: im2col's order, its adjoint, every layout and padding mode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import oracle
import oracle_grad
import pool_cases
from npconv import conv, fold, unfold

DTYPES = (
    "bool",
    "int8",
    "uint16",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float32",
    "float64",
    "longdouble",
    "F",
    "D",
)
AXES = "ABDEF"
ways = st.sampled_from(sorted(pool_cases.WAYS))


def taken(size, kernel_size, *, stride=1, padding=0, dilation=1, padding_mode="zeros"):
    """Which element, counted in row-major order, each tap of each window holds; -1 is a zero."""
    d = len(size)
    stride, dilation = oracle.per_axis(stride, d), oracle.per_axis(dilation, d)
    axes = zip(size, kernel_size, stride, dilation, oracle.pairs(padding, d), strict=True)
    flat = np.zeros((1, 1), int)
    outside = np.zeros((1, 1), bool)
    for n, k, s, e, pair in axes:
        here = oracle_grad.standing(n, *pair, padding_mode)
        windows = (len(here) - e * (k - 1) - 1) // s + 1
        index = here[np.arange(k)[:, None] * e + np.arange(windows) * s]  # (tap, window)
        rows, columns = len(flat) * k, flat.shape[1] * windows
        flat = (flat[:, None, :, None] * n + index[:, None]).reshape(rows, columns)
        outside = (outside[:, None, :, None] | (index < 0)[:, None]).reshape(rows, columns)
    return np.where(outside, -1, flat)


def unfolded(x, kernel_size, **geometry):
    """The matrix (N, C, taps, L) of a channels-first x."""
    index = taken(x.shape[2:], kernel_size, **geometry)
    flat = x.reshape(*x.shape[:2], -1)
    return np.where(index < 0, np.zeros((), x.dtype), flat[:, :, np.maximum(index, 0)])


def folded(columns, size, kernel_size, **geometry):
    """The adjoint of `unfolded`."""
    index = taken(size, kernel_size, **geometry)
    flat = np.zeros((*columns.shape[:2], int(np.prod(size))), oracle.wide(columns))
    where = (slice(None), slice(None), index[index >= 0])
    np.add.at(flat, where, columns[:, :, index >= 0])
    return flat.reshape(*columns.shape[:2], *size)


def spatial(case):
    """A Case's geometry without groups, and the layout for its rank."""
    geometry = {k: v for k, v in case.geometry.items() if k != "groups"}
    return geometry, AXES[: len(case.x_shape) - 2]


@cases.examples(120, 4000)
@given(
    cases.problems(max_ndim=4), st.sampled_from(DTYPES), st.sampled_from(tuple(cases.PLACES)), ways
)
def test_unfold(case, dtype, place, way):
    with pool_cases.way(way):
        check_unfold(case, dtype, place)


def check_unfold(case, dtype, place):
    geometry, axes = spatial(case)
    kernel_size = case.weight_shape[2:]
    x, _, _ = case.arrays(dtype)
    want = unfolded(x, kernel_size, **geometry)
    n, c, taps, windows = want.shape
    columns = unfold(cases.PLACES[place](x), kernel_size, layout="NC" + axes, **geometry)
    assert columns.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(columns, want.reshape(n, c * taps, windows))
    last = cases.PLACES[place](np.moveaxis(x, 1, -1))
    columns = unfold(last, kernel_size, layout="N" + axes + "C", **geometry)
    want = want.transpose(0, 3, 2, 1).reshape(n, windows, taps * c)
    np.testing.assert_array_equal(columns, want)
    assert columns.dtype == np.dtype(dtype)


@cases.examples(120, 4000)
@given(
    cases.problems(max_ndim=4), st.sampled_from(DTYPES), st.sampled_from(tuple(cases.PLACES)), ways
)
def test_fold(case, dtype, place, way):
    with pool_cases.way(way):
        check_fold(case, dtype, place)


def check_fold(case, dtype, place):
    geometry, axes = spatial(case)
    kernel_size, size = case.weight_shape[2:], case.x_shape[2:]
    x, _, _ = case.arrays()
    shape = n, c, taps, windows = unfolded(x, kernel_size, **geometry).shape
    columns = oracle.small_integers(np.random.default_rng(case.seed), shape, dtype)
    want = folded(columns, size, kernel_size, **geometry)
    kind = np.dtype(dtype)
    result = kind if kind.kind in "fc" or dtype == "uint64" else np.int64
    given = cases.PLACES[place](columns.reshape(n, c * taps, windows))
    back = fold(given, size, kernel_size, layout="NC" + axes, **geometry)
    assert back.dtype == result
    np.testing.assert_array_equal(back, want.astype(result))
    given = cases.PLACES[place](columns.transpose(0, 3, 2, 1).reshape(n, windows, taps * c))
    back = fold(given, size, kernel_size, layout="N" + axes + "C", **geometry)
    np.testing.assert_array_equal(back, np.moveaxis(want, 1, -1).astype(result))


@cases.examples(60, 2000)
@given(cases.problems(max_ndim=4), ways)
def test_they_are_adjoint_exactly(case, way):
    with pool_cases.way(way):
        check_adjoint(case)


def check_adjoint(case):
    geometry, axes = spatial(case)
    kernel_size = case.weight_shape[2:]
    x, _, _ = case.arrays("int64")
    for layout, array in (("NC" + axes, x), ("N" + axes + "C", np.moveaxis(x, 1, -1))):
        columns = unfold(array, kernel_size, layout=layout, **geometry)
        rng = np.random.default_rng(case.seed + 1)
        other = oracle.small_integers(rng, columns.shape, "int64")
        back = fold(other, x.shape[2:], kernel_size, layout=layout, **geometry)
        assert back.shape == array.shape
        assert (columns * other).sum() == (array * back).sum()


@cases.examples(60, 2000)
@given(cases.problems(max_ndim=3), ways)
def test_conv_is_one_product_with_the_columns(case, way):
    with pool_cases.way(way):
        check_product(case)


def check_product(case):
    geometry, axes = spatial(case)
    kernel_size = case.weight_shape[2:]
    x, weight, _ = case.arrays()
    groups, outputs = case.geometry["groups"], weight.shape[0] // case.geometry["groups"]
    want = oracle.direct(x, weight, **case.geometry)
    columns = unfold(x, kernel_size, **geometry)
    rows = columns.reshape(len(x), groups, -1, columns.shape[2])
    out = weight.reshape(groups, outputs, -1) @ rows
    np.testing.assert_array_equal(out.reshape(want.shape), want)
    columns = unfold(np.moveaxis(x, 1, -1), kernel_size, layout="N" + axes + "C", **geometry)
    if groups == 1:
        out = columns @ np.moveaxis(weight, (0, 1), (-1, -2)).reshape(-1, outputs)
        last = np.moveaxis(want, 1, -1)
        np.testing.assert_array_equal(out.reshape(last.shape), last)
        # fold of the product turned is the input's gradient.
        grad_out = oracle.small_integers(np.random.default_rng(0), want.shape, "float64")
        columns = weight.reshape(outputs, -1).T @ grad_out.reshape(*want.shape[:2], -1)
        back = fold(columns, x.shape[2:], kernel_size, **geometry)
        wanted = oracle_grad.input_grad(grad_out, weight, x.shape, **case.geometry)
        np.testing.assert_array_equal(back, wanted)


def test_the_order_of_rows_and_windows():
    x = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    columns = unfold(x, (2, 3))
    assert columns.tolist() == [
        [
            [0, 1, 4, 5], [1, 2, 5, 6], [2, 3, 6, 7], [4, 5, 8, 9], [5, 6, 9, 10], [6, 7, 10, 11],
            [12, 13, 16, 17], [13, 14, 17, 18], [14, 15, 18, 19],
            [16, 17, 20, 21], [17, 18, 21, 22], [18, 19, 22, 23],
        ]
    ]  # fmt: skip
    last = unfold(np.moveaxis(x, 1, -1), (2, 3), layout="NHWC")
    assert last[0, 0].tolist() == [0, 12, 1, 13, 2, 14, 4, 16, 5, 17, 6, 18]
    assert last[0, 3].tolist() == [5, 17, 6, 18, 7, 19, 9, 21, 10, 22, 11, 23]
    # The example of ONNX's Col2Im: a 5x5 image from 1x5 blocks.
    columns = np.arange(1.0, 26).reshape(1, 5, 5)
    image = fold(columns, (5, 5), (1, 5))
    np.testing.assert_array_equal(image[0, 0], columns[0].T)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NCHW", (2, 12, 6)), ("NHWC", (2, 6, 12)), ("CHW", (12, 6)), ("HWC", (6, 12)),
     ("NHW", (2, 4, 6)), ("HW", (4, 6)), ("CNHW", (2, 12, 6)), ("HNWC", (2, 6, 12)),
     ("WCNH", (2, 6, 12)), ("HCW", (6, 12)), ("CWH", (12, 6))],
)  # fmt: skip
def test_layouts(layout, shape):
    rng = np.random.default_rng(0)
    sizes = {"N": 2, "C": 3, "H": 4, "W": 6}
    x = oracle.small_integers(rng, [sizes[a] for a in layout], "float64")
    full = "".join(a for a in "NC" if a not in layout) + layout
    spread = x.reshape([sizes[a] if a in layout else 1 for a in full])
    axes = "".join(a for a in layout if a in "HW")
    canonical = spread.transpose([full.index(a) for a in "NC" + axes])
    keywords = {"stride": (2, 1), "padding": ((1, 0), (0, -1)), "dilation": (1, 2)}
    if axes == "WH":
        keywords = {name: value[::-1] for name, value in keywords.items()}
    want = unfolded(canonical, (2, 2), **keywords)
    n, c, taps, windows = want.shape
    last = "C" in layout and layout.index("C") > layout.index(axes[0])
    want = want.transpose(0, 3, 2, 1) if last else want
    matrix = want.reshape(n, windows, -1) if last else want.reshape(n, -1, windows)
    matrix = matrix if "N" in layout else matrix[0]
    columns = unfold(x, 2, layout=layout, **keywords)
    assert columns.shape == shape
    np.testing.assert_array_equal(columns, matrix)
    back = fold(columns, canonical.shape[2:], 2, layout=layout, **keywords)
    assert back.shape == x.shape
    split = matrix.reshape(n, windows, taps, c) if last else matrix.reshape(n, c, taps, windows)
    split = split.transpose(0, 3, 2, 1) if last else split
    wanted = folded(split, canonical.shape[2:], (2, 2), **keywords)
    wanted = wanted.transpose([("NC" + axes).index(a) for a in full]).reshape(x.shape)
    np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("padding", ["valid", "same", "same_lower", "full"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_by_name(padding, stride):
    x = np.arange(42.0).reshape(1, 1, 6, 7)
    keywords = {"stride": stride, "padding": padding, "padding_mode": "reflect"}
    columns = unfold(x, (3, 2), **keywords)
    out = conv(x, np.arange(6.0).reshape(1, 1, 3, 2), **keywords)
    np.testing.assert_array_equal((np.arange(6.0) @ columns[0]).reshape(out.shape), out)
    back = fold(columns, (6, 7), (3, 2), **keywords)
    assert (back * x).sum() == (columns * columns).sum()


@pytest.mark.parametrize("layout", ["NCW", "NWC", "CW", "W"])
@pytest.mark.parametrize("padding", [0, 1, -1])
@pytest.mark.parametrize("kernel_size", [1, 4])
def test_what_comes_back_is_a_new_array(layout, padding, kernel_size):
    for step in (1, -1):
        x = np.arange(6.0)[::step].reshape([6 if a == "W" else 1 for a in layout])
        keywords = {"layout": layout, "padding": padding}
        before = x.copy()
        columns = unfold(x, kernel_size, **keywords)
        assert not np.may_share_memory(columns, x)
        assert columns.flags.writeable
        back = fold(columns, 6, kernel_size, **keywords)
        assert not np.may_share_memory(back, columns)
        assert back.flags.writeable
        columns[...] = -1
        np.testing.assert_array_equal(x, before)


def test_lists_images_and_how_many_times_each_is_taken():
    assert unfold([1, 2, 3], 2, layout="W").tolist() == [[1, 2], [2, 3]]
    assert fold([[1, 2], [2, 3]], 3, 2, layout="W").tolist() == [1, 4, 3]
    counts = fold(np.ones((9, 16)), (6, 6), 3, layout="HW")
    np.testing.assert_array_equal(counts, np.outer([1, 2, 3, 3, 2, 1], [1, 2, 3, 3, 2, 1]))
    assert fold(np.ones((1, 4, 4)), (3, 3), 2).shape == (1, 1, 3, 3)
    assert fold(np.ones((1, 4, 3)), (4,), 2).shape == (1, 2, 4)
    assert fold(np.ones((1, 16, 1)), [2, 2, 2], 2).shape == (1, 2, 2, 2, 2)
    reached = fold(np.ones((1, 1, 4)), (5, 4), 1, stride=3)
    assert reached[0, 0].tolist() == [[1, 0, 0, 1], [0] * 4, [0] * 4, [1, 0, 0, 1], [0] * 4]


def test_float16_is_summed_in_single_and_rounded_once():
    columns = np.full((1, 64, 64), 2.0**-4, np.float16)
    columns[0, 0] = 2048
    back = fold(columns.reshape(64, 64), 127, 64, layout="W")
    want = fold(columns.reshape(64, 64).astype(float), 127, 64, layout="W")
    assert back.dtype == np.float16
    np.testing.assert_array_equal(back, want.astype(np.float16))
    columns[...] = 60000
    columns[0, ::2] = -60000
    assert np.isfinite(fold(columns[0, :, :1], 64, 64, layout="W")).all()
    total = fold(np.array([[60000], [60000], [-60000]], np.float16), 1, 3, layout="W", padding=1,
                 padding_mode="edge")  # fmt: skip
    assert total.tolist() == [60000]


def test_nan_and_inf_stay_where_they_are():
    x = np.ones((1, 1, 6))
    x[..., 2] = np.nan
    columns = unfold(x, 2, padding=1)
    assert np.argwhere(np.isnan(columns[0])).tolist() == [[0, 3], [1, 2]]
    assert np.flatnonzero(np.isnan(fold(columns, (6,), 2, padding=1))).tolist() == [2]
    columns = np.ones((2, 7))
    columns[0, 0] = np.nan  # it stood in the padding
    assert np.isfinite(fold(columns, 6, 2, padding=1, layout="W")).all()


@pytest.mark.parametrize(
    ("x_shape", "kernel", "keywords", "shape"),
    [
        ((0, 3, 5, 6), 2, {}, (0, 12, 20)),
        ((2, 0, 5, 6), 2, {}, (2, 0, 20)),
        ((2, 3, 0, 6), 2, {"padding": 1}, (2, 12, 7)),
        ((0, 0, 5), 3, {"stride": 2}, (0, 0, 2)),
    ],
)
def test_empty_arrays(x_shape, kernel, keywords, shape):
    columns = unfold(np.ones(x_shape), kernel, **keywords)
    assert columns.shape == shape
    assert not columns.any()
    back = fold(np.ones(shape), x_shape[2:], kernel, **keywords)
    assert back.shape == x_shape
    assert not back.any()
