"""unfold and fold by compiled kernels: NumPy's numbers, and the same bits for any threads."""

import numpy as np
import pytest

import pool_cases
from npconv import compiler, fold, threads, unfold

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "HNWC"])
def test_kernels_give_the_same_bits_for_any_number_of_threads(layout, dtype, monkeypatch):
    sizes = {"N": 3, "C": 20, "H": 11, "W": 13}
    shape = [sizes[a] for a in layout]
    keywords = {"layout": layout, "stride": (2, 1), "padding": (1, 2)}
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    results = []
    try:
        for number in ("1", "2", "5"):
            monkeypatch.setenv("NPCONV_NUM_THREADS", number)
            threads.num_threads.cache_clear()
            with pool_cases.way("kernels in bands"), pool_cases.answered() as answers:
                columns = unfold(x, 3, **keywords)
                results.append((columns, fold(columns, (11, 13), 3, **keywords)))
            assert answers == [True, True]
    finally:
        monkeypatch.undo()
        threads.num_threads.cache_clear()
    for columns, back in results:
        assert columns.tobytes() == results[0][0].tobytes()
        assert back.tobytes() == results[0][1].tobytes()
    with pool_cases.way("NumPy"), pool_cases.answered() as answers:
        np.testing.assert_array_equal(unfold(x, 3, **keywords), results[0][0])
        back = fold(results[0][0], (11, 13), 3, **keywords)
    assert answers == [False, False]
    np.testing.assert_allclose(results[0][1], back, atol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["complex64", "int32", "uint64", "float32"])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "symmetric", "wrap", "edge"])
def test_numbers_of_four_and_eight_bytes_are_copied(layout, dtype, mode):
    sizes = {"N": 2, "C": 18, "H": 7, "W": 20}
    shape = [sizes[a] for a in layout]
    x = np.random.default_rng(1).integers(0, 1 << 30, shape).astype(dtype)
    keywords = {"layout": layout, "padding": ((2, 1), (3, 0)), "padding_mode": mode}
    for stride, dilation in ((1, 1), (2, 1), (1, 2)):
        with pool_cases.way("NumPy"):
            want = unfold(x, 3, stride=stride, dilation=dilation, **keywords)
        with pool_cases.way("kernels"), pool_cases.answered() as answers:
            found = unfold(x, 3, stride=stride, dilation=dilation, **keywords)
        assert answers == [True]
        np.testing.assert_array_equal(found, want)


def test_what_is_left_to_numpy():
    x = np.ones((2, 16, 9, 9), "float32")
    columns = unfold(x, 3, padding=1)
    across = np.asfortranarray(columns)
    keywords = {"padding": 1, "layout": "NHWC"}
    with pool_cases.way("kernels"), pool_cases.answered() as answers:
        unfold(x.astype("float16"), 3)
        unfold(x.astype(x.dtype.newbyteorder()), 3)
        unfold(np.moveaxis(x, 1, -1), 3, **keywords)
        fold(columns.astype("int32"), (9, 9), 3, padding=1)
        fold(columns, (9, 9), 3, padding=1, padding_mode="reflect")
        fold(across, (9, 9), 3, padding=1)
        unfold(x[:0], 3)
    assert answers == [False] * 7
