"""Pooling: axes in any order, any number of them, and where results lie in memory."""

import itertools

import numpy as np
import pytest

import npconv
import oracle_pool
import pool_cases
from pool_cases import every_call


@pytest.fixture(params=list(pool_cases.WAYS), autouse=True)
def each_way(request):
    with pool_cases.way(request.param):
        yield


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("NCHW")])
def test_every_order_of_axes(letters):
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (2, 3, 7, 6)).astype("float32")
    geometry = {"stride": (2, 1), "padding": ((1, 0), (0, 1))}
    turn = ["NCHW".index(a) for a in letters]
    # kernel, stride and padding are given in the layout's order of axes, and so are positions.
    spatial = [a for a in letters if a in "HW"]
    flip = spatial != ["H", "W"]
    mine = {k: v[::-1] if flip else v for k, v in geometry.items()}
    kernel = (2, 3) if flip else (3, 2)
    canonical = x.transpose(0, 1, 3, 2) if flip else x
    want, index = oracle_pool.max_pool(canonical, kernel, **mine)
    back = ["".join(["N", "C", *spatial]).index(a) for a in letters]
    for given_x in (x.transpose(turn), np.ascontiguousarray(x.transpose(turn))):
        results = every_call(given_x, kernel, layout=letters, **mine)
        np.testing.assert_array_equal(results["max"], want.transpose(back))
        np.testing.assert_array_equal(results["indices"], index.transpose(back))
        grad_out = np.arange(1.0, want.size + 1).reshape(results["max"].shape)
        grad = oracle_pool.max_pool_grad(
            grad_out.transpose(np.argsort(back)), index, canonical.shape
        ).transpose(back)
        np.testing.assert_array_equal(results["max grad"], grad)
        np.testing.assert_array_equal(results["max grad by indices"], grad)
        along = oracle_pool.axes(canonical.shape, kernel, **mine)
        mean = oracle_pool.window_sums(canonical, along) / oracle_pool.divisors(along, True)
        np.testing.assert_allclose(results["avg"], mean.transpose(back).astype(float), rtol=1e-6)


@pytest.mark.parametrize(
    "layout", ["W", "HW", "NW", "CW", "HWC", "CHW", "NHW", "WHC", "HNW", "DHW"]
)
def test_missing_letters_are_axes_of_length_one(layout):
    sizes = {"N": 2, "C": 3, "D": 4, "H": 5, "W": 6}
    x = np.random.default_rng(2).integers(-9, 9, [sizes[a] for a in layout]).astype(float)
    spatial = [a for a in layout if a not in "NC"]
    inside = [a for a in "NC" if a in layout]
    full = x.transpose([layout.index(a) for a in [*inside, *spatial]])
    full = full.reshape(*(sizes[a] if a in layout else 1 for a in "NC"), *full.shape[len(inside) :])
    want, index = oracle_pool.max_pool(full, 2, stride=1)
    back = [[*inside, *spatial].index(a) for a in layout]

    def named(array):
        return array.reshape([n for a, n in zip(["N", "C", *spatial], array.shape, strict=True)
                              if a in layout]).transpose(back)  # fmt: skip

    results = every_call(x, 2, stride=1, layout=layout)
    np.testing.assert_array_equal(results["max"], named(want))
    np.testing.assert_array_equal(results["indices"], named(index))
    assert results["avg grad"].shape == results["max grad"].shape == x.shape
    total = np.arange(1.0, want.size + 1).sum()
    assert results["max grad"].sum() == total
    np.testing.assert_allclose(results["avg grad"].sum(), total, rtol=1e-6)


def test_any_number_of_spatial_axes():
    x = np.random.default_rng(3).integers(-9, 9, (4, 3, 5, 4)).astype(float)
    want, index = oracle_pool.max_pool(x[None, None], (2, 1, 3, 2), stride=(1, 2, 1, 2))
    out, found = npconv.max_pool(
        x, (2, 1, 3, 2), stride=(1, 2, 1, 2), layout="TDHW", return_indices=True
    )
    np.testing.assert_array_equal(out, want[0, 0])
    np.testing.assert_array_equal(found, index[0, 0])


@pytest.mark.parametrize("order", ["NCHW", "NHWC", "HWNC", "CWNH"])
def test_results_lie_in_memory_as_x_does(order):
    sizes = {"N": 2, "C": 3, "H": 8, "W": 6}
    x = np.ones([sizes[a] for a in order], "float32").transpose([order.index(a) for a in "NCHW"])
    results = every_call(x, 2, layout="NCHW")
    results["avg grad of a shape"] = npconv.avg_pool_grad(results["avg"], x.shape, 2)
    results["global avg"] = npconv.global_avg_pool(x)
    for name, result in results.items():
        assert result.transpose(["NCHW".index(a) for a in order]).flags.c_contiguous, name


def test_a_broadcast_x_and_a_list():
    x = np.broadcast_to(np.arange(6.0), (2, 3, 4, 6))
    np.testing.assert_array_equal(npconv.max_pool(x, 2)[1, 2], [[1, 3, 5]] * 2)
    np.testing.assert_array_equal(npconv.avg_pool(x, 2)[1, 2], [[0.5, 2.5, 4.5]] * 2)
    assert npconv.max_pool([1, 5, 2, 4], 2, layout="W").tolist() == [5, 4]
    assert npconv.avg_pool([1, 5, 2, 4], 2, layout="W").tolist() == [3, 3]
    assert npconv.max_pool_grad([7, 8], [1, 5, 2, 4], 2, layout="W").tolist() == [0, 7, 0, 8]
    assert npconv.avg_pool_grad([7, 8], (4,), 2, layout="W").tolist() == [3.5, 3.5, 4, 4]
    grad_out = np.broadcast_to(np.float32(3), (2, 3, 2, 3))
    assert npconv.avg_pool_grad(grad_out, x.shape, 2).sum() == 3 * 36
    assert npconv.max_pool_grad(grad_out, x, 2).sum() == 3 * 36


def test_an_axis_of_length_one_between_two_others():
    x = np.asfortranarray(np.arange(4.0).reshape(1, 1, 2, 1, 2))
    grad_out = np.array([5.0, 6, 7, 8]).reshape(x.shape)
    grad = npconv.max_pool_grad(grad_out, x, 1, layout="NCDHW")
    np.testing.assert_array_equal(grad, grad_out)
