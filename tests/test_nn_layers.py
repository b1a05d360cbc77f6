"""Every layer: its gradients, memory order, dtypes, and that it keeps nothing between calls."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import npconv
from nn_layers import LAYERS, channels_last, spread, with_numbers
from npconv import nn

NAMES = [name for name, _, _ in LAYERS]
# Dropout draws in memory's order, and gives back what it is given in use.
OTHERS = ("Linear 3 axes", "Dropout", "Dropout2d")
SPATIAL = [each for each in LAYERS if len(each[2]) > 2 and each[0] not in OTHERS]
each_layer = pytest.mark.parametrize("name, make, shape", LAYERS, ids=NAMES)
each_spatial = pytest.mark.parametrize(
    "name, make, shape", SPATIAL, ids=[name for name, _, _ in SPATIAL]
)


def drawing(seed=3):
    """What a training step gives: the same random numbers each time."""
    return np.random.default_rng(seed)


def step(layer, x, training, seed=1):
    """One way there and back: y, grad_x and the parameters' gradients."""
    layer.zero_grad()
    y, backprop = layer.forward(x, training)
    grad = np.random.default_rng(seed).standard_normal(y.shape).astype(x.dtype)
    grad_x = backprop(grad)
    return [y, grad_x, *(parameter.grad for parameter in layer.parameters())]


def assert_same(one, other, rtol=1e-12):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize("last", (False, True), ids=("channels first", "channels last"))
@each_layer
def test_gradients(name, make, shape, last, training):
    layer = with_numbers(make())
    parameters = layer.parameters()
    x = channels_last(spread(*shape)) if last else spread(*shape)

    def forward(x, *values):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        return layer.forward(x, drawing() if training else False)

    def backward(grad, x, *values):
        layer.zero_grad()
        grad_x = forward(x, *values)[1](grad)
        return [grad_x, *(parameter.grad for parameter in parameters)]

    values = [parameter.data for parameter in parameters]
    assert npconv.gradcheck(lambda *given: forward(*given)[0], backward, x, *values, directions=2)


@each_spatial
def test_memory_order_is_xs(name, make, shape):
    x = spread(*shape)
    results = []
    for given in (x, channels_last(x)):
        layer = with_numbers(make())
        y, backprop = layer.forward(given, True)
        grad = drawing(1).standard_normal(y.shape)
        grad_x = backprop(grad)  # which lies channels first for both
        last = given is not x
        for array in (y, grad_x):
            if name != "Flatten" or array is grad_x:
                dense = np.moveaxis(array, 1, -1) if last else array
                assert dense.flags.c_contiguous
        results.append([y, grad_x])
    assert_same(*results)


@each_layer
def test_dtypes(name, make, shape):
    x = spread(*shape)
    wide = step(with_numbers(make()), x, drawing())
    narrow = step(with_numbers(make(), "float32"), x.astype(np.float32), drawing())
    assert {a.dtype for a in wide} == {np.dtype(np.float64)}
    assert {a.dtype for a in narrow} == {np.dtype(np.float32)}
    for a, b in zip(narrow, wide, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * max(1, np.abs(b).max()))


@each_layer
def test_nothing_given_is_written(name, make, shape):
    x = spread(*shape)
    kept = x.copy()
    layer = with_numbers(make())
    y, backprop = layer.forward(x, drawing())
    grad = np.ones_like(y)
    result = y.copy()
    x.flags.writeable = grad.flags.writeable = False
    backprop(grad)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(y, result)


@each_layer
def test_two_calls_do_not_know_of_each_other(name, make, shape):
    layer = with_numbers(make())
    a, b = spread(*shape), spread(*shape, seed=1) + 0.7
    alone = [step(layer, x, drawing()) for x in (a, b)]
    before = {key: id(value) for key, value in vars(layer).items()}
    (y, back), (_, other) = (layer.forward(x, drawing()) for x in (a, b))
    layer.zero_grad()
    grad = np.random.default_rng(1).standard_normal(y.shape)
    found = [y, back(grad), *(parameter.grad for parameter in layer.parameters())]
    assert_same(found, alone[0])
    layer.zero_grad()
    back(grad)
    other(grad)
    for parameter, one, two in zip(layer.parameters(), alone[0][2:], alone[1][2:], strict=True):
        np.testing.assert_allclose(parameter.grad, one + two, rtol=1e-10, atol=1e-10)
    assert {key: id(value) for key, value in vars(layer).items()} == before


@each_layer
def test_gradient_of_x_is_not_made_unless_wanted(name, make, shape):
    layer, x = with_numbers(make()), spread(*shape)
    wanted = step(layer, x, drawing())
    layer.zero_grad()
    y, backprop = layer.forward(x, drawing())
    grad_x = backprop(np.random.default_rng(1).standard_normal(y.shape), False)
    if name != "Identity":
        assert grad_x is None
    assert_same([parameter.grad for parameter in layer.parameters()], wanted[2:])


@each_layer
def test_threads_share_a_layer(name, make, shape):
    layer = with_numbers(make())
    xs = [spread(*shape, seed=seed) for seed in range(6)]
    alone = [step(layer, x, drawing())[:2] for x in xs]
    grads = [layer.parameters() and step(layer, x, drawing())[2:] for x in xs]

    def work(x):
        y, backprop = layer.forward(x, drawing())
        return [y, backprop(np.random.default_rng(1).standard_normal(y.shape))]

    layer.zero_grad()
    batches = layer.state_dict().get("num_batches_tracked")
    with ThreadPoolExecutor(4) as pool:
        for found, want in zip(pool.map(work, xs), alone, strict=True):
            assert_same(found, want)
    for number, parameter in enumerate(layer.parameters()):
        total = sum(each[number] for each in grads)
        np.testing.assert_allclose(parameter.grad, total, rtol=1e-9, atol=1e-9)
    if batches is not None:
        assert layer.num_batches_tracked.data == batches + 6


@each_layer
def test_copies_and_pickles(name, make, shape):
    layer, x = with_numbers(make()), spread(*shape)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        assert_same(step(twin, x, drawing()), step(layer, x, drawing()))
        for one, other in zip(twin.parameters(), layer.parameters(), strict=True):
            assert one.data is not other.data


@each_layer
def test_no_images(name, make, shape):
    if name == "BatchNorm2d plain":
        return  # it has nothing but the batch to go by
    layer, x = with_numbers(make()), np.ones((0, *shape[1:]))
    want = layer(spread(*shape)).shape
    y, backprop = layer.forward(x, False)
    assert y.shape == (0, *want[1:])
    assert backprop(np.ones_like(y)).shape == x.shape


STATES = {
    "Conv2d": ["weight", "bias"],
    "Conv2d reflect": ["weight"],
    "Linear": ["weight", "bias"],
    "GroupNorm": ["weight", "bias"],
    "BatchNorm2d": ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"],
    "BatchNorm2d plain": [],
    "ReLU": [],
}


@pytest.mark.parametrize("name", STATES)
def test_names_of_the_state(name):
    make = next(make for other, make, _ in LAYERS if other == name)
    assert list(make().state_dict()) == STATES[name]


def test_seeds():
    def weights(rng):
        return nn.Conv2d(3, 4, 3, rng=rng).state_dict()["weight"]

    np.testing.assert_array_equal(weights(5), weights(5))
    np.testing.assert_array_equal(weights(5), weights(np.random.default_rng(5)))
    assert (weights(5) != weights(6)).any()
    assert (weights(None) != weights(None)).any()
    rng = np.random.default_rng(0)
    assert (weights(rng) != weights(rng)).any()
