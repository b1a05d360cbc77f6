"""Where a page's arrays come from: files, kernels' names, crops, and what is drawn."""

import base64
import io

import numpy as np
import pytest

import npconv
from npconv import images
from npconv.explain import crops, pictures, sources


def test_a_picture_is_drawn_for_whatever_is_asked():
    x = sources.draw_x(None, None, 1, 3)
    assert x.shape == (1, 3, 8, 8)
    assert x.min() == 0
    assert x.max() == 9
    np.testing.assert_array_equal(x, np.rint(x))
    assert len({plane.tobytes() for plane in x[0]}) == 3
    assert sources.draw_x("NHWC", (5, 7), 2, 4).shape == (2, 5, 7, 4)
    assert sources.draw_x("HW", (5, 7), 1, 4).shape == (5, 7)
    assert sources.draw_x("NCW", (5, 7), 1, 2).shape == (1, 2, 7)
    first, second = sources.draw_x(None, None, 2, 3)
    np.testing.assert_array_equal(second, first[..., ::-1])


def test_the_default_kernels_are_an_edge_and_a_blur():
    weight, letters = sources.lay_kernels(None, np.ones((1, 4, 8, 8)), None, 2, False)
    assert weight.shape == (4, 2, 3, 3)
    assert letters == "OIHW"
    np.testing.assert_array_equal(weight[:, 0].sum((1, 2)), [0, 16, 0, 16])
    weight, letters = sources.lay_kernels(None, np.ones((8, 3)), "WC", 1, False)
    assert weight.shape == (2, 3, 3)
    assert letters == "OIW"
    weight, letters = sources.lay_kernels(None, np.ones((8, 8)), "HW", 1, False)
    np.testing.assert_array_equal(weight, pictures.EDGE)
    weight, _ = sources.lay_kernels(None, np.ones((1, 4, 8, 8)), None, 2, True)
    assert weight.shape == (4, 2, 3, 3)


def test_names_and_numbers_become_kernels():
    held = sources.read_weight(["sobel", "1 0 -1; 2 0 -2; 1 0 -1"], None)
    np.testing.assert_array_equal(held.kernels[0], images.kernel("sobel").numbers)
    np.testing.assert_array_equal(held.kernels[1], [[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    assert len(sources.read_weight("sobel-magnitude", None).kernels) == 2
    assert len(sources.read_weight(images.kernel("box"), None).kernels) == 1
    array = sources.read_weight([[1, 2], [3, 4]], "HW")
    assert array.array.shape == (2, 2)
    assert array.layout == "HW"


def test_smaller_kernels_stand_in_the_middle():
    weight = pictures.stacked([np.ones((1, 3)), np.ones((5, 5))], 1, 1)
    assert weight.shape == (2, 1, 5, 5)
    np.testing.assert_array_equal(weight[0, 0, 2], [0, 1, 1, 1, 0])
    assert weight[0].sum() == 3
    with pytest.raises(npconv.ProblemError, match="kernels of 2 x 2, 3 x 3 have no common middle"):
        pictures.stacked([np.ones((2, 2)), np.ones((3, 3))], 1, 1)


@pytest.mark.parametrize(
    "kernels, x, layout, says",
    (
        ([np.ones((3, 3))] * 2, np.ones((8, 8)), "HW", "has no C for 2 kernels"),
        ([np.ones((2, 3))], np.ones((1, 2, 8)), None, "has 2 rows, x has one line"),
        ([np.ones((3, 3))], np.ones((1, 5, 8, 8)), None, "5 channels, which groups=2"),
    ),
)
def test_kernels_that_do_not_fit_say_why(kernels, x, layout, says):
    with pytest.raises(npconv.ProblemError, match=says):
        sources.lay_kernels(kernels, x, layout, 2 if "groups" in says else 1, False)


def test_arrays_are_read_from_files(tmp_path):
    x = np.arange(24.0).reshape(1, 1, 4, 6)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", anything=x)
    np.savez(tmp_path / "named.npz", x=x, weight=np.ones((1, 1, 3, 3)))
    for name in ("x.npy", "one.npz", "named.npz"):
        held = sources.read_x(tmp_path / name, None, None, None)
        np.testing.assert_array_equal(held.x, x)
        assert held.words == name
        assert held.photo is None
    weight = sources.read_weight(tmp_path / "named.npz", None)
    assert weight.array.shape == (1, 1, 3, 3)
    np.save(tmp_path / "kernel.npy", np.ones((3, 5)))
    assert sources.read_weight(str(tmp_path / "kernel.npy"), None).kernels[0].shape == (3, 5)
    with pytest.raises(npconv.ProblemError, match="holds 4 axes"):
        sources.read_weight([tmp_path / "named.npz", "sobel"], None)


def test_bad_array_files_say_why(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(3))
    with pytest.raises(npconv.ProblemError, match="holds 2 arrays and none is named x") as caught:
        sources.read_array(tmp_path / "two.npz", "x")
    assert caught.value.facts == (("has", "a, b"),)
    np.save(tmp_path / "objects.npy", np.array([{}, 1], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, 1], object))
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    for name in ("objects.npy", "objects.npz", "empty.npy", "text.npy", "cut.npz"):
        with pytest.raises(npconv.ProblemError, match="is damaged or holds Python objects"):
            sources.read_array(tmp_path / name, "x")
    with pytest.raises(FileNotFoundError, match="absent"):
        sources.read_array(tmp_path / "absent.npy", "x")


@pytest.mark.parametrize("depth, layout", ((0, "HW"), (3, "HWC"), (4, "HWC"), (2, "HWC")))
def test_an_image_is_cut_where_it_is_liveliest(tmp_path, depth, layout):
    shape = (60, 50, depth) if depth else (60, 50)
    pixels = np.full(shape, 200, np.uint8)
    pixels[30:34, 20:24] = np.random.default_rng(0).integers(0, 256, pixels[30:34, 20:24].shape)
    images.write(tmp_path / "p.png", pixels)
    held = sources.read_x(tmp_path / "p.png", None, None, None)
    assert held.layout == layout
    row, column, height, width = held.crop
    assert (height, width) == (8, 8)
    assert row <= 30 < 34 <= row + 8
    assert column <= 20 < 24 <= column + 8
    colours = pixels[..., : {2: 1, 4: 3}.get(depth, depth)] if depth else pixels
    np.testing.assert_array_equal(held.x, colours[row : row + 8, column : column + 8])
    assert held.photo.shape[:2] == (60, 50)
    assert held.words == f"p.png, crop {row},{column},8,8"


def test_an_image_in_another_layout(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    images.write(tmp_path / "p.png", pixels)
    held = sources.read_x(tmp_path / "p.png", "NCHW", None, None)
    np.testing.assert_array_equal(held.x, pixels.transpose(2, 0, 1)[None])
    assert held.crop is None
    held = sources.read_x(tmp_path / "p.png", "NHWC", None, (2, 1, 3, 4))
    np.testing.assert_array_equal(held.x, pixels[None, 2:5, 1:5])
    for layout, says in (("HW", "has no C, and the image"), ("NCW", "does not name an image's")):
        with pytest.raises(npconv.ProblemError, match=says):
            sources.read_x(tmp_path / "p.png", layout, None, None)


def test_size_takes_the_liveliest_cells_of_an_array():
    x = np.zeros((20, 22))
    x[3, 17] = 1
    held = sources.read_x(x, "HW", [5], None)
    assert held.x.shape == (5, 5)
    assert held.x.sum() == 1
    assert held.words.startswith("x, crop ")
    turned = sources.read_x(x.T, "WH", (5, 7), None)
    assert turned.x.shape == (7, 5)
    assert turned.x.sum() == 1
    with pytest.raises(npconv.ProblemError, match=r"size .1, 2, 3. is not .rows, columns."):
        sources.read_x(x, "HW", (1, 2, 3), None)


def test_the_liveliest_window_varies_both_ways():
    image = np.zeros((40, 60))
    image[:, 30:] = 100  # an edge alone
    image[20:24, 8:13] = np.random.default_rng(3).normal(size=(4, 5))
    row, column, height, width = crops.liveliest(image, "HW", (6, 7))
    assert (height, width) == (6, 7)
    assert row <= 20 < 24 <= row + 6
    assert column <= 8 < 13 <= column + 7
    assert crops.liveliest(image, "HW", (99, 7))[2:] == (40, 7)


def test_the_liveliness_is_the_smaller_eigenvalue():
    image = np.random.default_rng(3).normal(size=(17, 23))
    row, column, _, _ = crops.liveliest(image, "HW", (5, 6))
    down, across = np.zeros((2, 17, 23))
    down[:-1], across[:, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
    pairs = np.stack([down, across], -1)
    found = {}
    for i in range(13):
        for j in range(18):
            steps = pairs[i : i + 5, j : j + 6].reshape(-1, 2)
            found[np.linalg.eigvalsh(steps.T @ steps)[0]] = (i, j)
    assert found[max(found)] == (row, column)


def test_a_line_or_a_flat_image_has_a_window_too():
    line = np.zeros((1, 1, 30))
    line[..., 21] = 5
    _, column, height, width = crops.liveliest(line, "NCW", (8, 8))
    assert (height, width) == (1, 8)
    assert column <= 21 < column + 8
    assert crops.liveliest(np.ones((2, 30, 30, 3)), "NHWC", (10, 10)) == (10, 10, 10, 10)
    assert crops.liveliest(np.full((1, 1, 30), np.nan), "NCW", (8, 8)) == (0, 11, 1, 8)


def test_photos_are_small_and_whole():
    pixels = np.zeros((900, 1500, 4), np.uint16)
    held = pictures.photo_data(pixels, "wide.tif")
    assert (held["width"], held["height"], held["original"]) == (512, 307, [900, 1500])
    assert held["data"].startswith("data:image/jpeg;base64,/9j/")
    small = pictures.photo_data(np.eye(20, dtype=bool))
    assert (small["width"], small["height"]) == (20, 20)
    assert small["data"].startswith("data:image/png;base64,iVBOR")
    deep = pictures.photo_data(np.array([[0, 300, 65535]], np.uint16))
    png = base64.b64decode(deep["data"].partition(",")[2])
    np.testing.assert_array_equal(images.read(io.BytesIO(png)), [[0, 1, 255]])
    assert len(held["data"]) < 400_000
    grey = pictures.photo_data(np.ones((4, 5, 1), np.uint8))
    assert (grey["width"], grey["height"]) == (5, 4)
