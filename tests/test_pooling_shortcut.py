"""Poolings, unfold and fold called again: the quick way gives what the long way does."""

import itertools

import numpy as np
import pytest

import npconv
import pool_cases
from npconv import compiler
from npconv.api import patches
from npconv.pooling import average, largest, shortcut

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
GEOMETRY = {"stride": 2, "padding": 1}


def images(last=False, dtype="float32", seed=0):
    """A batch (2, 20, 8, 9) of small integers, channels first or last in memory."""
    x = np.random.default_rng(seed).integers(-9, 9, (2, 20, 8, 9)).astype(dtype)
    return np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1) if last else x


def calls(x, grad, index, columns):
    """Every function of these arrays, by name."""
    return {
        "max_pool": lambda: npconv.max_pool(x, 3, **GEOMETRY),
        "indices": lambda: npconv.max_pool(x, 3, return_indices=True, **GEOMETRY),
        "global_max_pool": lambda: npconv.global_max_pool(x),
        "max_pool_grad": lambda: npconv.max_pool_grad(grad, x, 3, **GEOMETRY),
        "by indices": lambda: npconv.max_pool_grad(grad, x, 3, indices=index, **GEOMETRY),
        "global_max_pool_grad": lambda: npconv.global_max_pool_grad(grad[..., :1, :1], x),
        "avg_pool": lambda: npconv.avg_pool(x, 3, count_include_pad=False, **GEOMETRY),
        "global_avg_pool": lambda: npconv.global_avg_pool(x),
        "avg_pool_grad": lambda: npconv.avg_pool_grad(grad, x, 3, **GEOMETRY),
        "of a shape": lambda: npconv.avg_pool_grad(grad, x.shape, 3, **GEOMETRY),
        "global_avg_pool_grad": lambda: npconv.global_avg_pool_grad(grad[..., :1, :1], x),
        "unfold": lambda: npconv.unfold(x, 3, **GEOMETRY),
        "fold": lambda: npconv.fold(columns, (8, 9), 3, **GEOMETRY),
    }


def arrays(last=False, dtype="float32", seed=0):
    """What calls() takes."""
    x = images(last, dtype, seed)
    out, index = npconv.max_pool(x, 3, return_indices=True, **GEOMETRY)
    return x, out + 1, index, npconv.unfold(x, 3, **GEOMETRY)


@pytest.fixture
def opened(monkeypatch):
    """Kernels wherever they can, nothing known, and a list of the calls that go the long way."""
    found = []
    for module in (largest, average, patches):
        reads = module.as_array

        def told(array, name, reads=reads):
            found.append(name)
            return reads(array, name)

        monkeypatch.setattr(module, "as_array", told)
    for module in (largest, average):
        door = module.array_and_door

        def looked(x, layout, door=door):
            found.append("x")
            return door(x, layout)

        monkeypatch.setattr(module, "array_and_door", looked)
    with pool_cases.way("kernels"):
        yield found


@pytest.mark.parametrize(("last", "dtype"), [*itertools.product([False, True], ["f4", "f8"])])
def test_a_second_call_goes_the_quick_way(opened, last, dtype):
    given = arrays(last, dtype)
    with pool_cases.way("NumPy"):
        want = {name: call() for name, call in calls(*given).items()}
    for name, call in calls(*given).items():
        first = call()
        opened.clear()
        for _ in range(2):
            again = call()
            assert opened == [], name
            for one, other, wanted in zip(*map(pair, (again, first, want[name])), strict=True):
                assert one.tobytes() == other.tobytes(), name
                assert one.flags.owndata or one.base is not other.base
                assert (one.strides, one.dtype) == (wanted.strides, wanted.dtype), name
                np.testing.assert_allclose(one, wanted, rtol=2e-6, err_msg=name)
    other = calls(*arrays(last, dtype, seed=1))
    opened.clear()
    with pool_cases.way("NumPy"):
        want = {name: call() for name, call in other.items()}
    opened.clear()
    for name, call in other.items():
        for one, wanted in zip(pair(call()), pair(want[name]), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=2e-6, err_msg=name)
    assert opened == []


def pair(result):
    """A result as a tuple of arrays."""
    return result if isinstance(result, tuple) else (result,)


def unaligned(array):
    """The same array from an odd address on."""
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    moved = np.ndarray(array.shape, array.dtype, memory, strides=array.strides)
    moved[...] = array
    return moved


CHANGES = {
    "byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "wider": lambda a: a.astype("f8"),
    "integers": lambda a: a.astype("i4"),
    "reversed": lambda a: a[..., ::-1],
    "other memory": np.asfortranarray,
    "unaligned": unaligned,
    "one number": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(type("Own", (np.ndarray,), {})),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("which", range(4))
def test_what_another_array_gives_is_its_own(opened, change, which):
    given = arrays()
    if which == 2 and change in ("wider", "integers"):
        return  # indices are int64
    for call in calls(*given).values():
        call()
        call()
    changed = [CHANGES[change](a) if i == which else a for i, a in enumerate(given)]
    for name, call in calls(*changed).items():
        if change == "list" and (name == "of a shape" or which == 0 or "global" in name):
            continue  # has no shape
        for _ in range(2):
            found = pair(call())
            with pool_cases.way("NumPy"):
                want = pair(call())
            for one, wanted in zip(found, want, strict=True):
                assert (one.dtype, one.shape) == (wanted.dtype, wanted.shape), name
                np.testing.assert_allclose(one, wanted, rtol=2e-6, err_msg=name)


def test_settings_that_are_equal_but_not_alike_are_read(opened):
    x = images()
    for _ in range(2):
        npconv.max_pool(x, 2, padding=((1, 1), (1, 1)))
        npconv.max_pool(x, (2, 2), stride=1, padding=1)
        npconv.max_pool(x, 2, stride=1)
        npconv.avg_pool_grad(npconv.avg_pool(x, 2), x.shape, 2)
    with pytest.raises(npconv.ProblemError, match="size"):
        npconv.max_pool(x, (2.0, 2), stride=1, padding=1)
    with pytest.raises(npconv.ProblemError, match="stride"):
        npconv.max_pool(x, 2, stride=1.0)
    with pytest.raises(npconv.ProblemError, match="padding"):
        npconv.max_pool(x, 2, padding=((1.0, 1), (1, 1)))
    with pytest.raises(npconv.ProblemError, match="x_shape"):
        npconv.avg_pool_grad(npconv.avg_pool(x, 2), (2.0, 20, 8, 9), 2)
    opened.clear()
    assert npconv.max_pool(x, [2, 2], stride=1, padding=1).shape == (2, 20, 9, 10)
    assert opened == ["x"]


def test_an_index_that_is_none_is_refused_by_the_quick_way_too(opened):
    x, grad, index, _ = arrays()
    for _ in range(2):
        npconv.max_pool_grad(grad, x, 3, indices=index, **GEOMETRY)
    index[1, 13, 2, 1] = 72
    with pytest.raises(npconv.ProblemError, match="indices holds 72, and an image"):
        npconv.max_pool_grad(grad, x, 3, indices=index, **GEOMETRY)


def test_an_x_that_counts_for_its_shape_alone_is_still_looked_at(opened):
    x, grad, index, _ = arrays()
    for _ in range(2):
        npconv.max_pool_grad(grad, x.astype("f8"), 3, indices=index, **GEOMETRY)
    with pytest.raises(npconv.ProblemError, match="complex64"):
        npconv.max_pool_grad(grad, x.astype("c8"), 3, indices=index, **GEOMETRY)
    for last in (False, True):
        for _ in range(2):
            found = npconv.avg_pool_grad(grad, images(last), 3, **GEOMETRY)
            assert found.strides == images(last).strides


@pytest.mark.parametrize("change", ["other memory", "narrower"])
def test_what_was_copied_first_is_not_done_again_without(opened, change):
    x, grad, index, _ = arrays()
    if change == "narrower":
        index = index.astype("i4")
    else:
        grad = np.asfortranarray(grad)
    with pool_cases.way("NumPy"):
        want = npconv.max_pool_grad(grad, x, 3, indices=index, **GEOMETRY)
    by, known = {"indices": index} if change == "narrower" else {}, len(shortcut._known)
    for _ in range(3):
        opened.clear()
        found = npconv.max_pool_grad(grad, x, 3, **by, **GEOMETRY)
        np.testing.assert_allclose(found, want, rtol=2e-6)
        assert opened != []
    assert len(shortcut._known) == known


def test_what_is_not_aligned_goes_the_long_way(opened):
    x = images()
    for array, way in ((x, []), (unaligned(x), ["x"])):
        npconv.max_pool(array, 2)
        opened.clear()
        npconv.max_pool(array, 2)
        assert opened == way


def test_no_more_is_kept_than_so_much(opened, monkeypatch):
    x = images()
    monkeypatch.setattr(shortcut, "_MOST", 3)
    for size in range(1, 9):
        npconv.max_pool(x, size)
        assert len(shortcut._known) <= 3
    # What no kernel has written, and tables of long axes, are not kept at all.
    shortcut._known.clear()
    npconv.max_pool(x.astype("i4"), 2)
    npconv.max_pool(np.ones((1, 8, 4200), "f4"), 2)
    assert not shortcut._known


def test_where_there_is_no_memory_the_long_way_says_so(opened, monkeypatch):
    x = images()
    npconv.max_pool(x, 2)

    def none(*lies):
        raise MemoryError

    monkeypatch.setattr(shortcut, "new", none)
    opened.clear()
    assert npconv.max_pool(x, 2).shape == (2, 20, 4, 4)
    assert opened == ["x"]
