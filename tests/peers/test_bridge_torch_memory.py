"""The bridge to PyTorch: what is copied, kept, computed and left in its memory order."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_tools import Watched, normal

from npconv.bridges import torch as bridge

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


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
