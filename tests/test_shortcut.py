"""Repeated calls: what a first call found out is taken again, and only where it still holds."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import cases
import npconv
from npconv.algorithms import ALGORITHMS
from shortcut_cases import GEOMETRY, last, opened_doors, triple, unaligned, wanted


@pytest.fixture
def doors(monkeypatch):
    """What went the slow way since it was last cleared."""
    yield from opened_doors(monkeypatch)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("lies", [np.ascontiguousarray, last, np.asfortranarray])
def test_a_second_call_opens_no_door(doors, dtype, lies):
    x, weight, bias = triple(dtype)
    x = lies(x)
    ends = [None] if dtype == "complex64" else [None, "relu", "relu6"]
    for name in cases.able(x, weight, **GEOMETRY):
        if ALGORITHMS[name].why_not(npconv.plan(x, weight, **GEOMETRY).problem):
            continue
        for activation in ends:
            keywords = {"activation": activation, "algorithm": name, **GEOMETRY}
            first = npconv.conv(x, weight, bias, **keywords)
            doors.clear()
            out = np.full_like(first, 99)
            want = wanted(x, weight, bias, activation, **GEOMETRY)
            second = npconv.conv(x, weight, bias, **keywords)
            cases.same_numbers(name, second, want, first.dtype)
            assert second.strides == first.strides
            assert doors == []
            cases.same_numbers(name, npconv.conv(x, weight, **keywords), wanted(
                x, weight, None, activation, **GEOMETRY
            ))  # fmt: skip
            assert doors == []
            again = [npconv.conv(x, weight, bias, out=out, **keywords) for _ in range(2)]
            assert again[0] is again[1] is out
            cases.same_numbers(name, out, want)
            assert doors == []


@pytest.mark.parametrize(
    "turn",
    [
        lambda array: pickle.loads(pickle.dumps(array)),
        lambda array: array.view(np.dtype("f4", metadata={"what": "else"})),
    ],
)
def test_a_dtype_equal_to_numpys_own_opens_no_door(doors, turn):
    x, weight, bias = triple("float32")
    want = npconv.conv(x, weight, bias, **GEOMETRY)
    given = [turn(array) for array in (x, weight, bias)]
    assert all(array.dtype is not x.dtype for array in given)
    doors.clear()
    got = npconv.conv(*given, **GEOMETRY)
    assert doors == []
    assert got.dtype.metadata is None
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("lies", [np.ascontiguousarray, last])
def test_a_plan_called_again_opens_no_door(doors, lies):
    x, weight, bias = triple()
    x = lies(x)
    plan = npconv.plan(x, weight, **GEOMETRY)
    for name in cases.able(x, weight, **GEOMETRY):
        rows = tuple(row._replace(chosen=row.algorithm == name) for row in plan.rows)
        one = replace(plan, rows=rows)
        packed = one.pack(weight)
        want = wanted(x, weight, bias, "relu", **GEOMETRY)
        for kernel in (packed, weight):
            one(x, kernel, bias, activation="relu")
            doors.clear()
            cases.same_numbers(name, one(x, kernel, bias, activation="relu"), want)
            assert doors == []
        assert [known.quick.name for known in one.quick] == [name]
        out = np.full_like(want, 99, dtype="f4")
        for _ in range(2):
            assert one(x, packed, bias, out, "relu") is out
            cases.same_numbers(name, out, want)
            out[...] = 99
        one(x, packed)
        doors.clear()
        cases.same_numbers(name, one(x, packed), wanted(x, weight, **GEOMETRY))
        assert doors == []


CHANGES = {
    "byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "wider": lambda a: a.astype("f8"),
    "narrower": lambda a: a.astype("f2"),
    "integers": lambda a: a.astype("i4"),
    "reversed": lambda a: a[..., ::-1],
    "other memory": np.asfortranarray,
    "unaligned": unaligned,
    "one number": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(type("Own", (np.ndarray,), {})),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", ["im2col_tiled", "indirect", "winograd"])
def test_other_arrays_go_the_slow_way(doors, change, which, name):
    arrays = triple(seed=1)
    keywords = {"algorithm": name, **GEOMETRY}
    if name not in cases.able(*arrays[:2], **GEOMETRY):
        pytest.skip("kernels need Numba")
    for _ in range(2):
        npconv.conv(*arrays, **keywords)
    changed = list(arrays)
    changed[which] = CHANGES[change](arrays[which])
    same = which == 2 and change == "other memory"  # of one axis there is one
    want = wanted(*(np.asarray(a, "f8") for a in changed), **GEOMETRY)
    doors.clear()
    try:
        got = npconv.conv(*changed, **keywords)
    except npconv.UnsupportedError:
        got = npconv.conv(*changed, **GEOMETRY)
    assert bool(doors) != same
    cases.same_numbers(name, got, want)
    plain = [np.asarray(a, None if change != "list" else "f8") for a in changed]
    assert got.dtype == npconv.conv(*plain, algorithm="naive", **GEOMETRY).dtype


def overlapping():
    x, weight, bias = triple()
    x = np.ascontiguousarray(x[:, :5])
    return x, np.ascontiguousarray(weight[:, :5]), bias, x


def reads_bias():
    x, weight, bias = triple()
    room = np.zeros((2, 5, 9, 10), "f4")
    room.reshape(-1)[7:12] = bias
    return x, weight, room.reshape(-1)[7:12], room


@pytest.mark.parametrize("given", [overlapping, reads_bias])
def test_an_out_that_is_read_goes_the_slow_way(doors, given):
    for name in npconv.algorithms():
        x, weight, bias, _ = given()
        if name not in cases.able(x, weight, **GEOMETRY):
            continue
        want = wanted(x, weight, bias, **GEOMETRY)
        keywords = {"algorithm": name, **GEOMETRY}
        npconv.conv(x, weight, bias, **keywords)
        for _ in range(2):
            x, weight, bias, out = given()
            doors.clear()
            npconv.conv(x, weight, bias, out=out, **keywords)
            assert doors
            cases.same_numbers(name, out, want)


def test_an_out_of_another_kind_goes_the_slow_way(doors):
    x, weight, bias = triple()
    want = wanted(x, weight, bias, **GEOMETRY)
    keywords = {"algorithm": "im2col_tiled", **GEOMETRY}
    npconv.conv(x, weight, bias, **keywords)
    for dtype in ("f8", ">f4", "f2"):
        out = np.zeros(want.shape, dtype)
        doors.clear()
        assert npconv.conv(x, weight, bias, out=out, **keywords) is out
        assert doors
        np.testing.assert_array_equal(out, want)
    for lies in (last, np.asfortranarray, lambda a: a[..., ::-1]):
        out = lies(np.zeros(want.shape, "f4"))
        doors.clear()
        assert npconv.conv(x, weight, bias, out=out, **keywords) is out
        assert doors == []
        np.testing.assert_array_equal(out, want)
    flat = np.zeros(4 * want.size + 1, np.uint8)[1:].view("f4").reshape(want.shape)
    doors.clear()
    assert npconv.conv(x, weight, bias, out=flat, **keywords) is flat
    assert doors
    np.testing.assert_array_equal(flat, want)
    own = np.zeros(want.shape, "f4").view(type("Own", (np.ndarray,), {}))
    doors.clear()
    assert npconv.conv(x, weight, bias, out=own, **keywords) is own
    assert doors
    np.testing.assert_array_equal(np.asarray(own), want)
    out.flags.writeable = False
    with pytest.raises(npconv.ProblemError, match=r"^conv: out is read-only\."):
        npconv.conv(x, weight, bias, out=out, **keywords)
    with pytest.raises(npconv.ProblemError, match=r"^conv: out has shape"):
        npconv.conv(x, weight, bias, out=np.zeros((2, 5, 9, 9), "f4"), **keywords)
    with pytest.raises(npconv.ProblemError, match=r"^conv: out is a list"):
        npconv.conv(x, weight, bias, out=[], **keywords)


def test_a_plan_checks_shapes_of_the_same_strides():
    x, weight, _ = triple()
    plan = npconv.plan(x, weight, **GEOMETRY)
    for _ in range(2):
        plan(x, weight)
    more = np.zeros((3, *x.shape[1:]), "f4"), np.zeros((6, *weight.shape[1:]), "f4")
    for others in ((more[0], weight), (x[:1], weight), (x, more[1]), (x, weight[:4])):
        with pytest.raises(npconv.ProblemError, match="the plan was made for other arrays"):
            plan(*others)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (np.ones(4, "f4"), "bias has shape"),
        (np.ones((5, 1), "f4"), "bias has shape"),
        (np.array(["a"] * 5), "bias has dtype"),
    ],
)
def test_a_wrong_bias_is_found_all_the_same(wrong, match):
    x, weight, bias = triple()
    plan = npconv.plan(x, weight, **GEOMETRY)
    for _ in range(2):
        npconv.conv(x, weight, bias, **GEOMETRY)
        plan(x, weight, bias)
    for call in (lambda: npconv.conv(x, weight, wrong, **GEOMETRY), lambda: plan(x, weight, wrong)):
        with pytest.raises(npconv.ProblemError, match=match):
            call()
    for other in (2, np.float32(2), np.full(1, 2, "f4"), np.full((5, 2), 2, "f4")[:, 0]):
        got = npconv.conv(x, weight, other, **GEOMETRY)
        cases.same_numbers("winograd", got, wanted(x, weight, **GEOMETRY) + 2)


def test_settings_of_another_type_are_checked_all_the_same(doors):
    x, weight, _ = triple()
    for _ in range(2):
        npconv.conv(x, weight, stride=(1, 1), padding=((1, 1), (1, 1)))
    assert len(doors) == 1
    for stride in ((1.0, 1), (1, "1"), (1, None)):
        with pytest.raises(npconv.ProblemError, match="stride"):
            npconv.conv(x, weight, stride=stride, padding=((1, 1), (1, 1)))
    with pytest.raises(npconv.ProblemError, match="padding"):
        npconv.conv(x, weight, stride=(1, 1), padding=((1, 1), (1.0, 1)))
    got = npconv.conv(x, weight, stride=[1, 1], padding=np.ones((2, 2), int))
    cases.same_numbers("winograd", got, wanted(x, weight, **GEOMETRY))
    plan = npconv.plan(x, weight, **GEOMETRY)
    for _ in range(2):
        plan(x, weight, activation="relu")
    for wrong in ("gelu", 0, ["relu"], np.zeros(2)):
        with pytest.raises(npconv.ProblemError, match="activation"):
            plan(x, weight, activation=wrong)
    doors.clear()
    plan(x, weight, activation="".join(["re", "lu"]))
    assert doors == []
