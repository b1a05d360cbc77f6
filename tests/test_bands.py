"""Images filtered as they are, held to exact arithmetic in whole numbers."""

import contextlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

import grad_cases
import guarded
import npconv
from npconv import arrays, bands, images, lines, spare, templates
from npconv.bands import Ended, filtered
from winograd_layers import Soiled

pytest.importorskip("numba")

MODES = ("constant", "symmetric", "reflect", "edge", "wrap")
SHAPES = ((20, 301), (7, 5), (25, 117, 3), (40, 70, 4), (1, 1), (3, 1, 3), (9, 2, 2))
SIZES = ((3, 3), (1, 5), (5, 1), (7, 6), (2, 2))
MOST = {"B": 255, "H": 65535}


@pytest.fixture(autouse=True)
def scratch_is_soiled(monkeypatch):
    for module in (templates, spare):
        monkeypatch.setattr(module, "np", Soiled())


@contextlib.contextmanager
def cut(worth=64, held=1 << 12):
    """Small shares, and so many bytes of lines that are held at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "WORTH_SHARING", worth)
        patch.setattr(lines, "_HELD", held)
        bands._template.cache_clear()
        yield
    bands._template.cache_clear()


def kernel_of(rng, size, separable, work):
    """A kernel of small integers, and the same as `filtered` takes it."""
    if not separable:
        numbers = rng.integers(-3, 4, size)
        return numbers, (numbers.astype(work),)
    column, row = rng.integers(-3, 4, (size[0], 1)), rng.integers(-3, 4, (1, size[1]))
    return column * row, (column.astype(work), row.astype(work))


def margins(size):
    return tuple(((n - 1) // 2, n // 2) for n in size)


def sums(image, numbers, mode):
    """The sums in int64, by numpy.pad and tap by tap."""
    beside = ((0, 0),) * (image.ndim - 2)
    padded = np.pad(image.astype(np.int64), margins(numbers.shape) + beside, mode)
    height, width = image.shape[:2]
    return sum(
        numbers[r, s] * padded[r : r + height, s : s + width] for r, s in np.ndindex(numbers.shape)
    )


def rounded(total, how):
    """total / divisor rounded to nearest, halves to even, in integers; then as `how` has it."""
    whole, rest = np.divmod(2 * total + how.divisor, 2 * how.divisor)
    whole -= (rest == 0) & (whole % 2 == 1)
    whole = abs(whole) if how.mirrors else whole
    return np.clip(whole + how.lift, 0, how.largest)


@pytest.mark.parametrize("work", ["float32", "float64"])
@pytest.mark.parametrize("letter", "BH")
def test_whole_numbers_are_rounded_as_exact_arithmetic_does(letter, work):
    rng = np.random.default_rng(1)
    divisors = itertools.cycle((1, 2, 3, 6, 9, 10, 16, 25, 7, 12))
    ways = itertools.cycle(((False, 0), (True, 0), (False, 128)))
    for shape, size, separable in itertools.product(SHAPES, SIZES, (False, True)):
        image = rng.integers(0, 256, shape).astype(letter)
        numbers, kernels = kernel_of(rng, size, separable, work)
        mirrors, lift = next(ways)
        reach = 255.0 * abs(numbers).sum()
        how = Ended(
            divisor=next(divisors), mirrors=mirrors, lift=lift, largest=MOST[letter], reach=reach
        )
        for mode in MODES:
            with cut():
                got = filtered(image, kernels, margins(size), mode, how)
            want = rounded(sums(image, numbers, mode), how)
            np.testing.assert_array_equal(got, want.astype(letter), (shape, size, mode, how))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_of_small_integers_are_exact(dtype):
    rng = np.random.default_rng(2)
    for shape, size, separable in itertools.product(SHAPES, SIZES, (False, True)):
        image = rng.integers(-9, 10, shape).astype(dtype)
        numbers, kernels = kernel_of(rng, size, separable, dtype)
        for mode in MODES:
            with cut():
                got = filtered(image, kernels, margins(size), mode, bias=0.5)
            np.testing.assert_array_equal(got, sums(image, numbers, mode) + 0.5)


@pytest.mark.parametrize("divisor", [*range(1, 33), 49, 63, 64, 81, 121, 225, 961])
def test_a_quotient_or_a_product_rounds_alike(divisor):
    """Every sum of one tap, those halfway between two levels among them."""
    image = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    for factor in (1, 31):
        kernels = (np.full((1, 1), factor, np.float32),)
        how = Ended(divisor=divisor, largest=65535, reach=65535.0 * factor)
        got = filtered(image, kernels, ((0, 0), (0, 0)), "edge", how)
        np.testing.assert_array_equal(got, rounded(image.astype(np.int64) * factor, how))


def test_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(3)
    image = rng.random((61, 90, 3), np.float32)
    kernels = (rng.random((9, 1), np.float32), rng.random((1, 7), np.float32))
    results = set()
    for threads in (1, 2, 5):
        with grad_cases.threads(threads), cut():
            results.add(filtered(image, kernels, margins((9, 7)), "reflect").tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("separable", [False, True])
def test_a_nan_reaches_the_windows_that_hold_it(separable):
    image = np.ones((20, 130), np.float32)
    image[4, 100], image[18, 0] = np.nan, np.inf
    numbers, kernels = kernel_of(np.random.default_rng(4), (3, 5), separable, "float32")
    numbers[...] = 1
    for part in kernels:
        part[...] = 1
    got = filtered(image, kernels, margins((3, 5)), "constant")
    padded = np.pad(image, margins((3, 5)))
    want = np.lib.stride_tricks.sliding_window_view(padded, (3, 5)).sum(axis=(2, 3))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("letter", "BHfd")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_touches_nothing_beside_its_arrays(shape, letter, at_end):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, shape).astype(letter)
    how = Ended(largest=MOST.get(letter, 0), reach=1e5)
    for separable in (False, True):
        work = "float64" if letter == "d" else "float32"
        numbers, kernels = kernel_of(rng, (3, 4), separable, work)
        want = sums(image, numbers, "reflect")
        want = rounded(want, how) if letter in MOST else want
        owner = guarded.Guarded(image, at_end, True)
        with grad_cases.threads(1), cut(), guarded.workspaces(at_end) as spaces:
            got = filtered(owner.array, kernels, margins((3, 4)), "reflect", how).copy()
            bands._template.cache_clear()
        np.testing.assert_array_equal(got, want)
        assert spaces.taken
        assert spaces.beside == []
        owner.close()


def test_images_that_lie_oddly():
    rng = np.random.default_rng(6)
    base = rng.integers(0, 256, (40, 62, 3), np.uint8)
    plane = base[:, :, 0].copy()
    numbers, kernels = kernel_of(rng, (5, 5), False, "float32")
    how = Ended(largest=255, divisor=5, reach=1e5)
    for view in (base[:, :, 1], base[::-1, ::-1, 0], base[:, :, 2].T, base[::2, ::3, ::-1],
                 plane[:, ::-1], plane.T[::-1], base[:1, :1], base.transpose(1, 0, 2)):  # fmt: skip
        got = filtered(view, kernels, margins((5, 5)), "reflect", how)
        np.testing.assert_array_equal(got, rounded(sums(view, numbers, "reflect"), how))


def test_what_it_refuses():
    def reason(dtype, work="float32", shape=(9, 9), size=(3, 3)):
        return bands.why_not(
            shape, np.dtype(dtype), (np.ones(size, work),), margins(size), "reflect"
        )

    assert "int16" in reason("int16")
    assert "float64" in reason("float64")
    assert ">u2" in reason(">u2")
    assert "a transform takes fewer steps" in reason("uint8", shape=(999, 999), size=(99, 99))
    assert reason("uint8", "float64", (2000, 2000)) == ""


@pytest.mark.parametrize("name", ["sobel", "emboss", "gaussian:2", "box:5", "sharpen"])
@pytest.mark.parametrize("signed", ["clip", "abs", "offset"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float32"])
def test_at_once_and_by_blocks_are_the_same(name, signed, dtype, monkeypatch):
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (60, 50, 4)).astype(dtype)
    kernel = images.kernel(name)
    at_once = images.apply(image, kernel, signed=signed)
    monkeypatch.setitem(images.apply.__globals__, "filter_at_once", lambda *_: None)
    by_blocks = images.apply(image, kernel, signed=signed)
    assert at_once.dtype == image.dtype
    np.testing.assert_array_equal(at_once[:, :, 3], image[:, :, 3])
    if dtype == "float32":
        np.testing.assert_allclose(at_once, by_blocks, rtol=0, atol=1e-3)
    else:
        # Sums that are not whole numbers may fall on either side of a half.
        off = at_once.astype(int) - by_blocks.astype(int)
        assert np.abs(off).max() <= (name == "gaussian:2")
        assert np.count_nonzero(off) <= 3


@pytest.mark.parametrize(("size", "transforms"), [(15, False), (61, True)])
def test_large_kernels_go_by_transforms(size, transforms, monkeypatch):
    asked = []

    def spy(x, weight, **geometry):
        asked.append(npconv.plan(x, weight, **geometry).algorithm)
        return npconv.conv(x, weight, **geometry)

    monkeypatch.setitem(images.apply.__globals__, "conv", spy)
    rng = np.random.default_rng(8)
    image, numbers = rng.random((700, 800), np.float32), rng.random((size, size))
    got = images.apply(image, numbers / size**2)
    assert asked == ["fft"] * transforms
    one = numbers.astype("f4") / np.float32(size**2)
    padded = np.pad(image, margins((size, size)), "symmetric")
    for i, j in ((0, 0), (350, 400), (699, 799)):
        want = (padded[i : i + size, j : j + size].astype(float) * one).sum()
        np.testing.assert_allclose(got[i, j], want, rtol=1e-5)


def test_a_numba_that_does_not_work_is_no_hindrance(tmp_path):
    package = tmp_path / "numba"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('not today')\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from npconv import images, ndimage
image = np.full((1200, 1300), 7, np.uint8)
assert (images.apply(image, "box:3") == 7).all()
smooth = ndimage.gaussian_filter(image.astype("f4"), 1)
assert abs(smooth - 7).max() < 1e-5
from npconv import compiler
assert "not today" in compiler.missing()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
