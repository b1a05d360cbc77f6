"""Data that is damaged, that lies or that is not there: a clear error, and no memory for it."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nn_data_cases import COLOUR, LABELS, cifar, idx
from npconv import ProblemError, nn
from npconv.nn.data import read_idx, read_picture

GREY = COLOUR[:, 0]


@pytest.mark.parametrize(
    "content, what",
    [
        (b"", r"is no IDX file: it begins with nothing"),
        (b"\x89PNG\r\n", r"is no IDX file: it begins with 89 50 4e 47"),
        (b"\1" + idx(GREY)[1:], r"is no IDX file: it begins with 01 00 08 03"),
        (idx(GREY, kind=7), r"is no IDX file: it begins with 00 00 07 03"),
        (idx(GREY)[:9], r"is cut short in its header"),
        (idx(GREY)[:-1], r"is cut short: its header says 30 x 6 x 5 of 1 bytes"),
        (idx(GREY) + b"\0", r"holds more than it should: its header says 30 x 6 x 5"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 99, r"cut short: its header says 4294967295 x"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_idx_files(content: bytes, what: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ProblemError, match=rf"load_idx: .*images.* {what}"):
        read_idx(path)


@pytest.mark.parametrize("position", [0, 3, 12, 60, 200, -6, -2])
def test_damaged_gzip(position: int, tmp_path: Path) -> None:
    content = bytearray(gzip.compress(idx(GREY)))
    content[position] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(bytes(content))
    try:
        found = read_idx(tmp_path / "a.gz")
    except ProblemError as error:
        assert "a.gz" in str(error)
    else:
        np.testing.assert_array_equal(found, GREY)  # the header has bytes that mean nothing
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(GREY))[: 200 + position])
    with pytest.raises(ProblemError, match=r"b.gz is damaged or cut short"):
        read_idx(tmp_path / "b.gz")


def test_a_header_alone_takes_no_memory(tmp_path: Path) -> None:
    claim = b"\0\0\x08\x03" + (2_000_000).to_bytes(4, "big") + (100).to_bytes(4, "big") * 2
    (tmp_path / "plain").write_bytes(claim + b"\0" * 1000)
    zeros = gzip.compress(claim + b"\0" * 30_000_000)  # the file could hold 20 GB, and does not
    (tmp_path / "packed.gz").write_bytes(zeros)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "|u1", "fortran_order": False, "shape": (2_000_000, 100, 100)}
    )
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
        archive.writestr("images.npy", member.getvalue() + b"\0" * 100)
        archive.writestr("labels.npy", member.getvalue())
    calls: list[tuple[Callable[[Any], Any], str, str]] = [
        (read_idx, "plain", "cut short"),
        (read_idx, "packed.gz", "cut short"),
        (nn.load_npz, "lies.npz", "its header says"),
    ]
    for call, name, what in calls:
        tracemalloc.start()
        with pytest.raises(ProblemError, match=what):
            call(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000_000, name


def idx_set(folder: Path, **files: np.ndarray) -> Path:
    for name, array in files.items():
        part, what = name.split("_")
        rank = {"images": 3, "labels": 1}[what]
        (folder / f"{part}-{what}-idx{rank}-ubyte").write_bytes(idx(array))
    return folder


@pytest.mark.parametrize(
    "files, what",
    [
        ({"train_images": GREY, "train_labels": LABELS[:29]}, r"30 training images, 29 labels"),
        ({"train_images": GREY}, r"holds no train-labels-idx1-ubyte"),
        ({"train_labels": LABELS}, r"holds no train-images-idx3-ubyte"),
        ({"t10k_images": GREY, "t10k_labels": LABELS}, r"holds no train-images-idx3-ubyte"),
        ({"train_images": GREY, "train_labels": LABELS * 0}, r"only one class, 0"),
        ({"train_images": GREY[0, 0], "train_labels": LABELS}, r"not images \(N, height"),
        ({"train_images": GREY, "train_labels": GREY}, r"not labels \(N,\)"),
        ({"train_images": GREY[:0], "train_labels": LABELS[:0]}, r"not images"),
        (
            {"train_images": GREY, "train_labels": LABELS, "t10k_images": GREY},
            r"holds no test-labels",
        ),
        (
            {"train_images": GREY, "train_labels": LABELS, "t10k_images": GREY[:, 1:],
             "t10k_labels": LABELS},
            r"training images are \(1, 6, 5\) uint8, test images \(1, 5, 5\)",
        ),
        (
            {"train_images": GREY, "train_labels": LABELS, "t10k_images": GREY,
             "t10k_labels": LABELS + 1},
            r"classes that the training part has not: \[3\]",
        ),
    ],
)  # fmt: skip
def test_idx_sets_that_do_not_fit(files: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=rf"load_idx: .*{what}"):
        nn.load_data(idx_set(tmp_path, **files))


def test_bad_cifar_batches(tmp_path: Path) -> None:
    images = np.zeros((4, 3, 32, 32), np.uint8)
    path = tmp_path / "data_batch_1.bin"
    for content, what in [
        (b"", "data_batch_1.bin has 0 bytes"),
        (cifar(images, LABELS[:4])[:-1], "has 12,291 bytes: it is cut short(.|\n)*3073 bytes an"),
        (cifar(images, LABELS[:4] + 9), "an image of class 11: it is damaged"),
        (cifar(images, LABELS[:4] * 0), "only one class"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=what):
            nn.load_cifar(tmp_path)
    path.unlink()
    (tmp_path / "data_batch_1").write_bytes(b"a pickle")
    for load in (nn.load_cifar, nn.load_data):
        with pytest.raises(ProblemError, match='"binary version"'):
            load(tmp_path)
    with pytest.raises(ProblemError, match='labels=\'all\'.(.|\n)*"fine" or "coarse"'):
        nn.load_cifar(tmp_path, labels="all")


@pytest.mark.parametrize(
    "arrays, what",
    [
        ({"images": GREY, "labels": np.array([None] * 30)}, r"labels.npy holds Python objects"),
        ({"images": GREY, "lables": LABELS}, r"no images and labels(.|\n)*images, lables"),
        ({"images": GREY, "labels": LABELS[:9]}, r"30 training images, 9 labels"),
        ({"images": GREY[0], "labels": LABELS}, r"images has the shape \(6, 5\)"),
        ({"images": COLOUR.reshape(30, 9, 2, 5), "labels": LABELS}, r"at most 4 channels"),
        ({"images": GREY, "labels": np.eye(3, dtype=int)[LABELS]}, r"labels has the shape"),
        ({"images": GREY * np.nan, "labels": LABELS}, r"image 0 holds NaN or infinity"),
        ({"images": GREY, "labels": LABELS + np.inf}, r"target 0 is NaN or infinite"),
        ({"images": GREY * 1j, "labels": LABELS}, r"images are complex128, not real"),
        ({"images": GREY, "labels": LABELS * 1j}, r"labels are complex128"),
        ({"images": GREY, "labels": LABELS * 0}, r"only one class"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, r"there are no images"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_npz_that_cannot_be_used(arrays: dict[str, Any], what: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ProblemError, match=what):
        nn.load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_npz_cut_short(share: float, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, images=GREY, labels=LABELS)
    content = buffer.getvalue()
    (tmp_path / "a.npz").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ProblemError, match=r"a.npz: it is no .npz file, or is damaged"):
        nn.load_data(tmp_path / "a.npz")


@pytest.mark.parametrize("position", range(0, 1200, 37))
def test_damaged_npz_raises_nothing_else(position: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=GREY, labels=LABELS)
    content = bytearray(buffer.getvalue())
    content[position % len(content)] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(bytes(content))
    try:
        train, test = nn.load_npz(tmp_path / "a.npz")
    except ProblemError as error:
        assert "load_npz" in str(error)
    else:
        assert len(train) + len(test) == 30


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"load_data: .* is empty."):
        nn.load_data(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(ProblemError, match=r"has no folders with pictures"):
        nn.load_data(tmp_path)
    for i, place in enumerate(("a/1.png", "a/2.png", "b/3.png", "b/4.png")):
        if i == 2:
            with pytest.raises(ProblemError, match=r"there is only one class, a"):
                nn.load_data(tmp_path)
            (tmp_path / "b").mkdir()
        Image.fromarray(COLOUR[i].transpose(1, 2, 0)[: 6 - i // 3]).save(tmp_path / place)
    with pytest.raises(ProblemError, match=r"4.png is 5 x 5, .*1.png 6 x 5(.|\n)*size=\(6, 5\)"):
        nn.load_data(tmp_path)
    assert nn.load_data(tmp_path, size=6)[0].shape == (3, 6, 6)
    content = (tmp_path / "b/3.png").read_bytes()
    for bad in (b"", b"no picture", content[:60], content[:-40]):
        (tmp_path / "b/3.png").write_bytes(bad)
        with pytest.raises(ProblemError, match=r"b/3.png cannot be read as a picture"):
            nn.load_data(tmp_path, size=6)


def test_what_is_not_there_or_is_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text")
    for source, what in [
        (tmp_path / "none", "does not exist"),
        (tmp_path / "file.txt", "is no .npz file"),
        (tmp_path, "holds nothing that is known"),
        ("digit", "digit does not exist"),
    ]:
        with pytest.raises(ProblemError, match=rf'{what}(.|\n)*"digits", a folder of IDX'):
            nn.load_data(source)
    with pytest.raises(ProblemError, match=r"none cannot be read: no such file"):
        read_idx(tmp_path / "none")
    with pytest.raises(ProblemError, match=r"cannot be read: no such file"):
        nn.load_npz(tmp_path / "none.npz")
    with pytest.raises(ProblemError, match=r"none.png cannot be read: no such file"):
        read_picture(tmp_path / "none.png", 1)
    with pytest.raises(ProblemError, match=r"channels=2"):
        read_picture(tmp_path / "none.png", 2)
    with pytest.raises(ProblemError, match=r"is no folder"):
        nn.load_folder(tmp_path / "file.txt")


@pytest.mark.parametrize(
    "images, targets, keywords, what",
    [
        (GREY[:, 0], LABELS, {}, r"images have the shape \(30, 5\)"),
        (COLOUR[:0], LABELS[:0], {}, r"images have the shape \(0, 3, 6, 5\)"),
        (COLOUR, LABELS[:29], {}, r"30 images, 29 targets"),
        (COLOUR, 1, {}, r"30 images, 0 targets"),
        (COLOUR, LABELS[:, None], {}, r"classes have the shape \(30, 1\)"),
        (COLOUR, LABELS - 1, {}, r"classes go from -1 to 1"),
        (COLOUR, LABELS, {"classes": ["a", "b"]}, r"classes go from 0 to 2, 2 have names"),
        (COLOUR, LABELS + 10**9, {}, r"classes go from 1000000000"),
        (COLOUR, LABELS.astype(str), {}, r"targets are <U"),
        (COLOUR.astype(str), LABELS, {}, r"images are <U3, not real numbers"),
        (np.where(np.arange(30) == 7, np.inf, 1.0).reshape(-1, 1, 1, 1), LABELS, {"mean": 0,
         "std": 1}, r"image 7 holds NaN or infinity"),
        (COLOUR, LABELS, {"mean": [0.5]}, r"mean is \[0.5\], the images have 3 channels"),
        (COLOUR, LABELS, {"std": [1, 1, np.nan]}, r"std is \[1.0, 1.0, nan\]"),
    ],
)  # fmt: skip
def test_datasets_that_cannot_be(images: Any, targets: Any, keywords: Any, what: str) -> None:
    with pytest.raises(ProblemError, match=f"Dataset: {what}"):
        nn.Dataset(images, targets, **keywords)


def test_parts_and_batches_that_cannot_be() -> None:
    data = nn.Dataset(COLOUR, LABELS)
    with pytest.raises(ProblemError, match=r"batch_size is 0"):
        data.batches(0)
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(ProblemError, match=r"30 images cannot be split at"):
            data.split(fraction)
    with pytest.raises(ProblemError, match=r"1 images cannot be split"):
        data[3].split(0.5)
    with pytest.raises(ProblemError, match=r"this part of 30 images is empty"):
        data[30:]
    with pytest.raises(IndexError, match=r"out of bounds"):
        data[30]
