"""Both gradients by every algorithm equal the direct sums on small integers, everywhere."""

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import npconv
import oracle
import oracle_grad
from npconv import conv, conv_input_grad, conv_weight_grad
from npconv.problem import phases

IMAGE = np.arange(36).reshape(6, 6)
KERNEL = np.arange(9).reshape(3, 3)
WORKED = {
    1: (
        [
            [0, 1, 3, 3, 3, 2],
            [3, 8, 15, 15, 12, 7],
            [9, 21, 36, 36, 27, 15],
            [9, 21, 36, 36, 27, 15],
            [9, 20, 33, 33, 24, 13],
            [6, 13, 21, 21, 15, 8],
        ],
        [[168, 184, 200], [264, 280, 296], [360, 376, 392]],
    ),
    2: (
        [
            [0, 1, 2, 1, 2, 0],
            [3, 4, 8, 4, 5, 0],
            [6, 8, 16, 8, 10, 0],
            [3, 4, 8, 4, 5, 0],
            [6, 7, 14, 7, 8, 0],
            [0, 0, 0, 0, 0, 0],
        ],
        [[28, 32, 36], [52, 56, 60], [76, 80, 84]],
    ),
}
LAYOUTS = [  # x's, weight's, the order of H and W in x's, the axes of length 1 in x and in weight
    ("HW", None, (0, 1), (), ()),
    ("NCHW", None, (0, 1), (0, 1), (0, 1)),
    ("NHWC", None, (0, 1), (0, 3), (2, 3)),
    ("CHW", "OIHW", (0, 1), (0,), (0, 1)),
    ("HWC", "IHWO", (0, 1), (2,), (0, 3)),
    ("WCH", "OHW", (1, 0), (1,), (0,)),
    ("WNH", "HW", (1, 0), (1,), ()),
]


def definition(grad_out, x, weight, stride, padding, dilation, groups, mode):
    """Both gradients by the sum over every index, in Python's integers."""
    grad_x, grad_weight = np.zeros(x.shape, int), np.zeros(weight.shape, int)
    stands = [
        oracle_grad.standing(n, *pair, mode) for n, pair in zip(x.shape[2:], padding, strict=True)
    ]
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    for n, o, *window in np.ndindex(*grad_out.shape):
        for c, *tap in np.ndindex(*weight.shape[1:]):
            axes = zip(stands, window, tap, stride, dilation, strict=True)
            p = [stand[i * s + u * e] for stand, i, u, s, e in axes]
            if min(p) >= 0:
                at = (n, o // outputs * inputs + c, *p)
                grad_x[at] += grad_out[(n, o, *window)] * weight[(o, c, *tap)]
                grad_weight[(o, c, *tap)] += grad_out[(n, o, *window)] * x[at]
    return grad_x, grad_weight


@cases.examples(60, 1000)
@given(cases.problems(max_size=3))
def test_the_oracle_is_the_definition(case):
    grad_out, x, weight = grad_cases.gradient(case, "int64")
    if grad_out.size * weight[0].size > 3000:
        grad_out = np.where(np.arange(grad_out.size).reshape(grad_out.shape) % 97, 0, grad_out)
    geometry = case.geometry
    values = [geometry[k] for k in ("stride", "padding", "dilation", "groups", "padding_mode")]
    if grad_out.size * weight[0].size <= 20000:
        grad_x, grad_weight = definition(grad_out, x, weight, *values)
        np.testing.assert_array_equal(
            oracle_grad.input_grad(grad_out, weight, x.shape, **geometry), grad_x
        )
        np.testing.assert_array_equal(
            oracle_grad.weight_grad(grad_out, x, weight.shape, **geometry), grad_weight
        )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16", "float32", "float64", "complex64"])
def test_worked_gradients(stride, dtype):
    x, weight = IMAGE.astype(dtype), KERNEL.astype(dtype)
    ones = np.ones(conv(x, weight, layout="HW", stride=stride).shape, dtype)
    dtype = grad_cases.result_dtype(x)
    grad_x, grad_weight = (np.array(rows, dtype) for rows in WORKED[stride])
    for layout, weight_layout, turn, axes, kernel_axes in LAYOUTS:
        g, image, want_x = (np.expand_dims(a.transpose(turn), axes) for a in (ones, x, grad_x))
        kernel, want_weight = (np.expand_dims(a, kernel_axes) for a in (weight, grad_weight))
        keywords = {"layout": layout, "weight_layout": weight_layout, "stride": stride}
        for name, grad in grad_cases.each_grad("input_grad", g, kernel, image.shape, **keywords):
            cases.same_numbers(name, grad, want_x, dtype)
        for name, grad in grad_cases.each_grad("weight_grad", g, image, kernel.shape, **keywords):
            cases.same_numbers(name, grad, want_weight, dtype)


def test_what_no_window_reached_is_exactly_zero():
    rng = np.random.default_rng(0)
    weight = cases.real(rng, (3, 2, 3, 2), "float32")
    grad_out = cases.real(rng, (2, 3, 2, 3), "float32")
    for name, grad in grad_cases.each_grad(
        "input_grad", grad_out, weight, (2, 2, 11, 17), stride=(7, 5), padding=(0, -1)
    ):
        assert grad.any(), name
        assert not grad[:, :, 3:7].any(), name
        assert not grad[:, :, 10:].any(), name
        assert not grad[..., 0].any(), name
        assert not grad[..., 3:6].any(), name
        assert not grad[..., 13:].any(), name


@pytest.mark.parametrize("stride", [2, 3, 4, (2, 5)])
@pytest.mark.parametrize("dilation", [1, 3, 4])
def test_a_stride_costs_no_products_with_stuffed_zeros(stride, dilation):
    """The phases together multiply about as often as the definition, not stride**2 times."""
    made = npconv.plan(
        (2, 3, 400, 500), (4, 3, 5, 6), direction="input_grad", stride=stride, dilation=dilation
    )
    macs = sum(phase.problem.macs for phase in phases(made.problem))
    assert made.problem.macs <= macs * 1.01
    assert macs <= 1.2 * made.problem.macs


def sweep(kernel):
    """Every small 1-D geometry; `make test` takes every 23rd, and still meets every value."""
    every = itertools.product(range(1, 9), range(1, 5), range(1, 4), range(-2, 4), range(-2, 4))
    step = 1 if cases.ALL else 23
    for size, stride, dilation, before, after in itertools.islice(every, kernel, None, step):
        if dilation * (kernel - 1) < size + before + after:
            padding = ((before, after),)
            yield size, {"stride": stride, "dilation": dilation, "padding": padding}


@pytest.mark.parametrize("kernel", range(1, 5))
def test_the_adjoint_identity_over_every_small_1d_geometry(kernel):
    rng = np.random.default_rng(kernel)
    values = oracle.small_integers(rng, 300, "float64")
    weight = values[:4].repeat(kernel).reshape(2, 2, kernel) * values[-kernel:]
    modes = itertools.cycle(oracle.PAD_MODES)
    checked = dict.fromkeys({*npconv.algorithms()} - {*cases.absent(), "depthwise", "stencil"}, 0)
    for size, geometry in sweep(kernel):
        geometry = {**geometry, "padding_mode": next(modes)}
        x = values[: 4 * size].reshape(2, 2, size)
        out = oracle.direct(x, weight, **geometry)
        grad_out = values[40 : 40 + out.size].reshape(out.shape)
        form = np.vdot(grad_out, out)
        grad_x = oracle_grad.input_grad(grad_out, weight, x.shape, **geometry)
        grad_weight = oracle_grad.weight_grad(grad_out, x, weight.shape, **geometry)
        for call, arguments, beside, want in (
            (conv, (x, weight), grad_out, out),
            (conv_input_grad, (grad_out, weight, x.shape), x, grad_x),
            (conv_weight_grad, (grad_out, x, weight.shape), weight, grad_weight),
        ):
            for name in checked:
                try:
                    found = call(*arguments, algorithm=name, **geometry)
                except npconv.UnsupportedError:
                    continue
                checked[name] += 1
                cases.same_numbers(name, found, want.astype(float), np.float64)
                loose = 1e-7 if name in cases.ROUNDS else 0
                assert abs(np.vdot(beside, found) - form) <= loose, (name, x.shape, geometry)
    assert max(checked.values()) > 150
    assert kernel == 1 or min(checked.values()) > 20


@cases.examples(120, 8000)
@given(cases.problems(), st.sampled_from(("float64", "float32", "int64")))
def test_random_geometry(case, dtype):
    grad_cases.check_exact(*grad_cases.gradient(case, dtype), **case.geometry)


@cases.examples(60, 4000)
@given(cases.problems(), st.integers(6, 11), st.sampled_from(("float32", "int16")))
def test_random_geometry_across_the_seams_of_tiles(case, bits, dtype):
    with grad_cases.seams(1 << bits):
        grad_cases.check_exact(*grad_cases.gradient(case, dtype), **case.geometry)


@cases.examples(25, 600)
@given(cases.problems(max_ndim=4, max_size=4))
def test_up_to_rank_six(case):
    grad_cases.check_exact(*grad_cases.gradient(case), letters=case.letters, **case.geometry)


@cases.examples(40, 2000)
@given(cases.problems(max_ndim=4, max_size=4), st.sampled_from(("float64", "int64")))
def test_the_adjoint_identity_in_more_axes(case, dtype):
    grad_out, x, weight = grad_cases.gradient(case, dtype)
    keywords = {**case.geometry, **case.letters}
    form = (grad_out * oracle.direct(x, weight, **case.geometry)).sum()
    for name in npconv.algorithms():
        loose = 1e-6 if name in cases.ROUNDS else 0
        products = {
            "conv": lambda **k: grad_out * conv(x, weight, **k),
            "conv_input_grad": lambda **k: x * conv_input_grad(grad_out, weight, x.shape, **k),
            "conv_weight_grad": lambda **k: (
                weight * conv_weight_grad(grad_out, x, weight.shape, **k)
            ),
        }
        for call, product in products.items():
            with contextlib.suppress(npconv.UnsupportedError):
                assert abs(product(algorithm=name, **keywords).sum() - form) <= loose, (call, name)


@pytest.mark.parametrize("mode", oracle.PAD_MODES)
@pytest.mark.parametrize("padding", [((7, 0), (0, 7)), ((13, 20), (1, 2)), ((-2, 25), (31, -3))])
def test_padding_longer_than_the_array(mode, padding):
    rng = np.random.default_rng(2)
    x = oracle.small_integers(rng, (1, 2, 3, 4), "float64")
    weight = oracle.small_integers(rng, (2, 2, 2, 3), "float64")
    for stride, nbytes in ((1, 4096), (3, 256)):
        geometry = {"padding": padding, "padding_mode": mode, "stride": stride}
        out = oracle.direct(x, weight, **geometry)
        grad_out = oracle.small_integers(rng, out.shape, "float64")
        grad_cases.check_exact(grad_out, x, weight, **geometry)
        with grad_cases.seams(nbytes):
            grad_cases.check_exact(grad_out, x, weight, **geometry)


@pytest.mark.parametrize("mode", oracle.PAD_MODES)
@pytest.mark.parametrize(
    "padding", [((-3, -1), (-5, 0)), ((9, -6), (-6, 7)), ((-7, 4), (0, 0)), ((12, -14), (0, -4))]
)
def test_crops(mode, padding):
    rng = np.random.default_rng(3)
    x = oracle.small_integers(rng, (2, 1, 5, 6), "int64")
    weight = oracle.small_integers(rng, (2, 1, 1, 1), "int64")
    geometry = {"padding": padding, "padding_mode": mode}
    out = oracle.direct(x, weight, **geometry)
    grad_cases.check_exact(oracle.small_integers(rng, out.shape, "int64"), x, weight, **geometry)


@pytest.mark.parametrize("padding", ["valid", "same", "same_lower", "full"])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("dilation", [1, (1, 2)])
def test_padding_by_name(padding, stride, dilation):
    rng = np.random.default_rng(4)
    x = oracle.small_integers(rng, (2, 4, 9, 10), "float64")
    weight = oracle.small_integers(rng, (6, 2, 4, 3), "float64")
    keywords = {"stride": stride, "dilation": dilation, "groups": 2}
    spelt = npconv.plan(x, weight, padding=padding, **keywords).problem.padding
    grad_out = oracle.small_integers(
        rng, oracle.direct(x, weight, padding=spelt, **keywords).shape, "float64"
    )
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, padding=spelt, **keywords)
        for name, grad in grad_cases.each_grad(
            direction, grad_out, other, shape, padding=padding, **keywords
        ):
            cases.same_numbers(name, grad, want)


def test_one_image_many_channels_and_one_channel_many_images():
    rng = np.random.default_rng(5)
    for x_shape, weight_shape, geometry in (
        ((1, 40, 4, 5), (30, 40, 3, 3), {"padding": 1}),
        ((30, 1, 6, 5), (1, 1, 3, 2), {"stride": 2}),
        ((2, 12, 7, 6), (12, 1, 3, 3), {"groups": 12, "padding": 1, "stride": 2}),
        ((2, 4, 7, 6), (24, 1, 3, 3), {"groups": 4, "padding": 1, "dilation": 2}),
        ((1, 1, 100), (1, 1, 90), {"padding": 45}),
        ((2, 3, 1, 1), (4, 3, 1, 1), {"stride": 3}),
        ((1, 2, 64, 64), (2, 2, 2, 2), {"stride": 16}),
    ):
        x = oracle.small_integers(rng, x_shape, "float64")
        weight = oracle.small_integers(rng, weight_shape, "float64")
        out = oracle.direct(x, weight, **geometry)
        grad_out = oracle.small_integers(rng, out.shape, "float64")
        grad_cases.check_exact(grad_out, x, weight, **geometry)
