"""npconv inside HIPS autograd: derivatives of any order, held to differences and to direct sums."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given

import cases
import npconv
import oracle
import oracle_grad
from autograd_cases import check, normal
from npconv.bridges import autograd as bridge


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)  # noqa: NPY002  check_grads draws from it


def apart(*shape):
    """Numbers none of which is near another: no window's largest changes by a small step."""
    size = int(np.prod(shape))
    return np.random.default_rng(size).permutation(size).reshape(shape) / 8


GEOMETRIES = [
    {},
    {"stride": (2, 3), "padding": 1, "dilation": (2, 1)},
    {"stride": 2, "padding": "same"},
    {"padding": "full"},
    {"padding": ((2, 1), (0, 3)), "padding_mode": "reflect", "stride": 2},
    {"padding": ((-1, 1), (1, -2)), "padding_mode": "wrap"},
    {"padding": "same_lower", "padding_mode": "edge", "dilation": 2},
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_the_three_maps_of_a_convolution(geometry):
    geometry = {"groups": 2, **geometry}
    x, weight, bias = normal(2, 4, 7, 6), normal(6, 2, 3, 2), normal(6)
    grad_out = npconv.conv(x, weight, **geometry)
    check(lambda *arrays: bridge.conv(*arrays, **geometry), x, weight, bias)
    check(lambda *arrays: bridge.conv_input_grad(*arrays, x.shape, **geometry), grad_out, weight)
    check(lambda *arrays: bridge.conv_weight_grad(*arrays, weight.shape, **geometry), grad_out, x)


@given(cases.problems())
@cases.examples(40, 500)
def test_gradients_are_the_direct_sums(case):
    x, weight, bias = case.arrays(bias=True)
    geometry = {**case.geometry, **case.letters}

    def trilinear(grad_out, x, weight, bias):
        return anp.sum(grad_out * bridge.conv(x, weight, bias, **geometry))

    grad_out = np.ones(npconv.conv(x, weight, **geometry).shape)
    grad_out = oracle.small_integers(np.random.default_rng(case.seed), grad_out.shape, "float64")
    of_out, of_x, of_weight, of_bias = autograd.grad(trilinear, (0, 1, 2, 3))(
        grad_out, x, weight, bias
    )
    wants = [
        (of_out, oracle.direct(x, weight, bias, **case.geometry)),
        (of_x, oracle_grad.input_grad(grad_out, weight, x.shape, **case.geometry)),
        (of_weight, oracle_grad.weight_grad(grad_out, x, weight.shape, **case.geometry)),
        (of_bias, grad_out.swapaxes(0, 1).reshape(len(bias), -1).sum(1)),
    ]
    for got, want in wants:
        np.testing.assert_allclose(got, want.astype(np.float64), rtol=0, atol=1e-6)


def along(f, direction):
    """The derivative of f along a direction."""
    return lambda *arrays: anp.sum(autograd.grad(f)(*arrays) * direction)


def test_the_fourth_derivative():
    geometry = {"stride": 2, "padding": 1}
    x, weight, v = (
        oracle.small_integers(np.random.default_rng(0), s, "float64")
        for s in ((2, 3, 6, 5), (4, 3, 3, 2), (4, 3, 3, 2))
    )

    def f(weight):
        return anp.sum(bridge.conv(x, weight, **geometry) ** 4) / 24

    for _ in range(4):
        f = along(f, v)
    want = float((oracle.direct(x, v, **geometry) ** 4).sum())
    assert f(weight) == pytest.approx(want, rel=1e-12)


def test_mixed_derivatives():
    geometry = {"stride": 2, "padding": 1, "padding_mode": "symmetric"}
    x, u, weight, v = (
        oracle.small_integers(np.random.default_rng(1), s, "float64")
        for s in [(2, 3, 6, 5)] * 2 + [(4, 3, 3, 2)] * 2
    )
    grad_out = oracle.small_integers(np.random.default_rng(2), (2, 4, 3, 3), "float64")

    def f(x, weight):
        return anp.sum(grad_out * bridge.conv(x, weight, **geometry))

    def flipped(weight, x):
        return along(f, u)(x, weight)

    want = float((grad_out * oracle.direct(u, v, **geometry)).sum())
    assert along(flipped, v)(weight, x) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("layout", "x_shape", "weight_layout", "weight_shape"),
    [
        ("W", (9,), None, (3,)),
        ("HW", (6, 5), None, (3, 2)),
        ("HWC", (6, 5, 2), None, (3, 2, 2, 3)),
        ("NHWC", (2, 6, 5, 2), "OIHW", (3, 2, 3, 2)),
        ("NHWC", (2, 6, 5, 2), "WHOI", (2, 3, 3, 2)),
        ("CL", (2, 9), None, (3, 2, 3)),
        (None, (1, 2, 9), None, (3, 2, 3)),
        (None, (1, 2, 4, 4, 3), None, (3, 2, 3, 2, 2)),
        ("WHCN", (5, 6, 2, 2), None, (2, 3, 2, 3)),
    ],
)
def test_layouts_and_a_bias_of_every_shape(layout, x_shape, weight_layout, weight_shape):
    x, weight = normal(*x_shape), normal(*weight_shape)
    keywords = {"layout": layout, "weight_layout": weight_layout, "stride": 2, "padding": 1}
    channels = 3 if layout is None or "C" in layout else 1
    for bias in (normal(channels), np.ones(1), np.array(2.0), 2.0):
        check(lambda *arrays: bridge.conv(*arrays, **keywords), x, weight, bias, order=1)
    keywords["stride"] = 1
    if layout is None or "C" in layout:  # x's channels are weight's O
        axis = 1 if layout is None else layout.index("C")
        x = np.concatenate([x, x], axis).take(range(3), axis)
    check(lambda *arrays: bridge.conv_transpose(*arrays, 2.0, **keywords), x, weight)


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (2, 3), "padding": ((1, 0), (2, 1)), "dilation": 2},
        {"dilation": 3, "output_padding": 2},
        {"stride": 2, "out_size": (9, 8)},
        {"stride": 2, "padding": "same"},
        {"stride": 4, "padding": "same"},
        {"stride": 3, "padding": "same", "out_size": (11, 13)},
        {"stride": 3, "padding": "same_lower", "out_size": 10},
        {"padding": "full"},
        {"padding": -1, "stride": 2},
    ],
    ids=str,
)
def test_transposed_convolution(geometry):
    x, weight, bias = normal(2, 4, 4, 4), normal(4, 3, 3, 2), normal(6)
    check(lambda *arrays: bridge.conv_transpose(*arrays, groups=2, **geometry), x, weight, bias)


POOLS = [
    {"size": 2},
    {"size": (3, 2), "stride": (1, 2), "padding": 1},
    {"size": 2, "stride": 3, "ceil_mode": True},
    {"size": 3, "stride": 1, "dilation": 2, "padding": ((1, 0), (0, 1))},
    {"size": 3, "stride": 2, "padding": "same"},
]


@pytest.mark.parametrize("geometry", POOLS, ids=str)
@pytest.mark.parametrize(
    ("layout", "shape"), [(None, (2, 3, 7, 8)), ("NHWC", (2, 7, 8, 3)), ("HW", (7, 8))]
)
def test_pooling(geometry, layout, shape):
    for pool in (bridge.max_pool, bridge.avg_pool):
        check(lambda x, pool=pool: pool(x, layout=layout, **geometry), apart(*shape))
    check(
        lambda x: bridge.avg_pool(x, layout=layout, count_include_pad=False, **geometry),
        apart(*shape),
    )


@pytest.mark.parametrize(
    ("layout", "shape"), [(None, (2, 3, 5, 4)), ("HWC", (5, 4, 3)), ("W", (9,))]
)
def test_global_pooling(layout, shape):
    for pool in (bridge.global_max_pool, bridge.global_avg_pool):
        check(lambda x, pool=pool: pool(x, layout=layout), apart(*shape))


def test_the_gradient_of_pooling_twice():
    """Of sum(max(x)^2) / 2 the Hessian is one at the largest elements, as often as they win."""
    x = np.array([[[3.0, 1, 4, 1, 5, 9, 2]]])

    def f(x):
        return anp.sum(bridge.max_pool(x, 3, stride=1) ** 2) / 2

    hessian = autograd.hessian(f)(x).reshape(7, 7)
    assert hessian.tolist() == np.diag([0, 0, 2, 0, 1, 2, 0]).tolist()


def test_of_equal_elements_the_first_takes_the_gradient_and_of_nans_the_last():
    def total(x):
        return anp.sum(bridge.max_pool(x, 4, layout="W"))

    assert autograd.grad(total)(np.array([1.0, 2, 2, 1])).tolist() == [0, 1, 0, 0]
    assert autograd.grad(total)(np.array([np.nan, 2, np.nan, 1])).tolist() == [0, 0, 1, 0]


def test_indices_come_back_beside_what_is_differentiated():
    x = apart(2, 3, 4, 6)
    for pool, arguments in ((bridge.max_pool, (2,)), (bridge.global_max_pool, ())):
        original = getattr(npconv, pool.__name__)
        out, indices = original(x, *arguments, return_indices=True)

        def f(x, pool=pool, arguments=arguments, indices=indices):
            out, found = pool(x, *arguments, return_indices=True)
            np.testing.assert_array_equal(found, indices)
            return anp.sum(out)

        assert autograd.grad(f)(x).sum() == out.size
        np.testing.assert_array_equal(pool(x, *arguments, return_indices=True)[1], indices)


@pytest.mark.parametrize("geometry", GEOMETRIES[:2] + GEOMETRIES[3:6], ids=str)
@pytest.mark.parametrize(
    ("layout", "shape"), [(None, (2, 3, 7, 6)), ("HWC", (7, 6, 3)), ("HW", (7, 6))]
)
def test_unfold_and_fold(geometry, layout, shape):
    x = normal(*shape)
    keywords = {"layout": layout, **geometry}
    columns = npconv.unfold(x, (3, 2), **keywords)
    check(lambda x: bridge.unfold(x, (3, 2), **keywords), x)
    check(lambda columns: bridge.fold(columns, (7, 6), (3, 2), **keywords), columns)
