"""npconv under torch's tensors: values, gradients of any order, shared memory, real networks."""

import copy
import doctest
import io
import random
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional
from torch_cases import TOLERANCE, draw

import npconv
from npconv.bridges import torch as bridge
from npconv.bridges.torch import calls, layers

ROOT = Path(__file__).parents[2]
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CALLS = ("conv", "conv_transpose", "conv_input_grad", "conv_weight_grad")

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


def normal(*shape, dtype=torch.float64, grad=False):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_(grad)


def same(ours, theirs, dtype):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def all_same(ours, theirs, leaves, seed, dtype):
    """Compare two results, their gradients, and the gradients of those."""
    same(ours, theirs, dtype)
    generator = torch.Generator().manual_seed(seed)
    grad_out = torch.randn(ours.shape, dtype=ours.dtype, generator=generator, requires_grad=True)
    firsts = []
    for out in (ours, theirs):
        first = torch.autograd.grad(out, leaves, grad_out, create_graph=True)
        size = sum((g.abs() ** 2).sum() for g in first)
        firsts.append(
            (*first, *torch.autograd.grad(size, (grad_out, *leaves), materialize_grads=True))
        )
    for mine, other in zip(*firsts, strict=True):
        # Second derivatives are sums of sums: relative to their largest.
        scale = max(float(other.detach().abs().max()), 1.0) if other.numel() else 1.0
        same(mine / scale, other / scale, dtype)


@pytest.mark.parametrize("seed", range(120))
def test_conv_is_torchs(seed):
    case = draw(seed)
    layer, x = case.layer(), case.image().requires_grad_()
    theirs = case.forward(layer, x)
    leaves = [x, layer.weight, *([layer.bias] if case.bias else [])]
    ours = bridge.conv(x, layer.weight, layer.bias, **case.geometry)
    all_same(ours, theirs, leaves, seed, case.dtype)
    if case.pairs is None:
        replaced = bridge.replace_convs(copy.deepcopy(layer), precision="strict")
        same(replaced(x), theirs, case.dtype)


@pytest.mark.parametrize("seed", range(80))
def test_conv_transpose_is_torchs(seed):
    rng = random.Random(seed)
    rank, groups = rng.choice((1, 2, 2, 3)), rng.choice((1, 1, 2, 3))
    stride, dilation = ([rng.randint(1, 3) for _ in range(rank)] for _ in range(2))
    kernel_size = [rng.randint(1, 4) for _ in range(rank)]
    size = [rng.randint(2, 5) for _ in range(rank)]
    most = [
        s * (n - 1) + d * (k - 1)
        for s, n, d, k in zip(stride, size, dilation, kernel_size, strict=True)
    ]
    dtype = rng.choice(("float64", "float64", "complex128"))
    layer = TRANSPOSED[rank](
        groups * rng.randint(1, 3),
        groups * rng.randint(1, 3),
        tuple(kernel_size),
        stride=tuple(stride),
        padding=tuple(rng.randint(0, m // 2) for m in most),
        output_padding=tuple(rng.randrange(max(p)) for p in zip(stride, dilation, strict=True)),
        groups=groups,
        bias=rng.random() < 0.5,
        dilation=tuple(dilation),
        dtype=getattr(torch, dtype),
    )
    batch = rng.choice(((), (1,), (3,)))
    x = normal(*batch, layer.in_channels, *size, dtype=getattr(torch, dtype), grad=True)
    replaced = bridge.replace_convs(copy.deepcopy(layer), precision="strict")
    leaves = [x, layer.weight, *([] if layer.bias is None else [layer.bias])]
    for name, value in zip(("weight", "bias"), leaves[1:], strict=False):
        setattr(replaced, name, value)
    theirs = layer(x)
    all_same(replaced(x), theirs, leaves, seed, dtype)
    grown = zip(theirs.shape[-rank:], layer.output_padding, stride, strict=True)
    asked = [n - extra + s - 1 for n, extra, s in grown]
    theirs = layer(x, output_size=asked)
    same(replaced(x, output_size=asked), theirs, dtype)
    same(replaced(x, output_size=theirs.shape), theirs, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2},
        {"padding": "same", "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_gradients_are_torchs_differences(geometry, dtype):
    x = normal(2, 4, 6, 5, dtype=dtype, grad=True)
    weight = normal(2, 4 // geometry.get("groups", 1), 3, 2, dtype=dtype, grad=True)
    bias = normal(2, dtype=dtype, grad=True)

    def f(*tensors):
        return bridge.conv(*tensors, **geometry)

    def transposed(x, weight, bias):
        return bridge.conv_transpose(
            x, weight, bias, stride=2, dilation=(1, 3), output_padding=(1, 2)
        )

    assert gradcheck(f, (x, weight, bias), fast_mode=True)
    assert gradgradcheck(f, (x, weight, bias), fast_mode=True)
    weight = normal(4, 2, 3, 2, dtype=dtype, grad=True)
    assert gradcheck(transposed, (x, weight, bias), fast_mode=True)
    assert gradgradcheck(transposed, (x, weight, bias), fast_mode=True)


def test_the_fourth_derivative():
    x, v = normal(2, 3, 6, 5), normal(4, 3, 3, 2)
    weight = normal(4, 3, 3, 2, grad=True)
    value = (bridge.conv(x, weight, stride=2, padding=1) ** 4).sum() / 24
    for _ in range(4):
        (grad,) = torch.autograd.grad(value, weight, create_graph=True)
        value = (grad * v).sum()
    want = (functional.conv2d(x, v, stride=2, padding=1) ** 4).sum()
    torch.testing.assert_close(value.detach(), want, rtol=1e-11, atol=0)


class Watched:
    """What goes into npconv's calls and comes out."""

    def __init__(self, monkeypatch):
        self.names, self.given, self.made = [], [], []
        for name in CALLS:
            monkeypatch.setattr(npconv, name, self.watch(name, getattr(npconv, name)))

    def watch(self, name, original):
        def call(*arrays, **keywords):
            made = original(*arrays, **keywords)
            self.names.append(name)
            self.given.append([a for a in arrays if a is not None])
            self.made.append(made)
            return made

        return call


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


def shares(array, tensor):
    """Whether an array is a tensor's memory, all of it, as it lies there."""
    start = array.__array_interface__["data"][0] == tensor.data_ptr()
    return start and array.strides == tuple(s * tensor.itemsize for s in tensor.stride())


WAYS = {
    "plain": lambda t: t,
    "transposed": lambda t: t.transpose(-1, -2),
    "strided": lambda t: t[..., ::2, 1:],
    "expanded": lambda t: t[:, :1].expand_as(t),
    "channels last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "a Parameter": nn.Parameter,
    "detached": lambda t: t.requires_grad_().detach(),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_copied_on_the_way_in_or_out(way, watched):
    x, weight = WAYS[way](normal(2, 3, 8, 8)), nn.Parameter(normal(4, 3, 3, 3))
    bias = nn.Parameter(normal(4))
    x = x.detach().requires_grad_()
    out = bridge.conv(x, weight, bias)
    (given,), (made,) = watched.given, watched.made
    for array, tensor in zip(given, (x, weight, bias), strict=True):
        assert shares(array, tensor)
        assert array.flags.writeable
    assert shares(made, out)
    with torch.no_grad():
        out.detach()[0, 0, 0, 0] = 7  # what torch writes stands in npconv's result
    assert made[0, 0, 0, 0] == 7
    made[...] = 1
    assert bool((out == 1).all())
    grad_out = normal(*out.shape)
    grads = torch.autograd.grad(out, (x, weight), grad_out)
    assert watched.names[1:] == ["conv_input_grad", "conv_weight_grad"]
    for given, made, grad, other in zip(
        watched.given[1:], watched.made[1:], grads, (weight, x), strict=True
    ):
        assert shares(given[0], grad_out)
        assert shares(given[1], other)
        assert shares(made, grad)
    theirs = torch.autograd.grad(functional.conv2d(x, weight, bias), (x, weight), grad_out)
    torch.testing.assert_close(grads, theirs, rtol=1e-11, atol=1e-11)


def test_shared_memory_of_a_transposed_convolution(watched):
    x, weight = normal(2, 4, 5, 5, grad=True), normal(4, 3, 2, 2, grad=True)
    out = bridge.conv_transpose(x, weight, stride=2)
    assert shares(watched.given[0][0], x)
    assert shares(watched.made[0], out)
    grads = torch.autograd.grad(out, (x, weight), normal(*out.shape))
    assert watched.names[1:] == ["conv", "conv_weight_grad"]
    assert all(shares(made, grad) for made, grad in zip(watched.made[1:], grads, strict=True))


@pytest.mark.parametrize(
    ("call", "weight_shape"), [(bridge.conv, (4, 3, 3, 3)), (bridge.conv_transpose, (3, 4, 3, 3))]
)
def test_channels_last_stays_channels_last(call, weight_shape):
    last = {"memory_format": torch.channels_last}
    x, weight = normal(2, 3, 8, 7).to(**last), normal(*weight_shape).to(**last)
    x, weight = x.requires_grad_(), weight.requires_grad_()
    out = call(x, weight)
    grads = torch.autograd.grad(out, (x, weight), torch.ones(()).expand_as(out).double())
    for tensor in (out, *grads):
        assert tensor.is_contiguous(**last)
        assert not tensor.is_contiguous()
    out = call(x.contiguous(), weight.contiguous())
    assert out.is_contiguous()


def test_conjugates_and_negatives_that_wait():
    x, weight = (normal(2, 3, 6, 6, dtype=torch.complex128) for _ in range(2))
    x, weight = x.conj(), weight.conj()[..., :3, :3]
    assert x.is_conj()
    assert weight.is_conj()
    torch.testing.assert_close(bridge.conv(x, weight), functional.conv2d(x, weight))
    assert x.imag.is_neg()
    torch.testing.assert_close(
        bridge.conv(x.imag, weight.imag), functional.conv2d(x.imag, weight.imag)
    )
    leaf = normal(2, 3, 3, 3, dtype=torch.complex128, grad=True)
    grads = [
        torch.autograd.grad(conv(x, leaf.conj()).abs().sum(), leaf)
        for conv in (bridge.conv, functional.conv2d)
    ]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ("needs", "names", "saved"),
    [
        ("x", ["conv_input_grad"], 1),
        ("weight", ["conv_weight_grad"], 1),
        ("bias", [], 0),
        ("x weight", ["conv_input_grad", "conv_weight_grad"], 2),
        ("", None, 0),
    ],
)
def test_only_what_is_needed_is_kept_and_computed(needs, names, saved, watched):
    tensors = {"x": normal(1, 3, 6, 6), "weight": normal(2, 3, 3, 3), "bias": normal(2)}
    for name in needs.split():
        tensors[name].requires_grad_()
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        out = bridge.conv(**tensors)
    assert len(packed) == saved
    assert out.requires_grad == bool(needs)
    if names is None:
        return
    out.sum().backward()
    assert watched.names == ["conv", *names]
    for name, tensor in tensors.items():
        assert (tensor.grad is not None) == (name in needs.split())


def test_no_grad_and_inference_mode():
    x, weight = normal(1, 3, 6, 6), normal(2, 3, 3, 3, grad=True)
    want = functional.conv2d(x, weight).detach()
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            for call, kernel in (
                (bridge.conv, weight),
                (bridge.conv_transpose, weight.swapaxes(0, 1)),
            ):
                out = call(x, kernel)
                assert not out.requires_grad
            torch.testing.assert_close(bridge.conv(x, weight), want)
    with torch.inference_mode():
        x = x.clone()
        assert bridge.conv(x, weight).is_inference()


def test_what_was_changed_in_place_is_not_used():
    x, weight = normal(1, 3, 6, 6, grad=True), normal(2, 3, 3, 3, grad=True)
    out = bridge.conv(x, weight)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_functions_of_functions():
    x, weight = normal(1, 3, 6, 6), normal(2, 3, 3, 3)
    ours, theirs = (
        torch.func.grad(lambda w, conv=conv: (conv(x, w, padding=1) ** 2).sum())(weight)
        for conv in (bridge.conv, functional.conv2d)
    )
    torch.testing.assert_close(ours, theirs)
    layer = bridge.Conv2d(3, 2, 3, dtype=torch.float64)
    out = torch.func.functional_call(layer, {"weight": weight, "bias": torch.zeros(2).double()}, x)
    torch.testing.assert_close(out, functional.conv2d(x, weight))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int32])
def test_other_dtypes(dtype):
    x = torch.arange(48).reshape(1, 3, 4, 4).to(dtype)
    weight = torch.arange(-27, 27).reshape(2, 3, 3, 3).to(dtype)
    out = bridge.conv(x, weight)
    assert out.dtype == (torch.int64 if dtype == torch.int32 else dtype)
    want = functional.conv2d(x.double(), weight.double())
    torch.testing.assert_close(out.double(), want, rtol=1e-3, atol=0)


def test_empty_batches():
    x, weight = (
        torch.ones(0, 3, 6, 6, requires_grad=True),
        torch.ones(2, 3, 3, 3, requires_grad=True),
    )
    for call, kernel in ((bridge.conv, weight), (bridge.conv_transpose, weight.swapaxes(0, 1))):
        grads = torch.autograd.grad(call(x, kernel).sum(), (x, weight))
        assert grads[0].shape == x.shape
        assert bool((grads[1] == 0).all())


X, WEIGHT = torch.ones(1, 3, 5, 5), torch.ones(2, 3, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((X.to("meta"), WEIGHT), r"(?s)x is on meta\..*npconv computes in main.*fix +x\.cpu\(\)"),
        ((X.bfloat16(), WEIGHT), r"(?s)x is torch\.bfloat16\..*NumPy has.*fix +x\.float\(\)"),
        ((X, WEIGHT.bfloat16()), r"(?s)weight is torch\.bfloat16.*weight\.float\(\)"),
        ((X.to_sparse(), WEIGHT), r"(?s)x is torch\.sparse_coo\..*dense.*fix +x\.to_dense\(\)"),
        ((X.to_mkldnn(), WEIGHT), r"(?s)x is torch\._mkldnn\..*fix +x\.to_dense\(\)"),
        ((X.numpy(), WEIGHT), r"(?s)x is ndarray, not a torch\.Tensor.*torch\.from_numpy\(x\)"),
        ((X, None), r"weight is NoneType, not a torch\.Tensor"),
        ((X.double(), WEIGHT), r"(?s)x is torch\.float64, weight is torch\.float32.*one dtype"),
        ((X, WEIGHT, torch.ones(2).double()), r"x is torch\.float32, bias is torch\.float64"),
        ((X, WEIGHT, torch.ones(3)), r"bias has shape \(3,\), the result has 2 channels"),
        ((X, torch.ones(3)), r"(?s)weight has 1 axes\..*one, two or three spatial"),
        ((X, torch.ones(2, 3, 3)), r"x has 4 axes; beside this weight it must have 3, or 2"),
        ((X, torch.ones(2, 4, 3, 3)), r"x has 3 channels, weight wants 4"),
        ((X, WEIGHT, None, 2, "same"), r'(?s)padding="same" with stride 2.*fix.*integers'),
        ((X, WEIGHT, None, (1, 2), "same"), r'padding="same" with stride \(1, 2\)'),
        ((X, WEIGHT, None, 1, "full"), r"padding 'full' is not known"),
        ((X, WEIGHT, None, 1, 0, 1, 1, "mirror"), r"padding_mode 'mirror' is not known"),
    ],
)  # fmt: skip
def test_mistakes(arguments, match):
    with pytest.raises(npconv.ProblemError, match=match) as caught:
        bridge.conv(*arguments)
    assert str(caught.value).startswith("conv: ")


def test_mistakes_of_a_transposed_convolution():
    with pytest.raises(npconv.ProblemError, match=r"^conv_transpose: x is on meta"):
        bridge.conv_transpose(X.to("meta"), WEIGHT)
    with pytest.raises(npconv.ProblemError, match=r"^conv_transpose: x has 3 channels"):
        bridge.conv_transpose(X, WEIGHT)
    with pytest.raises(npconv.ProblemError, match=r"^conv_transpose: output_padding is 2"):
        bridge.conv_transpose(X, torch.ones(3, 2, 3, 3), stride=2, output_padding=2)
    with pytest.raises(
        npconv.ProblemError, match=r"^conv_transpose: output_size \(1, 2, 3\) has 3"
    ):
        bridge.ConvTranspose2d(3, 2, 3)(X, output_size=(1, 2, 3))
    with pytest.raises(npconv.UnsupportedError, match=r"^conv_transpose: fft cannot do this"):
        bridge.conv_transpose(X.int(), torch.ones(3, 2, 3, 3).int(), algorithm="fft")
    nested = torch.nested.nested_tensor([torch.ones(3, 5, 5)], layout=torch.jagged)
    with pytest.raises(npconv.ProblemError, match=r"(?s)^conv: x is a nested tensor.*to_padded"):
        bridge.conv(nested, WEIGHT)


class Block(nn.Module):
    """A block with a convolution shared by two places, as networks have them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding="same", padding_mode="circular", groups=4)
        self.again = self.conv
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return x + self.again(torch.relu(self.norm(self.conv(x))))


def network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        Block(),
        nn.ConvTranspose2d(8, 4, 2, stride=2, bias=False),
        nn.Conv2d(4, 4, (3, 1), dilation=(2, 1), padding_mode="replicate", padding=1),
        nn.Flatten(2),
        nn.Conv1d(4, 6, 5, stride=3),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(3),
    ).to(dtype)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_network_trains_alike_on_both(optimizer):
    images, labels = normal(16, 1, 10, 12), torch.arange(16) % 3
    networks = [network(), network()]
    for net in networks:
        torch.manual_seed(1)
        net(images)
    networks[0].load_state_dict(networks[1].state_dict())
    # The optimizer is made before the layers are replaced, and goes on working.
    optimizers = [getattr(torch.optim, optimizer)(net.parameters(), lr=0.01) for net in networks]
    assert bridge.replace_convs(networks[0]) is networks[0]
    losses = []
    for _ in range(8):
        step = []
        for net, optimize in zip(networks, optimizers, strict=True):
            optimize.zero_grad()
            loss = functional.cross_entropy(net(images), labels)
            loss.backward()
            optimize.step()
            step.append(loss.item())
        losses.append(step)
    ours, theirs = np.transpose(losses)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert ours[-1] < ours[0]
    kinds = [type(layer) for layer in networks[0].modules()]
    assert kinds.count(bridge.Conv2d) == 3  # a shared one counts once
    assert kinds.count(bridge.ConvTranspose2d) == kinds.count(bridge.Conv1d) == 1
    for ours, theirs in zip(*(net.state_dict().values() for net in networks), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_replacing_keeps_parameters_hooks_and_names():
    net = network()
    net(normal(2, 1, 10, 12))
    before = {name: id(p) for name, p in net.named_parameters()}
    state = {name: value.clone() for name, value in net.state_dict().items()}
    seen = []
    net[0].register_forward_hook(lambda layer, given, out: seen.append(type(layer)))
    net.eval()
    bridge.replace_convs(net)
    assert {name: id(p) for name, p in net.named_parameters()} == before
    assert list(net.state_dict()) == list(state)
    assert all(bool((net.state_dict()[name] == value).all()) for name, value in state.items())
    assert not any(layer.training for layer in net.modules())
    net(normal(2, 1, 10, 12))
    assert seen == [bridge.Conv2d]
    assert isinstance(net[0], nn.Conv2d)
    assert repr(net[0]).endswith("padding=(1, 1), on npconv)")


def test_replaced_networks_are_copied_and_saved():
    net, x = bridge.replace_convs(network(), precision="strict"), normal(2, 1, 10, 12)
    want = net(x)
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(net), torch.load(buffer, weights_only=False)):
        assert type(other[0]) is bridge.Conv2d
        assert other[0].precision == "strict"
        torch.testing.assert_close(other(x), want, rtol=0, atol=0)
    plain = network()
    plain(x)
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(plain(x), net(x))


@pytest.mark.parametrize("kind", [*TRANSPOSED.values(), nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_a_single_layer_is_replaced_itself(kind, watched):
    layer = kind(2, 3, 2).double()
    rank = len(layer.kernel_size)
    x = normal(1, 2, *[5] * rank)
    want = layer(x)
    assert bridge.replace_convs(layer) is layer
    assert type(layer) is getattr(bridge, kind.__name__)
    torch.testing.assert_close(layer(x), want)
    assert watched.names == ["conv_transpose" if "Transpose" in kind.__name__ else "conv"]
    fresh = getattr(bridge, kind.__name__)(2, 3, 2)
    assert fresh(x.float()).shape == want.shape


def test_settings_reach_npconv_and_may_be_changed(monkeypatch):
    seen = []

    def conv(*tensors, algorithm, precision, **keywords):
        seen.append((algorithm, precision))
        return calls.conv(*tensors, **keywords)

    monkeypatch.setattr(layers, "conv", conv)
    layer = bridge.replace_convs(nn.Conv1d(1, 1, 3))
    layer(torch.ones(1, 1, 9))
    bridge.replace_convs(layer, algorithm="taps", precision="strict")(torch.ones(1, 1, 9))
    assert seen == [("auto", "fast"), ("taps", "strict")]


class Scaled(nn.Conv2d):
    """A layer with a forward of its own."""

    def forward(self, input):
        return 2 * super().forward(input)


class Named(nn.Conv2d):
    """A layer with a name of its own alone."""


def test_layers_that_are_more_than_convolutions():
    x = normal(1, 3, 6, 6)
    net = nn.ModuleList([Scaled(3, 2, 3), Named(3, 2, 3), nn.Linear(2, 2)]).double()
    want = [net[0](x), net[1](x)]
    bridge.replace_convs(net)
    assert type(net[0]) is Scaled
    assert isinstance(net[1], Named)
    assert "on npconv" in repr(net[1])
    torch.testing.assert_close([net[0](x), net[1](x)], want)


def test_parametrized_and_lazy_layers(watched):
    x = normal(1, 3, 6, 6)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 3, dtype=torch.float64))
    want = normed(x)
    bridge.replace_convs(normed)
    out = normed(x)
    torch.testing.assert_close(out, want)
    out.sum().backward()
    assert all(p.grad is not None for p in normed.parameters())
    lazy = bridge.replace_convs(nn.Sequential(nn.LazyConv2d(4, 3, dtype=torch.float64)))
    assert lazy(x).shape == (1, 4, 4, 4)
    assert type(lazy[0]) is bridge.Conv2d
    assert watched.names == ["conv", "conv_weight_grad", "conv"]


def test_what_is_no_module_is_refused():
    with pytest.raises(npconv.ProblemError, match=r"^replace_convs: module is list, not a torch"):
        bridge.replace_convs([nn.Conv2d(3, 2, 3)])


@pytest.mark.parametrize("module", [calls, layers])
def test_the_docstrings_examples(module):
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
    assert tried > 0


def test_every_public_name_is_described():
    for name in bridge.__all__:
        assert getattr(bridge, name).__doc__
        assert ">>>" in getattr(bridge, name).__doc__ or isinstance(getattr(bridge, name), type)


def test_the_example_shows_equal_results(capsys):
    path = ROOT / "examples" / "torch_bridge.py"
    assert len(path.read_text().splitlines()) < 60
    runpy.run_path(str(path), run_name="__main__")
    assert "largest difference" in capsys.readouterr().out
