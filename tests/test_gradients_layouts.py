"""Gradients in every layout and from every place in memory; out=, whatever it overlaps."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import grad_cases
import npconv
import oracle
import oracle_grad
from npconv import conv_grad, conv_input_grad, conv_weight_grad

GEOMETRY = {"padding": 1, "stride": (2, 1), "groups": 2}


def arrays(dtype="float64", seed=0):
    """grad_out, x and weight of small integers for GEOMETRY."""
    rng = np.random.default_rng(seed)
    shapes = (2, 6, 3, 8), (2, 4, 6, 7), (6, 2, 3, 2)
    return [oracle.small_integers(rng, shape, dtype) for shape in shapes]


def turned(array, source, target):
    """The array's axes in another order; letters that target lacks must be of length 1."""
    gone = tuple(i for i, a in enumerate(source) if a not in target)
    left = [a for a in source if a in target]
    return np.squeeze(array, gone).transpose([left.index(a) for a in target])


def in_memory(array, order):
    """A copy whose axes lie in memory in this order."""
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("NCHW")])
def test_every_order_of_x(letters):
    grad_out, x, weight = arrays()
    g, image = (turned(a, "NCHW", letters) for a in (grad_out, x))
    keywords = {"layout": letters, "weight_layout": "OIHW", **GEOMETRY}
    if letters.index("W") < letters.index("H"):
        keywords["stride"] = GEOMETRY["stride"][::-1]
    want = turned(oracle_grad.input_grad(grad_out, weight, x.shape, **GEOMETRY), "NCHW", letters)
    for name, grad in grad_cases.each_grad("input_grad", g, weight, image.shape, **keywords):
        cases.same_numbers(name, grad, want)
    want = oracle_grad.weight_grad(grad_out, x, weight.shape, **GEOMETRY)
    for name, grad in grad_cases.each_grad("weight_grad", g, image, weight.shape, **keywords):
        cases.same_numbers(name, grad, want)


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("OIHW")])
def test_every_order_of_weight(letters):
    grad_out, x, weight = arrays()
    kernel = turned(weight, "OIHW", letters)
    keywords = {"weight_layout": letters, **GEOMETRY}
    want = oracle_grad.input_grad(grad_out, weight, x.shape, **GEOMETRY)
    for name, grad in grad_cases.each_grad("input_grad", grad_out, kernel, x.shape, **keywords):
        cases.same_numbers(name, grad, want)
    want = turned(oracle_grad.weight_grad(grad_out, x, weight.shape, **GEOMETRY), "OIHW", letters)
    for name, grad in grad_cases.each_grad("weight_grad", grad_out, x, kernel.shape, **keywords):
        cases.same_numbers(name, grad, want)


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW", "NHW", "NHWC", "HNW", "CNHW"])
def test_missing_letters_are_axes_of_length_one(layout):
    rng = np.random.default_rng(1)
    batch, inputs, outputs = 2 if "N" in layout else 1, *((4, 3) if "C" in layout else (1, 1))
    x = oracle.small_integers(rng, (batch, inputs, 6, 7), "float64")
    weight = oracle.small_integers(rng, (outputs, inputs, 3, 2), "float64")
    grad_out = oracle.small_integers(
        rng, oracle.direct(x, weight, stride=2, padding=1).shape, "float64"
    )
    g, image = (turned(a, "NCHW", layout) for a in (grad_out, x))
    letters = {True: "HW", False: "OIHW" if layout[0] == "C" else "HWIO"}["C" not in layout]
    kernel = turned(weight, "OIHW", letters)
    keywords = {"layout": layout, "stride": 2, "padding": 1}
    want = oracle_grad.input_grad(grad_out, weight, x.shape, stride=2, padding=1)
    for name, grad in grad_cases.each_grad("input_grad", g, kernel, image.shape, **keywords):
        cases.same_numbers(name, grad, turned(want, "NCHW", layout))
    want = oracle_grad.weight_grad(grad_out, x, weight.shape, stride=2, padding=1)
    for name, grad in grad_cases.each_grad("weight_grad", g, image, kernel.shape, **keywords):
        cases.same_numbers(name, grad, turned(want, "OIHW", letters))


def test_weights_that_lack_letters():
    grad_out, x, weight = arrays()
    g, image = grad_out[:, :4], x[:, :4]
    for letters, kernel, groups in (
        ("OHW", weight[:4, :1], 4), ("HWO", weight[:4, :1], 4), ("IHW", weight[:1, :1], 1),
        ("HW", weight[:1, :1], 1),
    ):  # fmt: skip
        a, b = (g, image) if groups == 4 else (g[:, :1], image[:, :1])
        geometry = {**GEOMETRY, "groups": groups}
        shape = turned(kernel, "OIHW", letters).shape
        want = oracle_grad.weight_grad(a, b, kernel.shape, **geometry)
        for name, grad in grad_cases.each_grad(
            "weight_grad", a, b, shape, weight_layout=letters, **geometry
        ):
            cases.same_numbers(name, grad, turned(want, "OIHW", letters))
        want = oracle_grad.input_grad(a, kernel, b.shape, **geometry)
        given = turned(kernel, "OIHW", letters)
        for name, grad in grad_cases.each_grad(
            "input_grad", a, given, b.shape, weight_layout=letters, **geometry
        ):
            cases.same_numbers(name, grad, want)


@cases.examples(60, 3000)
@given(
    cases.problems(max_size=6),
    st.sampled_from(tuple(cases.PLACES)),
    st.sampled_from(tuple(cases.PLACES)),
    st.sampled_from(("float32", "int16", "complex64", "float16")),
)
def test_wherever_the_arrays_lie(case, grad_place, place, dtype):
    grad_out, x, weight = grad_cases.gradient(case, dtype)
    g = cases.PLACES[grad_place](grad_out)
    for direction in grad_cases.DIRECTIONS:
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **case.geometry)
        there = cases.PLACES[place](other)
        for name, grad in grad_cases.each_grad(direction, g, there, shape, **case.geometry):
            assert type(grad) is np.ndarray
            grad_cases.same_numbers(name, grad, want, grad_cases.result_dtype(grad_out, other))


@pytest.mark.parametrize("place", cases.PLACES)
def test_inputs_are_never_written(place):
    grad_out, x, weight = (cases.PLACES[place](a) for a in arrays("float32"))
    before = [a.tobytes() for a in (grad_out, x, weight)]
    for mode in oracle.PAD_MODES:
        for direction in grad_cases.DIRECTIONS:
            other = weight if direction == "input_grad" else x
            like = x if direction == "input_grad" else weight
            for name, _ in grad_cases.each_grad(
                direction, grad_out, other, like, padding_mode=mode, **GEOMETRY
            ):
                assert [a.tobytes() for a in (grad_out, x, weight)] == before, name


@pytest.mark.parametrize("axis", range(4))
def test_broadcast_arrays(axis):
    rng = np.random.default_rng(axis)
    full = [a.shape for a in arrays()]
    thin = [[1 if a == axis else n for a, n in enumerate(shape)] for shape in full]
    spread = [
        np.broadcast_to(oracle.small_integers(rng, t, "float32"), s)
        for t, s in zip(thin, full, strict=True)
    ]
    grad_cases.check_exact(*spread, **GEOMETRY)


def test_lists():
    for name, grad in grad_cases.each_grad("input_grad", [1, 2], [1, 0, -1], (4,), layout="W"):
        assert grad.tolist() == [1, 2, -1, -2], name
    for name, grad in grad_cases.each_grad("weight_grad", [1, 2], [1, 2, 3, 4], [3], layout="W"):
        assert grad.tolist() == [5, 8, 11], name
    grads = conv_grad([1.0, 2.0], [1, 2, 3, 4], [1, 0, -1], layout="W")
    assert [a.tolist() for a in grads] == [[1, 2, -1, -2], [5, 8, 11], [3.0]]


@pytest.mark.parametrize("memory", list(itertools.permutations(range(4))))
def test_grad_x_lies_in_memory_as_it_should(memory):
    grad_out, x, weight = arrays()
    want = oracle_grad.input_grad(grad_out, weight, x.shape, **GEOMETRY)
    g, like = in_memory(grad_out, memory), in_memory(x, memory)
    for one, shape in ((g, x.shape), (grad_out, like), (g, like)):
        for name, grad in grad_cases.each_grad("input_grad", one, weight, shape, **GEOMETRY):
            cases.same_numbers(name, grad, want)
            assert grad.transpose(memory).flags.c_contiguous, name
    for name, grad in grad_cases.each_grad("input_grad", g, weight, x, **GEOMETRY):
        assert grad.flags.c_contiguous, name


@pytest.mark.parametrize("memory", list(itertools.permutations(range(4))))
def test_grad_weight_lies_in_memory_as_weight_does(memory):
    grad_out, x, weight = arrays()
    want = oracle_grad.weight_grad(grad_out, x, weight.shape, **GEOMETRY)
    like = in_memory(weight, memory)
    for name, grad in grad_cases.each_grad("weight_grad", grad_out, x, like, **GEOMETRY):
        cases.same_numbers(name, grad, want)
        assert grad.transpose(memory).flags.c_contiguous, name
    g, image = in_memory(grad_out, memory), in_memory(x, memory)
    grads = conv_grad(g, image, like, **GEOMETRY)
    assert grads.x.transpose(memory).flags.c_contiguous
    assert grads.weight.transpose(memory).flags.c_contiguous
    plain = conv_weight_grad(g, image, weight.shape, **GEOMETRY)
    assert plain.flags.c_contiguous
    np.testing.assert_array_equal(plain, want)


@grad_cases.BOTH
def test_an_array_given_for_a_shape_is_never_read(direction):
    grad_out, x, weight = arrays("float32")
    other, shape = grad_cases.operands(direction, x, weight)
    want = oracle_grad.DIRECT[direction](grad_out, other, shape, **GEOMETRY)
    for like in (
        np.full(shape, np.nan),
        np.broadcast_to(np.complex128(np.inf), shape),
        np.ones(shape, bool),
        list(shape),
        tuple(np.int16(n) for n in shape),
    ):
        for name, grad in grad_cases.each_grad(direction, grad_out, other, like, **GEOMETRY):
            cases.same_numbers(name, grad, want, np.float32)


@grad_cases.BOTH
@pytest.mark.parametrize("place", [p for p in cases.PLACES if p != "read-only"])
def test_out_may_lie_anywhere(direction, place):
    for dtype, filler in (("float32", np.nan), ("int64", -99)):
        grad_out, x, weight = arrays(dtype)
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **GEOMETRY)
        for name in npconv.algorithms():
            out = cases.PLACES[place](np.full(shape, filler, dtype))
            keywords = {"algorithm": name, "out": out, **GEOMETRY}
            try:
                got = grad_cases.CALLS[direction](grad_out, other, shape, **keywords)
            except npconv.UnsupportedError:
                assert np.isnan(out).all() if filler != filler else (out == filler).all()
            else:
                assert got is out
                cases.same_numbers(name, np.asarray(out, dtype), want)


@grad_cases.BOTH
def test_nothing_beside_out_is_written(direction):
    grad_out, x, weight = arrays("float32")
    other, shape = grad_cases.operands(direction, x, weight)
    big = np.empty((*shape[:2], 2 * shape[2], 2 * shape[3] + 1), np.float32)
    inside = (slice(None), slice(None), slice(None, None, 2), slice(1, None, 2))
    beside = np.ones(big.shape, bool)
    beside[inside] = False
    for name in cases.able(x, weight, direction=direction, **GEOMETRY):
        big[...] = 1e30
        grad_cases.CALLS[direction](
            grad_out, other, shape, algorithm=name, out=big[inside], **GEOMETRY
        )
        assert (big[beside] == np.float32(1e30)).all(), name
        assert (np.abs(big[inside]) < 1e6).all(), name


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "complex64"])
@pytest.mark.parametrize("shift", [0, 1, 2, -1, -3, "reversed"])
def test_out_may_overlap_what_is_read(dtype, shift):
    rng = np.random.default_rng(1)
    weight = oracle.small_integers(rng, (2, 2, 3), dtype)
    start = oracle.small_integers(rng, (1, 2, 40), dtype)
    for direction, length in (("input_grad", 20), ("weight_grad", 3)):
        for read in ("grad_out", "other") if direction == "weight_grad" else ("grad_out",):
            for name in npconv.algorithms():
                buffer = start.copy()
                g = buffer[..., 7:25]
                other = weight if direction == "input_grad" else start[..., 5:25]
                if read == "other":
                    g, other = start[..., 7:25], buffer[..., 5:25]
                shape = (1, 2, 20) if direction == "input_grad" else weight.shape
                want = oracle_grad.DIRECT[direction](g.copy(), other.copy(), shape)
                at = 7 + (0 if shift == "reversed" else shift)
                room = np.lib.stride_tricks.as_strided(
                    buffer[0, 0, at:], (*shape[:2], length), _room_strides(buffer, shape)
                )
                out = room[..., ::-1] if shift == "reversed" else room
                try:
                    grad_cases.CALLS[direction](g, other, shape, algorithm=name, out=out)
                except npconv.UnsupportedError:
                    np.testing.assert_array_equal(buffer, start)
                else:
                    grad_cases.same_numbers(name, out, want, np.dtype(dtype))


def _room_strides(buffer, shape):
    """Strides of an array of this shape that lies within the buffer's rows, nothing twice."""
    step = buffer.strides[2]
    return (8 * step, buffer.strides[1], step) if shape[0] > 1 else buffer.strides


def test_out_may_be_an_operand():
    rng = np.random.default_rng(2)
    a, b = (oracle.small_integers(rng, (3, 3, 5), "float64") for _ in range(2))
    want = oracle_grad.input_grad(a, b, (3, 3, 5), padding=2)
    assert conv_input_grad(a, b, a, padding=2, out=a) is a
    np.testing.assert_array_equal(a, want)
    a, b = (oracle.small_integers(rng, (3, 3, 5), "float64") for _ in range(2))
    want = oracle_grad.weight_grad(a, b, (3, 3, 5), padding=2)
    assert conv_weight_grad(a, b, b, padding=2, out=b) is b
    np.testing.assert_array_equal(b, want)


@grad_cases.BOTH
def test_out_of_a_wider_or_narrower_dtype(direction):
    for dtype, others in (
        ("float32", ("float16", "float64", ">f4", "complex64", "longdouble")),
        ("int8", ("int64", "float64", ">i8", "int32")),
    ):
        grad_out, x, weight = arrays(dtype)
        other, shape = grad_cases.operands(direction, x, weight)
        want = oracle_grad.DIRECT[direction](grad_out, other, shape, **GEOMETRY)
        for wanted in others:
            out = np.full(shape, 99, wanted)
            grad_cases.CALLS[direction](grad_out, other, shape, out=out, **GEOMETRY)
            np.testing.assert_array_equal(out, want)
