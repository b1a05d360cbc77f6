"""Datasets and their readers: what comes out is what was put in."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nn_data_cases import COLOUR, LABELS, RNG, cifar, idx
from npconv import ProblemError, nn
from npconv.nn.data import normalise, read_picture


def channels_last(x: np.ndarray) -> bool:
    return np.moveaxis(x, 1, -1).flags.c_contiguous


def test_batches_are_normalised_float32_and_channels_last() -> None:
    data = nn.Dataset(COLOUR, LABELS)
    share = COLOUR / 255
    x = np.concatenate([x for x, _ in data.batches(7)])
    want = share - share.mean((0, 2, 3))[:, None, None]
    want /= share.std((0, 2, 3))[:, None, None]
    np.testing.assert_allclose(x, want, atol=1e-5)
    for x, y in data.batches(7):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert channels_last(x)
    np.testing.assert_array_equal(np.concatenate([y for _, y in data.batches(7)]), LABELS)
    np.testing.assert_array_equal(
        normalise(COLOUR[:4], data.mean, data.std), next(data.batches(4))[0]
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int64", "bool"])
def test_the_spread_of_every_type(dtype: str) -> None:
    images = (COLOUR % 2 if dtype == "bool" else COLOUR).astype(dtype)
    data = nn.Dataset(images, LABELS)
    white = {"uint8": 255, "int64": 255, "uint16": 65535}.get(dtype, 1)
    np.testing.assert_allclose(data.mean, (images / white).mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(data.std, (images / white).std((0, 2, 3)), rtol=1e-5)
    x = next(data.batches(30))[0]
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, rtol=1e-4)


def test_the_spread_of_large_numbers_that_differ_little() -> None:
    images = 1e6 + RNG.normal(size=(3000, 1, 20, 20))  # more than one block
    np.testing.assert_allclose(nn.Dataset(images, LABELS.repeat(100)).std, images.std(), rtol=1e-6)
    assert nn.Dataset(np.ones((4, 2, 3, 3)), [0, 1, 0, 1]).std.tolist() == [1, 1]


def test_training_shuffles_by_the_seed_and_nothing_else_does() -> None:
    data = nn.Dataset(np.arange(20.0).reshape(20, 1, 1, 1), np.arange(20), mean=[0], std=[1])

    def order(*arguments: object, **keywords: object) -> list[float]:
        found = list(data.batches(6, *arguments, **keywords))  # type: ignore[arg-type]
        for x, y in found:
            np.testing.assert_array_equal(x.ravel(), y)
        return np.concatenate([y for _, y in found]).tolist()

    assert order() == order(3) == list(range(20))
    assert order(3, training=True) == order(np.random.default_rng(3), training=True)
    assert order(3, training=True) != order(4, training=True)
    assert sorted(order(training=True)) == list(range(20))


def test_no_image_is_left_alone_in_training() -> None:
    data = nn.Dataset(COLOUR, LABELS)[:13]
    sizes = {training: [len(y) for _, y in data.batches(4, 0, training)] for training in (0, 1)}
    assert sizes == {0: [4, 4, 4, 1], 1: [4, 4, 5]}
    assert [len(y) for _, y in data[:3].batches(1, 0, True)] == [1, 1, 1]
    assert [len(y) for _, y in data[[4]].batches(8, 0, True)] == [1]


def test_augmentation_is_for_training_only_and_sees_fractions() -> None:
    seen = []

    def darker(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append((x.min(), x.max(), rng.random()))
        return x * 0

    data = nn.Dataset(COLOUR, LABELS).augmented(darker)
    plain = next(data.batches(30))[0]
    assert seen == []
    x = next(data.batches(30, 0, training=True))[0]
    assert 0 <= seen[0][0] < seen[0][1] <= 1
    np.testing.assert_allclose(x[0, :, 0, 0], -data.mean / data.std, rtol=1e-5)
    np.testing.assert_array_equal(next(data.batches(30))[0], plain)
    np.testing.assert_array_equal(data.images, COLOUR)


def test_parts_of_a_dataset() -> None:
    data = nn.Dataset(COLOUR, LABELS, ["a", "b", "c"])
    assert (data.shape, data.outputs, len(data)) == ((3, 6, 5), 3, 30)
    for index in (slice(4, 9), [1, 1, 5], LABELS == 2, 7):
        part = data[index]
        np.testing.assert_array_equal(part.images, COLOUR[np.atleast_1d(np.arange(30)[index])])
        np.testing.assert_array_equal(part.targets, np.atleast_1d(LABELS[index]))
        assert part.classes == ("a", "b", "c")
        np.testing.assert_array_equal(part.mean, data.mean)
    assert not nn.Dataset(COLOUR, LABELS / 2).classes
    assert nn.Dataset(COLOUR, np.ones((30, 4))).outputs == 4


def test_a_split_gives_each_class_its_share() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 50, 10, 1])
    data = nn.Dataset(np.arange(161.0).reshape(161, 1, 1, 1), labels)
    rest, part = data.split(0.2, seed=1)
    assert np.bincount(part.targets, minlength=4).tolist() == [20, 10, 2, 0]
    both = np.concatenate([rest.images, part.images]).ravel()
    assert sorted(both.tolist()) == list(range(161))
    np.testing.assert_array_equal(data.split(0.2, seed=1)[1].images, part.images)
    assert not np.array_equal(data.split(0.2, seed=2)[1].images, part.images)
    values = nn.Dataset(data.images, np.arange(161.0))
    assert len(values.split(0.2)[1]) == len(data.split(0.2, stratified=False)[1]) == 32


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "name, test",
    [
        ("{}-{}-idx{}-ubyte", "t10k"),
        ("{}-{}.idx{}-ubyte", "t10k"),
        ("emnist-letters-{}-{}-idx{}-ubyte", "test"),
    ],
)
def test_idx_files(name: str, test: str, packed: bool, tmp_path: Path) -> None:
    for part, which in (("train", slice(20)), (test, slice(20, 30))):
        for what, rank, array in (
            ("images", 3, COLOUR[which, 0]),
            ("labels", 1, LABELS[which] + 1),
        ):
            place = name.format(part, what, rank) + ".gz" * packed
            content = idx(array)
            (tmp_path / place).write_bytes(gzip.compress(content) if packed else content)
    for train, held in (nn.load_idx(tmp_path), nn.load_data(tmp_path)):
        np.testing.assert_array_equal(train.images, COLOUR[:20, :1])
        np.testing.assert_array_equal(held.images, COLOUR[20:, :1])
        assert train.classes == held.classes == ("1", "2", "3")
        np.testing.assert_array_equal(held.targets, LABELS[20:])
        np.testing.assert_array_equal(held.mean, train.mean)
    (tmp_path / "deeper").mkdir()
    for path in [path for path in tmp_path.iterdir() if path.is_file()]:
        path.rename(tmp_path / "deeper" / path.name)
    assert len(nn.load_data(tmp_path)[0]) == 20


@pytest.mark.parametrize(
    "kind, dtype", [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx_of_every_type(kind: int, dtype: str, tmp_path: Path) -> None:
    array = RNG.integers(0, 100, (3, 4, 5))
    (tmp_path / "any").write_bytes(idx(array, kind, dtype))
    found = nn.data.read_idx(tmp_path / "any")
    np.testing.assert_array_equal(found, array)
    assert found.dtype.isnative


def test_several_sets_in_a_folder_want_a_name(tmp_path: Path) -> None:
    for prefix in ("", "emnist-letters-"):
        (tmp_path / f"{prefix}train-images-idx3-ubyte").write_bytes(idx(COLOUR[:, 0]))
        (tmp_path / f"{prefix}train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    with pytest.raises(ProblemError, match=r"2 sets of IDX files(.|\n)*prefix='emnist-letters-'"):
        nn.load_idx(tmp_path)
    train, test = nn.load_idx(tmp_path, prefix="")
    assert (len(train), len(test)) == (24, 6)


def test_cifar_10(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
    (tmp_path / "data_batch_1.bin").write_bytes(cifar(images[:12], LABELS[:12]))
    (tmp_path / "data_batch_2.bin").write_bytes(cifar(images[12:24], LABELS[12:24]))
    (tmp_path / "test_batch.bin").write_bytes(cifar(images[24:], LABELS[24:]))
    (tmp_path / "batches.meta.txt").write_text("airplane\nautomobile\nbird\n\n")
    train, test = nn.load_data(tmp_path)
    np.testing.assert_array_equal(train.images, images[:24])
    np.testing.assert_array_equal(train.targets, LABELS[:24])
    np.testing.assert_array_equal(test.images, images[24:])
    assert test.classes == ("airplane", "automobile", "bird")


def test_cifar_100(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
    (tmp_path / "train.bin").write_bytes(cifar(images, LABELS + 10, LABELS + 90))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(f"coarse{i}" for i in range(20)))
    train, test = nn.load_cifar(tmp_path)
    assert train.classes == ("90", "91", "92")
    train, test = nn.load_cifar(tmp_path, labels="coarse")
    assert train.classes == ("coarse10", "coarse11", "coarse12")
    assert (len(train), len(test)) == (24, 6)


@pytest.mark.parametrize("names", ["x_train y_train x_test y_test", "images labels", "X y"])
@pytest.mark.parametrize("form", ["grey", "last", "first"])
def test_npz(names: str, form: str, tmp_path: Path) -> None:
    images = {"grey": COLOUR[:, 0], "last": COLOUR.transpose(0, 2, 3, 1), "first": COLOUR}[form]
    parts = [images[:20], LABELS[:20, None], images[20:], LABELS[20:]]
    path = tmp_path / "all.npz"
    np.savez_compressed(path, **dict(zip(names.split(), parts, strict=False)))
    train, test = nn.load_data(path)
    want = COLOUR[:, :1] if form == "grey" else COLOUR
    if len(names.split()) == 4:
        np.testing.assert_array_equal(train.images, want[:20])
        np.testing.assert_array_equal(test.targets, LABELS[20:])
    else:
        assert (len(train), len(test)) == (16, 4)
        assert train.shape == want.shape[1:]
        np.testing.assert_allclose(train.mean, train.images.mean((0, 2, 3)) / 255, rtol=1e-5)
        np.testing.assert_array_equal(test.mean, train.mean)


def test_both_parts_have_one_scale(tmp_path: Path) -> None:
    images = COLOUR[:, 0].astype(np.int16)
    images[0] = 1000  # so that 255 is not white, in the test part either
    np.savez(tmp_path / "a.npz", x_train=images[:20], y_train=LABELS[:20], x_test=images[20:],
             y_test=LABELS[20:])  # fmt: skip
    _, test = nn.load_npz(tmp_path / "a.npz")
    want = (images[20:, None] - images[:20].mean()) / images[:20].std()
    np.testing.assert_allclose(next(test.batches(10))[0], want, atol=1e-5)


def test_npz_of_text_labels_and_of_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=COLOUR[:, 0], labels=np.array(["b", "a", "c"])[LABELS])
    train, test = nn.load_npz(tmp_path / "a.npz")
    assert train.classes == ("a", "b", "c")
    np.savez(tmp_path / "b.npz", images=COLOUR[:, 0], labels=LABELS / 2)
    train, test = nn.load_npz(tmp_path / "b.npz", seed=3)
    assert train.classes == ()
    assert set(test.targets) <= {0, 0.5, 1}


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for place in ("train/cat/deep", "train/dog", "test/cat", "test/dog", "train/.hidden"):
        (tmp_path / place).mkdir(parents=True)
    for i, place in enumerate(("train/cat/deep/1.png", "train/dog/2.png", "test/dog/3.PNG")):
        Image.fromarray(COLOUR[i].transpose(1, 2, 0)).save(tmp_path / place)
    (tmp_path / "train/cat/notes.txt").write_text("no picture")
    (tmp_path / "train/cat/._1.png").write_text("no picture either")
    for train, test in (nn.load_folder(tmp_path), nn.load_data(tmp_path)):
        np.testing.assert_array_equal(train.images, COLOUR[:2])
        np.testing.assert_array_equal(test.images, COLOUR[2:3])
        assert train.classes == ("cat", "dog")
        assert test.targets.tolist() == [1]
    assert nn.load_data(tmp_path, size=(3, 4))[0].shape == (3, 3, 4)
    assert nn.load_folder(tmp_path, size=8, channels=1)[0].shape == (1, 8, 8)


def test_grey_pictures_of_every_depth_stay_grey(tmp_path: Path) -> None:
    for i, dtype in enumerate((np.uint8, np.uint16, bool)):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        pixels = (COLOUR[i, 0] > 99) if dtype is bool else COLOUR[i, 0].astype(dtype)
        pixels = pixels * 257 if dtype is np.uint16 else pixels
        Image.fromarray(pixels).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    train, test = nn.load_folder(tmp_path)
    both = sorted(np.concatenate([train.images, test.images]).astype(int).tolist())
    want = [COLOUR[0, :1], COLOUR[1, :1], (COLOUR[2, :1] > 99) * 255]
    assert both == sorted(each.astype(int).tolist() for each in want)


def test_pictures_are_turned_upright_and_palettes_opened(tmp_path: Path) -> None:
    photo = Image.fromarray(COLOUR[0].transpose(1, 2, 0))
    exif = photo.getexif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    photo.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "turned.png", 3), np.rot90(COLOUR[0], -1, (1, 2))
    )
    palette = photo.quantize(7)
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 255, 9]))
    np.testing.assert_array_equal(
        read_picture(tmp_path / "palette.png", 3),
        np.asarray(palette.convert("RGB")).transpose(2, 0, 1),
    )


def test_the_digits() -> None:
    pytest.importorskip("sklearn")
    train, test = nn.load_data("digits")
    assert (len(train), len(test), train.shape, train.outputs) == (1438, 359, (1, 8, 8), 10)
    assert train.images.max() == 1
    assert 34 < np.bincount(test.targets).min() <= np.bincount(test.targets).max() < 38
    np.testing.assert_array_equal(nn.load_digits(seed=0)[1].images, test.images)
    assert not np.array_equal(nn.load_digits(seed=1)[1].images, test.images)
