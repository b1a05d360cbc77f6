"""Kernels are kept for the next process; whatever happens to the files, calls go on."""

import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import cases
from npconv.kernels import files

pytest.importorskip("numba")
import numba

from kept_kernels import CALLS, TINY, fill, loads, run, twice_and
from npconv.kernels import compile as compiling
from npconv.kernels.compile import NotKept, Tally, compiled, fingerprint, only_loading
from npconv.kernels.inner import inner


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache in a process that has not been warned."""
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(files.Warned, "already", False)
    return tmp_path / "kept"


def test_kernels_are_kept_and_loaded_for_each_signature(place):
    assert not loads()
    fill()
    count = Tally.compiled, Tally.loaded
    kernel = compiled(twice_and)
    assert {call: kernel(*call) for call in CALLS} == CALLS
    assert (Tally.compiled, Tally.loaded) == (count[0], count[1] + 2)
    with pytest.raises(NotKept, match="twice_and"), only_loading():
        kernel(3.5, 4.5)
    assert kernel(3.5, 4.5) == 12.5


def importing(folder, module="tiny"):
    """Code that imports a module from a folder."""
    return f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}\n"


def mutations(whole, other, count):
    """Files that went wrong: flipped bits, cut ends, other contents, too much of them."""
    draw = random.Random(4)
    yield from (b"", whole[:1], whole + b"\0", other, bytes(len(whole)), whole[:-1], whole * 2)
    yield from (whole[:40] + other[40:], other[:40] + whole[40:], whole[:100] + whole[101:])
    yield b"\x80\x04N." + whole
    for _ in range(count):
        changed = bytearray(whole)
        for _ in range(draw.choice((1, 1, 1, 2, 30))):
            changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        yield bytes(changed[: draw.choice((len(whole), len(whole), draw.randrange(len(whole))))])


def load_damaged_files():
    """Hold 500 damaged files against the loader; return how many of them were refused."""
    path, other = fill()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        whole, refused = path.read_bytes(), 0
        calls = {path: (3, 4), other: (3, 4.5)}
        if not is_file_of((3, 4), path):
            calls = {path: (3, 4.5), other: (3, 4)}
        for damaged in mutations(whole, other.read_bytes(), 489):
            path.write_bytes(damaged)
            refused += damaged == whole or not loads(calls[path])
        assert len(told) == 1
        kernel = compiled(twice_and)
        assert kernel(*calls[path]) == CALLS[calls[path]]
        assert path.read_bytes() == whole or loads(calls[path])
        assert loads(calls[path])
        assert loads(calls[other])
    return refused


def is_file_of(call, path):
    """Whether this file is the one that a call loads."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    found = not loads(call)
    aside.rename(path)
    return found


def test_500_damaged_files_are_refused_and_healed(tmp_path):
    code = importing(Path(__file__).parent, "test_compile")
    code += "print(test_compile.load_damaged_files())"
    out, _ = run(code, NPCONV_CACHE_DIR=tmp_path / "kept")
    assert out == "500"


def test_a_whole_file_that_cannot_be_rebuilt_is_compiled_again(place):
    fill()
    for payload in (b"", b"\x80\x04N.", b"nonsense", b"\x80\x04]\x94(K\x01K\x02e."):
        files.Warned.already = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "unseal", lambda sealed, meaning, payload=payload: payload)
            with pytest.warns(RuntimeWarning, match="cannot be used"):
                assert compiled(twice_and)(3, 4) == 11
    assert loads()


def test_the_key_changes_with_sources_versions_and_cpu(monkeypatch):
    sources, facts = {"a.py": b"one", "b.py": b"two"}, ["numba 1", "cpu x"]
    names = [
        fingerprint(sources, facts),
        fingerprint({**sources, "b.py": b"twO"}, facts),
        fingerprint({**sources, "c.py": b""}, facts),
        fingerprint({"a.py": b"two", "b.py": b"one"}, facts),
        fingerprint({"a.py": b"one", "bb.py": b"two"}, facts),
        fingerprint(sources, ["numba 2", "cpu x"]),
        fingerprint(sources, ["numba 1", "cpu y"]),
        fingerprint(sources, ["numba 1cpu x"]),
    ]
    assert len(set(names)) == len(names)
    assert fingerprint(dict(reversed(sources.items())), facts) == names[0]
    assert {"compile.py", "files.py", "simd.py"} <= set(compiling._SOURCES)

    before = compiling.circumstances()
    assert before == compiling.circumstances()
    for changed, name, value in (
        (numba, "__version__", "9.9"),
        (np, "__version__", "9.9"),
        (compiling.llvmlite, "__version__", "9.9"),
        (compiling.platform, "python_version", lambda: "3.99"),
        (compiling.llvmlite.binding, "get_host_cpu_name", lambda: "z80"),
        (numba.config, "CPU_NAME", "generic"),
        (numba.config, "CPU_FEATURES", "+sse2"),
        (numba.config, "BOUNDSCHECK", 1),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(changed, name, value)
            assert compiling.circumstances() != before, name


def test_a_changed_source_is_compiled_again(tmp_path):
    module, kept = tmp_path / "tiny.py", tmp_path / "kept"
    module.write_text(TINY)
    where = {"NPCONV_CACHE_DIR": kept, "PYTHONDONTWRITEBYTECODE": 1}
    assert run(importing(tmp_path), **where) == ("10 10.5 compiled 3 loaded 0", "")
    assert run(importing(tmp_path), **where) == ("10 10.5 compiled 0 loaded 2", "")
    # The caller's own bytecode is the same; what it calls is not.
    module.write_text(TINY.replace("a + a", "a - a"))
    assert run(importing(tmp_path), **where) == ("4 4.5 compiled 3 loaded 0", "")


def test_processes_that_start_together_on_an_empty_cache(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    where = {"NPCONV_CACHE_DIR": str(tmp_path / "kept")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", importing(tmp_path)], env={**os.environ, **where}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(8 if cases.ALL else 4)
    ]  # fmt: skip
    for process in started:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert out.startswith("10 10.5 compiled")
    assert run(importing(tmp_path), **where)[0] == "10 10.5 compiled 0 loaded 2"
    assert not list((tmp_path / "kept").rglob("*.new"))


def test_what_is_made_inside_a_function_is_not_kept(place):
    def make(n):
        @compiled
        def add(a):
            return a + n

        return add

    assert (make(1)(1), make(2)(1)) == (2, 3)
    assert compiling.kept() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_loads_and_keeps(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    code = (
        "import os\n"
        "children = [os.fork() or os._exit(tiny.twice_and(1.5, 2j) != 3 + 2j) for _ in range(4)]\n"
        "print([os.waitpid(child, 0)[1] for child in children], tiny.twice_and(1.5, 2j))"
    )
    where = {"NPCONV_CACHE_DIR": tmp_path / "kept"}
    out, err = run(importing(tmp_path) + code, **where)
    assert out.splitlines()[1] == "[0, 0, 0, 0] (3+2j)"
    assert err == ""


def test_an_inner_function_is_compiled_into_what_calls_it():
    @inner
    def twice_and(a, b):
        return a + a + b

    kernel = compiled(lambda a: twice_and(a, 1) + twice_and(a, 2))
    assert kernel(3) == 15
    assert len(twice_and.overloads) == 1  # not one for each constant
    with pytest.raises(TypeError, match="twice_and can be called by kernels only"):
        twice_and(3, 1)
