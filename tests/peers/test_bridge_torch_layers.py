"""The bridge to PyTorch: networks whose layers are replaced, and what is said of them."""

import copy
import doctest
import io
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_tools import TRANSPOSED, Watched, normal

import npconv
from npconv.bridges import torch as bridge
from npconv.bridges.torch import calls, layers

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


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
