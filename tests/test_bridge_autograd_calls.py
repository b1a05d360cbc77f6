"""The bridge to autograd: names, dtypes, what is computed, mistakes, and its import."""

import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import cases
import npconv
import oracle_grad
from autograd_cases import check, normal
from npconv.bridges import autograd as bridge

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)  # noqa: NPY002  check_grads draws from it


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
    for name in cases.able(image, kernel, layout="HW"):
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
