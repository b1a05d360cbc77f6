"""gradcheck says yes to right gradients and no, with the input named, to ones slightly wrong."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import oracle
from npconv import ProblemError, conv, gradcheck

GEOMETRY = {"stride": 2, "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}
SHAPES = (2, 2, 7, 8), (3, 2, 3, 3)


def f(x, weight):
    return oracle.direct(x, weight, **GEOMETRY).astype(np.float64)


def jacobians():
    """The maps x -> out and weight -> out as matrices, the other one being all that it holds."""
    rng = np.random.default_rng(3)
    pair = [rng.standard_normal(shape) for shape in SHAPES]

    def columns(i):
        for k in range(pair[i].size):
            unit = np.zeros(pair[i].size)
            unit[k] = 1
            yield f(*(unit.reshape(a.shape) if j == i else a for j, a in enumerate(pair))).ravel()

    return pair, [np.stack(list(columns(i)), 1) for i in range(2)]


PAIR, JACOBIANS = jacobians()


def grad(grad_out, x, weight):
    """The right gradient, at PAIR only."""
    grad_x, grad_weight = (
        (grad_out.ravel() @ matrix).reshape(shape)
        for matrix, shape in zip(JACOBIANS, SHAPES, strict=True)
    )
    return grad_x, grad_weight


def test_a_right_gradient_passes_in_silence(capsys):
    assert gradcheck(f, grad, *PAIR, directions=10) is True
    assert capsys.readouterr().out == ""


def in_first_channel(grad_x, grad_weight):
    grad_weight[0, 0, 0] *= 1.01
    return grad_x, grad_weight


def in_one_element(grad_x, grad_weight):
    grad_weight[0, 0, 0, 0] *= 1.01
    return grad_x, grad_weight


def remainder_row(grad_x, grad_weight):
    grad_x[:, :, -1] += grad_x[:, :, -2]
    return grad_x, grad_weight


MISTAKES = [
    ("one per cent in one row", in_first_channel, {1}),
    ("one per cent in one element", in_one_element, {1}),
    ("transposed kernel", lambda a, b: (a, b.swapaxes(2, 3)), {1}),
    ("flipped kernel", lambda a, b: (a, b[..., ::-1, ::-1]), {1}),
    ("swapped channels", lambda a, b: (a, b[:, ::-1]), {1}),
    ("a factor of two", lambda a, b: (a / 2, b), {0}),
    ("the batch's mean", lambda a, b: (a, b / 2), {1}),
    ("the sign", lambda a, b: (-a, b), {0}),
    ("a row of the remainder", remainder_row, {0}),
    ("shifted by one", lambda a, b: (np.roll(a, 1, -1), b), {0}),
    ("zero", lambda a, b: (0 * a, 0 * b), {0, 1}),
    ("not a number", lambda a, b: (a * np.nan, b), {0}),
    ("infinite", lambda a, b: (a, b + np.inf), {1}),
]


@pytest.mark.parametrize(
    ("mistake", "wrong"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_gradient_is_named(mistake, wrong, seed, capsys):
    assert gradcheck(f, lambda *args: mistake(*grad(*args)), *PAIR, seed=seed) is False
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["input", "direction", "analytic", "numeric", "relative", "difference"]
    assert {int(row.split()[0]) for row in rows} == wrong
    assert len(rows) == 3 * len(wrong)
    assert len({len(row) for row in (head, *rows)}) == 1  # aligned


def test_the_table_shows_both_numbers(capsys):
    x = np.full((2, 3), 5.0)
    assert not gradcheck(lambda x: 4 * x, lambda g, x: 5 * g, x, directions=1)
    row = capsys.readouterr().out.splitlines()[1]
    assert row.startswith("0  (2, 3) ")
    analytic, numeric, relative = map(float, row.split()[-3:])
    assert analytic / numeric == pytest.approx(1.25, rel=1e-8)
    assert relative == pytest.approx(0.2, rel=0.01)


@given(st.integers(0, 2**32 - 1), st.sampled_from((1e-150, 1e-9, 1.0, 255.0, 1e9)))
@cases.examples(30, 500)
def test_right_gradients_pass_whatever_the_seed_and_the_scale(seed, scale):
    rng = np.random.default_rng(seed)
    a, b = scale * rng.standard_normal((5, 7)), rng.standard_normal((7, 4))
    assert gradcheck(np.matmul, lambda g, a, b: (g @ b.T, a.T @ g), a, b, seed=seed)
    x = rng.uniform(-3, 3, (4, 50))
    assert gradcheck(np.sin, lambda g, x: g * np.cos(x), x, seed=seed)
    assert gradcheck(lambda x: np.exp(x) * x**3, lambda g, x: g * np.exp(x) * (x**3 + 3 * x**2), x)


def test_a_small_change_of_a_large_number_is_allowed_its_rounding():
    x = np.random.default_rng(0).standard_normal(50)
    assert gradcheck(lambda x: 1e8 + x, lambda g, x: g, x)
    assert not gradcheck(lambda x: 1e8 + x, lambda g, x: 2 * g, x)


def test_every_element_of_grad_out_counts(capsys):
    assert not gradcheck(lambda x: 3 * x, lambda g, x: 3 * g.mean() + 0 * x, np.ones(5))
    assert not gradcheck(lambda x: 3 * x, lambda g, x: 3 + 0 * x, np.ones(5))
    assert "numeric" in capsys.readouterr().out


def test_a_sum_of_very_many_terms():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 400)), rng.standard_normal((400, 300))
    assert gradcheck(np.matmul, lambda g, a, b: (g @ b.T, a.T @ g), a, b)

    def wrong(g, a, b):
        grad_a = g @ b.T
        grad_a[0, 0] *= 1.01
        return grad_a, a.T @ g

    assert not gradcheck(np.matmul, wrong, a, b, directions=5)


def test_maximum_over_values_that_lie_apart(capsys):
    x = np.random.default_rng(0).permutation(60).reshape(12, 5)

    def grad_max(g, x):
        return g[:, None] * (x == x.max(1, keepdims=True))

    assert gradcheck(lambda x: x.max(1), grad_max, x)
    assert not gradcheck(lambda x: x.max(1), grad_max, np.ones((12, 5)))  # ties: kinks everywhere
    assert "numeric" in capsys.readouterr().out


def test_complex_maps_are_checked_without_conjugates(capsys):
    rng = np.random.default_rng(0)
    a, b = (cases.real(rng, shape, "complex128") for shape in ((3, 4), (4, 2)))
    assert gradcheck(np.matmul, lambda g, a, b: (g @ b.T, a.T @ g), a, b)
    assert not gradcheck(np.matmul, lambda g, a, b: (g @ b.conj().T, None), a, b)
    assert "j" in capsys.readouterr().out


def test_one_input_a_scalar_and_inputs_left_out(capsys):
    assert gradcheck(lambda x: 3 * x, lambda g, x: 3 * g, 2.0)
    assert gradcheck(lambda x: 3 * x, lambda g, x: [3 * g], [1, 2, 3])
    assert gradcheck(np.multiply, lambda g, a, b: (None, g * a), np.ones(3), np.arange(3.0))
    assert not gradcheck(np.multiply, lambda g, a, b: (None, g), np.arange(3.0), np.ones(3))
    assert capsys.readouterr().out.splitlines()[1].startswith("1")


def test_inputs_arrive_in_float64_in_their_own_memory_order():
    seen = []

    def look(x):
        seen.append((x.dtype, x.strides))
        return x * x

    x = np.ones((3, 4, 5), np.float32).transpose(2, 0, 1)
    assert gradcheck(look, lambda g, x: 2 * x * g, x)
    assert set(seen) == {(np.dtype(np.float64), np.empty((3, 4, 5)).transpose(2, 0, 1).strides)}


def test_functions_that_write_where_they_should_not(capsys):
    buffer = np.zeros(4)
    x = np.arange(4.0)

    def reuse(x):
        np.testing.assert_allclose(x, [0, 1, 2, 3], atol=1e-3)
        np.multiply(x, 3, out=buffer)
        x[...] = 0
        return buffer

    assert gradcheck(reuse, lambda g, x: 3 * g, x)
    assert not gradcheck(reuse, lambda g, x: 2 * g, x)
    assert "numeric" in capsys.readouterr().out
    assert x.tolist() == [0, 1, 2, 3]


def test_the_same_arguments_give_the_same_table(capsys):
    tables = []
    for seed in (1, 1, 2):
        gradcheck(f, lambda *args: (None, 2 * grad(*args)[1]), *PAIR, seed=seed)
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]


def test_empty_inputs_have_nothing_to_differ():
    assert gradcheck(lambda x: x, lambda g, x: g, np.ones((0, 3)))


def double(g, *inputs):
    return 2 * g


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("f", "grad", "inputs", "match"),
    [
        (np.add, double, (ONES, ONES), r"grad gave 1 gradients, there are 2 inputs"),
        (np.add, lambda g, a, b: (g,) * 3, (ONES, ONES), r"(?s)gave 3 gradients.*one gradient an"),
        (np.add, lambda g, a, b: (g, g.T), (ONES, ONES), r"gradient 1 has shape \(3, 2\), its inp"),
        (np.sin, lambda g, x: g.sum(), (ONES,), r"gradient 0 has shape \(\), its input \(2, 3\)"),
        (np.sin, lambda g, x: None, (ONES,), r"every gradient is None"),
        (np.sin, lambda g, x: "g", (ONES,), r"gradient 0 has dtype <U1"),
        (np.sin, double, (), r"there is no input to check"),
        (np.sin, double, (ONES * np.nan,), r"input 0 has NaN or Inf"),
        (lambda x: x * np.inf, double, (ONES,), r"the result of f has NaN or Inf"),
        (lambda x: None, double, (ONES,), r"the result of f has dtype object"),
        (np.sin, double, ("abc",), r"input 0 has dtype <U3"),
    ],
)
def test_what_cannot_be_compared(f, grad, inputs, match):
    with pytest.raises(ProblemError, match=match) as caught:
        gradcheck(f, grad, *inputs)
    assert str(caught.value).startswith("gradcheck: ")
    for i, value in enumerate(inputs):
        assert re.search(
            rf"(?m)^  input {i} +{re.escape(str(np.shape(value)))}$", str(caught.value)
        )


def test_a_mistake_inside_f_keeps_its_own_message():
    with pytest.raises(ProblemError, match=r"(?s)^conv: x has 2 channels, weight wants 3.*OIW"):
        gradcheck(conv, lambda g, *inputs: inputs, np.ones((1, 2, 5)), np.ones((2, 3, 2)))


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"directions": 0}, r"directions is 0, and must be at least 1"),
        ({"directions": 1.5}, r"directions is 1\.5, not an integer"),
        ({"eps": 0}, r"eps is 0, and must be a number above 0"),
        ({"eps": np.nan}, r"eps is nan, and must"),
        ({"rtol": -1e-3}, r"rtol is -0\.001, and must"),
        ({"rtol": "small"}, r"rtol is 'small', and must"),
    ],
)
def test_keywords(keywords, match):
    with pytest.raises(ProblemError, match=match):
        gradcheck(np.sin, double, ONES, **keywords)
