"""Training steps to time: the networks, their data, npconv's own step and PyTorch's."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .contender import Call, Contender
from .own import compile_all

RATE = 1e-3  # small: the hundredth step is of a network like the first's


@dataclass(frozen=True)
class TrainCase:
    """A step of a network on a batch of images: forth, back and SGD with momentum."""

    network: str
    batch: int
    channels: int
    side: int
    classes: int = 10

    @property
    def words(self) -> tuple[str, str]:
        """What a table says: the network, and the shape of a batch."""
        return self.network, f"{self.batch}x{self.channels}x{self.side}x{self.side}"

    @property
    def name(self) -> str:
        """The same in one string."""
        return " ".join(self.words)


def data(case: TrainCase) -> tuple[np.ndarray, np.ndarray]:
    """Make a batch: images channels last in memory, and their classes."""
    rng = np.random.default_rng(0)
    shape = case.batch, case.side, case.side, case.channels
    x = np.moveaxis(rng.standard_normal(shape, dtype=np.float32), -1, 1)
    return x, rng.integers(0, case.classes, case.batch)


def network(case: TrainCase) -> Any:
    """Build npconv's network, the same at each call; dropout would make two of them differ."""
    from npconv import nn

    known: dict[str, Any] = {"num_classes": case.classes, "in_channels": case.channels, "rng": 0}
    if case.network == "lenet5":
        known["image_size"] = case.side
    model = nn.models.build(case.network, **known)
    for _, layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return model


def step(case: TrainCase, dtype: str = "float32") -> Call:
    """Prepare a step of npconv's; it returns the first step's loss."""
    from npconv import nn

    compile_all()
    model = network(case).astype(dtype)
    x, labels = data(case)
    x = x.astype(dtype)
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(model, RATE, momentum=0.9)
    losses: list[float] = []

    def run() -> float:
        y, backprop = model.forward(x, True)
        value, grad = loss(y, labels)
        backprop(grad, False)
        optimizer.step()
        model.zero_grad()
        losses.append(float(value))
        return losses[0]

    return run


def torch_step(torch: Any, case: TrainCase, last: bool) -> Call:
    """Prepare PyTorch's step with the same network, weights and batch, and the same result."""
    own = network(case)
    model = as_torch(torch, own)
    names = {name: torch.from_numpy(np.array(a)) for name, a in own.state_dict().items()}
    model.load_state_dict(names, strict=True)
    form = torch.channels_last if last else torch.contiguous_format
    model = model.to(memory_format=form).train()
    images, labels = data(case)
    x = torch.from_numpy(images).contiguous(memory_format=form)
    target = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9)
    losses: list[float] = []

    def run() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        return losses[0]

    return run


def as_torch(torch: Any, layer: Any) -> Any:
    """Build PyTorch's layer of the same kind and names, with weights of its own."""
    kind = type(layer).__name__
    children = {name: as_torch(torch, child) for name, child in layer.children()}
    if kind == "Sequential":
        return torch.nn.Sequential(OrderedDict(children))
    if kind == "Residual":
        return _residual(torch, layer, children)
    made = getattr(torch.nn, kind)
    geometry = ("kernel_size", "stride", "padding", "dilation")
    takes = {
        "Conv2d": ("in_channels", "out_channels", *geometry, "groups"),
        "BatchNorm2d": ("num_features", "eps", "momentum"),
        "MaxPool2d": ("kernel_size", "stride", "padding"),
        "AvgPool2d": ("kernel_size", "stride", "padding"),
        "AdaptiveAvgPool2d": ("output_size",),
        "Linear": ("in_features", "out_features"),
        "Dropout": ("p",),
    }.get(kind, ())
    given = {name: getattr(layer, name) for name in takes}
    if kind in ("Conv2d", "Linear"):
        given["bias"] = layer.bias is not None
    return made(**given)


def _residual(torch: Any, layer: Any, children: dict[str, Any]) -> Any:
    """Build a residual whose parts have the names that npconv's have."""
    body_name, past_name, after_name = layer.names
    body = children[body_name]

    class Residual(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            if body_name:
                self.add_module(body_name, body)
            else:
                for name, part in body.named_children():
                    self.add_module(name, part)
            for name in (past_name, after_name):
                if name in children:
                    self.add_module(name, children[name])

        def forward(self, x: Any) -> Any:
            y = x
            for part in [body] if body_name else body.children():
                y = part(y)
            y = y + (children[past_name](x) if past_name in children else x)
            return children[after_name](y) if after_name in children else y

    return Residual()


TRAINING = {"npconv training": Contender("training", "npconv", step)}
REFERENCE = {
    "training reference": Contender(
        "training", "npconv", partial(step, dtype="float64"), timed=False
    )
}
