"""Repeated calls: NaN, threads, memory, errors and gradients, on the quick way as on the slow."""

import gc
import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest

import cases
import grad_cases
import npconv
import oracle
import oracle_grad
from npconv.algorithms import ALGORITHMS
from npconv.api import shortcut
from shortcut_cases import GEOMETRY, last, opened_doors, triple, wanted


@pytest.fixture
def doors(monkeypatch):
    """What went the slow way since it was last cleared."""
    yield from opened_doors(monkeypatch)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stands_where_the_direct_sum_has_it(doors, value):
    x, weight, bias = triple()
    names = [n for n in cases.able(x, weight, **GEOMETRY) if ALGORITHMS[n].SPREADS]
    for name in names:
        plan = npconv.plan(x, weight, **GEOMETRY)
        rows = tuple(row._replace(chosen=row.algorithm == name) for row in plan.rows)
        plan = replace(plan, rows=rows)
        keywords = {"algorithm": name, "activation": "relu", **GEOMETRY}
        packed = plan.pack(weight)
        out = np.zeros((2, 5, 9, 10), "f4")
        calls = [
            lambda a, k=keywords: npconv.conv(a, weight, bias, **k),
            lambda a, k=keywords, o=out: npconv.conv(a, weight, bias, out=o, **k),
            lambda a, p=plan: p(a, weight, bias, activation="relu"),
            lambda a, p=plan, w=packed: p(a, w, bias, activation="relu"),
        ]
        bad = x.copy()
        bad[1, 2, 3, 4] = value
        with np.errstate(all="ignore"):
            sums = oracle.direct(bad, weight, bias, **GEOMETRY)
        want = np.maximum(sums, 0)
        for call in calls:
            call(x)
            call(x)
            doors.clear()
            got = call(bad)
            assert doors
            cases.same_kinds(name, got, want)
            fine = np.isfinite(want)
            assert np.abs(got[fine] - want[fine]).max() < 0.1
            doors.clear()
            cases.same_numbers(name, call(x), wanted(x, weight, bias, "relu", **GEOMETRY))
            assert doors == []


def test_other_threads_and_other_wisdom_forget(doors):
    x, weight, _ = triple()
    npconv.conv(x, weight)
    for forget in (lambda: npconv.set_num_threads(1), npconv.wisdom.forget):
        npconv.conv(x, weight)
        assert shortcut._known
        forget()
        assert not shortcut._known


def test_strides_by_turns_open_no_door(doors):
    x, weight, _ = triple()
    wide = np.concatenate([x, x], 1)
    places = [x, last(x), wide[:, 6:], np.asfortranarray(x)]
    plan = npconv.plan(x, weight, **GEOMETRY)
    firsts = [(npconv.conv(a, weight, **GEOMETRY), plan(a, weight)) for a in places]
    doors.clear()
    for array, made in zip(places, firsts, strict=True):
        again = npconv.conv(array, weight, **GEOMETRY), plan(array, weight)
        for one, other in zip(again, made, strict=True):
            assert one.strides == other.strides
            np.testing.assert_array_equal(one, other)
    assert doors == []
    for shift in range(8):
        npconv.conv(np.zeros((2, 20, 9, 10 + shift), "f4")[:, :6, :, :10], weight, **GEOMETRY)
    assert max(map(len, shortcut._known.values())) == shortcut._KINDS


def test_no_array_is_kept_alive():
    x, weight, bias = triple()
    out = np.zeros((2, 5, 9, 10), "f4")
    plan = npconv.plan(x, weight, **GEOMETRY)
    for _ in range(2):
        npconv.conv(x, weight, bias, out=out, **GEOMETRY)
        npconv.conv_input_grad(out, weight, x, **GEOMETRY)
        npconv.conv_weight_grad(out, x, weight, **GEOMETRY)
        npconv.conv_transpose(out, weight, **GEOMETRY)
        plan(x, weight, bias, out)
        plan(x, plan.pack(weight))
    kept = [weakref.ref(array) for array in (x, weight, bias, out)]
    del x, weight, bias, out
    gc.collect()
    assert [one() is None for one in kept] == [True] * 4


@pytest.mark.parametrize("error", [MemoryError("no room"), ImportError("no kernels")])
def test_what_fails_is_told_by_the_slow_way(doors, error, monkeypatch):
    x, weight, _ = triple()
    keywords = {"algorithm": "im2col_tiled", **GEOMETRY}
    npconv.conv(x, weight, **keywords)

    def fail(*_):
        raise error

    doors.clear()
    monkeypatch.setattr(ALGORITHMS["im2col_tiled"], "forward", fail)
    match = "^conv: no room" if isinstance(error, MemoryError) else "no kernels|cannot do this"
    with pytest.raises((MemoryError, ImportError, npconv.UnsupportedError), match=match):
        npconv.conv(x, weight, **keywords)
    assert doors


def test_a_large_result_begins_at_a_line_and_lies_as_x():
    weight = np.ones((64, 1, 1, 1), "f4")
    for lies in (np.ascontiguousarray, last):
        x = lies(np.ones((1, 1, 200, 200), "f4").repeat(2, 1)[:, :1])
        made = [npconv.conv(x, weight) for _ in range(3)]
        assert {one.strides for one in made} == {made[0].strides}
        for one in made:
            assert one.nbytes > 8 << 20
            assert one.ctypes.data % 64 == 0
            assert one.flags.writeable
            assert (one == 1).all()


def test_a_plan_that_was_called_is_copied_and_pickled():
    x, weight, _ = triple()
    plan = npconv.plan(x, weight, **GEOMETRY)
    want = plan(x, weight)
    again = pickle.loads(pickle.dumps(plan))
    assert again == plan
    np.testing.assert_array_equal(again(x, weight), want)
    assert replace(plan, effort="measure").quick == []
    hash(plan.problem)
    # Text has another hash in another process.
    assert "_hash" not in again.problem.__getstate__()
    assert hash(again.problem) == hash(plan.problem)
    assert hash(replace(plan.problem, batch=3)) != hash(plan.problem)


def test_nothing_warns_where_numpy_is_not_asked():
    grad = np.full((1, 1, 8, 8), 1e38, "f4")
    weight = np.ones((1, 1, 3, 3), "f4") / 16
    bias = np.full(1, 3.4e38, "f4")
    for name in npconv.algorithms():
        for _ in range(2):
            try:
                grads = npconv.conv_input_grad(grad, weight, (1, 1, 10, 10), algorithm=name)
                made = npconv.conv_transpose(grad, weight, bias, algorithm=name)
            except npconv.UnsupportedError:
                break
            assert np.isfinite(grads).all()
            np.testing.assert_array_equal(np.isinf(made[0, 0, 2:8, 2:8]), True)


GRADIENTS = {
    "plain": ((2, 6, 9, 10), (5, 6, 3, 3), {"padding": 1}),
    "strided": ((2, 4, 9, 10), (5, 4, 3, 2), {"stride": 2, "padding": 1}),
    "wrapped": ((2, 4, 9, 10), (6, 2, 3, 3), {"padding": 1, "padding_mode": "wrap", "groups": 2}),
    "uncovered": ((1, 40, 9, 10), (32, 40, 2, 1), {"stride": 3}),
}


@pytest.mark.parametrize("case", GRADIENTS)
@grad_cases.BOTH
@pytest.mark.parametrize("lies", [np.ascontiguousarray, last])
def test_gradients(doors, case, direction, lies):
    x_shape, weight_shape, geometry = GRADIENTS[case]
    rng = np.random.default_rng(3)
    strided = {k: v for k, v in geometry.items() if k in ("stride", "padding")}
    size = oracle_grad.out_size(x_shape[2:], weight_shape[2:], **strided)
    shapes = (x_shape[0], weight_shape[0], *size), x_shape, weight_shape
    grad, x, weight = (lies(oracle.small_integers(rng, shape, "float32")) for shape in shapes)
    other, like = (weight, x) if direction == "input_grad" else (x, weight)
    want = oracle_grad.DIRECT[direction](grad, other, like.shape, **geometry)
    call = grad_cases.CALLS[direction]
    plan = npconv.plan(x, weight, direction=direction, **geometry)
    for name in [row.algorithm for row in plan.rows if not row.why_not]:
        rows = tuple(row._replace(chosen=row.algorithm == name) for row in plan.rows)
        one = replace(plan, rows=rows)
        out = np.zeros(like.shape, "f4")
        calls = [
            lambda s=like.shape, n=name: call(grad, other, s, algorithm=n, **geometry),
            lambda n=name: call(grad, other, like, algorithm=n, **geometry),
            lambda n=name, o=out: call(grad, other, like, algorithm=n, out=o, **geometry),
            lambda p=one: p(grad, other),
        ]
        for run in calls:
            first = run().copy("K")
            doors.clear()
            second = run()
            assert doors == []
            assert second.strides == (out if second is out else first).strides
            cases.same_numbers(name, second, want, np.dtype("f4"))
            np.testing.assert_array_equal(first, second)
            out[...] = 99
    grads = [npconv.conv_grad(grad, x, weight, **geometry) for _ in range(2)]
    doors.clear()
    grads.append(npconv.conv_grad(grad, x, weight, **geometry))
    assert doors == []
    for made in grads:
        cases.same_numbers(
            "winograd", getattr(made, direction.split("_")[0].replace("input", "x")), want
        )
        np.testing.assert_array_equal(made.bias, grad.sum((0, 2, 3)))


def test_the_shape_of_a_gradient_is_checked_all_the_same(doors):
    x, weight, _ = triple()
    grad = np.ones((2, 5, 9, 10), "f4")
    want = oracle_grad.input_grad(grad, weight, x.shape, **GEOMETRY)
    for _ in range(2):
        npconv.conv_input_grad(grad, weight, x.shape, **GEOMETRY)
        npconv.conv_input_grad(grad, weight, x, **GEOMETRY)
    for shape, match in (
        ((2, 6, 9.0, 10), "x_shape is"),
        ((2, 6, 9, 11), "grad_out has shape"),
        (x.astype(object), "x_shape has dtype|x has dtype"),
        (np.ma.masked_array(x), "masked"),
    ):
        with pytest.raises(npconv.ProblemError, match=match):
            npconv.conv_input_grad(grad, weight, shape, **GEOMETRY)
    for shape in ([2, 6, 9, 10], (np.int64(2), 6, 9, 10), x.astype("i2"), last(x)):
        got = npconv.conv_input_grad(grad, weight, shape, **GEOMETRY)
        cases.same_numbers("winograd", got, want)
        if shape is not x and isinstance(shape, np.ndarray):
            again = npconv.conv_input_grad(grad, weight, shape, **GEOMETRY)
            assert (
                again.strides == got.strides == last(got).strides if shape.dtype == "f4" else True
            )


def test_of_two_gradients_only_the_unknown_is_computed_slowly(doors, monkeypatch):
    x, weight, _ = triple()
    grad, wide = np.ones((2, 5, 9, 10), "f4"), weight.astype("f8")
    for _ in range(2):
        npconv.conv_grad(grad, x, wide, algorithm="im2col_index", **GEOMETRY)
    module, ran = ALGORITHMS["im2col_index"], []
    for name in ("input_grad", "weight_grad"):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, n=name, run=whole: ran.append(n) or run(*a))
    doors.clear()
    made = npconv.conv_grad(grad, x, wide, algorithm="im2col_index", **GEOMETRY)
    assert doors
    assert sorted(ran) == ["input_grad", "weight_grad"]
    np.testing.assert_array_equal(made.x, oracle_grad.input_grad(grad, wide, x.shape, **GEOMETRY))
    np.testing.assert_array_equal(
        made.weight, oracle_grad.weight_grad(grad, x, weight.shape, **GEOMETRY)
    )


def test_the_transposed_convolution(doors):
    _, weight, _ = triple()
    x = np.arange(300, dtype="f4").reshape(2, 5, 5, 6) % 7
    bias = np.arange(6, dtype="f4")
    geometry = {"stride": (2, 1), "padding": 1}
    want = oracle_grad.input_grad(x, weight, (2, 6, 9, 6), **geometry) + bias[:, None, None]
    for activation in (None, "relu6"):
        ended = want if activation is None else np.clip(want, 0, 6)
        npconv.conv_transpose(x, weight, bias, activation=activation, **geometry)
        doors.clear()
        got = npconv.conv_transpose(x, weight, bias, activation=activation, **geometry)
        assert doors == []
        cases.same_numbers("winograd", got, ended)
    with pytest.raises(npconv.ProblemError, match="bias has shape"):
        npconv.conv_transpose(x, weight, np.ones(5, "f4"), **geometry)
    larger = npconv.conv_transpose(x, weight, bias, output_padding=(1, 0), **geometry)
    assert larger.shape == (2, 6, 10, 6)
