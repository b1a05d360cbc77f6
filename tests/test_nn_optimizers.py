"""Optimizers, schedules and clipping: memory orders, long arrays, states, what they refuse."""

import math

import numpy as np
import pytest

from npconv import ProblemError, nn
from npconv.nn import optimizer as base

KINDS = {
    "plain": lambda each: nn.SGD(each, 0.1),
    "momentum": lambda each: nn.SGD(each, 0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda each: nn.SGD(each, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda each: nn.Adam(each, 0.05, weight_decay=0.01),
    "amsgrad": lambda each: nn.Adam(each, 0.05, amsgrad=True),
    "adamw": lambda each: nn.AdamW(each, 0.05),
}


def last(array):
    """The same numbers, the second axis last in memory."""
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)


def holes(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


ORDERS = {"C": np.array, "last": last, "F": np.asfortranarray, "holes": holes}


def grads(shape, steps=4):
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape) for _ in range(steps)]


def run(kind, data, steps, order=np.array):
    weight = nn.Parameter(data)
    optimizer = KINDS[kind]([("weight", weight)])
    for grad in steps:
        weight.grad = order(grad)
        weight.grad.flags.writeable = False
        optimizer.step()
    return weight, optimizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (5,)])
def test_any_shape(kind, shape):
    start = np.random.default_rng(0).normal(size=shape)
    weight, _ = run(kind, start.copy(), grads(shape))
    one_by_one = [
        run(kind, start[place], [grad[place] for grad in grads(shape)])[0].data.item()
        for place in ((*place, None) for place in np.ndindex(shape))
    ]
    assert weight.data.shape == shape
    assert weight.data.ravel().tolist() == one_by_one


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 4, 2, 5), (0, 3), (2, 1, 3, 3)])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("of_grad", ("C", "last"))
def test_memory_order_changes_nothing(kind, shape, order, of_grad):
    start = np.random.default_rng(0).normal(size=shape)
    want, _ = run(kind, start.copy(), grads(shape))
    given = ORDERS[order](start)
    weight, _ = run(kind, given, grads(shape), ORDERS[of_grad])
    assert weight.data is given
    np.testing.assert_array_equal(weight.data, want.data)
    assert start.size == 0 or (weight.data != start).all()


@pytest.mark.parametrize("kind", KINDS)
def test_stretches_change_nothing(kind, monkeypatch):
    start = np.random.default_rng(0).normal(size=(7, 5, 3))
    want, _ = run(kind, start.copy(), grads((7, 5, 3)))
    for size in (1, 4, 105, 104):
        monkeypatch.setattr(base, "STRETCH", size)
        weight, _ = run(kind, start.copy(), grads((7, 5, 3)))
        np.testing.assert_array_equal(weight.data, want.data)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays(kind):
    start = np.ones((4, 3), np.float32)
    weight, optimizer = run(kind, start, [grad.astype(np.float32) for grad in grads((4, 3))])
    assert weight.data.dtype == np.float32
    kept = {n: a for n, a in optimizer.state_dict().items() if not n.endswith(".step")}
    assert all(array.dtype == np.float32 for array in kept.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_goes_on_where_it_was(kind):
    steps = grads((3, 4), 6)
    start = np.random.default_rng(0).normal(size=(3, 4))
    want, _ = run(kind, start.copy(), steps)
    half, optimizer = run(kind, start.copy(), steps[:3])
    state = optimizer.state_dict()
    weight = nn.Parameter(np.asfortranarray(half.data))
    other = KINDS[kind]([("weight", weight)])
    other.load_state_dict(state)
    for array in state.values():
        array[...] = 7  # copies were taken
    for grad in steps[3:]:
        weight.grad = grad
        other.step()
    np.testing.assert_array_equal(weight.data, want.data)
    assert set(other.state_dict()) == set(state)
    assert other.state_dict()["weight.step"] == 6


def test_weights_of_another_order_than_what_is_kept():
    weight, optimizer = run("momentum", np.ones((3, 4)), grads((3, 4))[:2])
    want, _ = run("momentum", np.ones((3, 4)), grads((3, 4)))
    weight.data = np.asfortranarray(weight.data)  # as loading weights may
    for grad in grads((3, 4))[2:]:
        weight.grad = grad
        optimizer.step()
    np.testing.assert_array_equal(weight.data, want.data)


def test_no_gradient_no_change():
    first, second = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    second.grad = np.ones(2)
    optimizer = nn.AdamW([first, second])
    optimizer.step()
    assert (first.data == 1).all()
    assert set(optimizer.state_dict()) == {"1.step", "1.exp_avg", "1.exp_avg_sq"}
    optimizer.zero_grad()
    assert second.grad is None


def test_names_are_the_models():
    model = nn.Sequential({"a": nn.Linear(2, 3, rng=0)})
    assert list(nn.SGD(model).parameters) == ["a.weight", "a.bias"]
    assert list(nn.SGD(model.named_parameters()).parameters) == ["a.weight", "a.bias"]
    assert list(nn.SGD(model.parameters()).parameters) == ["0", "1"]


def test_a_rate_for_one_step():
    weight = nn.Parameter(np.zeros(1))
    weight.grad = np.ones(1)
    optimizer = nn.SGD([weight], lr=1.0)
    optimizer.step(lr=0.25)
    optimizer.step()
    assert weight.data == -1.25


def state(**changed):
    return {"w.step": np.array(1), "w.exp_avg": np.ones(2), "w.exp_avg_sq": np.ones(2)} | changed


WRONG_STATES = [
    (state(**{"v.step": np.array(1)}), "v.step is not this optimizer's"),
    ({k: v for k, v in state().items() if k != "w.exp_avg"}, "w.exp_avg is missing"),
    (state(**{"w.exp_avg": np.ones(3)}), r"w.exp_avg is \(3,\) float64"),
    (state(**{"w.exp_avg": np.ones(2, int)}), r"w.exp_avg is \(2,\) int64"),
]


@pytest.mark.parametrize("wrong, message", WRONG_STATES)
def test_a_wrong_state_changes_nothing(wrong, message):
    weight = nn.Parameter(np.ones(2))
    weight.grad = np.ones(2)
    optimizer = nn.Adam([("w", weight)])
    optimizer.step()
    before = optimizer.state_dict()
    with pytest.raises(ProblemError, match=f"Adam.load_state_dict: {message}"):
        optimizer.load_state_dict(wrong)
    assert all((optimizer.state_dict()[name] == array).all() for name, array in before.items())


def one():
    return [nn.Parameter(np.ones(2))]


def misfit():
    parameters = one()
    parameters[0].grad = np.ones(3)
    nn.SGD(parameters).step()


WRONG = [
    (lambda: nn.SGD(one(), lr=-1), "SGD: lr is -1"),
    (lambda: nn.SGD(one(), lr=math.nan), "SGD: lr is nan"),
    (lambda: nn.SGD(one(), momentum=-0.1), "momentum is -0.1"),
    (lambda: nn.SGD(one(), nesterov=True), "nesterov needs momentum"),
    (lambda: nn.Adam(one(), betas=(0.9, 1.0)), "Adam: betas are"),
    (lambda: nn.AdamW(one(), weight_decay=-1), "AdamW: weight_decay is -1"),
    (lambda: nn.SGD([]), "no parameters"),
    (lambda: nn.SGD([np.ones(2)]), "ndarray is no parameter"),
    (misfit, r"0 is \(2,\), its gradient \(3,\)"),
    (lambda: nn.StepLR(0), "StepLR: step_size is 0"),
    (lambda: nn.CosineAnnealingLR(-1), "T_max is -1"),
    (lambda: nn.LinearLR(total_iters=0), "total_iters is 0"),
    (lambda: nn.SequentialLR([nn.LinearLR()], [5]), "1 schedules, milestones"),
    (lambda: nn.SequentialLR([nn.LinearLR()] * 3, [5, 5]), "rising"),
    (lambda: nn.SequentialLR([nn.LinearLR()] * 2, [0]), "from above 0"),
    (lambda: nn.clip_grad_norm(one(), -1), "max_norm is -1"),
    (lambda: nn.clip_grad_norm(one(), 1, 0), "norm_type 0"),
    (lambda: nn.clip_grad_value(one(), math.nan), "clip_value is nan"),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_what_is_refused(call, message):
    with pytest.raises(ProblemError, match=message):
        call()


def test_schedules_between_whole_times():
    assert nn.StepLR(2, 0.5)(1.99, 1.0) == 1.0
    assert nn.LinearLR(0.0, 1.0, 2)(0.5, 1.0) == 0.25
    assert nn.CosineAnnealingLR(2)(0.5, 1.0) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    joined = nn.SequentialLR([nn.LinearLR(0.0, 1.0, 2), nn.StepLR(1, 0.5)], [2])
    assert [joined(t, 1.0) for t in (1.5, 2, 2.5, 3, 4)] == [0.75, 1, 1, 0.5, 0.25]


def test_clipping_leaves_the_callers_arrays():
    parameters, grad = one(), np.array([3.0, 4.0])
    parameters[0].add_grad(grad)
    assert nn.clip_grad_norm(parameters, 1.0) == 5.0
    assert np.linalg.norm(parameters[0].grad) == pytest.approx(1.0, rel=1e-6)
    nn.clip_grad_value(parameters, 0.5)
    assert parameters[0].grad.max() == 0.5
    assert grad.tolist() == [3, 4]
    assert nn.clip_grad_norm(one(), 1.0) == 0.0
