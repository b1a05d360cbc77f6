"""Kernels over arrays: channels, borders, rounding, saturation."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from npconv import ProblemError, images

RNG = np.random.default_rng(7)
PAD_MODES = {
    "symmetric": "symmetric",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
    "zeros": "constant",
}


def by_definition(image: np.ndarray, numbers: np.ndarray, border: str = "symmetric") -> np.ndarray:
    """Sum in float64, tap by tap, over numpy.pad's border."""
    rows, columns = numbers.shape
    margins = [((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2)]
    padded = np.pad(image.astype(float), margins, mode=PAD_MODES[border])  # type: ignore[call-overload]
    height, width = image.shape
    return sum(
        numbers[r, s] * padded[r : r + height, s : s + width]
        for r in range(rows)
        for s in range(columns)
    )


@pytest.mark.parametrize("border", PAD_MODES)
@pytest.mark.parametrize("size", [(3, 3), (1, 4), (4, 2), (5, 1), (9, 9)])
def test_floats_are_the_definition_with_every_border(
    border: images.Border, size: tuple[int, int]
) -> None:
    image, numbers = RNG.standard_normal((11, 7)), RNG.standard_normal(size)
    result = images.apply(image, numbers, border=border)
    np.testing.assert_allclose(
        result, by_definition(image, numbers, border), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int8", "uint32", "int32"])
@pytest.mark.parametrize("name", [each.name for each in images.kernels()])
def test_whole_numbers_round_to_nearest_and_saturate(name: str, dtype: str) -> None:
    limits, kernel = np.iinfo(dtype), images.kernel(name)
    image = RNG.integers(limits.min, limits.max, (13, 12), dtype=dtype, endpoint=True)
    exact = by_definition(image, kernel.numbers)
    if kernel.cross is not None:
        exact = np.hypot(exact, by_definition(image, kernel.cross))
    wanted = np.clip(np.rint(exact), limits.min, limits.max)
    result = images.apply(image, kernel, signed="clip")
    assert result.dtype == image.dtype
    # float64's own rounding may differ where the exact sum is halfway between two levels.
    clear = np.abs(exact - np.floor(exact) - 0.5) > 1e-3
    np.testing.assert_array_equal(result[clear], wanted[clear])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [2, 3, 5, 6, 7, 10, 14])
def test_means_round_as_exact_arithmetic_does(dtype: str, size: int) -> None:
    image = RNG.integers(0, np.iinfo(dtype).max, (16, 16), dtype=dtype, endpoint=True)
    margins = ((size - 1) // 2, size // 2)
    padded = np.pad(image, (margins, margins), mode="symmetric").astype(object)
    wanted = [
        [round(Fraction(int(padded[r : r + size, s : s + size].sum()), size**2)) for s in range(16)]
        for r in range(16)
    ]
    np.testing.assert_array_equal(images.apply(image, f"box:{size}"), wanted)


@pytest.mark.usefixtures("by_blocks")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8"])
def test_transforms_round_as_exact_arithmetic_does(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_fft = partial(images.apply.__globals__["conv"], algorithm="fft")
    monkeypatch.setitem(images.apply.__globals__, "conv", by_fft)
    limits = np.iinfo(dtype)
    image = RNG.integers(limits.min, limits.max, (50, 60), dtype=dtype, endpoint=True)
    numbers = RNG.integers(-1, 3, (21, 20))
    exact = by_definition(image, numbers) / 512  # many of them halfway between two levels
    wanted = np.clip(np.rint(exact), limits.min, limits.max)
    np.testing.assert_array_equal(images.apply(image, numbers / 512), wanted)


def test_saturates_and_never_wraps() -> None:
    image = np.array([[0, 255, 0], [255, 0, 255], [0, 255, 0]], dtype=np.uint8)
    assert images.apply(image, "5").tolist() == [[0, 255, 0], [255, 0, 255], [0, 255, 0]]
    assert images.apply(image, "-3").max() == 0
    assert images.apply(image, "-3", signed="abs").max() == 255
    deep = np.full((2, 2), 65535, dtype=np.uint16)
    assert images.apply(deep, "2").tolist() == deep.tolist()


def test_signed_results() -> None:
    image = np.array([[10, 200, 10]], dtype=np.uint8)
    change = "-1 0 1"
    assert images.apply(image, change, signed="clip").tolist() == [[190, 0, 0]]
    assert images.apply(image, change, signed="abs").tolist() == [[190, 0, 190]]
    assert images.apply(image, change, signed="offset").tolist() == [[255, 128, 0]]
    deep = image.astype(np.uint16) * 257
    assert images.apply(deep, change, signed="offset")[0, 1] == 32768
    as_float = image.astype(np.float32)
    assert images.apply(as_float, change).tolist() == [[190, 0, -190]]
    assert images.apply(as_float, change, signed="offset").tolist() == [[190.5, 0.5, -189.5]]


def test_the_kernels_own_choice_is_the_default() -> None:
    image = RNG.integers(0, 256, (9, 9), dtype=np.uint8)
    for kernel in images.kernels():
        np.testing.assert_array_equal(
            images.apply(image, kernel), images.apply(image, kernel, signed=kernel.signed)
        )
    ramp = RNG.standard_normal((9, 9))
    assert images.apply(ramp, "sobel").min() < 0


def test_channels_one_at_a_time_and_alpha_untouched() -> None:
    for channels in (1, 2, 3, 4, 5):
        image = RNG.integers(0, 256, (8, 9, channels), dtype=np.uint8)
        result = images.apply(image, "blur")
        colours = channels - (channels in (2, 4))
        for channel in range(colours):
            np.testing.assert_array_equal(
                result[:, :, channel], images.apply(image[:, :, channel], "blur")
            )
        np.testing.assert_array_equal(result[:, :, colours:], image[:, :, colours:])
    four = RNG.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    assert not np.array_equal(images.apply(four, "blur", alpha=False)[:, :, 3], four[:, :, 3])
    three = RNG.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(images.apply(three, "blur", alpha=True)[:, :, 2], three[:, :, 2])


def test_magnitude_is_both_directions() -> None:
    image = RNG.standard_normal((9, 8))
    for family in ("sobel", "prewitt", "scharr"):
        down = images.apply(image, family)
        across = images.apply(image, family + "-transpose")
        np.testing.assert_allclose(
            images.apply(image, family + "-magnitude"), np.hypot(down, across), rtol=1e-12
        )


@pytest.fixture
def by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filter no image at once."""
    monkeypatch.setitem(images.apply.__globals__, "filter_at_once", lambda *_: None)


@pytest.mark.usefixtures("by_blocks")
def test_blocks_are_small_and_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    image = RNG.integers(0, 256, (97, 23), dtype=np.uint8)
    whole = {name: images.apply(image, name) for name in ("box:7", "gaussian:2", "emboss")}
    heights = []
    real = images.apply.__globals__["conv"]

    def spy(x: np.ndarray, weight: np.ndarray, **options: object) -> np.ndarray:
        heights.append(x.shape[0])
        return real(x, weight, **options)

    monkeypatch.setitem(images.apply.__globals__, "_BLOCK_PIXELS", 64)
    monkeypatch.setitem(images.apply.__globals__, "conv", spy)
    for name, result in whole.items():
        heights.clear()
        np.testing.assert_array_equal(images.apply(image, name), result)
        assert max(heights) <= 5 * images.kernel(name).numbers.shape[0]


@pytest.mark.usefixtures("by_blocks")
@pytest.mark.parametrize("twice", [True, False])
def test_two_passes_give_the_one_pass_result(twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = RNG.integers(0, 65536, (40, 31), dtype=np.uint16)
    calls = []
    real = images.apply.__globals__["conv"]

    def spy(x: np.ndarray, weight: np.ndarray, **options: object) -> np.ndarray:
        calls.append(weight.shape)
        return real(x, weight, **options)

    class Cost:
        def __init__(self, kernel_size: tuple[int, int]) -> None:
            self.seconds = float((1 in kernel_size) != twice)

    monkeypatch.setitem(images.apply.__globals__, "conv", spy)
    monkeypatch.setitem(
        images.apply.__globals__, "plan", lambda size, kernel_size, *_, **__: Cost(kernel_size)
    )
    for name in ("gaussian:2", "box:5"):
        calls.clear()
        kernel = images.kernel(name)
        result = images.apply(image, kernel)
        rows, columns = kernel.numbers.shape
        assert calls == ([(rows, 1), (1, columns)] if twice else [(rows, columns)])
        np.testing.assert_array_equal(result, np.rint(by_definition(image, kernel.numbers)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (1, 1, 3), (0, 4), (4, 0, 3), (3, 3, 0)])
@pytest.mark.parametrize("border", PAD_MODES)
def test_tiny_and_empty_images(shape: tuple[int, ...], border: images.Border) -> None:
    image = np.full(shape, 9, dtype=np.uint8)
    result = images.apply(image, "box:7", border=border)
    assert result.shape == shape
    if border != "zeros":
        assert (result == 9).all()


def test_any_strides_and_never_the_input() -> None:
    base = RNG.integers(0, 256, (20, 18, 3), dtype=np.uint8)
    kept = base.copy()
    view = base[::-2, ::3, ::-1]
    np.testing.assert_array_equal(images.apply(view, "sobel"), images.apply(view.copy(), "sobel"))
    swapped = base.astype(">u2")
    np.testing.assert_array_equal(
        images.apply(swapped, "blur"), images.apply(swapped.astype("u2"), "blur")
    )
    base.flags.writeable = False
    images.apply(base, "blur")
    np.testing.assert_array_equal(base, kept)


def test_bool_and_float_dtypes_stay() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[1:4, 1:4] = True
    softened = images.apply(mask, "blur")
    assert softened.dtype == bool
    assert softened.sum() == 9 - 4
    for dtype in (np.float16, np.float32, np.float64):
        assert images.apply(np.ones((3, 3), dtype), "blur").dtype == dtype
    with_nan = np.ones((5, 5))
    with_nan[0, 0] = np.nan
    assert np.isnan(images.apply(with_nan, "blur")).sum() == 4


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros(4), {}, r"\(4,\)"),
        (np.zeros((1, 2, 3, 4)), {}, r"one image at a time"),
        (np.zeros((2, 2), complex), {}, r"complex128 cannot be filtered"),
        (np.zeros((2, 2), np.int64), {}, r"int64 cannot be filtered"),
        (np.array([["a"]]), {}, r"cannot be filtered"),
        (np.zeros((2, 2)), {"border": "mirror"}, r"border 'mirror' is not known"),
        (np.zeros((2, 2)), {"signed": "wrap"}, r"signed 'wrap' is not known"),
    ],
)
def test_bad_calls(image: np.ndarray, options: dict[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        images.apply(image, "blur", **options)  # type: ignore[arg-type]
