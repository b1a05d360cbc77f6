"""conv_transpose: the adjoint of conv as a layer, PyTorch's shapes, ONNX's auto_pad."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import conv_input_grad, conv_transpose
from transpose_cases import each, transposed


def torch_size(size, kernel, stride, padding, dilation, output_padding):
    """PyTorch's rule, an axis."""
    before, after = padding
    return (size - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1


@st.composite
def layers(draw):
    """Draw arrays and the geometry of a transposed convolution that leaves something."""
    d = draw(st.integers(1, 3))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    shape = [draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))]
    weight_shape = [shape[1], draw(st.integers(1, 2))]
    geometry = {"stride": [], "padding": [], "dilation": [], "output_padding": []}
    sizes = []
    for _ in range(d):
        n, k = draw(st.integers(1, {1: 12, 2: 5, 3: 3}[d])), draw(st.integers(1, 4))
        s, e = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        more = draw(st.integers(0, max(s, e) - 1))
        before, after = draw(st.integers(-2, 4)), draw(st.integers(-2, 4))
        size = torch_size(n, k, s, (before, after), e, more)
        if size < 1:
            after += size - 1
            size = 1
        shape.append(n)
        weight_shape.append(k)
        sizes.append(size)
        for name, value in zip(geometry, (s, (before, after), e, more), strict=True):
            geometry[name].append(value)
    geometry = {name: tuple(values) for name, values in geometry.items()}
    return shape, weight_shape, {**geometry, "groups": groups}, sizes, draw(st.integers(0, 2**32))


def arrays(shape, weight_shape, groups, seed, dtype):
    """x, weight and a bias of small integers."""
    rng = np.random.default_rng(seed)
    shapes = shape, weight_shape, (weight_shape[1] * groups,)
    return [oracle.small_integers(rng, s, dtype) for s in shapes]


@cases.examples(80, 4000)
@given(layers(), st.sampled_from(("float64", "float32", "int32", "complex64")), st.booleans())
def test_pytorchs_shapes_and_the_scattered_sum(layer, dtype, biased):
    shape, weight_shape, geometry, sizes, seed = layer
    x, weight, bias = arrays(shape, weight_shape, geometry["groups"], seed, dtype)
    bias = bias if biased else None
    before = [b for b, _ in geometry["padding"]]
    plain = {k: geometry[k] for k in ("stride", "dilation", "groups")}
    want = transposed(x, weight, bias, before, sizes, **plain)
    assert want.shape[2:] == tuple(sizes)
    for name, out in each(x, weight, bias, **geometry):
        cases.same_numbers(name, out, want, np.int64 if dtype == "int32" else dtype)
    # The same size asked for by its number, PyTorch's output_size.
    geometry.pop("output_padding")
    out = conv_transpose(x, weight, bias, out_size=tuple(sizes), **geometry)
    np.testing.assert_array_equal(np.rint(out), want)


@cases.examples(30, 2000)
@given(cases.problems(modes=("zeros",)))
def test_it_is_the_adjoint_of_conv(case):
    """x of conv has a size that one output_padding gives: none of its windows is left over."""
    x, weight, _ = case.arrays()
    y = oracle.direct(x, weight, **case.geometry)
    rng = np.random.default_rng(case.seed)
    g = oracle.small_integers(rng, y.shape, "float64")
    geometry = {k: v for k, v in case.geometry.items() if k != "padding_mode"}
    spans = [e * (k - 1) + 1 for e, k in zip(geometry["dilation"], weight.shape[2:], strict=True)]
    more = [
        (n + b + a - span) % s
        for n, (b, a), span, s in zip(
            x.shape[2:], geometry["padding"], spans, geometry["stride"], strict=True
        )
    ]
    for name, out in each(g, weight, output_padding=tuple(more), **geometry):
        assert out.shape == x.shape, name
        assert abs(np.vdot(x, out) - np.vdot(g, y)) <= (1e-6 if name in cases.ROUNDS else 0)
        np.testing.assert_array_equal(
            np.rint(out), np.rint(conv_input_grad(g, weight, x.shape, **case.geometry))
        )
        asked = conv_transpose(g, weight, out_size=x.shape[2:], **geometry)
        np.testing.assert_array_equal(np.rint(out), np.rint(asked))


@pytest.mark.parametrize("size", range(1, 6))
def test_every_small_1d_geometry(size):
    rng = np.random.default_rng(size)
    x = oracle.small_integers(rng, (1, 2, size), "float64")
    for kernel, stride, dilation in itertools.product(range(1, 5), range(1, 5), range(1, 4)):
        weight = oracle.small_integers(rng, (2, 1, kernel), "float64")
        every = itertools.product(range(3), range(3), range(5))
        for before, after, more in itertools.islice(every, kernel, None, 1 if cases.ALL else 7):
            geometry = {"stride": stride, "dilation": dilation, "output_padding": more}
            keywords = {"padding": ((before, after),), **geometry}
            length = torch_size(size, kernel, stride, (before, after), dilation, more)
            if more >= max(stride, dilation):
                with pytest.raises(npconv.ProblemError, match=f"output_padding is {more}"):
                    conv_transpose(x, weight, **keywords)
            elif length > 0:
                want = transposed(
                    x, weight, None, [before], [length], stride=[stride], dilation=[dilation]
                )
                out = conv_transpose(x, weight, **keywords)
                cases.same_numbers("auto", np.rint(out), want)


def test_padding_by_name():
    rng = np.random.default_rng(0)
    x, weight = (oracle.small_integers(rng, s, "float64") for s in ((1, 2, 4), (2, 3, 3)))
    plain = {"stride": [2], "dilation": [1]}
    out = conv_transpose(x, weight, stride=2, padding="valid")
    np.testing.assert_array_equal(out, transposed(x, weight, None, [0], [9], **plain))
    out = conv_transpose(x, weight, stride=2, padding="full")
    np.testing.assert_array_equal(out, transposed(x, weight, None, [2], [5], **plain))


def onnx_size_and_start(name, size, kernel, stride, dilation, wanted):
    """ONNX's ConvTranspose with auto_pad: its size, and how many elements are cut off before."""
    length = size * stride if wanted is None else wanted
    total = max(stride * (size - 1) + dilation * (kernel - 1) + 1 - length, 0)
    return length, (total // 2 if name == "same" else total - total // 2)


@pytest.mark.parametrize("name", ["same", "same_lower"])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_is_onnxs_auto_pad(name, stride, dilation):
    rng = np.random.default_rng(1)
    for size, kernel in itertools.product(range(1, 6), range(1, 7)):
        x = oracle.small_integers(rng, (2, 2, size), "float64")
        weight = oracle.small_integers(rng, (2, 2, kernel), "float64")
        full = stride * (size - 1) + dilation * (kernel - 1) + 1
        for wanted in (None, *range(1, full + 4, 1 if cases.ALL else 5)):
            length, start = onnx_size_and_start(name, size, kernel, stride, dilation, wanted)
            want = transposed(
                x, weight, None, [start], [length], stride=[stride], dilation=[dilation]
            )
            keywords = {"stride": stride, "dilation": dilation, "padding": name}
            out = conv_transpose(x, weight, out_size=wanted, **keywords)
            assert out.shape == (2, 2, length), (size, kernel, wanted)
            np.testing.assert_array_equal(np.rint(out), want, err_msg=f"{size} {kernel} {wanted}")


def test_same_in_two_axes_by_every_algorithm():
    rng = np.random.default_rng(2)
    x, weight, bias = (
        oracle.small_integers(rng, s, "float64") for s in ((2, 4, 5, 6), (4, 3, 4, 3), (6,))
    )
    for name in ("same", "same_lower"):
        for wanted in (None, (11, 20), (16, 12)):
            axes = [
                onnx_size_and_start(name, n, k, s, 1, None if wanted is None else wanted[i])
                for i, (n, k, s) in enumerate(((5, 4, 3), (6, 3, 2)))
            ]
            want = transposed(
                x, weight, bias, [b for _, b in axes], [n for n, _ in axes],
                stride=[3, 2], dilation=[1, 1], groups=2,
            )  # fmt: skip
            keywords = {"stride": (3, 2), "padding": name, "groups": 2, "out_size": wanted}
            for algorithm, out in each(x, weight, bias, **keywords):
                cases.same_numbers(algorithm, out, want)
