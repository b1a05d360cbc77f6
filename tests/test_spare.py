"""Memory of arrays that are gone serves the next: never two at once, hardly more than before."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import spare_cases
from npconv import spare
from spare_cases import MIB, PAGE, address, faults, held, make_small, waiting

pytestmark = pytest.mark.skipif(not spare._KEEPS, reason="memory is kept on Linux only")


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch):
    yield from spare_cases.nothing_waits(monkeypatch)


@pytest.fixture
def small(monkeypatch):
    make_small(monkeypatch)


def test_the_next_array_has_the_memory_of_the_last_and_no_faults():
    array = spare.room(64 * MIB)
    place, first = address(array), faults(lambda: array.fill(1))
    del array
    assert waiting() == 64 * MIB
    array = spare.room(63 * MIB)
    assert address(array) == place
    assert waiting() == 0
    assert faults(lambda: array.fill(2)) < first / 4


def test_a_view_of_any_kind_keeps_the_memory():
    array = spare.room(spare.LARGE)
    array.fill(5)
    place = address(array)
    views = [
        array[-3:], array[::2].reshape(2, -1).T, memoryview(array), array.view(np.float32)[7:],
        np.lib.stride_tricks.as_strided(array, (9,), (0,)), np.asarray(array.data),
    ]  # fmt: skip
    del array
    while views:
        other = spare.room(spare.LARGE)
        other.fill(9)
        assert address(other) != place
        assert all(np.all(np.asarray(view).view(np.uint8) == 5) for view in views[-1:]), len(views)
        del other
        views.pop()
    places = [address(block.whole) for block in spare._waiting.values()]
    assert place in places


def test_an_array_is_like_any_other():
    small = spare.room(spare.LARGE - 1)
    assert small.base.base is None  # NumPy's own
    assert address(small) % 64 == 0
    assert spare.room(0).shape == (0,)
    array = spare.room(spare.LARGE + 5)
    assert array.shape == (spare.LARGE + 5,)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    assert array.flags.aligned
    assert address(array) % 64 == 0
    array[:] = np.arange(array.size, dtype=np.uint8)
    for other in (copy.deepcopy(array), pickle.loads(pickle.dumps(array)), array.copy()):
        assert np.array_equal(other, array)
        assert not np.may_share_memory(other, array)
    with pytest.raises(ValueError, match="resize"):
        array.resize(3)


def test_blocks_much_too_large_are_not_lent():
    place = address(spare.room(5 * spare.LARGE))
    assert address(spare.room(spare.LARGE)) != place


def test_what_was_not_asked_for_is_given_back_before_more_is_held_than_ever(small):
    large = spare.room(20 * PAGE)
    large.fill(1)
    place = address(large)
    del large
    part = spare.room(10 * PAGE)
    assert address(part) == place
    other = spare.room(10 * PAGE)  # as much as before altogether, if the rest of part's goes
    assert held() == 20 * PAGE
    assert part.all()
    assert not part.base.block.whole[10 * PAGE :].any()
    del part
    assert held() == other.size


sizes = st.one_of(st.none(), st.integers(1, 24 * PAGE))


@given(st.lists(st.tuples(sizes, st.integers(0, 30)), max_size=60))
@cases.examples(100, 2000)
def test_no_two_share_memory_and_hardly_more_is_held_than_without(steps):
    """Arrays come (of a size) and go (at a place in the list), in any order."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(spare, "_lent", {})
        patch.setattr(spare._Most, "nbytes", 0)
        npconv.release_memory()
        there, number, most = [], 0, 0
        for size, which in steps:
            if size is None:
                if there:
                    array, value = there.pop(which % len(there))
                    assert np.all(array == value)
                    del array
            else:
                number += 1
                array = spare.room(size)
                array.fill(number)
                there.append((array, number))
                del array
                asked = sum(-(-a.size // PAGE) * PAGE for a, _ in there)
                most = max(most, asked)
            assert held() <= most + most // 4
            assert waiting() <= 40 * PAGE
        assert all(np.all(array == value) for array, value in there)
        there.clear()
        npconv.release_memory()


def test_no_more_than_the_limit_waits(small):
    arrays = [spare.room(15 * PAGE) for _ in range(4)]
    first = address(arrays[0])
    while arrays:
        del arrays[0]
    assert waiting() == 30 * PAGE
    assert first not in [address(block.whole) for block in spare._waiting.values()]
    spare.room(61 * PAGE)  # makes one of them go, and never waits itself
    assert waiting() == 15 * PAGE


def test_release_memory_gives_all_back():
    assert npconv.release_memory() == 0
    spare.room(spare.LARGE)
    assert npconv.release_memory() == spare.LARGE
    assert waiting() == 0


def test_tracemalloc_sees_what_is_lent():
    spare.room(spare.LARGE)
    tracemalloc.start()
    try:
        array = spare.room(spare.LARGE)
        assert tracemalloc.get_traced_memory()[0] >= array.nbytes
    finally:
        tracemalloc.stop()


def test_where_the_system_gives_nothing_numpy_is_asked(monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "no memory")

    monkeypatch.setattr(spare.mmap, "mmap", refuse)
    array = spare.room(spare.LARGE)
    assert array.base.base is None
    for nbytes in (1 << 62, 1 << 80):
        with pytest.raises((ValueError, MemoryError)) as wanted:
            np.empty(nbytes, np.uint8)
        monkeypatch.undo()
        with pytest.raises(wanted.type, match=str(wanted.value)[:20]):
            spare.room(nbytes)


def test_the_last_that_are_gone_stay_as_they_are_and_large_ones_do_not(monkeypatch):
    monkeypatch.setattr(spare, "_HOT", 3 * spare.LARGE)
    monkeypatch.setattr(spare.mmap, "MADV_FREE", -1)  # what is to be marked is seen to go
    arrays = [spare.room(spare.LARGE) for _ in range(5)]
    places = [address(array) for array in arrays]
    while arrays:
        del arrays[0]
    assert [address(block.whole) for block in spare._waiting.values()] == places[2:]
    large = spare.room(2 * spare.LARGE)
    del large
    assert [address(block.whole) for block in spare._waiting.values()] == places[2:]


def test_what_cannot_be_marked_is_not_kept(monkeypatch):
    array = spare.room(spare.LARGE)
    monkeypatch.setattr(spare, "_HOT", 0)
    monkeypatch.setattr(spare.mmap, "MADV_FREE", -1)
    del array
    assert waiting() == 0
    assert not spare._lent


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_calls_write_all_of_a_result_whose_memory_is_old(layout):
    shape = (1, 4, 1030, 1030) if layout == "NCHW" else (1, 1030, 1030, 4)
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape, np.float32)
    weight = rng.standard_normal((9, 4, 2, 2), np.float32)
    keywords = {"layout": layout, "weight_layout": "OIHW", "padding": 1}
    first = npconv.conv(x, weight, **keywords)
    wanted, place = first.tobytes(), address(first)
    first.fill(np.nan)
    del first
    assert waiting() > 36 * MIB
    second = npconv.conv(x, weight, **keywords)
    assert address(second) == place
    assert second.tobytes() == wanted
