"""nn's models against the same architectures in PyTorch: weights both ways, outputs, two steps."""

import importlib

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn as peer
from torch.nn import functional

from npconv import ProblemError, nn

alexnet_file = importlib.import_module("npconv.nn.models.alexnet")
vgg_file = importlib.import_module("npconv.nn.models.vgg")

SMALL = {"num_classes": 7, "dtype": "float64"}
HIDDEN = 24  # AlexNet's and VGG's 4096, cut so that the files are not half a gigabyte
STEP = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


class Named(peer.Module):
    """Layers one after the other under these names; what has no name is called between."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class Block(peer.Module):
    """ResNet's: steps are (out_channels, kernel_size, stride)."""

    def __init__(self, before, steps):
        super().__init__()
        self.count, channels, stride = len(steps), before, 1
        for number, (after, size, step) in enumerate(steps, 1):
            conv = peer.Conv2d(channels, after, size, step, size // 2, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", peer.BatchNorm2d(after))
            channels, stride = after, stride * step
        self.downsample = None
        if stride != 1 or before != channels:
            conv = peer.Conv2d(before, channels, 1, stride, bias=False)
            self.downsample = peer.Sequential(conv, peer.BatchNorm2d(channels))

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = functional.relu(y) if number < self.count else y
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def stages(counts, widths, before, wide):
    for number, (count, width) in enumerate(zip(counts, widths, strict=True), 1):
        blocks = []
        for place in range(count):
            stride = 2 if number > 1 and place == 0 else 1
            steps = [(width, 3, stride), (width, 3, 1)]
            if wide:
                steps = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
            blocks.append(Block(before, steps))
            before = steps[-1][0]
        yield f"layer{number}", peer.Sequential(*blocks)


def resnet(counts, wide=False):
    return Named(
        conv1=peer.Conv2d(3, 64, 7, 2, 3, bias=False),
        bn1=peer.BatchNorm2d(64),
        relu=peer.ReLU(),
        maxpool=peer.MaxPool2d(3, 2, 1),
        **dict(stages(counts, (64, 128, 256, 512), 64, wide)),
        avgpool=peer.AdaptiveAvgPool2d(1),
        flatten=peer.Flatten(),
        fc=peer.Linear(2048 if wide else 512, 7),
    )


def cifar_resnet():
    return Named(
        conv1=peer.Conv2d(3, 16, 3, 1, 1, bias=False),
        bn1=peer.BatchNorm2d(16),
        relu=peer.ReLU(),
        **dict(stages((3, 3, 3), (16, 32, 64), 16, False)),
        avgpool=peer.AdaptiveAvgPool2d(1),
        flatten=peer.Flatten(),
        fc=peer.Linear(64, 7),
    )


def vgg(plan, norm):
    layers, before = [], 3
    for each in plan:
        if each == "M":
            layers.append(peer.MaxPool2d(2))
            continue
        layers.append(peer.Conv2d(before, each, 3, padding=1))
        layers += [peer.BatchNorm2d(each)] if norm else []
        layers.append(peer.ReLU())
        before = each
    return Named(
        features=peer.Sequential(*layers),
        avgpool=peer.AdaptiveAvgPool2d(7),
        flatten=peer.Flatten(),
        classifier=peer.Sequential(
            peer.Linear(25088, HIDDEN), peer.ReLU(), peer.Dropout(),
            peer.Linear(HIDDEN, HIDDEN), peer.ReLU(), peer.Dropout(), peer.Linear(HIDDEN, 7),
        ),
    )  # fmt: skip


def alexnet():
    return Named(
        features=peer.Sequential(
            peer.Conv2d(3, 64, 11, 4, 2), peer.ReLU(), peer.MaxPool2d(3, 2),
            peer.Conv2d(64, 192, 5, padding=2), peer.ReLU(), peer.MaxPool2d(3, 2),
            peer.Conv2d(192, 384, 3, padding=1), peer.ReLU(),
            peer.Conv2d(384, 256, 3, padding=1), peer.ReLU(),
            peer.Conv2d(256, 256, 3, padding=1), peer.ReLU(), peer.MaxPool2d(3, 2),
        ),
        avgpool=peer.AdaptiveAvgPool2d(6),
        flatten=peer.Flatten(),
        classifier=peer.Sequential(
            peer.Dropout(), peer.Linear(9216, HIDDEN), peer.ReLU(), peer.Dropout(),
            peer.Linear(HIDDEN, HIDDEN), peer.ReLU(), peer.Linear(HIDDEN, 7),
        ),
    )  # fmt: skip


def lenet5():
    return Named(
        features=peer.Sequential(
            peer.Conv2d(1, 6, 5, padding=2), peer.ReLU(), peer.MaxPool2d(2),
            peer.Conv2d(6, 16, 5), peer.ReLU(), peer.MaxPool2d(2),
        ),
        flatten=peer.Flatten(),
        classifier=peer.Sequential(
            peer.Linear(400, 120), peer.ReLU(), peer.Linear(120, 84), peer.ReLU(),
            peer.Linear(84, 7),
        ),
    )  # fmt: skip


def step(before, after, size, stride=1, groups=1):
    conv = peer.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False)
    return peer.Sequential(conv, peer.BatchNorm2d(after), peer.ReLU6())


class Inverted(peer.Module):
    def __init__(self, before, after, stride, wider):
        super().__init__()
        inner = before * wider
        self.adds = stride == 1 and before == after
        self.conv = peer.Sequential(
            *([step(before, inner, 1)] if wider != 1 else []),
            step(inner, inner, 3, stride, inner),
            peer.Conv2d(inner, after, 1, bias=False),
            peer.BatchNorm2d(after),
        )

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


def mobilenet_v2():
    features, before = [step(3, 32, 3, 2)], 32
    plan = "1 16 1 1, 6 24 2 2, 6 32 3 2, 6 64 4 2, 6 96 3 1, 6 160 3 2, 6 320 1 1"
    for wider, after, count, stride in (map(int, part.split()) for part in plan.split(",")):
        for place in range(count):
            features.append(Inverted(before, after, stride if place == 0 else 1, wider))
            before = after
    return Named(
        features=peer.Sequential(*features, step(320, 1280, 1)),
        avgpool=peer.AdaptiveAvgPool2d(1),
        flatten=peer.Flatten(),
        classifier=peer.Sequential(peer.Dropout(0.0), peer.Linear(1280, 7)),
    )


VGG11 = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
PEERS = {
    "lenet5": (lenet5, 28),
    "alexnet": (alexnet, 63),
    "vgg11": (lambda: vgg(VGG11, False), 32),
    "vgg11_bn": (lambda: vgg(VGG11, True), 32),
    "resnet18": (lambda: resnet((2, 2, 2, 2)), 40),
    "resnet50": (lambda: resnet((3, 4, 6, 3), wide=True), 33),
    "cifar_resnet": (cifar_resnet, 16),
    "mobilenet_v2": (mobilenet_v2, 40),
}


def images(side, channels=3, batch=2):
    x = np.random.default_rng(side).standard_normal((batch, side, side, channels))
    return np.moveaxis(x, -1, 1)


def stirred(model):
    """The model with running statistics that are not those of the start."""
    rng = np.random.default_rng(5)
    for name, array in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
    return model


@pytest.mark.parametrize("name", PEERS)
def test_weights_go_to_pytorch_and_back_and_give_the_same_output(name, tmp_path, monkeypatch):
    for module in (alexnet_file, vgg_file):
        monkeypatch.setattr(module, "HIDDEN", HIDDEN)
    make, side = PEERS[name]
    ours = stirred(nn.models.build(name, rng=3, **SMALL))
    theirs = make().double().eval()
    nn.save(ours, tmp_path / "ours.safetensors")
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "ours.safetensors"), strict=True)
    x = images(side, 1 if name == "lenet5" else 3)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(x), wanted, rtol=1e-10, atol=1e-11)
    assert list(ours.state_dict()) == list(theirs.state_dict())

    with torch.no_grad():
        for each in theirs.state_dict().values():
            each += 1
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    nn.load_weights(ours, tmp_path / "theirs.safetensors")
    for key, array in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key], array.numpy())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "cifar_resnet"])
def test_two_training_steps_are_pytorchs(name):
    make, _ = PEERS[name]
    keywords = {"dropout": 0.0} if name == "mobilenet_v2" else {}
    ours = nn.models.build(name, rng=1, **SMALL, **keywords)
    theirs = make().double().train()
    theirs.load_state_dict({k: torch.tensor(a) for k, a in ours.state_dict().items()})
    x, labels = images(40, batch=4), np.array([0, 6, 2, 2])
    optimizer = nn.SGD(ours.named_parameters(), **STEP)
    peers = torch.optim.SGD(theirs.parameters(), **STEP)
    for _ in range(2):
        scores, backprop = ours.forward(x, training=True)
        loss, grad = nn.CrossEntropyLoss()(scores, labels)
        ours.zero_grad()
        backprop(grad, wanted=False)
        optimizer.step()
        their_loss = functional.cross_entropy(theirs(torch.from_numpy(x)), torch.tensor(labels))
        peers.zero_grad()
        their_loss.backward()
        peers.step()
        np.testing.assert_allclose(loss, their_loss.item(), rtol=1e-9)
    for (key, array), their in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        np.testing.assert_allclose(array, their.numpy(), rtol=1e-8, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_of_pytorch_are_read_into_singles(dtype, tmp_path):
    theirs = lenet5().to(dtype)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "half.safetensors")
    ours = nn.models.lenet5(num_classes=7)
    nn.load_weights(ours, tmp_path / "half.safetensors")
    for key, array in theirs.state_dict().items():
        own = ours.state_dict()[key]
        assert own.dtype == np.float32
        np.testing.assert_array_equal(own, array.float().numpy())


def test_a_pickle_of_pytorch_is_refused_by_its_name(tmp_path):
    torch.save(lenet5().state_dict(), tmp_path / "weights.pt")
    torch.save(lenet5().state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("weights.pt", "old.pth"):
        with pytest.raises(ProblemError, match=r"is a pickle(.|\n)*save_file"):
            nn.load_weights(nn.models.lenet5(num_classes=7), tmp_path / name)
