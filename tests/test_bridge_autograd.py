"""npconv inside HIPS autograd: derivatives of any order, held to differences and to direct sums."""

import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.test_util import check_grads
from hypothesis import given

import cases
import npconv
import oracle
import oracle_grad
from npconv.bridges import autograd as bridge

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)  # noqa: NPY002  check_grads draws from it


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def apart(*shape):
    """Numbers none of which is near another: no window's largest changes by a small step."""
    size = int(np.prod(shape))
    return np.random.default_rng(size).permutation(size).reshape(shape) / 8


def check(f, *arrays, order=2):
    """Compare derivatives up to an order, in every array, with differences of f."""
    every = tuple(range(len(arrays)))
    check_grads(f, every, modes=["rev"], order=order)(*arrays)


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


@pytest.mark.parametrize("name", bridge.__all__)
def test_names_arguments_and_values_are_npconvs(name):
    function, original = getattr(bridge, name), getattr(npconv, name)
    wanted = dict(inspect.signature(original).parameters)
    wanted.pop("out", None)
    assert list(inspect.signature(function).parameters) == list(wanted)
    x, weight = normal(2, 3, 6, 6), normal(4, 3, 2, 2)
    arguments = {
        "conv": (x, weight, normal(4)),
        "conv_input_grad": (npconv.conv(x, weight), weight, x.shape),
        "conv_weight_grad": (npconv.conv(x, weight), x, weight.shape),
        "conv_transpose": (normal(2, 4, 3, 3), weight, normal(3)),
        "unfold": (x, 2),
        "fold": (npconv.unfold(x, 2), (6, 6), 2),
        "max_pool": (x, 2),
        "avg_pool": (x, 2),
    }.get(name, (x,))
    want = original(*arguments)
    by_name = dict(zip(wanted, arguments, strict=False))
    traced = []

    def f(first):
        traced.append(function(first, *arguments[1:]))
        traced.append(function(**{**by_name, next(iter(by_name)): first}))
        return anp.sum(traced[0]) + anp.sum(traced[1])

    assert np.abs(autograd.grad(f)(arguments[0])).sum() > 0
    for got in (function(*arguments), *(box._value for box in traced)):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, want)


def test_a_gradient_has_the_dtype_and_the_memory_order_of_its_array():
    x = normal(2, 5, 6, 3).astype(np.float32).transpose(0, 3, 1, 2)
    weight, bias = np.asfortranarray(normal(4, 3, 2, 2)), normal(4).astype(np.float16)

    def f(x, weight, bias):
        return anp.sum(bridge.conv(x, weight, bias) ** 2)

    arrays = (x, weight, bias)
    for i, array in enumerate(arrays):
        grad = autograd.grad(f, i)(*arrays)
        assert (grad.dtype, grad.shape) == (array.dtype, array.shape)
        assert grad.strides == array.strides
    photo = np.arange(75, dtype=np.uint8).reshape(1, 3, 5, 5)
    exact = autograd.grad(lambda w: anp.sum(bridge.conv(photo, w)))(np.ones((1, 3, 3, 3)))
    want = oracle_grad.weight_grad(np.ones((1, 1, 3, 3)), photo, (1, 3, 3, 3))
    np.testing.assert_allclose(exact, want.astype(float), rtol=1e-14)


def test_complex_arrays_as_autograd_has_them():
    x, weight = (
        cases.real(np.random.default_rng(0), shape, "complex128")
        for shape in ((1, 2, 5, 5), (3, 2, 3, 3))
    )
    for a in (x, x.real.copy()):
        for b in (weight, weight.real.copy()):
            check(lambda a, b: bridge.conv(a, b, stride=2), a, b)
            grads = autograd.grad(lambda a, b: anp.sum(anp.abs(bridge.conv(a, b)) ** 2), (0, 1))(
                a, b
            )
            assert [grad.dtype for grad in grads] == [a.dtype, b.dtype]


def test_only_the_gradient_asked_for_is_computed(monkeypatch):
    calls = []

    def counted(name, original):
        def call(*arrays, **keywords):
            calls.append(name)
            assert "algorithm" not in keywords  # it was named for the first call
            return original(*arrays, **keywords)

        return call

    for name in ("_input_grad", "_weight_grad"):
        monkeypatch.setattr(bridge, name, counted(name, getattr(bridge, name)))
    x, weight = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
    autograd.grad(lambda x: anp.sum(bridge.conv(x, weight, algorithm="taps")))(x)
    autograd.grad(lambda w: anp.sum(bridge.conv(x, w)))(weight)
    assert calls == ["_input_grad", "_weight_grad"]


def test_the_algorithm_named_is_that_of_the_call():
    image, kernel = np.arange(16).reshape(4, 4), np.ones((2, 2))
    with pytest.raises(npconv.UnsupportedError, match=r"^conv: fft cannot do this: integers"):
        bridge.conv(image, image, layout="HW", algorithm="fft")
    for name in npconv.algorithms():
        grad = autograd.grad(
            lambda kernel, name=name: anp.sum(
                bridge.conv(image, kernel, layout="HW", algorithm=name)
            )
        )
        np.testing.assert_allclose(grad(kernel), [[45, 54], [81, 90]], rtol=1e-14)


def test_mistakes_have_npconvs_messages():
    x, weight = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
    with pytest.raises(npconv.ProblemError, match=r"(?s)^conv: out is written in place.*fix"):
        bridge.conv(x, weight, out=np.empty((1, 3, 3, 3)))
    with pytest.raises(npconv.ProblemError, match=r"^conv: x has 2 channels, weight wants 5"):
        autograd.grad(lambda w: anp.sum(bridge.conv(x, w)))(normal(3, 5, 3, 3))
    with pytest.raises(npconv.ProblemError, match=r"^conv: bias has shape \(2,\)"):
        autograd.grad(lambda b: anp.sum(bridge.conv(x, weight, b)))(normal(2))
    with pytest.raises(TypeError, match=r"missing a required argument: 'weight'"):
        bridge.conv(x)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'strides'"):
        bridge.conv(x, weight, strides=2)


def test_empty_batches_have_gradients_of_zero():
    grad = autograd.grad(lambda w: anp.sum(bridge.conv(np.ones((0, 2, 5, 5)), w)))
    np.testing.assert_array_equal(grad(normal(3, 2, 3, 3)), np.zeros((3, 2, 3, 3)))


def run(code):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_bridges_import_nothing_before_they_are_used():
    seen = run(
        "import sys, npconv, npconv.bridges\n"
        "from npconv import bridges\n"
        "loaded = lambda: [name for name in ('autograd', 'torch') if name in sys.modules]\n"
        "print(dir(bridges)[-2:], loaded()); bridges.autograd; print(loaded())"
    )
    assert seen == "['autograd', 'torch'] []\n['autograd']"
    with pytest.raises(AttributeError, match="'npconv.bridges' has no attribute 'tensorflow'"):
        npconv.bridges.tensorflow  # noqa: B018


@pytest.mark.parametrize(("name", "library"), [("autograd", "autograd"), ("torch", "PyTorch")])
def test_a_missing_library_is_named_with_the_line_that_adds_it(name, library):
    seen = run(
        f"import sys; sys.modules[{name!r}] = None\n"
        "import npconv\n"
        "try:\n"
        f"    npconv.bridges.{name}\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name, error)"
    )
    message = f'npconv.bridges.{name} needs {library}: pip install "npconv[{name}]"'
    assert seen == f"{name} {message}"


def test_the_example_finds_the_kernel(capsys):
    path = ROOT / "examples" / "autograd_bridge.py"
    assert len(path.read_text().splitlines()) < 60
    runpy.run_path(str(path), run_name="__main__")
    assert "recovered" in capsys.readouterr().out
