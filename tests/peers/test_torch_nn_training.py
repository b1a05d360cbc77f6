"""Losses, optimizers, schedules and clipping against PyTorch's, in float64."""

import math

import numpy as np
import pytest
import torch

from npconv import nn

REDUCTIONS = ("mean", "sum", "none")
SHAPES = ((7, 5), (4, 3, 6), (2, 4, 3, 5))


def near(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def check_loss(ours, theirs, y, target):
    """Hold a loss and its gradient to PyTorch's; of terms, to the gradient of their sum."""
    given = torch.from_numpy(y).requires_grad_()
    want = theirs(given, torch.from_numpy(target))
    want.sum().backward()
    value, grad = ours(y, target)
    near(value, want.detach().numpy())
    near(grad, given.grad.numpy())
    assert grad.dtype == y.dtype
    assert grad.shape == y.shape


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("smoothing", (0.0, 0.1, 1.0))
@pytest.mark.parametrize("kind", ("labels", "some ignored", "shares"))
def test_cross_entropy(reduction, shape, weighted, smoothing, kind):
    rng = np.random.default_rng(len(shape))
    y = 3 * rng.normal(size=shape)
    weight = rng.uniform(0.2, 2, shape[1]) if weighted else None
    places = shape[:1] + shape[2:]
    target = rng.integers(0, shape[1], places)
    if kind == "some ignored":
        target[rng.random(places) < 0.3] = 2
    elif kind == "shares":
        target = np.moveaxis(rng.dirichlet(np.ones(shape[1]), places), -1, 1).copy()
    ignore = 2 if kind == "some ignored" else -100
    keywords = {"ignore_index": ignore, "reduction": reduction, "label_smoothing": smoothing}
    theirs = torch.nn.CrossEntropyLoss(
        weight=None if weight is None else torch.from_numpy(weight), **keywords
    )
    check_loss(nn.CrossEntropyLoss(weight=weight, **keywords), theirs, y, target)


@pytest.mark.parametrize("scale", (1.0, 1e3, 1e5))
def test_cross_entropy_of_large_logits(scale):
    y = scale * np.random.default_rng(0).normal(size=(6, 4))
    check_loss(nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), y, np.arange(6) % 4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", ((5, 3), (2, 3, 4)))
@pytest.mark.parametrize("weighted", (False, True))
def test_binary_cross_entropy(reduction, shape, weighted):
    rng = np.random.default_rng(1)
    y, target = 20 * rng.normal(size=shape), rng.random(shape)
    target[0] = rng.integers(0, 2, shape[1:])
    much = {"weight": rng.random(shape[-1]), "pos_weight": rng.uniform(0.5, 3, shape[-1])}
    much = much if weighted else {}
    theirs = torch.nn.BCEWithLogitsLoss(
        reduction=reduction, **{name: torch.from_numpy(each) for name, each in much.items()}
    )
    check_loss(nn.BCEWithLogitsLoss(reduction=reduction, **much), theirs, y, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ("MSELoss", "L1Loss"))
def test_distances(name, reduction):
    rng = np.random.default_rng(2)
    y, target = rng.normal(size=(2, 4, 3, 5))
    target[1] = y[1]
    ours, theirs = (getattr(each, name)(reduction=reduction) for each in (nn, torch.nn))
    check_loss(ours, theirs, y, target)


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.6)}),
]


def pairs(shapes, dtype=np.float64):
    """The same parameters twice, and gradients for 20 steps; a fourth of these are missing."""
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    theirs = [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in arrays]
    grads = [
        [None if rng.random() < 0.25 else rng.normal(size=shape).astype(dtype) for shape in shapes]
        for _ in range(20)
    ]
    return [nn.Parameter(array) for array in arrays], theirs, grads


def give(ours, theirs, grads):
    for mine, other, grad in zip(ours, theirs, grads, strict=True):
        mine.grad = grad
        other.grad = None if grad is None else torch.from_numpy(grad.copy())


@pytest.mark.parametrize("name, keywords", OPTIMIZERS)
def test_an_optimizer_over_20_steps(name, keywords):
    ours, theirs, grads = pairs([(3, 2, 2), (4,), (1,), (300, 250)])
    mine, other = (
        getattr(each, name)(parameters, **keywords)
        for each, parameters in ((nn, ours), (torch.optim, theirs))
    )
    for each in grads:
        give(ours, theirs, each)
        mine.step()
        other.step()
        for a, b in zip(ours, theirs, strict=True):
            near(a.data, b.detach().numpy())


def test_what_an_optimizer_keeps_has_pytorchs_names():
    ours, theirs, _ = pairs([(3,)])
    give(ours, theirs, [np.ones(3)])
    mine, other = nn.Adam(ours, amsgrad=True), torch.optim.Adam(theirs, amsgrad=True)
    mine.step()
    other.step()
    assert set(mine.state_dict()) == {f"0.{part}" for part in other.state[theirs[0]]}
    for part, kept in other.state[theirs[0]].items():
        near(mine.state_dict()[f"0.{part}"], kept.numpy())


SCHEDULES = [
    (nn.StepLR(3), lambda o: torch.optim.lr_scheduler.StepLR(o, 3)),
    (nn.StepLR(7, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.5)),
    (nn.CosineAnnealingLR(20), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
    (
        nn.CosineAnnealingLR(8, 0.01),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8, 0.01),
    ),
    (nn.LinearLR(), lambda o: torch.optim.lr_scheduler.LinearLR(o)),
    (nn.LinearLR(0.1, 0.8, 9), lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 0.8, 9)),
    (
        nn.SequentialLR([nn.LinearLR(), nn.CosineAnnealingLR(12), nn.StepLR(2)], [5, 14]),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [
                torch.optim.lr_scheduler.LinearLR(o),
                torch.optim.lr_scheduler.CosineAnnealingLR(o, 12),
                torch.optim.lr_scheduler.StepLR(o, 2),
            ],
            [5, 14],
        ),
    ),
]


@pytest.mark.parametrize("ours, theirs", SCHEDULES, ids=lambda each: repr(each)[:20])
def test_a_schedule_over_20_steps(ours, theirs):
    mine, other, grads = pairs([(4, 3)])
    sgd = nn.SGD(mine, 0.3, momentum=0.9)
    optimizer = torch.optim.SGD(other, 0.3, momentum=0.9)
    schedule = theirs(optimizer)
    for time, each in enumerate(grads):
        rate = ours(time, sgd.lr)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        give(mine, other, each)
        sgd.step(rate)
        optimizer.step()
        schedule.step()
        near(mine[0].data, other[0].detach().numpy())


@pytest.mark.parametrize("norm_type", (1.0, 2.0, 3.5, math.inf))
@pytest.mark.parametrize("most", (0.0, 0.5, 1e6))
def test_clipping_the_norm(norm_type, most):
    ours, theirs, grads = pairs([(3, 2, 2), (4,), (5, 5)])
    for each in grads[:4]:
        if all(grad is None for grad in each):
            continue
        give(ours, theirs, each)
        norm = nn.clip_grad_norm(ours, most, norm_type)
        near(norm, torch.nn.utils.clip_grad_norm_(theirs, most, norm_type).numpy())
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine.grad is None) == (other.grad is None)
            if mine.grad is not None:
                near(mine.grad, other.grad.numpy())


def test_clipping_values():
    ours, theirs, grads = pairs([(30,), (4, 4)])
    give(ours, theirs, next(each for each in grads if all(grad is not None for grad in each)))
    nn.clip_grad_value(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    for mine, other in zip(ours, theirs, strict=True):
        near(mine.grad, other.grad.numpy())


class Net(torch.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first = torch.nn.Parameter(torch.from_numpy(first.copy()))
        self.second = torch.nn.Parameter(torch.from_numpy(second.copy()))

    def forward(self, x):
        return torch.tanh(x @ self.first) @ self.second


class TwoMatrices(nn.Layer):
    def __init__(self, first, second):
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)

    def forward(self, x, training=False):
        hidden = np.tanh(x @ self.first.data)

        def backprop(grad, wanted=True):
            self.second.add_grad(hidden.T @ grad)
            inner = (grad @ self.second.data.T) * (1 - hidden**2)
            self.first.add_grad(x.T @ inner)
            return inner @ self.first.data.T if wanted else None

        return hidden @ self.second.data, backprop


class InOrder:
    """Data whose batches come in one order, so that PyTorch can be given the same."""

    def __init__(self, x, target):
        self.x, self.target = x, target

    def __len__(self):
        return len(self.x)

    def batches(self, batch_size, rng=None, training=False):
        for i in range(0, len(self), batch_size):
            yield self.x[i : i + batch_size], self.target[i : i + batch_size]


def test_fit_is_the_loop_one_would_write_in_pytorch():
    rng = np.random.default_rng(4)
    x, target = rng.normal(size=(50, 6)), rng.integers(0, 3, 50)
    first, second = rng.normal(size=(6, 8)), rng.normal(size=(8, 3))
    net = Net(first, second)
    model = TwoMatrices(first, second)
    cosine = nn.CosineAnnealingLR(4)
    history = nn.fit(
        model,
        InOrder(x, target),
        4,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=nn.SGD(model, 0.5, momentum=0.9, nesterov=True),
        schedule=lambda time, lr: cosine(math.floor(time), lr),
        batch_size=16,
        clip=0.2,
        progress=False,
    )
    optimizer = torch.optim.SGD(net.parameters(), 0.5, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(4):
        total = hits = 0
        for i in range(0, 50, 16):
            wanted = torch.from_numpy(target[i : i + 16])
            optimizer.zero_grad()
            y = net(torch.from_numpy(x[i : i + 16]))
            value = loss(y, wanted)
            value.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.2)
            optimizer.step()
            total += value.item() * len(wanted)
            hits += (y.argmax(1) == wanted).sum().item()
        assert history[epoch]["loss"] == pytest.approx(total / 50, rel=1e-11)
        assert history[epoch]["accuracy"] == pytest.approx(hits / 50, rel=1e-12)
        assert history[epoch]["lr"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        schedule.step()
    near(model.first.data, net.first.detach().numpy())
    near(model.second.data, net.second.detach().numpy())
