"""Weights in files: safetensors, under the names that PyTorch gives them.

A safetensors file is numbers and their names and nothing that runs, so it is safe to open one
from a stranger; pickles (.pt, .pth) are not, and are refused.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.layer import Layer

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip
_WRITTEN = {np.dtype(text).newbyteorder("=") for name, text in _DTYPES.items() if name != "BF16"}
_CONVERT = (
    "in PyTorch: safetensors.torch.save_file("
    "torch.load('weights.pt', weights_only=True), 'weights.safetensors')"
)
_OTHERS = (  # how other files begin, what they are, and how to make safetensors of them
    (b"\x80", "a pickle, which could run anything when opened", _CONVERT),
    (b"\x89HDF", "HDF5", "read it with h5py and write it with nn.save_arrays"),
    (b"\x93NUMPY", "a .npy array", "read it with np.load and write it with nn.save_arrays"),
)
_STALE_SECONDS = 3600.0  # without a change: whoever wrote a file was killed
_COUNTER = "num_batches_tracked"  # batch norms of files before PyTorch 0.4.1 have none


def save(
    model: Layer, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model's parameters and buffers to a safetensors file, whole or not at all.

    Parameters
    ----------
    model : Layer
        Its `state_dict` is written: names and shapes are PyTorch's. What a model of `nn.models` was
        built with is written too, so that `nn.load` can build it.
    path : path
        Of the file, commonly .safetensors; one that is there is replaced.
    metadata : mapping of text to text, optional
        Anything more that should stand in the file.

    Raises
    ------
    ProblemError
        Where metadata is not all text, or safetensors is not installed.

    Notes
    -----
    In PyTorch: ``model.load_state_dict(safetensors.torch.load_file(path))``.
    """
    save_arrays(path, model.state_dict(), {**_recipe(model), **(metadata or {})})


def load_weights(model: Layer, path: str | os.PathLike[str]) -> dict[str, str]:
    """Give a model the arrays of a safetensors file, all of them or none; return its metadata.

    Files in float16 and bfloat16 are turned into the model's dtype.

    Raises
    ------
    ProblemError
        Where the file is damaged or no safetensors file, or its names or shapes are not the
        model's; the model is as it was.
    """
    arrays, metadata = load_arrays(path)
    with _of_file(path, "load_weights"):
        _take(model, arrays)
    return metadata


def load(path: str | os.PathLike[str]) -> Layer:
    """Build the model of `nn.models` that a file of `nn.save` names, and give it its weights.

    Nothing of the file is executed: it names one of npconv's own models and its arguments.

    Raises
    ------
    ProblemError
        Where the file does not say which model it is of (use `load_weights` then), names one that
        there is not, or is damaged.
    """
    return model_of(path, *load_arrays(path))


def model_of(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> Layer:
    """Build the model of what `load_arrays` read from a path, as `load` does."""
    from npconv.nn.models import rebuild

    if "npconv_model" not in metadata:
        raise ProblemError(
            f"{os.fspath(path)} does not say which model its weights are of.",
            fix="build the model and call nn.load_weights(model, path)",
            where="load",
        )
    try:
        arguments = json.loads(metadata.get("arguments", "{}"))
    except (ValueError, RecursionError):
        arguments = None
    dtype = np.float64 if any(a.dtype == np.float64 for a in arrays.values()) else np.float32
    most = sum(array.size for array in arrays.values())
    with _of_file(path, "load"):
        model = rebuild(metadata["npconv_model"], arguments, dtype, most)
        _take(model, arrays)
    return model


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, ArrayLike],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays to a safetensors file: the old file stays until the new one is whole.

    Raises
    ------
    ProblemError
        Where an array has no dtype that safetensors knows, or metadata is not all text.
    OSError
        Where the file cannot be written.
    """
    library = _library()
    whole = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        if array.dtype.newbyteorder("=") not in _WRITTEN:
            raise ProblemError(
                f"{name} is {array.dtype}, which safetensors has no name for.", where="save"
            )
        whole[str(name)] = np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
    for key, text in (metadata or {}).items():
        if not (isinstance(key, str) and isinstance(text, str)):
            raise ProblemError(
                f"metadata {key!r} is {text!r}.",
                rule="metadata is text by text",
                fix="json.dumps turns other things into text",
                where="save",
            )
    with _replacing(path) as temporary:
        try:
            library.numpy.save_file(whole, temporary, metadata=dict(metadata or {}))
        except library.SafetensorError as error:  # no room on the disk, most likely
            raise OSError(f"{os.fspath(path)} cannot be written: {error}") from None


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file by their names, and its metadata.

    bfloat16, which NumPy has not, comes as float32; every other dtype as it is.

    Raises
    ------
    ProblemError
        Where the file is damaged, cut short, or no safetensors file.
    OSError
        Where it cannot be read.
    """
    library = _library()
    content = Path(path).read_bytes()
    try:
        entries = library.deserialize(content)
    except library.SafetensorError as error:
        raise _unreadable(path, content, str(error)) from None
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    del content
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise ProblemError(
                f"{os.fspath(path)}: {name} is {entry['dtype']}, which NumPy has not.",
                fix="convert it to F32 first",
                where="load",
            )
        array = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array.reshape(entry["shape"])
    return arrays, metadata


def _take(model: Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Load arrays; where PyTorch's old batch norms have no counter, the model's stays."""
    own = {name: a for name, a in model.state_dict().items() if name.split(".")[-1] == _COUNTER}
    model.load_state_dict({**own, **arrays})


@contextmanager
def _of_file(path: str | os.PathLike[str], where: str) -> Iterator[None]:
    """Name the file in the errors of the block."""
    try:
        yield
    except ProblemError as error:
        raise error.at(where, [("file", os.fspath(path)), *error.facts]) from None


def _recipe(model: Layer) -> dict[str, str]:
    if model.recipe is None:
        return {}
    name, arguments = model.recipe
    return {"npconv_model": name, "arguments": json.dumps(arguments, default=lambda v: v.item())}


def _library() -> ModuleType:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ProblemError(
            "safetensors is not installed.", fix="pip install 'npconv[nn]'", where="weights"
        ) from None
    return safetensors


def _unreadable(path: str | os.PathLike[str], content: bytes, reason: str) -> ProblemError:
    """Return the error for bytes that are no safetensors file, saying what they are instead."""
    kind, fix = "", ""
    if content.startswith(b"PK"):
        kind, fix = _zipped(path)
    for start, name, way in _OTHERS:
        if content.startswith(start) and not (start == b"\x80" and content[8:9] == b"{"):
            kind, fix = name, way
    length = int.from_bytes(content[:8], "little")
    if kind:
        sentence = f"{os.fspath(path)} is {kind}, not a safetensors file."
    elif content[8:9] == b"{" and length < 1 << 40:
        sentence = f"{os.fspath(path)} is damaged or cut short ({len(content):,} bytes)."
        fix = "fetch or write it again"
    else:
        sentence = f"{os.fspath(path)} is not a safetensors file ({len(content):,} bytes)."
    detail = reason.removeprefix("Error while deserializing: ")
    return ProblemError(sentence, fix=fix, where="load", facts=(("detail", detail),))


def _zipped(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return what a zip file is: PyTorch's pickles are zip files, and so is .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a damaged zip file (as .pt and .npz are)", ""
    if any(name.endswith(".pkl") for name in names):
        return "a pickle of PyTorch's, which could run anything when opened", _CONVERT
    if names and all(name.endswith(".npy") for name in names):
        return "a .npz archive", "nn.save_arrays(path, dict(np.load('arrays.npz')))"
    return "a zip file", ""


@contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the name of a file beside `path` that takes its place when the block ends well."""
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            facts = os.fstat(file.fileno())
        _clear_stale(place, facts.st_mtime - _STALE_SECONDS)
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, (place.stat().st_mode if place.exists() else facts.st_mode) & 0o7777)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _clear_stale(place: Path, before: float) -> None:
    """Delete what killed processes left of a file; `before` is a time of the file system's."""
    with suppress(OSError):
        for left in place.parent.glob(f".{glob.escape(place.name[:200])}.{'[0-9a-f]' * 8}.tmp"):
            if left.lstat().st_mtime < before:
                left.unlink(missing_ok=True)
