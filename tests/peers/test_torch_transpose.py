"""conv_transpose, unfold and fold against torch, over every argument both accept."""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_cases import (
    CHANNELS_LAST,
    DTYPES,
    MODES,
    SPATIAL,
    TOLERANCE,
    bordered,
    lies_as,
    numbers,
)

import npconv

TRANSPOSE = {
    1: torch.nn.ConvTranspose1d,
    2: torch.nn.ConvTranspose2d,
    3: torch.nn.ConvTranspose3d,
}


def draw_transpose(seed):
    """Return one random transposed convolution: torch's layer and input, and npconv's keywords."""
    rng = random.Random(seed)
    rank = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 2, 3))
    channels = groups * rng.randint(1, 3), groups * rng.randint(1, 3)
    kernel_size, stride, dilation, padding, output_padding, size = ([] for _ in range(6))
    for _ in range(rank):
        k, s, d = rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 3)
        n, extra = rng.randint(1, 6), rng.randint(0, max(s, d) - 1)
        whole = (n - 1) * s + d * (k - 1) + 1
        for values, value in zip(
            (kernel_size, stride, dilation, padding, output_padding, size),
            (k, s, d, rng.randint(0, min(4, (whole - 1) // 2)), extra, n),
            strict=True,
        ):
            values.append(value)
    dtype = rng.choice(DTYPES)
    torch.manual_seed(seed)
    layer = TRANSPOSE[rank](
        *channels,
        kernel_size,
        tuple(stride),
        tuple(padding),
        tuple(output_padding),
        groups,
        rng.random() < 0.5,
        tuple(dilation),
        dtype=getattr(torch, dtype),
    )
    batch = rng.choice(((), (1,), (2,), (3,)))
    shape = (*batch, channels[0], *size)
    x = torch.from_numpy(numbers(np.random.default_rng([seed, 0]), shape, dtype))
    if rank > 1 and batch and rng.random() < 0.4:
        x = x.contiguous(memory_format=CHANNELS_LAST[rank])
        layer = layer.to(memory_format=CHANNELS_LAST[rank])
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layout = ("N" if batch else "") + "C" + SPATIAL[rank]
    return layer, x, {"layout": layout, "output_padding": output_padding, **geometry}


def parameters(layer):
    """A layer's weight and bias as arrays."""
    bias = None if layer.bias is None else layer.bias.detach().numpy()
    return layer.weight.detach().numpy(), bias


@pytest.mark.parametrize("seed", range(200))
def test_conv_transpose_agrees_with_torch(seed):
    layer, x, keywords = draw_transpose(seed)
    x.requires_grad_()
    out = layer(x)
    grad_out = torch.from_numpy(
        numbers(np.random.default_rng([seed, 1]), out.shape, x.detach().numpy().dtype)
    )
    out.backward(grad_out)
    image, grad_out, (weight, bias) = x.detach().numpy(), grad_out.numpy(), parameters(layer)
    tolerance = TOLERANCE[str(image.dtype)]

    def close(array, expected):
        assert array.dtype == image.dtype
        np.testing.assert_allclose(array, expected, tolerance, tolerance, err_msg=str(keywords))

    result = npconv.conv_transpose(image, weight, bias, **keywords)
    close(result, out.detach().numpy())
    if min(result.shape) > 1 and min(image.shape) > 1:
        assert lies_as(result, image)

    # Its gradients are the other directions: the windows that output_padding adds are no windows.
    extra = keywords.pop("output_padding")
    keywords["padding"] = [(p, p - e) for p, e in zip(keywords["padding"], extra, strict=True)]
    close(npconv.conv(grad_out, weight.conj(), **keywords), x.grad.numpy())
    close(
        npconv.conv_weight_grad(image.conj(), grad_out, weight.shape, **keywords),
        layer.weight.grad.numpy(),
    )


@pytest.mark.parametrize("seed", range(60))
def test_out_size_is_torchs_output_size(seed):
    layer, x, keywords = draw_transpose(seed + 500)
    weight, bias = parameters(layer)
    del keywords["output_padding"]
    layer.output_padding = (0,) * len(keywords["stride"])
    with torch.no_grad():
        least = layer(x).shape[-len(keywords["stride"]) :]
        rng = random.Random(seed)
        size = [n + rng.randrange(s) for n, s in zip(least, keywords["stride"], strict=True)]
        expected = layer(x, output_size=size).numpy()
    result = npconv.conv_transpose(x.numpy(), weight, bias, out_size=size, **keywords)
    tolerance = TOLERANCE[str(result.dtype)]
    np.testing.assert_allclose(result, expected, tolerance, tolerance)

    # torch takes a step's worth of sizes; below the least one and past the reach both refuse.
    for axis, (n, s, d) in enumerate(
        zip(least, keywords["stride"], keywords["dilation"], strict=True)
    ):
        for wrong in (n - 1, n + max(s, d)):
            size = [*least[:axis], wrong, *least[axis + 1 :]]
            with pytest.raises(ValueError, match="requested an output size"):
                layer(x, output_size=size)
            with pytest.raises(npconv.ProblemError, match="conv_transpose: "):
                npconv.conv_transpose(x.numpy(), weight, bias, out_size=size, **keywords)


@pytest.mark.parametrize("name", npconv.algorithms())
def test_each_algorithm_transposes_as_torch(name):
    ran = 0
    for seed in range(1000, 1040):
        layer, x, keywords = draw_transpose(seed)
        with torch.no_grad():
            expected = layer(x).numpy()
        weight, bias = parameters(layer)
        try:
            out = npconv.conv_transpose(x.numpy(), weight, bias, algorithm=name, **keywords)
        except npconv.UnsupportedError as error:
            assert f"conv_transpose: {name} cannot do this" in str(error)
        else:
            ran += 1
            tolerance = TOLERANCE[str(out.dtype)]
            np.testing.assert_allclose(out, expected, tolerance, tolerance, err_msg=str(keywords))
    assert ran


@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("dilation", (1, 2, 3))
@pytest.mark.parametrize("output_padding", range(5))
def test_the_same_output_paddings_are_possible(stride, dilation, output_padding):
    x, weight = torch.arange(8.0).reshape(1, 2, 4), torch.arange(12.0).reshape(2, 2, 3)
    keywords = {"stride": stride, "dilation": dilation, "output_padding": output_padding}
    if output_padding >= max(stride, dilation):
        with pytest.raises(RuntimeError, match="output padding must be smaller"):
            functional.conv_transpose1d(x, weight, **keywords)
        with pytest.raises(npconv.ProblemError, match=r"conv_transpose: .*output_padding"):
            npconv.conv_transpose(x.numpy(), weight.numpy(), **keywords)
        return
    expected = functional.conv_transpose1d(x, weight, **keywords).numpy()
    result = npconv.conv_transpose(x.numpy(), weight.numpy(), **keywords)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("seed", range(120))
def test_unfold_and_fold_agree_with_torch(seed):
    rng = random.Random(seed)
    kernel_size, dilation, stride, padding, size = [], [], [], [], []
    for _ in range(2):
        k, d, p = rng.randint(1, 4), rng.randint(1, 3), rng.randint(0, 3)
        least = max(d * (k - 1) + 1 - 2 * p, p + 1)
        for values, value in zip(
            (kernel_size, dilation, stride, padding, size),
            (k, d, rng.randint(1, 4), p, least + rng.randint(0, 6)),
            strict=True,
        ):
            values.append(value)
    mode = rng.choice(MODES)
    batch, channels = rng.choice(((), (1,), (3,))), rng.randint(1, 4)
    dtype = rng.choice(("float64", "float32"))
    values = np.random.default_rng([seed, 0]).integers(-9, 10, (*batch, channels, *size))
    x = torch.from_numpy(values.astype(dtype)).requires_grad_()
    pairs = [(p, p) for p in padding]
    columns = functional.unfold(
        bordered(x, pairs, mode), kernel_size, dilation=dilation, stride=stride
    )
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "padding_mode": mode}
    letters = "N" if batch else ""
    result = npconv.unfold(values.astype(dtype), kernel_size, layout=letters + "CHW", **geometry)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, columns.detach().numpy())

    grad = np.random.default_rng([seed, 1]).integers(-9, 10, columns.shape).astype(dtype)
    columns.backward(torch.from_numpy(grad))
    folded = npconv.fold(grad, size, kernel_size, layout=letters + "CHW", **geometry)
    assert folded.dtype == dtype
    np.testing.assert_array_equal(folded, x.grad.numpy())
    if mode == "zeros":
        expected = functional.fold(
            torch.from_numpy(grad), size, kernel_size, dilation, padding, stride
        )
        np.testing.assert_array_equal(folded, expected.numpy())

    # Channels last: the same numbers, windows before taps before channels.
    def channels_last(a):
        a = a.reshape(*batch, channels, -1, a.shape[-1])
        return np.swapaxes(a, -1, -3).reshape(*batch, a.shape[-1], -1)

    turned = np.moveaxis(values.astype(dtype), -3, -1)
    result = npconv.unfold(turned, kernel_size, layout=letters + "HWC", **geometry)
    np.testing.assert_array_equal(result, channels_last(columns.detach().numpy()))
    result = npconv.fold(channels_last(grad), size, kernel_size, layout=letters + "HWC", **geometry)
    np.testing.assert_array_equal(np.moveaxis(result, -1, -3), x.grad.numpy())
