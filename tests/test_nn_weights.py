"""Weights in files: what goes in comes out, and nothing bad in a file reaches a model."""

import io
import json
import os
import pickle
import stat
import struct
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cases
from npconv import ProblemError, nn

DTYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "c8")


def written(header, data=b""):
    """A safetensors file made by hand."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def model(seed=0):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=seed), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3, rng=seed)
    )


def state(layer):
    return {name: array.copy() for name, array in layer.state_dict().items()}


def same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert (array.dtype, array.shape) == (other[name].dtype, other[name].shape), name
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_as_they_went(dtype, tmp_path):
    rng = np.random.default_rng(0)
    base = (100 * rng.standard_normal((2, 3, 4, 5))).astype(dtype)
    arrays = {
        "whole": base,
        "last": np.moveaxis(base, 1, -1),
        "part": base[:, ::2, ::-1],
        "one": base[0, 0, 0, 0],
        "empty": base[:0],
        "swapped": base.astype(base.dtype.newbyteorder(">")),
    }
    nn.save_arrays(tmp_path / "a", arrays, {"über": "ß\n"})
    found, metadata = nn.load_arrays(tmp_path / "a")
    same({name: np.asarray(a, dtype) for name, a in arrays.items()}, found)
    assert metadata == {"über": "ß\n"}
    assert all(array.flags.writeable for array in found.values())


def test_the_file_is_the_formats_own(tmp_path):
    nn.save_arrays(tmp_path / "a", {"w": np.float32([[1, 2]]), "n": np.int64(7)}, {"k": "v"})
    content = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    assert header.pop("__metadata__") == {"k": "v"}
    assert {name: (e["dtype"], e["shape"]) for name, e in header.items()} == {
        "w": ("F32", [1, 2]),
        "n": ("I64", []),
    }
    start, stop = header["w"]["data_offsets"]
    assert struct.unpack("<2f", data[start:stop]) == (1, 2)


def test_a_model_comes_back(tmp_path):
    one, two = model(1), model(2)
    one.forward(np.ones((4, 1, 4, 4), np.float32), True)
    nn.save(one, tmp_path / "m", {"epoch": "3"})
    assert nn.load_weights(two, tmp_path / "m") == {"epoch": "3"}
    same(state(one), state(two))
    assert two.state_dict()["1.num_batches_tracked"] == 1


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_halves_become_the_models_singles(dtype, tmp_path):
    values = np.float32([1.0, -2.5, 0.0078125, 192.0])
    halves = values.astype("<f2").tobytes()
    if dtype == "BF16":
        halves = (values.view("<u4") >> 16).astype("<u2").tobytes()
    header = {"weight": entry(dtype, [1, 4], 0, 8)}
    (tmp_path / "h").write_bytes(written(header, halves))
    layer = nn.Linear(4, 1, bias=False)
    nn.load_weights(layer, tmp_path / "h")
    assert layer.weight.data.dtype == np.float32
    np.testing.assert_array_equal(layer.weight.data, values[None])


def test_old_batch_norms_have_no_counter(tmp_path):
    one, two = model(1), model(2)
    arrays = state(one)
    del arrays["1.num_batches_tracked"]
    nn.save_arrays(tmp_path / "m", arrays)
    nn.load_weights(two, tmp_path / "m")
    same(state(one), state(two))


BAD = {
    "a name too few": (lambda a: a.pop("3.bias"), "1 names are missing"),
    "a name too many": (lambda a: a.update(more=np.ones(2)), "1 are not this model's"),
    "another shape": (lambda a: a.update({"3.bias": np.ones(4)}), "3.bias is"),
    "complex": (lambda a: a.update({"3.bias": np.ones(3, "c8")}), "3.bias is"),
}


@pytest.mark.parametrize("bad", BAD)
def test_weights_of_another_model_leave_it_as_it_was(bad, tmp_path):
    change, message = BAD[bad]
    one, two = model(1), model(2)
    before, arrays = state(two), state(one)
    change(arrays)
    nn.save_arrays(tmp_path / "m", arrays)
    with pytest.raises(ProblemError, match=rf"load_weights: (.|\n)*{message}(.|\n)*file") as caught:
        nn.load_weights(two, tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)
    same(before, state(two))


def test_a_file_cut_anywhere_is_refused(tmp_path):
    two = model(2)
    before = state(two)
    nn.save(model(1), tmp_path / "m", {"a": "b"})
    content = (tmp_path / "m").read_bytes()
    for length in [*range(0, len(content), 7), len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(ProblemError, match=r"load: .*(damaged|not a safetensors)"):
            nn.load_weights(two, tmp_path / "cut")
    (tmp_path / "cut").write_bytes(content + b"\0")
    with pytest.raises(ProblemError, match="damaged"):
        nn.load_weights(two, tmp_path / "cut")
    same(before, state(two))


@cases.examples(60, 3000)
@given(st.data())
def test_a_file_changed_anywhere_gives_numbers_or_the_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "changed"
    nn.save_arrays(path, {"w": np.ones(3), "b": np.zeros((2, 1), "i2")}, {"k": "v"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        arrays, metadata = nn.load_arrays(path)
    except ProblemError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
        assert isinstance(metadata, dict)


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return stream.getvalue()


OTHERS = {
    "pickle": (pickle.dumps({"w": [1.0]}), r"is a pickle(.|\n)*torch.load"),
    "torch": (zipped("archive/data.pkl"), r"is a pickle(.|\n)*weights_only=True"),
    "npz": (zipped("w.npy"), r"is a .npz archive(.|\n)*np.load"),
    "zip": (zipped("notes.txt"), "is a zip file"),
    "half a zip": (b"PK\3\4" + bytes(30), "damaged zip"),
    "npy": (b"\x93NUMPY\1\0", r"\.npy array"),
    "keras": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "text": (b"some words that are no weights", "is not a safetensors file"),
    "nothing": (b"", r"is not a safetensors file \(0 bytes\)"),
    "float8": (written({"w": entry("F8_E4M3", [2], 0, 2)}, b"ab"), "F8_E4M3"),
    "too long": (written({"w": entry("F32", [1 << 40], 0, 8)}, bytes(8)), "damaged"),
    "overlap": (
        written({"w": entry("F32", [2], 0, 8), "v": entry("F32", [2], 4, 12)}, bytes(12)),
        "damaged",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_refused_by_their_name(kind, tmp_path):
    content, message = OTHERS[kind]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ProblemError, match=message):
        nn.load_weights(model(), tmp_path / "file")
    with pytest.raises(ProblemError, match=message):
        nn.load(tmp_path / "file")


def test_files_that_are_not_there_are_the_systems_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        nn.load_arrays(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no"):
        nn.save(model(), tmp_path / "no" / "m")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        nn.save(model(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["serialize_file", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(step, tmp_path, monkeypatch):
    nn.save_arrays(tmp_path / "m", {"w": np.ones(3)})
    old = (tmp_path / "m").read_bytes()

    def fails(*args, **keywords):
        import safetensors

        raise safetensors.SafetensorError("full") if step == "serialize_file" else OSError("full")

    import safetensors.numpy

    monkeypatch.setattr(safetensors.numpy if step == "serialize_file" else os, step, fails)
    with pytest.raises(OSError, match="full"):
        nn.save_arrays(tmp_path / "m", {"w": np.zeros(3)})
    assert (tmp_path / "m").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_files_keep_their_place_and_mode(tmp_path):
    umask = os.umask(0o027)
    try:
        nn.save_arrays(tmp_path / "m", {"w": np.ones(3)})
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640
    (tmp_path / "m").chmod(0o604)
    (tmp_path / "link").symlink_to(tmp_path / "m")
    nn.save_arrays(tmp_path / "link", {"w": np.zeros(3)})
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o604
    assert nn.load_arrays(tmp_path / "m")[0]["w"].sum() == 0


def test_what_a_killed_process_left_is_cleared_away_an_hour_later(tmp_path):
    names = ".m[1].0123abcd.tmp", ".m[1].00000000.tmp", ".m1.0123abcd.tmp", ".m[1].notes.tmp"
    for name, minutes in zip(names, (61, 59, 61, 61), strict=True):
        (tmp_path / name).write_bytes(b"part")
        then = (tmp_path / name).stat().st_mtime - 60 * minutes
        os.utime(tmp_path / name, (then, then))
    nn.save_arrays(tmp_path / "m[1]", {"w": np.ones(3)})
    assert {path.name for path in tmp_path.iterdir()} == {"m[1]", *names[1:]}


def test_what_cannot_be_written(tmp_path):
    for array in (np.array(["a"]), np.ones(2, "c16"), np.ones(2, np.longdouble), np.array([None])):
        with pytest.raises(ProblemError, match="save: w is .*safetensors has no name"):
            nn.save_arrays(tmp_path / "m", {"w": array})
    with pytest.raises(ProblemError, match="metadata 'epoch' is 3"):
        nn.save(model(), tmp_path / "m", {"epoch": 3})
    assert list(tmp_path.iterdir()) == []


def test_without_safetensors_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ProblemError, match=r"pip install 'npconv\[nn\]'"):
        nn.save(model(), tmp_path / "m")
