"""npconv.nn's layers against torch.nn's: results, gradients, running statistics, first weights."""

import random

import numpy as np
import pytest
import torch

from npconv import nn

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def as_tensor(array):
    return torch.from_numpy(array.copy(order="K"))


def drawn(shape, seed, last=False):
    """Normal numbers, channels-last in memory where that is asked for."""
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x


def agree(ours, theirs, shape, seed=0):
    """Two steps of training and one of use give the same, forward and back."""
    ours.astype("float64")
    theirs.double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()}, strict=True)
    for step, training in enumerate((True, True, False)):
        last = (seed + step) % 2 == 0 and len(shape) > 2
        x = drawn(shape, [seed, step], last)
        y, backprop = ours.forward(x, training)
        theirs.train(training)
        tensor = as_tensor(x).requires_grad_()
        want = theirs(tensor)
        assert y.shape == tuple(want.shape)
        np.testing.assert_allclose(y, want.detach().numpy(), **CLOSE)
        grad = drawn(y.shape, [seed, step, 1], last)
        for parameter in theirs.parameters():
            parameter.grad = None
        ours.zero_grad()
        want.backward(as_tensor(grad))
        np.testing.assert_allclose(backprop(grad), tensor.grad.numpy(), **CLOSE)
        theirs_by_name = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            np.testing.assert_allclose(
                parameter.grad, theirs_by_name[name].grad.numpy(), err_msg=name, **CLOSE
            )
        state = ours.state_dict()
        for name, value in theirs.state_dict().items():
            assert state[name].shape == tuple(value.shape)
            np.testing.assert_allclose(state[name], value.numpy(), err_msg=name, **CLOSE)


def geometry(rng, transposed):
    """Random arguments that torch takes too, and a shape of x for them."""
    axes = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 2, 3))
    kernel = [rng.randint(1, 4) for _ in range(axes)]
    dilation = [rng.randint(1, 2) for _ in range(axes)]
    stride = [rng.randint(1, 3) for _ in range(axes)]
    keywords = {
        "in_channels": groups * rng.randint(1, 3), "out_channels": groups * rng.randint(1, 3),
        "kernel_size": tuple(kernel), "stride": tuple(stride), "dilation": tuple(dilation),
        "groups": groups, "bias": rng.random() < 0.7,
        "padding": tuple(rng.randint(0, 2) for _ in kernel),
    }  # fmt: skip
    if transposed:
        most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
        keywords["output_padding"] = tuple(rng.randint(0, m) for m in most)
    else:
        keywords["padding_mode"] = rng.choice(
            ("zeros", "zeros", "reflect", "replicate", "circular")
        )
        if rng.random() < 0.2:
            keywords["padding"] = rng.choice(("same", "valid"))
            keywords["stride"] = 1 if keywords["padding"] == "same" else stride[0]
    size = [d * (k - 1) + rng.randint(3, 7) for k, d in zip(kernel, dilation, strict=True)]
    return axes, keywords, (rng.randint(1, 3), keywords["in_channels"], *size)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", ("Conv", "ConvTranspose"))
def test_convolutions(kind, seed):
    axes, keywords, shape = geometry(random.Random(seed), kind == "ConvTranspose")
    name = f"{kind}{axes}d"
    theirs = getattr(torch.nn, name)(**keywords)
    ours = getattr(nn, name)(**keywords, rng=seed)
    assert repr(ours) == repr(theirs)
    agree(ours, theirs, shape, seed)


@pytest.mark.parametrize("bias", (False, True))
@pytest.mark.parametrize("lead", ((), (3,), (2, 4)))
def test_linear(bias, lead):
    agree(nn.Linear(5, 4, bias), torch.nn.Linear(5, 4, bias), (*lead, 5))


@pytest.mark.parametrize("size", ((), (7,), (4, 5), (64, 6), (3, 2, 4)))
@pytest.mark.parametrize("momentum", (0.1, 0.7, None))
@pytest.mark.parametrize("affine", (False, True))
@pytest.mark.parametrize("track", (False, True))
def test_batch_norm(size, momentum, affine, track):
    name = f"BatchNorm{max(len(size), 1)}d"
    arguments = (3, 1e-3, momentum, affine, track)
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    assert repr(ours).split(",")[0] == repr(theirs).split(",")[0]
    if affine:
        ours.weight.data, ours.bias.data = np.array([0.5, -2, 1]), np.array([1.0, 0, 3])
    for seed in range(2):
        agree(ours, theirs, (4, 3, *size), seed)


@pytest.mark.parametrize("size", ((), (7,), (4, 5), (64, 6), (3, 2, 4)))
@pytest.mark.parametrize("groups", (1, 2, 3, 6))
@pytest.mark.parametrize("affine", (False, True))
def test_group_norm(size, groups, affine):
    if not size and groups == 6:
        pytest.skip("torch takes no group of one element in training")
    ours, theirs = (
        nn.GroupNorm(groups, 6, 1e-3, affine),
        torch.nn.GroupNorm(groups, 6, 1e-3, affine),
    )
    if affine:
        ours.weight.data = drawn((6,), 1)
        ours.bias.data = drawn((6,), 2)
    for seed in range(2):
        agree(ours, theirs, (4, 6, *size), seed)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ("MaxPool", "AvgPool"))
def test_pools(kind, seed):
    rng = random.Random(seed)
    axes = rng.choice((1, 2, 2, 3))
    kernel = [rng.randint(1, 4) for _ in range(axes)]
    keywords = {
        "stride": rng.choice((None, tuple(rng.randint(1, 4) for _ in kernel))),
        "padding": tuple(rng.randint(0, k // 2) for k in kernel),
        "ceil_mode": rng.random() < 0.5,
    }
    if kind == "AvgPool":
        keywords["count_include_pad"] = rng.random() < 0.5
    else:
        keywords["dilation"] = rng.randint(1, 2)
    shape = (2, 3, *(2 * k + rng.randint(0, 5) for k in kernel))
    name = f"{kind}{axes}d"
    ours, theirs = (getattr(one, name)(tuple(kernel), **keywords) for one in (nn, torch.nn))
    agree(ours, theirs, shape, seed)


@pytest.mark.parametrize("axes", (1, 2, 3))
@pytest.mark.parametrize("size", (1, 2, 5))
@pytest.mark.parametrize("out", (1, 2, 3, 5, 7, None, "mixed"))
def test_adaptive_pools(axes, size, out):
    if out == "mixed":
        out = (3, None, 2)[:axes]
    elif out is None:
        out = (None,) * axes  # torch wants a tuple of them
    if out == (None,):
        pytest.skip("torch wants a number for one axis")
    name = f"AdaptiveAvgPool{axes}d"
    shape = (2, 3, *(size, size + 2, size + 1)[:axes])
    for seed in range(2):
        agree(getattr(nn, name)(out), getattr(torch.nn, name)(out), shape, seed)


FUNCTIONS = [
    ("ReLU", {}), ("ReLU6", {}), ("LeakyReLU", {}), ("LeakyReLU", {"negative_slope": 0.3}),
    ("LeakyReLU", {"negative_slope": 2.5}), ("LeakyReLU", {"negative_slope": 0.0}),
    ("GELU", {}), ("GELU", {"approximate": "tanh"}), ("SiLU", {}), ("Sigmoid", {}), ("Tanh", {}),
    ("Softmax", {"dim": 1}), ("Softmax", {"dim": -1}), ("Flatten", {}), ("Identity", {}),
    ("Flatten", {"start_dim": 2}), ("Flatten", {"start_dim": 0, "end_dim": 1}),
    ("Dropout", {"p": 0}), ("Dropout", {"p": 1}), ("Dropout2d", {"p": 0}),
]  # fmt: skip


@pytest.mark.parametrize("name, keywords", FUNCTIONS)
def test_functions(name, keywords):
    ours, theirs = (getattr(one, name)(**keywords) for one in (nn, torch.nn))
    for seed in range(2):
        agree(ours, theirs, (3, 4, 5, 7), seed)


@pytest.mark.parametrize("name, keywords", FUNCTIONS[:13])
def test_functions_at_the_ends(name, keywords):
    ours, theirs = (getattr(one, name)(**keywords) for one in (nn, torch.nn))
    some = np.concatenate([np.linspace(-45, 45, 4001), [0.0, -0.0, 6, 700, -700, 800, -800]])
    for dtype, close in (("float64", 1e-14), ("float32", 2e-6)):
        values = some.astype(dtype)[None]
        tensor = as_tensor(values).requires_grad_()
        want = theirs(tensor)
        want.sum().backward()
        y, backprop = ours.forward(values, True)
        np.testing.assert_allclose(y, want.detach().numpy(), rtol=close, atol=close)
        grad = backprop(np.ones_like(y))
        np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=close, atol=close)
        assert y.dtype == grad.dtype == np.dtype(dtype)


@pytest.mark.parametrize("name", [name for name, _ in FUNCTIONS[:13]])
def test_nan_and_infinity(name):
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    if name == "Softmax":
        values = np.array([[np.nan, 1.0], [-np.inf, 1.0]])
    y = getattr(nn, name)()(values)
    want = getattr(torch.nn, name)(**({"dim": 1} if name == "Softmax" else {}))(as_tensor(values))
    if name in ("GELU", "SiLU"):  # 0 * inf
        values, y, want = values[:, [0, 1, 3]], y[:, [0, 1, 3]], want[:, [0, 1, 3]]
    np.testing.assert_allclose(y, want.numpy(), rtol=1e-14)


FORMS = {"nearest": (1, 2, 3), "linear": (1,), "bilinear": (2,), "trilinear": (3,)}


@pytest.mark.parametrize("mode", FORMS)
@pytest.mark.parametrize("seed", range(24))
def test_upsample(mode, seed):
    rng = random.Random(seed)
    axes = rng.choice(FORMS[mode])
    keywords = {"mode": mode}
    if seed % 2:
        keywords["size"] = tuple(rng.randint(1, 9) for _ in range(axes))
    else:
        keywords["scale_factor"] = rng.choice((2, 3, 0.5, 1.5, 2.7, (1.3, 2, 0.7)[:axes]))
    if mode != "nearest":
        keywords["align_corners"] = rng.choice((False, True, None))
    # Sizes that no factor leaves as they are: there torch's forward and backward "nearest" differ.
    shape = (2, 3, *(rng.randint(4, 7) for _ in range(axes)))
    agree(nn.Upsample(**keywords), torch.nn.Upsample(**keywords), shape, seed)


STARTS = [
    ("Linear", (300, 200)),
    ("Conv1d", (40, 80, 5)),
    ("Conv2d", (32, 64, 3, 1, 0, 1, 4)),
    ("Conv3d", (8, 64, 3)),
    ("ConvTranspose1d", (40, 80, 5)),
    ("ConvTranspose2d", (32, 64, 3, 1, 0, 0, 4)),
    ("ConvTranspose3d", (8, 64, 3)),
]


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("name, arguments", STARTS)
def test_first_weights_are_spread_as_torchs(name, arguments, dtype):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*arguments)
    ours = getattr(nn, name)(*arguments, rng=0, dtype=dtype)
    for part in ("weight", "bias"):
        mine, want = getattr(ours, part).data, getattr(theirs, part).detach().numpy()
        assert mine.shape == want.shape
        assert mine.dtype == dtype
        np.testing.assert_allclose(np.abs(mine).max(), np.abs(want).max(), rtol=10 / mine.size)
        np.testing.assert_allclose(mine.std(), want.std(), rtol=4 * np.sqrt(0.4 / mine.size))
        assert abs(mine.mean()) < 5 * mine.std() / np.sqrt(mine.size)
        # Evenly: a quarter of them in each quarter.
        counts = np.histogram(mine, 4, (-np.abs(mine).max(), np.abs(mine).max()))[0]
        np.testing.assert_allclose(counts / mine.size, 0.25, atol=5 * np.sqrt(0.19 / mine.size))
