"""Random problems that the explain page can draw, with the numbers npconv gives for them."""

import numpy as np

import npconv

MODES = ("zeros", "edge", "reflect", "symmetric", "wrap")


def draw(rng):
    """One problem in the page's own words; it may be invalid."""
    groups = int(rng.choice((1, 1, 1, 2, 3)))
    sides = {1: 3, 2: 2, 3: 2}[groups]
    kernel = [int(n) for n in rng.integers(1, 6, 2)]
    size = [int(n) for n in rng.integers(1, 13, 2)]
    flat = rng.random() < 0.1
    padding = [[int(n) for n in pair] for pair in rng.integers(-3, 6, (2, 2))]
    if flat:
        size[0], kernel[0], padding[0] = 1, 1, [0, 0]
    transposed = bool(rng.random() < 0.3)
    stride, dilation = ([int(n) for n in rng.integers(1, 4, 2)] for _ in range(2))
    more = [
        int(rng.integers(0, max(s, d) + (rng.random() < 0.1)))
        for s, d in zip(stride, dilation, strict=True)
    ]
    return {
        "batch": int(rng.integers(1, 3)),
        "inChannels": groups * int(rng.integers(1, sides + 1)),
        "outChannels": groups * int(rng.integers(1, sides + 1)),
        "size": size,
        "kernelSize": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "mode": "zeros" if transposed else str(rng.choice(MODES)),
        "transposed": transposed,
        "outputPadding": more if transposed else [0, 0],
        "layout": "NCHW",
    }


def solve(problem, rng):
    """The page's data for a problem, by npconv: arrays, out and both gradients.

    Raises npconv.ProblemError where there is no such convolution.
    """
    count, channels = problem["inChannels"], problem["outChannels"]
    groups, transposed = problem["groups"], problem["transposed"]
    pair = (count, channels // groups) if transposed else (channels, count // groups)
    whole = rng.random() < 0.5
    make = (lambda *shape: rng.integers(-9, 10, shape).astype(float)) if whole else rng.normal
    sample = make if whole else (lambda *shape: np.round(rng.normal(size=shape), 6))
    x = sample(problem["batch"], count, *problem["size"])
    weight, bias = sample(*pair, *problem["kernelSize"]), sample(channels)
    keywords = {
        "stride": problem["stride"],
        "padding": problem["padding"],
        "dilation": problem["dilation"],
        "groups": groups,
    }
    if transposed:
        more = {"output_padding": problem["outputPadding"]}
        shape, pads = npconv.conv_transpose_geometry(x, weight, **keywords, **more)
        out = npconv.conv_transpose(x, weight, bias, **keywords, **more)
        assert out.shape == shape
        grad_out, keywords["padding"] = sample(*shape), pads
        grad_x = npconv.conv(grad_out, weight, **keywords)
        grad_weight = npconv.conv_weight_grad(x, grad_out, weight.shape, **keywords)
    else:
        keywords["padding_mode"] = problem["mode"]
        out = npconv.conv(x, weight, bias, **keywords)
        grad_out = sample(*out.shape)
        grad_x = npconv.conv_input_grad(grad_out, weight, x.shape, **keywords)
        grad_weight = npconv.conv_weight_grad(grad_out, x, weight.shape, **keywords)
    arrays = {
        "x": x, "weight": weight, "bias": bias, "out": out, "gradOut": grad_out, "gradX": grad_x,
        "gradWeight": grad_weight,
    }  # fmt: skip
    written = {
        name: {"shape": list(array.shape), "data": [float(f"{v:.9g}") for v in array.ravel()]}
        for name, array in arrays.items()
    }
    return {"problem": problem, **written}


def cases(count, seed):
    """`count` problems: what the page is given, or the sentence npconv refuses it with."""
    rng = np.random.default_rng(seed)
    made = []
    while len(made) < count:
        problem = draw(rng)
        try:
            given = solve(problem, rng)
        except npconv.ProblemError as error:
            made.append({"problem": problem, "refused": error.sentence})
        else:
            if 0 < len(given["out"]["data"]) <= 6_000:
                made.append(given)
    return made
