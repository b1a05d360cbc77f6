"""conv against torch.nn.Conv1d, Conv2d and Conv3d in float64, over every argument both accept."""

import random

import numpy as np
import pytest
import torch

import npconv

CONV = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
MODES = ("zeros", "reflect", "replicate", "circular")
LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
CASES = 250


def draw(seed):
    """One random geometry that torch accepts, and its arrays."""
    rng = random.Random(seed)
    rank = rng.choice((1, 2, 2, 3))
    groups = rng.choice((1, 1, 2, 3))
    kernel_size = [rng.randint(1, 4) for _ in range(rank)]
    dilation = [rng.randint(1, 3) for _ in range(rank)]
    padding = rng.choice(("valid", "same", "sizes"))
    stride = [1 if padding == "same" else rng.randint(1, 3) for _ in range(rank)]
    if padding == "sizes":
        padding = [rng.randint(0, 4) for _ in range(rank)]
    reach = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
    # torch wants borders narrower than the image where it mirrors or wraps.
    widest = padding if isinstance(padding, list) else reach
    size = [max(r + 1, w + 1) + rng.randint(0, 5) for r, w in zip(reach, widest, strict=True)]
    return {
        "rank": rank,
        "batch": rng.randint(1, 3),
        "in_channels": groups * rng.randint(1, 3),
        "out_channels": groups * rng.randint(1, 3),
        "size": size,
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": rng.choice(MODES),
        "bias": rng.random() < 0.5,
    }


@pytest.mark.parametrize("seed", range(CASES))
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_conv_agrees_with_torch(seed):
    case = draw(seed)
    layer = CONV[case["rank"]](
        case["in_channels"],
        case["out_channels"],
        tuple(case["kernel_size"]),
        stride=tuple(case["stride"]),
        padding=case["padding"] if isinstance(case["padding"], str) else tuple(case["padding"]),
        dilation=tuple(case["dilation"]),
        groups=case["groups"],
        bias=case["bias"],
        padding_mode=case["padding_mode"],
        dtype=torch.float64,
    )
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((case["batch"], case["in_channels"], *case["size"]))
    with torch.no_grad():
        expected = layer(torch.from_numpy(x)).numpy()
    weight = layer.weight.detach().numpy()
    bias = layer.bias.detach().numpy() if case["bias"] else None
    geometry = {
        key: case[key] for key in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    for layout in (None, LAYOUTS[case["rank"]]):
        out = npconv.conv(x, weight, bias, layout=layout, **geometry)
        assert out.dtype == np.float64
        np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-11, err_msg=str(case))


@pytest.mark.parametrize("name", npconv.algorithms())
def test_each_algorithm_agrees_with_torch(name):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 6, 13, 11)), rng.standard_normal((8, 3, 3, 4))
    geometry = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x), torch.from_numpy(weight), **geometry
    ).numpy()
    rows = npconv.plan(x.shape, weight.shape, "float64", **geometry).rows
    if any(row.why_not for row in rows if row.algorithm == name):
        with pytest.raises(npconv.UnsupportedError, match=name):
            npconv.conv(x, weight, algorithm=name, **geometry)
        return
    out = npconv.conv(x, weight, algorithm=name, **geometry)
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-11)
