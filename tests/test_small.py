"""Small calls: the compiled definition, and the shortcut that a second call takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npconv
import oracle
from npconv import compiler
from npconv.algorithms import small
from npconv.api import shortcut

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")


@pytest.fixture(autouse=True)
def kernels_are_ready():
    """Have the kernels compiled, and no call remembered."""
    from npconv.kernels import small as kernels

    kernels.warm()
    npconv.set_num_threads(2)  # forgets plans and shortcuts
    yield
    npconv.set_num_threads(None)


def pair(seed=0, dtype="float32", x_shape=(1, 1, 10, 10), weight_shape=(1, 1, 3, 3)):
    rng = np.random.default_rng(seed)
    return [oracle.small_integers(rng, shape, dtype) for shape in (x_shape, weight_shape)]


def exactly(x, weight, bias=None, **keywords):
    """Return conv's result, called twice: both must be the oracle's."""
    want = oracle.direct(x, weight, bias, **keywords)
    first, second = (npconv.conv(x, weight, bias, **keywords) for _ in range(2))
    np.testing.assert_array_equal(first, want)
    np.testing.assert_array_equal(second, want)
    assert first is not second
    assert first.dtype == second.dtype
    return second


def test_a_tiny_call_is_remembered():
    x, weight = pair()
    assert npconv.plan(x, weight).algorithm == small.NAME
    exactly(x, weight)
    kinds = [type(one) for known in shortcut._known.values() for one in known]
    assert kinds == [shortcut.Small]
    npconv.set_num_threads(1)
    assert not shortcut._known


@given(st.data())
def test_a_second_call_equals_the_first(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    ndim, groups = rng.integers(1, 4), rng.integers(1, 3)
    dtype = rng.choice(["float32", "float64"])
    x = oracle.small_integers(
        rng, (rng.integers(1, 3), groups * rng.integers(1, 3), *rng.integers(1, 7, ndim)), dtype
    )
    kernel = rng.integers(1, 4, ndim)
    shape = (groups * rng.integers(1, 4), x.shape[1] // groups, *kernel)
    weight = oracle.small_integers(rng, shape, dtype)
    bias = oracle.small_integers(rng, shape[:1], dtype) if rng.integers(2) else None
    keywords = {
        "stride": int(rng.integers(1, 3)),
        "dilation": int(rng.integers(1, 3)),
        "groups": int(groups),
        "padding": int(rng.integers(2, 5)),
        "padding_mode": str(rng.choice(["zeros", "edge", "symmetric", "wrap"])),
    }
    try:
        exactly(x, weight, bias, **keywords)
    except npconv.ProblemError:
        return
    np.testing.assert_array_equal(
        npconv.plan(x, weight, **keywords)(x, weight, bias),
        oracle.direct(x, weight, bias, **keywords),
    )


def test_what_is_spelled_like_a_known_call_is_checked_all_the_same():
    x, weight = pair()
    exactly(x, weight, stride=1, padding=1)
    for wrong in (1.0, np.float64(1), "1", [1.0], None):
        with pytest.raises(npconv.ProblemError, match="stride"):
            npconv.conv(x, weight, stride=wrong, padding=1)
    with pytest.raises(npconv.ProblemError, match="precision"):
        npconv.conv(x, weight, padding=1, precision="exact")
    with pytest.raises(npconv.ProblemError, match="bias has shape"):
        npconv.conv(x, weight, np.ones(2, np.float32), padding=1)
    assert npconv.conv(x, weight, stride=True, padding=np.int64(1)).shape == x.shape


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(">f4"),
        lambda a: a.astype("f8"),
        lambda a: a.astype("f2"),
        lambda a: a.astype("i4"),
        lambda a: np.asfortranarray(a),
        lambda a: a[..., ::-1],
        lambda a: np.broadcast_to(a[..., :1, :1], a.shape),
        lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view("f4").reshape(a.shape),
        lambda a: a.view(np.matrix) if a.ndim == 2 else a.tolist(),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_other_arrays_of_known_shapes(change, which):
    given_arrays = pair(1)
    exactly(*given_arrays, padding=2)
    given_arrays[which] = change(given_arrays[which])
    exactly(*(np.asanyarray(a) for a in given_arrays), padding=2)
    want = npconv.conv(*given_arrays, padding=2)
    got = npconv.plan(*pair(1), padding=2)
    if getattr(given_arrays[which], "dtype", None) == np.float32:
        np.testing.assert_array_equal(got(*given_arrays), want)


def test_read_only_arrays_and_plans():
    x, weight = pair(2)
    plan = npconv.plan(x, weight)
    for array in (x, weight):
        array.flags.writeable = False
    exactly(x, weight)
    np.testing.assert_array_equal(plan(x, weight), oracle.direct(x, weight))
    np.testing.assert_array_equal(plan(x, plan.pack(weight)), oracle.direct(x, weight))


def test_a_plan_checks_what_it_is_called_with():
    x, weight = pair(3)
    plan = npconv.plan(x, weight)
    short = [np.ascontiguousarray(a[..., :-1]) for a in (x, weight)]
    for others in ((short[0], weight), (x, short[1]), (x.astype("f8"), weight)):
        with pytest.raises(npconv.ProblemError, match="the plan was made for other arrays"):
            plan(*others)
    with pytest.raises(npconv.ProblemError, match="bias has shape"):
        plan(x, weight, np.ones((1, 1), np.float32))


def test_a_nan_stands_where_the_sum_has_it():
    x, weight = pair(4)
    x[0, 0, 2, 3] = np.nan
    weight[0, 0, 1, 1] = np.inf
    for _ in range(2):
        got = npconv.conv(x, weight, padding=1, activation="relu")
        want = np.maximum(oracle.direct(x, weight, padding=1), 0)
        np.testing.assert_array_equal(got, want)


def test_why_not():
    with pytest.raises(npconv.UnsupportedError, match="compiled for float32 and float64, not int"):
        npconv.conv(*pair(5, "int64"), algorithm="small")
    with pytest.raises(npconv.UnsupportedError, match="lists each tap of each pixel, 86436 here"):
        npconv.conv(*pair(5, x_shape=(1, 1, 100, 100)), algorithm="small")
