"""The named kernels, typed kernels, and how names and settings are read."""

from __future__ import annotations

import numpy as np
import pytest

import npconv
from npconv import ProblemError
from npconv.images import Kernel, kernel, kernels
from npconv.images.definition import MAX_TAPS
from npconv.images.spelling import fraction_grid

RAMP = np.arange(36).reshape(6, 6)
NAMES = [each.name for each in kernels()]


def valid(image: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return npconv.conv(image, numbers, layout="HW")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sobel", 48),
        ("sobel-transpose", 8),
        ("prewitt", 36),
        ("prewitt-transpose", 6),
        ("scharr", 12),
        ("scharr-transpose", 2),
        ("laplacian", 0),
        ("laplacian8", 0),
        ("outline", 0),
    ],
)
def test_constant_results_over_the_ramp(name: str, value: float) -> None:
    np.testing.assert_allclose(valid(RAMP, kernel(name).numbers), np.full((4, 4), value), atol=1e-9)


@pytest.mark.parametrize("name", ["blur", "sharpen", "sharpen8", "box:3", "gaussian:0.3"])
def test_the_centre_pixel_over_the_ramp(name: str) -> None:
    result = valid(RAMP, kernel(name).numbers)
    margin = (RAMP.shape[0] - result.shape[0]) // 2
    centre = RAMP[margin : 6 - margin, margin : 6 - margin]
    np.testing.assert_allclose(result, centre, rtol=1e-12)


def test_emboss_over_the_ramp_by_hand() -> None:
    # Rows below minus rows above weigh 3 + 3, at 6 a row; columns likewise, at 1 a column.
    np.testing.assert_array_equal(
        valid(RAMP, kernel("emboss").numbers), RAMP[1:5, 1:5] + 6 * 6 + 6 * 1
    )


def test_numbers_are_those_of_the_worked_examples() -> None:
    plain = {
        "sharpen8": [[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]],
        "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
        "sobel": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        "prewitt": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
        "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
        "laplacian8": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
        "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
        "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    }
    for name, numbers in plain.items():
        np.testing.assert_array_equal(kernel(name).numbers, numbers)
    np.testing.assert_array_equal(kernel("blur").numbers, np.ones((3, 3)) / 9)
    np.testing.assert_array_equal(kernel("sobel-transpose").numbers, kernel("sobel").numbers.T)


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_is_found_by_its_own_name(name: str) -> None:
    found = kernel(name)
    assert found.name == name
    assert found.purpose
    assert found.signed in ("clip", "abs", "offset")
    assert not found.numbers.flags.writeable
    assert np.isfinite(found.numbers).all()


@pytest.mark.parametrize("name", NAMES)
def test_each_kernel_keeps_grey_or_answers_zero(name: str) -> None:
    total = kernel(name).numbers.sum()
    assert min(abs(total), abs(total - 1)) < 1e-12


def test_settings_in_every_spelling() -> None:
    wanted = kernel("gaussian", sigma=1.5).numbers
    for spelling in ("gaussian:1.5", "gaussian:sigma=1.5", "GAUSSIAN: sigma = 1.5"):
        np.testing.assert_array_equal(kernel(spelling).numbers, wanted)
    assert kernel("unsharp:2,amount=0.5").name == "unsharp:sigma=2,amount=0.5"
    assert kernel("sobel_transpose").name == "sobel-transpose"
    assert kernel(kernel("blur")) is kernel("blur")


def test_gaussian_is_the_gaussian() -> None:
    line = np.exp(-0.5 * (np.arange(-4, 5) / 1.0) ** 2)
    np.testing.assert_allclose(
        kernel("gaussian:1").numbers, np.outer(line, line) / line.sum() ** 2, rtol=1e-13
    )


def test_unsharp_is_identity_plus_what_the_gaussian_took() -> None:
    sharp, soft = kernel("unsharp:sigma=1,amount=0.5").numbers, kernel("gaussian:1").numbers
    identity = np.zeros_like(soft)
    identity[4, 4] = 1
    np.testing.assert_allclose(sharp, identity + 0.5 * (identity - soft), rtol=1e-13, atol=1e-15)


def test_motion_lies_along_its_angle() -> None:
    np.testing.assert_allclose(kernel("motion:5,0").numbers, np.full((1, 5), 0.2))
    np.testing.assert_allclose(kernel("motion:5,90").numbers, np.full((5, 1), 0.2))
    rising = kernel("motion:9,45").numbers
    assert rising.shape[0] == rising.shape[1]
    np.testing.assert_allclose(rising, rising[::-1, ::-1], atol=1e-12)
    assert rising[0, -1] > 0 == rising[0, 0]
    np.testing.assert_allclose(rising.sum(), 1)
    np.testing.assert_allclose(kernel("motion:4,17").numbers.sum(), 1)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0 -1 0; -1 5 -1; 0 -1 0", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("1/9 1/9", [[1 / 9, 1 / 9]]),
        ("1,2;3,4", [[1, 2], [3, 4]]),
        ("1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("-.5", [[-0.5]]),
        ("+1e-3 2.", [[0.001, 2]]),
        ("1;2;", [[1], [2]]),
    ],
)
def test_typed_kernels(text: str, numbers: list[list[float]]) -> None:
    np.testing.assert_array_equal(kernel(text).numbers, np.array(numbers, dtype=float))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2; 3", r"2 rows differ in length"),
        ("", r"has no numbers"),
        (";;", r"has no numbers"),
        ("[]", r"has no numbers"),
        ("nan", r"'nan' .* is not a finite number"),
        ("1 inf", r"'inf' .* is not a finite number"),
        ("1 x", r"'x' .* is not a finite number"),
        ("1/0", r"divides by zero"),
        ("1e999", r"too large"),
        ("[[1, 2]", r"2 opening and 1 closing brackets"),
        ("1_0", r"'1_0' .* is not a finite number"),
        ("1" * 50, r"is not a finite number"),
    ],
)
def test_bad_typed_kernels(text: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        kernel(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shrapen", r"did you mean 'sharpen'"),
        ("zzzzzz", r"known +blur"),
        ("blur:3", r"takes no settings"),
        ("box:2.5", r"whole number"),
        ("box:0", r"between 1 and"),
        ("box:size=nan", r"'nan' .* is not a finite number"),
        ("box:side=3", r"setting 'side' is not known"),
        ("box:3,size=3", r"'size' is given twice"),
        ("box:size=3,size=3", r"'size' is given twice"),
        ("gaussian:1,2", r"takes 1 settings, not 2"),
        ("gaussian:sigma=1,2", r"after a named setting"),
        ("gaussian:0", r"between 0.01 and"),
        ("gaussian:5000", r"at most"),
        ("box:9999", r"at most"),
        ("unsharp:1,1e9", r"amount lies between"),
    ],
)
def test_bad_names_and_settings(name: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        kernel(name)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([1, 2, 3], r"needs rows and columns"),
        (np.zeros((0, 3)), r"needs rows and columns"),
        ([[1, np.nan]], r"must be finite"),
        ([[1], [2, 3]], r"rows of real numbers"),
        (np.ones((2, 2), complex), r"these are complex"),
        (np.zeros((1, MAX_TAPS + 1)), r"larger than"),
    ],
)
def test_bad_arrays(numbers: object, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        kernel(numbers)


def test_settings_do_not_go_with_a_kernel_or_a_lopsided_pair() -> None:
    with pytest.raises(ProblemError, match=r"settings go with a kernel's name"):
        kernel(kernel("blur"), size=3)
    with pytest.raises(ProblemError, match=r"must be alike"):
        Kernel("odd", np.ones((3, 1)), "test", cross=np.ones((1, 3)))


@pytest.mark.parametrize("name", ["blur", "box:7", "gaussian:3", "sobel", "prewitt-transpose"])
def test_separable_kernels_are_found(name: str) -> None:
    pair = kernel(name).separable
    assert pair is not None
    column, row = pair
    assert column.shape[1] == row.shape[0] == 1
    np.testing.assert_allclose(column @ row, kernel(name).numbers, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["sharpen", "laplacian", "emboss", "unsharp", "motion"])
def test_other_kernels_are_not_separable(name: str) -> None:
    assert kernel(name).separable is None


def test_separable_is_about_rank_not_looks() -> None:
    outer = np.outer([1e-3, 7.0, 1 / 3], [2.0, -1e3, np.pi])
    assert kernel(outer).separable is not None
    outer[1, 1] *= 1 + 1e-9
    assert kernel(outer).separable is None
    assert kernel(np.zeros((2, 2))).separable is None
    whole = kernel(np.outer([2, 4, -6], [3, 0, 9])).separable
    assert whole is not None
    np.testing.assert_array_equal(np.concatenate([part.ravel() for part in whole]) % 1, 0)


def test_fraction_grid_is_exact_or_nothing() -> None:
    grid = fraction_grid(np.array([[1 / 3, 1 / 4], [0, -2]]))
    assert grid is not None
    np.testing.assert_array_equal(grid[0], [[4, 3], [0, -24]])
    assert grid[1] == 12
    assert fraction_grid(np.array([[np.pi]])) is None
    assert fraction_grid(np.array([[1 / 3 + 1e-15]])) is None
