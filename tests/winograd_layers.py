"""Random layers for the tests of Winograd convolution, and the oracle in canonical order."""

import numpy as np
from hypothesis import strategies as st

import oracle
from npconv.algorithms import winograd
from npconv.algorithms.contract import NOTHING
from npconv.problem import ConvProblem


class Soiled:
    """NumPy, but that new arrays are full of NaN, or of -1 where they hold integers."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=float):
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[...] = 255
        return array


def problem(x_shape, weight_shape, dtype="float32", **geometry):
    """A problem of canonical shapes."""
    kinds = dict.fromkeys(("x_dtype", "weight_dtype", "out_dtype"), np.dtype(dtype))
    return ConvProblem.create(x_shape, weight_shape, **kinds, **geometry)


def run(made, x, weight, ending=NOTHING):
    """Winograd's forward, without the planner: from the weight, and from it packed."""
    assert winograd.why_not(made) == ""
    out, again = (np.full(made.out_shape, np.nan, made.compute_dtype) for _ in range(2))
    finite = winograd.forward(made, x, weight, out, ending)
    packed = winograd.pack_weight(made, weight)
    assert winograd.forward_packed(made, x, packed, again, ending) == finite
    np.testing.assert_array_equal(again, out)
    return out


def want(made, x, weight):
    """The oracle's answer, and what its rounding is measured in, in canonical order."""
    turned = np.moveaxis(x, -1, 1), np.moveaxis(weight, (-1, -2), (0, 1))
    geometry = {
        name: getattr(made, name)
        for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    direct, size = oracle.direct(*turned, **geometry), oracle.magnitude(*turned, **geometry)
    return np.moveaxis(direct, 1, -1), np.moveaxis(size, 1, -1)


@st.composite
def layers(draw):
    """Draw a layer that has a Winograd form: shapes, and the geometry."""
    d = draw(st.sampled_from((1, 2, 2, 3)))
    groups = draw(st.sampled_from((1, 1, 2)))
    channels, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    sizes, kernels, strides, dilations, pads = [], [], [], [], []
    for axis in range(d):
        deep = axis < d - 2
        kernel = draw(st.integers(1, 4 if deep else 7))
        dilation = draw(st.sampled_from((1, 1, 2, 3)))
        pad = draw(st.integers(-3, 6)), draw(st.integers(-3, 6))
        kernels.append(kernel)
        strides.append(draw(st.sampled_from((1, 1, 2, 3))))
        pads.append(pad)
        dilations.append(dilation)
        reach = dilation * (kernel - 1) + 1
        sizes.append(draw(st.integers(1, 3 if deep else 16)) + max(reach - sum(pad), 0) + 6)
    x_shape = (draw(st.integers(1, 3)), *sizes, groups * channels)
    weight_shape = (*kernels, channels, groups * outputs)
    geometry = {
        "stride": tuple(strides),
        "padding": tuple(pads),
        "dilation": tuple(dilations),
        "groups": groups,
        "padding_mode": draw(st.sampled_from(("zeros", "zeros", "reflect", "wrap", "edge"))),
        "precision": draw(st.sampled_from(("strict", "fast"))),
    }
    return x_shape, weight_shape, geometry


def check(layer, dtype, order, seed=0):
    """Hold a layer to the oracle; channels lie where `order` says."""
    x_shape, weight_shape, geometry = layer
    made = problem(x_shape, weight_shape, dtype, **geometry)
    if winograd.why_not(made):
        return False
    rng = np.random.default_rng(seed)
    x, weight = (rng.standard_normal(s).astype(dtype) for s in (x_shape, weight_shape))
    direct, size = want(made, x, weight)
    if order == "first":
        x = np.moveaxis(np.moveaxis(x, -1, 1).copy(), 1, -1)
        weight = np.moveaxis(np.moveaxis(weight, (-1, -2), (0, 1)).copy(), (0, 1), (-1, -2))
    elif order == "reversed":
        x, weight = np.flip(np.flip(x).copy()), np.flip(np.flip(weight).copy())
    out = run(made, x, weight)
    loose = 16 if geometry["precision"] == "strict" else 150
    unit = oracle.UNIT[np.dtype(dtype).char] * loose
    assert np.abs(out - direct).max(initial=0) <= unit * size.max(initial=0)
    return True
