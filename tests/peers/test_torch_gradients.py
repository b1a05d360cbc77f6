"""conv's gradients against torch, over every argument both accept."""

import numpy as np
import pytest
import torch
from torch_cases import CONV, SPATIAL, close, draw, lies_as

import npconv

# torch.nn.grad names them: the gradient for a given input size, and for a given weight size.
INPUT_GRAD = {
    1: torch.nn.grad.conv1d_input,
    2: torch.nn.grad.conv2d_input,
    3: torch.nn.grad.conv3d_input,
}
WEIGHT_GRAD = {
    1: torch.nn.grad.conv1d_weight,
    2: torch.nn.grad.conv2d_weight,
    3: torch.nn.grad.conv3d_weight,
}
EVEN_KERNEL = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


def torch_grads(case):
    """x, weight and a random grad_out as arrays, and torch's gradients for them."""
    layer, x = case.layer(), case.image().requires_grad_()
    out = case.forward(layer, x)
    grad_out = case.tensor(out.shape, 1)
    out.backward(grad_out)
    weight = layer.weight
    bias = None if layer.bias is None else layer.bias.grad.numpy()
    arrays = [a.detach().numpy() for a in (x, weight, grad_out)]
    return arrays, (x.grad.numpy(), weight.grad.numpy(), bias)


@pytest.mark.parametrize("seed", range(250))
@EVEN_KERNEL
def test_gradients_agree_with_torch(seed):
    case = draw(seed)
    (x, weight, grad_out), (grad_x, grad_weight, grad_bias) = torch_grads(case)
    # torch's gradient of a complex number is the conjugate's: npconv's maps conjugate nothing.
    x_, weight_ = x.conj(), weight.conj()
    keywords = {"layout": case.layout, **case.geometry}
    close(npconv.conv_input_grad(grad_out, weight_, x.shape, **keywords), grad_x, case)
    close(npconv.conv_weight_grad(grad_out, x_, weight.shape, **keywords), grad_weight, case)
    grads = npconv.conv_grad(grad_out, x_, weight_, **keywords)
    close(grads.x, grad_x, case)
    close(grads.weight, grad_weight, case)
    if grad_bias is not None:
        close(grads.bias, grad_bias, case)
    # x's own memory order, whichever that is, wherever every axis is long enough to have one.
    if min(x.shape) > 1:
        assert lies_as(grads.x, x)
        assert lies_as(npconv.conv_input_grad(grad_out, weight_, x, **keywords), x)
    if min(weight.shape) > 1:
        assert lies_as(grads.weight, weight)


@pytest.mark.parametrize("seed", range(60))
@EVEN_KERNEL
def test_channels_last_letters_agree_with_torch(seed):
    case = draw(seed, dtypes=("float64",))
    (x, weight, grad_out), (grad_x, grad_weight, grad_bias) = torch_grads(case)
    letters = SPATIAL[case.rank]
    channel = case.layout.index("C")
    x, grad_out, grad_x = (np.moveaxis(a, channel, -1) for a in (x, grad_out, grad_x))
    layout = case.layout.replace("C", "") + "C"
    for order in (f"{letters}IO", f"OI{letters}", f"O{letters}I"):
        turn = [f"OI{letters}".index(letter) for letter in order]
        grads = npconv.conv_grad(
            grad_out, x, weight.transpose(turn), layout=layout, weight_layout=order, **case.geometry
        )
        close(grads.x, grad_x, case)
        close(grads.weight, grad_weight.transpose(turn), case)
        if grad_bias is not None:
            close(grads.bias, grad_bias, case)


@pytest.mark.parametrize("name", npconv.algorithms())
@EVEN_KERNEL
def test_each_algorithm_agrees_with_torch(name):
    ran = {"input_grad": 0, "weight_grad": 0}
    for seed in range(1000, 1040):
        case = draw(seed, top=2)
        (x, weight, grad_out), (grad_x, grad_weight, _) = torch_grads(case)
        keywords = {"layout": case.layout, "algorithm": name, **case.geometry}
        for direction, call, arguments, expected in (
            ("input_grad", npconv.conv_input_grad, (weight.conj(), x.shape), grad_x),
            ("weight_grad", npconv.conv_weight_grad, (x.conj(), weight.shape), grad_weight),
        ):
            try:
                result = call(grad_out, *arguments, **keywords)
            except npconv.UnsupportedError as error:
                assert f"{call.__name__}: {name} cannot do this" in str(error)
            else:
                ran[direction] += 1
                close(result, expected, case)
    assert min(ran.values()) > 0, ran


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_in_each_direction_agrees_with_torch(seed):
    case = draw(seed + 2000, dtypes=("float64",))
    if case.padding == "same":
        case.padding = [0] * case.rank
        case.size = [n + 12 for n in case.size]
    (x, weight, grad_out), (grad_x, grad_weight, _) = torch_grads(case)
    keywords = {"layout": case.layout, **case.geometry}
    for effort in ("estimate", "measure") if seed < 4 else ("estimate",):
        plan = npconv.plan(x, weight, direction="input_grad", effort=effort, **keywords)
        close(plan(grad_out, weight), grad_x, case)
        plan = npconv.plan(x, weight, direction="weight_grad", effort=effort, **keywords)
        close(plan(grad_out, x), grad_weight, case)


@pytest.mark.parametrize("rank", (1, 2, 3))
def test_the_same_sizes_are_possible(rank):
    rng = np.random.default_rng(rank)
    geometry = {"stride": 4, "padding": 1, "dilation": 2}
    weight = torch.from_numpy(rng.standard_normal((2, 3, *(3,) * rank)))
    grad_out = torch.from_numpy(rng.standard_normal((2, 2, *(4,) * rank)))
    possible = []
    for size in range(1, 24):
        x = torch.from_numpy(rng.standard_normal((2, 3, *(size,) * rank)))
        calls = [
            (INPUT_GRAD[rank], npconv.conv_input_grad, (x.shape, weight), (weight, x.shape)),
            (WEIGHT_GRAD[rank], npconv.conv_weight_grad, (x, weight.shape), (x, weight.shape)),
        ]
        for theirs, ours, given, same in calls:
            same = [a if isinstance(a, torch.Size) else a.numpy() for a in same]
            try:
                expected = theirs(*given, grad_out, **geometry).numpy()
            except RuntimeError:
                with pytest.raises(npconv.ProblemError, match=f"^{ours.__name__}: "):
                    ours(grad_out.numpy(), *same, **geometry)
            else:
                result = ours(grad_out.numpy(), *same, **geometry)
                np.testing.assert_allclose(result, expected, 1e-11, 1e-11)
                possible.append(size)
    # One in a stride's worth: 4 windows of stride 4.
    assert possible == [15, 15, 16, 16, 17, 17, 18, 18]


@pytest.mark.parametrize("rank", (1, 2, 3))
def test_an_empty_batch(rank):
    x = torch.zeros((0, 4, *(7,) * rank), dtype=torch.float64, requires_grad=True)
    layer = CONV[rank](4, 6, 3, stride=2, padding=1, groups=2, dtype=torch.float64)
    out = layer(x)
    out.backward(torch.zeros_like(out))
    weight = layer.weight.detach().numpy()
    grads = npconv.conv_grad(
        np.zeros(out.shape), x.detach().numpy(), weight, stride=2, padding=1, groups=2
    )
    for grad, expected in zip(grads, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        np.testing.assert_array_equal(grad, expected.numpy())


@pytest.mark.parametrize("poison", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("seed", range(24))
def test_nan_and_inf_stand_where_torch_has_them(seed, poison):
    case = draw(seed + 3000, top=3, dtypes=("float64",))
    if case.padding == "same":
        case.padding = "valid"
    rng = np.random.default_rng(seed)
    layer, x = case.layer(), case.image()
    grad_out = case.tensor(case.forward(layer, x).shape, 1)
    # One array at a time, so that what spreads can be told apart.
    for target in (x, layer.weight.data, grad_out):
        at = tuple(int(rng.integers(n)) for n in target.shape)
        kept = target[at].item()
        target[at] = poison
        x = x.detach().requires_grad_()
        layer.zero_grad()
        case.forward(layer, x).backward(grad_out)
        arrays = [a.detach().numpy() for a in (grad_out, x, layer.weight)]
        for name in npconv.algorithms():
            try:
                grads = npconv.conv_grad(
                    *arrays, layout=case.layout, algorithm=name, **case.geometry
                )
            except npconv.UnsupportedError as error:
                assert f"conv_grad: {name} cannot do this" in str(error)
                continue
            same_kinds(name, grads.x, x.grad.numpy(), case)
            same_kinds(name, grads.weight, layer.weight.grad.numpy(), case)
            if layer.bias is not None:
                same_kinds(name, grads.bias, layer.bias.grad.numpy(), case)
        target.data[at] = kept


def same_kinds(name, array, expected, case):
    """Assert that NaN and both infinities stand in the same places."""
    message = f"{name}: {case}"
    np.testing.assert_array_equal(np.isnan(array), np.isnan(expected), err_msg=message)
    for value in (np.inf, -np.inf):
        np.testing.assert_array_equal(array == value, expected == value, err_msg=message)
