"""Augmentation against its definition, written anew for one image at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npconv import ProblemError, nn

X = np.random.default_rng(7).random((40, 3, 6, 9)).astype(np.float32)
EVERY = [
    nn.RandomFlip(),
    nn.RandomFlip(0.3, axis=-2),
    nn.RandomShift(2),
    nn.RandomCrop((4, 5), padding=1),
    nn.RandomRotation(30),
]


def ways(padded: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Return every window of an image (C, H, W)."""
    rows, columns = padded.shape[1] - height, padded.shape[2] - width
    return [
        padded[:, i : i + height, j : j + width]
        for i in range(rows + 1)
        for j in range(columns + 1)
    ]


@pytest.mark.parametrize("augment", EVERY, ids=str)
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_seed_decides_and_x_stays(augment: Any, order: str, dtype: Any) -> None:
    x = X.astype(dtype)
    if order == "NHWC":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    before = x.copy()
    y = augment(x, np.random.default_rng(1))
    assert y.dtype == dtype
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert not np.shares_memory(x, y)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, augment(X.astype(dtype), np.random.default_rng(1)))
    assert not np.array_equal(y, augment(x, np.random.default_rng(2)))


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_flip_mirrors_some(axis: int) -> None:
    y = nn.RandomFlip(0.5, axis)(X, np.random.default_rng(0))
    same = (y == X).all((1, 2, 3))
    mirrored = (y == np.flip(X, axis)).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 10 < mirrored.sum() < 30
    np.testing.assert_array_equal(nn.RandomFlip(0)(X, np.random.default_rng(0)), X)


@pytest.mark.parametrize("fill", [0.0, 0.5, None])
@pytest.mark.parametrize("size, padding", [(None, 2), ((4, 5), 0), (5, 1), ((6, 9), 0), (8, 1)])
def test_a_crop_is_a_window_of_the_padded_image(size: Any, padding: int, fill: Any) -> None:
    y = nn.RandomCrop(size, padding, fill)(X, np.random.default_rng(0))
    height, width = y.shape[2:]
    sizes = {None: (6, 9), 5: (5, 5), 8: (8, 8)}
    assert (height, width) == sizes.get(size, size)
    how: Any = {"mode": "edge"} if fill is None else {"constant_values": fill}
    seen = set()
    for image, found in zip(X, y, strict=True):
        windows = ways(
            np.pad(image, ((0, 0), (padding, padding), (padding, padding)), **how), height, width
        )
        at = [k for k, window in enumerate(windows) if np.array_equal(window, found)]
        assert at
        seen.add(at[0])
    assert len(seen) >= min(len(windows), 10) / 2  # any place, not always the same


def test_a_shift_reaches_its_ends_and_no_further() -> None:
    x = np.zeros((400, 1, 7, 7))
    x[:, :, 3, 3] = 1
    y = nn.RandomShift(2)(x, np.random.default_rng(0))
    _, _, rows, columns = np.nonzero(y)
    assert len(rows) == 400
    assert set(rows) == set(columns) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2, 3])
def test_quarter_turns_are_exact(turns: int) -> None:
    x = X[:, :, :, :6]
    y = nn.RandomRotation((90.0 * turns, 90.0 * turns))(x, np.random.default_rng(0))
    np.testing.assert_allclose(y, np.rot90(x, turns, (2, 3)), atol=2e-6)


@pytest.mark.parametrize("fill", [0.0, 2.0, None])
def test_a_turn_is_the_bilinear_mean_of_four(fill: float | None) -> None:
    degrees = 20.0
    y = nn.RandomRotation((degrees, degrees), fill)(X, np.random.default_rng(0))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))

    def at(image: np.ndarray, i: int, j: int) -> np.ndarray | float:
        if fill is None:
            i, j = min(max(i, 0), 5), min(max(j, 0), 8)
        return image[:, i, j] if 0 <= i < 6 and 0 <= j < 9 else float(fill)  # type: ignore[arg-type]

    for n, row, column in [(0, 0, 0), (1, 3, 4), (2, 5, 8), (3, 0, 8), (4, 2, 7), (5, 5, 1)]:
        # Counter-clockwise as seen, rows counted downwards: where this pixel came from.
        dy, dx = row - 2.5, column - 4.0
        i, j = 2.5 + cos * dy + sin * dx, 4.0 + cos * dx - sin * dy
        i0, j0 = int(np.floor(i)), int(np.floor(j))
        want = sum(
            (1 - abs(i - a)) * (1 - abs(j - b)) * at(X[n], a, b)
            for a in (i0, i0 + 1)
            for b in (j0, j0 + 1)
        )
        np.testing.assert_allclose(y[n, :, row, column], want, atol=1e-5)


def test_angles_differ_and_stay_in_range() -> None:
    x = np.zeros((300, 1, 1, 41), np.float32)
    x[..., 40] = 1  # one bright end, which a turn lifts out of the line
    x = np.concatenate([np.zeros((300, 1, 20, 41), np.float32), x, x * 0, *[x * 0] * 19], axis=2)
    y = nn.RandomRotation(30)(x, np.random.default_rng(0))[:, 0]
    mass = y.sum((1, 2))
    rows = (y.sum(2) * np.arange(41)).sum(1) / mass - 20
    columns = (y.sum(1) * np.arange(41)).sum(1) / mass - 20
    angles = np.degrees(np.arctan2(-rows, columns))  # up is counter-clockwise
    assert -33 < angles.min() < -27
    assert 27 < angles.max() < 33


@pytest.mark.parametrize(
    "build, what",
    [
        (lambda: nn.RandomFlip(1.5), r"RandomFlip: .*probability=1.5(.|\n)*0 <= probability <= 1"),
        (lambda: nn.RandomFlip(axis=1), r"axis is -1 or -2"),
        (lambda: nn.RandomShift(-1), r"pixels >= 0"),
        (lambda: nn.RandomCrop(4, padding=-1), r"padding >= 0"),
        (lambda: nn.RandomCrop((0, 4)), r"size >= 1"),
        (lambda: nn.RandomRotation(-10), r"-360 <= least <= most"),
        (lambda: nn.RandomRotation(float("nan")), r"-360 <= least <= most"),
    ],
)
def test_bad_arguments(build: Any, what: str) -> None:
    with pytest.raises(ProblemError, match=what):
        build()


def test_bad_batches() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ProblemError, match=r"RandomCrop: .*(.|\n)*padded image, 6 x 9"):
        nn.RandomCrop(8)(X, rng)
    for x in (X[0], X.astype(np.uint8)):
        with pytest.raises(ProblemError, match=r"a batch \(N, C, H, W\) of floats"):
            nn.RandomFlip()(x, rng)
