"""Direct convolution's records: what entries read, how work is cut, what templates keep."""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
import npconv
import oracle
from npconv import arrays, compiler, packing
from npconv.algorithms import ALGORITHMS
from npconv.algorithms.contract import NOTHING, Ending
from test_indirect import canonical, canonical_weight, problem_of

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")
INDIRECT = ALGORITHMS["indirect"]


class Inner(NamedTuple):
    one: int
    half: float


class Sample(NamedTuple):
    first: int
    inner: Inner
    pair: Inner
    last: float


@lru_cache
def readers():
    from npconv.kernels import fields
    from npconv.kernels.compile import compiled

    read, nbytes, cell = fields.read, fields.nbytes, fields.cell
    return (
        compiled(lambda at: (read(at, Sample), nbytes(Sample))),
        compiled(lambda grid, item: cell(grid, item)),
    )


def test_a_record_is_read_as_it_was_written():
    from npconv.kernels import fields

    sample = Sample(-(1 << 62), Inner(7, -np.inf), Inner(-1, 5e-324), math.pi)
    words = fields.words(sample)
    assert words.dtype == np.int64
    read, nbytes = readers()[0](words.ctypes.data)
    assert read == sample
    assert type(read.inner) is Inner
    assert nbytes == words.nbytes == 6 * 8


@cases.examples(100, 2000)
@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_items_are_all_of_the_work_once(whole, each):
    from npconv.kernels.fields import Grid

    each = [min(a, b) for a, b in zip(each, whole, strict=True)]
    grid = Grid(*whole, *each)
    done = np.zeros(whole, int)
    for item in range(grid.items):
        group, last_group, tile, last_tile, block, last_block = readers()[1](grid, item)
        part = done[group:last_group, tile:last_tile, block:last_block]
        assert part.size
        part += 1
    assert (done == 1).all()


@cases.examples(100, 2000)
@given(st.integers(1, 40), st.integers(0, 12), st.integers(1, 60), st.integers(1, 60))
def test_shares_are_some_for_much_work_and_one_for_little(groups, power, tiles, blocks):
    from npconv.algorithms.indirect import places

    problem = problem_of(
        (1, groups, 1, 4 << power), (groups, 1, 1, 4), False, groups=groups, padding=0
    )
    worth = 1 << 13
    grid = places.grid(problem, tiles, blocks, worth)
    assert grid[:3] == (groups, tiles, blocks)
    assert (grid.items == 1) == (problem.macs < worth or max(grid[:3]) == 1)
    assert grid.items < 2 * places.SHARES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "WORTH_SHARING", worth)
        assert grid.items - 1 <= places.helpers(problem)


GROUPED = {
    "three": ((2, 6, 9, 8), (9, 2, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise": ((1, 21, 8, 9), (21, 1, 3, 2), {"groups": 21}),
    "many outputs": ((2, 6, 6, 7), (198, 1, 2, 3), {"groups": 6, "stride": 2}),
    "one tap": ((2, 35, 5, 9), (70, 5, 1, 1), {"groups": 7}),
    "one tap, each its own": ((1, 20, 6, 6), (20, 1, 1, 1), {"groups": 20}),
    "one channel": ((1, 1, 40), (3, 1, 5), {}),
}


@contextlib.contextmanager
def threads(number):
    npconv.set_num_threads(number)
    try:
        yield
    finally:
        npconv.set_num_threads(None)


def operands(name, last, dtype="float32"):
    """The problem, canonical x, weight and bias, and the exact result with and without bias."""
    x_shape, weight_shape, geometry = GROUPED[name]
    rng = np.random.default_rng(len(name))
    x, weight = (oracle.small_integers(rng, s, dtype) for s in (x_shape, weight_shape))
    bias = oracle.small_integers(rng, weight_shape[0], dtype)
    problem = problem_of(x_shape, weight_shape, last, dtype=dtype, **geometry)
    want = (oracle.direct(x, weight, b, **geometry) for b in (bias, None))
    return problem, canonical(x, last), canonical_weight(weight), bias, *want


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", GROUPED)
def test_groups_by_fewer_and_by_more_threads_than_items(name, last, dtype):
    problem, x, weight, bias, ended, bare = operands(name, last, dtype)
    for number in (1, 2, 30):
        for tiny in (False, True):
            with threads(number), cases.small_tiles() if tiny else contextlib.nullcontext():
                packed = INDIRECT.pack_weight(problem, weight)
                for given_bias, want in ((bias, ended), (None, bare), (bias, ended)):
                    out = canonical(np.full(want.shape, np.nan, dtype), last)
                    INDIRECT.forward_packed(problem, x, packed, out, Ending(given_bias, -9.0, 40))
                    np.testing.assert_array_equal(np.moveaxis(out, -1, 1), np.clip(want, -9, 40))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["three", "one tap"])
def test_a_bias_at_an_odd_address(name, last):
    problem, x, weight, bias, want, _ = operands(name, last)
    room = np.zeros(bias.nbytes + 1, np.uint8)
    odd = room[1:].view(bias.dtype)
    odd[...] = bias
    assert not odd.flags.aligned
    out = canonical(np.full(want.shape, np.nan, "float32"), last)
    INDIRECT.forward(problem, x, weight, out, Ending(odd))
    np.testing.assert_array_equal(np.moveaxis(out, -1, 1), want)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["three", "one tap"])
def test_calls_at_once_with_one_template(name, last):
    problem, x, weight, bias, ended, bare = operands(name, last)
    packed = INDIRECT.pack_weight(problem, weight)

    def call(number):
        want, ending = ((number + 1) * bare, NOTHING) if number % 2 else (ended, Ending(bias))
        out = canonical(np.full(want.shape, np.nan, "float32"), last)
        factor = np.float32(number + 1 if number % 2 else 1)
        given_x = canonical(np.moveaxis(x, -1, 1) * factor, last)
        INDIRECT.forward_packed(problem, given_x, packed, out, ending)
        return np.array_equal(np.moveaxis(out, -1, 1), want)

    with cases.small_tiles(), threads(3), ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(60)))


@pytest.mark.parametrize("name", ["three", "one tap"])
def test_a_call_like_the_last_lays_nothing_out(name):
    from npconv.algorithms.indirect import pointwise, sums

    rooms = packing._template, sums._template, pointwise._template
    problem, x, weight, bias, *_ = operands(name, False)
    out = canonical(np.empty(np.moveaxis(np.empty(problem.out_shape), -1, 1).shape, "float32"), 0)
    seen = []
    for _ in range(3):
        INDIRECT.forward(problem, x.copy("K"), weight.copy("K"), out, Ending(bias.copy()))
        seen.append([room.cache_info().misses for room in rooms])
    assert seen[1] == seen[2]


def test_tables_of_many_offsets_are_not_kept():
    from npconv.algorithms.indirect import sums

    problem = problem_of((1, 2, 5000), (3, 2, 3), True, padding=1)
    before = sums._template.cache_info().currsize
    x, weight = np.ones((1, 5000, 2), "float32"), np.ones((3, 2, 3), "float32")
    out = np.empty((1, 5000, 3), "float32")
    INDIRECT.forward(problem, x, weight, out)
    assert sums._template.cache_info().currsize == before
    assert (out[0, 1:-1] == 6).all()
    assert (out[0, [0, -1]] == 4).all()


ORDERS = {
    "outputs last": (2, 3, 1, 0),
    "outputs first": (0, 1, 2, 3),
    "channels last": (0, 2, 3, 1),
    "taps last": (1, 0, 2, 3),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("worth", [1, 1 << 30])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("groups", "outputs"), [(1, 70), (3, 17), (2, 32)])
def test_a_weight_is_packed_in_blocks(groups, outputs, order, worth, dtype, monkeypatch):
    monkeypatch.setattr(packing, "_WORTH", worth)
    shape, axes = (groups * outputs, 19, 3, 2), ORDERS[order]
    problem = problem_of((1, groups * 19, 5, 5), shape, True, dtype=dtype, groups=groups)
    laid = np.arange(math.prod(shape), dtype=dtype).reshape([shape[a] for a in axes])
    weight = canonical_weight(laid.transpose(np.argsort(axes)))
    for block, given_weight in ((16, weight), (32, weight[::-1, ::-1, ::-1, ::-1])):
        blocks = -(-outputs // block)
        want = np.zeros((groups, blocks, 6, 19, block), dtype)
        for g in range(groups):
            whole = np.zeros((6, 19, blocks * block), dtype)
            own = given_weight[..., g * outputs : (g + 1) * outputs]
            whole[..., :outputs] = own.reshape(6, 19, outputs)
            want[g] = whole.reshape(6, 19, blocks, block).transpose(2, 0, 1, 3)
        for number in (1, 3):
            with threads(number):
                np.testing.assert_array_equal(packing.pack(problem, block, given_weight), want)
