"""What unfold and fold refuse: each mistake by name, and what fits in no memory."""

import re

import numpy as np
import pytest

import npconv
from npconv import fold, unfold

X = np.ones((2, 3, 5, 6))
MISTAKES = [
    ({"stride": 0}, r"stride is 0, and must be at least 1"),
    ({"dilation": 1.5}, r"dilation is 1\.5, not an integer"),
    ({"dilation": 5}, r"kernel spans 6 and padded x only 5 on spatial axis 0"),
    ({"padding": "sam"}, r"padding 'sam' is not known"),
    ({"padding": (1, 2, 3)}, r"padding \(1, 2, 3\) has 3 entries"),
    ({"padding_mode": "mirror"}, r"padding_mode 'mirror' is not known"),
    ({"kernel_size": 0}, r"kernel_size is 0, and must be at least 1"),
    ({"kernel_size": (2, -1)}, r"kernel_size is -1, and must be at least 1"),
    ({"kernel_size": 2.0}, r"kernel_size is 2\.0, not an integer"),
    ({"kernel_size": (2, 2, 2)}, r"kernel_size \(2, 2, 2\) has 3 entries"),
    ({"layout": "NCHH"}, r"names an axis twice"),
    ({"layout": "NC"}, r"names no spatial axis|layout 'NC' names"),
    ({"layout": "nchw"}, r"not made of capital letters"),
    ({"layout": 3}, r"layout is 3, not a string"),
]


@pytest.mark.parametrize(("keywords", "match"), MISTAKES)
def test_mistakes(keywords, match):
    with pytest.raises(npconv.ProblemError, match=rf"^unfold: .*{match}"):
        unfold(X, **{"kernel_size": 2, **keywords})
    with pytest.raises(npconv.ProblemError, match=rf"^fold: .*({match}|columns|size)"):
        fold(np.ones((2, 12, 20)), (5, 6), **{"kernel_size": 2, **keywords})


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.ones((2, 3)), r"x has 2 axes"),
        (5.0, r"x has 0 axes"),
        (np.full((1, 1, 3), "a"), r"x has dtype <U1"),
        (np.full((1, 1, 3), None), r"x has dtype object"),
        ([[[1, 2], [3]]], r"x is not an array"),
    ],
)
def test_what_unfold_does_not_take(x, match):
    with pytest.raises(npconv.ProblemError, match=rf"^unfold: {match}"):
        unfold(x, 2)


@pytest.mark.parametrize(
    ("columns", "size", "match"),
    [
        (np.ones((2, 12, 19)), (5, 6), r"columns has shape \(2, 12, 19\), .*\(2, 12, 20\)"),
        (np.ones((2, 12, 20)), (6, 5, 1), r"kernel|columns"),
        (np.ones((2, 12, 20)), (6, 6), r"columns has shape \(2, 12, 20\), .*\(2, 12, 25\)"),
        (np.ones((2, 13, 20)), (5, 6), r"columns has 13 rows .* 4 taps"),
        (np.ones((12, 20)), (5, 6), r"columns has 2 axes"),
        (np.ones((2, 3, 4, 20)), (5, 6), r"columns has 4 axes"),
        (np.ones((2, 12, 20)), (5, -6), r"size is -6, and must be at least 0"),
        (np.ones((2, 12, 20)), (5, 6.0), r"size is 6\.0, not an integer"),
        (np.ones((2, 12, 20)), None, r"size is None, not an integer"),
        (np.ones((2, 12, 20)), (1, 6), r"kernel spans 2 and padded x only 1"),
        (np.full((2, 12, 20), "a"), (5, 6), r"columns has dtype <U1"),
        (None, (5, 6), r"columns has dtype object"),
    ],
)
def test_what_fold_does_not_take(columns, size, match):
    with pytest.raises(npconv.ProblemError, match=rf"^fold: .*{match}") as caught:
        fold(columns, size, 2)
    assert re.search(r"(?m)^  columns +\(", str(caught.value))


def test_what_fits_in_no_memory():
    for number in (2**45, 2**62, 2**64, 10**400):
        with pytest.raises(MemoryError, match=r"^unfold: .*\d.*B"):
            unfold(np.ones((1, 1, 4)), 2, padding=number)
        with pytest.raises((npconv.ProblemError, MemoryError), match=r"^fold: "):
            fold(np.ones((1, 2, 3)), (number,), 2)
        with pytest.raises(MemoryError, match=r"^fold: .*\d.*B"):
            fold(np.ones((1, 2, 1)), (number,), 2, stride=number)
        assert unfold(np.ones((1, 1, 4)), 2, stride=number).shape == (1, 2, 1)
