"""npconv under torch's tensors: values, gradients of any order, shared memory, real networks."""

import copy
import random

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional
from torch_cases import draw
from torch_tools import TRANSPOSED, normal, same

import npconv
from npconv.bridges import torch as bridge

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


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
