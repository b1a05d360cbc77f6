"""Kernels are kept for the next process; whatever happens to the files, calls go on."""

import os
import random
import re
import stat
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cases
from npconv import compiler
from npconv.cli import app
from npconv.kernels import files
from test_without_numba import SOURCE, compiled_algorithms

pytest.importorskip("numba")
import numba

from npconv.kernels import compile as compiling
from npconv.kernels.compile import NotKept, Tally, compiled, fingerprint, only_loading

CALLS = {(3, 4): 11, (3, 4.5): 11.5}  # two signatures, and what twice_and gives

TINY = """
from npconv.kernels.compile import Tally, compiled

@compiled
def twice(a):
    return a + a

@compiled
def twice_and(a, b):
    return twice(a) + b

def warm(kind="int"):
    twice_and(3, {"int": 4, "float": 4.5}[kind])

print(twice_and(3, 4), twice_and(3, 4.5), "compiled", Tally.compiled, "loaded", Tally.loaded)
"""


def twice_and(a, b):
    return a + a + b + 1


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache in a process that has not been warned."""
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(files.Warned, "already", False)
    return tmp_path / "kept"


def fill():
    """Keep one kernel, for both signatures; return its files."""
    kernel = compiled(twice_and)
    assert {call: kernel(*call) for call in CALLS} == CALLS
    kept = compiling.kept()
    assert len(kept) == 2
    return kept


def loads(call=(3, 4)):
    """Whether a new kernel is loaded for a call; its answer is right if so."""
    try:
        with only_loading():
            assert compiled(twice_and)(*call) == CALLS[call]
    except NotKept:
        return False
    return True


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


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_only_the_owner_may_enter_and_read(place):
    before = os.umask(0)
    try:
        kept = fill()
    finally:
        os.umask(before)
    for path, mode in ((place, 0o700), (kept[0].parent, 0o700), (kept[0], 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


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


def importing(folder, module="tiny"):
    """Code that imports a module from a folder."""
    return f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}\n"


def run(code, **variables):
    """Run code in a process of its own; return its output, and its warnings."""
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


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


@pytest.mark.parametrize("kind", ["directory", "pipe", "endless", "gone"])
def test_odd_things_in_a_files_place(place, kind):
    paths = fill()
    for path in paths:
        path.unlink()
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
        elif kind == "endless":
            with open(path, "wb") as file:
                file.truncate(1 << 40)
    assert len(warned(*CALLS)) == (kind != "gone")
    assert all(path.is_file() for path in paths) or kind == "directory"


def test_only_files_of_a_sensible_length_are_read(tmp_path):
    with open(tmp_path / "long", "wb") as file:
        file.truncate(files.LARGEST + 1)
    with pytest.raises(OSError, match=f"damaged: it has {files.LARGEST + 1} bytes"):
        files.read(tmp_path / "long")
    if os.path.exists("/dev/null"):
        with pytest.raises(OSError, match="not a file"):
            files.read(Path("/dev/null"))


def warned(*calls):
    """Make the calls of a new kernel; return the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for call in calls:
            assert compiled(twice_and)(*call) == 2 * call[0] + call[1] + 1
    return [str(one.message) for one in told]


def fail(*args, **keywords):
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_nothing_behind(place, monkeypatch):
    monkeypatch.setattr(os, "replace", fail)
    (told,) = warned((3, 4), (3, 4))
    assert "No space left on device" in told
    assert list(place.rglob("*")) == [compiling.folder()]


def test_a_read_only_directory_is_read_and_warns_when_it_would_be_written(place, monkeypatch):
    fill()
    if os.name == "posix" and os.geteuid() != 0:
        compiling.folder().chmod(0o500)
    else:  # nothing is read-only for root
        monkeypatch.setattr("tempfile.mkstemp", fail)
    assert loads()
    (told,) = warned((3, 4), (3.5, 4.5), (np.float32(3), np.float32(1)))
    assert "cannot be written" in told
    compiling.folder().chmod(0o700)


@pytest.mark.parametrize("below", [False, True])
def test_a_file_in_the_directorys_place(place, below, monkeypatch):
    place.write_text("mine")
    if below:
        monkeypatch.setenv(files.VARIABLE, str(place / "deeper"))
    with pytest.warns(RuntimeWarning, match="(?i)not a directory"):
        assert compiled(twice_and)(3, 4) == 11
    assert place.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX owners")
def test_another_users_directory_is_neither_read_nor_written(place, monkeypatch):
    kept = fill()
    before = {path: path.read_bytes() for path in kept}
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)
    (told,) = warned((3, 4), (3.5, 4.5))
    assert "belongs to another user" in told
    assert not loads()
    assert {path: path.read_bytes() for path in compiling.kept()} == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.parametrize("which", ["base", "folder", "file"])
def test_what_everybody_may_write_to_is_not_trusted(place, which):
    kept = fill()
    targets = {"base": [place], "folder": [kept[0].parent], "file": kept}[which]
    for target in targets:
        target.chmod(target.stat().st_mode | stat.S_IWOTH)
    with pytest.warns(RuntimeWarning, match="every user"):
        assert not loads()
    assert compiled(twice_and)(3, 4) == 11
    assert loads() == (which == "file")  # written anew


def test_the_warning_names_the_path_and_the_way_out(place):
    place.write_text("")
    (told,) = warned((3, 4))
    assert str(place) in told
    assert "set NPCONV_CACHE_DIR to a directory of your own, or to 'off'" in told


@pytest.mark.parametrize("word", ["", "off", "OFF"])
def test_switched_off(place, monkeypatch, word):
    fill()
    monkeypatch.setenv(files.VARIABLE, word)
    assert files.user_directory() is None
    assert compiling.folder() is None
    assert compiling.kept() == []
    assert not loads()
    assert compiled(twice_and)(3, 4) == 11


@pytest.mark.parametrize(
    ("platform", "variables", "want"),
    [
        ("linux", {}, "{home}/.cache/npconv"),
        ("linux", {"XDG_CACHE_HOME": "/fast"}, "/fast/npconv"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache/npconv"),
        ("linux", {"NPCONV_CACHE_DIR": "~/here", "XDG_CACHE_HOME": "/fast"}, "{home}/here"),
        ("linux", {"NPCONV_CACHE_DIR": "here"}, "{cwd}/here"),
        ("darwin", {"XDG_CACHE_HOME": "/fast"}, "{home}/Library/Caches/npconv"),
        ("win32", {"LOCALAPPDATA": "/users/me/local"}, "/users/me/local/npconv"),
        ("win32", {}, "{home}/AppData/Local/npconv"),
    ],
)
def test_where_each_platform_keeps_a_users_files(platform, variables, want):
    want = want.format(home=os.path.expanduser("~"), cwd=os.getcwd())
    assert Path(files._place(platform, variables)) == Path(want)


def test_without_a_home_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert files._place("linux", {}) == ""


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


def other_version(place, name="kernels-" + "0" * 20):
    """A directory as another version of npconv leaves it."""
    old = place / name
    old.mkdir(mode=0o700)
    (old / compiling.TAG).write_bytes(compiling._TAG_TEXT)
    (old / f"direct_convolve-{'1' * 20}.kernel").write_bytes(b"code")
    (old / ".half.new").write_bytes(b"co")
    return old


def test_clearing_removes_what_npconv_made_and_nothing_else(place):
    kept = fill()
    old = other_version(place)
    mine = place / "photos"
    mine.mkdir()
    untagged = other_version(place, "kernels-" + "2" * 20)
    (untagged / compiling.TAG).unlink()
    shared = other_version(place, "kernels-" + "3" * 20)
    (shared / "thesis.txt").write_text("the only copy")
    elsewhere = other_version(place.parent, "kernels-" + "4" * 20)
    link = place / elsewhere.name
    link.symlink_to(elsewhere, target_is_directory=True)
    assert compiler.remove_old() == [old]
    assert not old.exists()
    assert (shared / "thesis.txt").read_text() == "the only copy"
    assert sorted(place.iterdir()) == sorted([kept[0].parent, mine, untagged, shared, link])
    assert [len(list(left.iterdir())) for left in (untagged, shared, elsewhere)] == [2, 2, 3]
    assert compiling.kept() == kept


def test_clearing_where_there_is_nothing(place, monkeypatch):
    assert compiler.remove_old() == []
    monkeypatch.setenv(files.VARIABLE, "off")
    assert compiler.remove_old() == []


CALL_ALL = """
import sys
import numpy as np, npconv
from npconv import compiler
from npconv.kernels.compile import Tally

compiler.warmup()
new, ran = set(), set()
for name in {names}:
    for dtype in ("float32", "float64"):
        for layout, shape in (("NCHW", (2, 64, 33, 32)), ("NHWC", (2, 33, 32, 64))):
            x, weight = np.ones(shape, dtype), np.ones((64, 64, 3, 3), dtype)
            for precision in ("strict", "fast"):
                how = dict(padding=1, layout=layout, algorithm=name, precision=precision)
                how["weight_layout"] = "OIHW"
                for call, *given in (
                    (npconv.conv, x, weight, weight[:, 0, 0, 0]),
                    (npconv.conv_input_grad, x, weight, x),
                    (npconv.conv_weight_grad, x, x, weight),
                ):
                    before = Tally.compiled + Tally.loaded
                    try:
                        call(*given, **how)
                    except npconv.UnsupportedError:
                        continue
                    ran.add(name)
                    if Tally.compiled + Tally.loaded > before:
                        new.add((name, call.__name__, dtype))
print(sorted(ran), sorted(new))
"""


def warmed_algorithms():
    """The compiled algorithms with a module of kernels that has `warm`."""
    for name in sorted(compiled_algorithms()):
        text = (SOURCE / "algorithms" / f"{name}.py").read_text()
        for module in re.findall(r"from npconv\.kernels import (\w+)", text):
            if "def warm(" in (SOURCE / "kernels" / f"{module}.py").read_text():
                yield name
                break


def test_whatever_a_call_needs_was_warmed_up():
    names = list(warmed_algorithms())
    assert "indirect" in names
    assert run(CALL_ALL.format(names=names)) == (f"{names} []", "")
    again = run(
        "from npconv import compiler; print(sum(done.compiled for done in compiler.warmup()))"
    )
    assert again == ("0", "")


@pytest.fixture
def only_tiny(place, tmp_path, monkeypatch):
    """A package of kernels that holds one small module."""
    (tmp_path / "tiny.py").write_text(TINY.partition("print(")[0])
    monkeypatch.setattr(compiler.kernels, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "npconv.kernels.tiny", raising=False)
    monkeypatch.setattr(compiler, "_READY", set())
    monkeypatch.setattr(compiler, "_LOOKED", {})
    yield place
    sys.modules.pop("npconv.kernels.tiny", None)
    if hasattr(compiler.kernels, "tiny"):
        del compiler.kernels.tiny


def forget_tiny():
    """Import the module anew next time, as another process would."""
    sys.modules.pop("npconv.kernels.tiny")
    compiler._READY.clear()
    compiler._LOOKED.clear()


def test_ready_once_kept_or_compiled(only_tiny):
    looks = []
    assert not compiler.ready("tiny")
    warm = sys.modules["npconv.kernels.tiny"].warm
    sys.modules["npconv.kernels.tiny"].warm = lambda *kind: (looks.append(kind), warm(*kind))[1]
    assert not compiler.ready("tiny")
    assert looks == []  # a "no" is not looked into again
    assert [done[:3] for done in compiler.warmup()] == [("tiny", 2, 0)]
    assert compiler.ready("tiny")
    assert compiler.ready("tiny")
    assert len(looks) == 2
    assert not compiler.ready("tiny", "float")
    forget_tiny()
    compiled_before = Tally.compiled
    assert compiler.ready("tiny")
    assert not compiler.ready("tiny", "float")
    assert Tally.compiled == compiled_before
    forget_tiny()
    for path in compiling.kept():
        path.unlink()
    assert not compiler.ready("tiny")
    assert Tally.compiled == compiled_before


def test_ready_waits_for_no_other_thread(only_tiny):
    compiler.warmup()
    forget_tiny()
    with ThreadPoolExecutor(1) as another:
        with compiling.global_compiler_lock:
            assert not another.submit(compiler.ready, "tiny").result(timeout=60)
        assert another.submit(compiler.ready, "tiny").result(timeout=60)


def test_ready_where_numba_cannot_be_loaded(only_tiny, tmp_path):
    (tmp_path / "tiny.py").write_text("raise ImportError('Numba needs NumPy 1.0 or less')")
    assert not compiler.ready("tiny")


def test_ready_does_not_load_numba_where_nothing_is_kept(tmp_path):
    code = (
        "import sys\n"
        "from npconv import compiler\n"
        "print(compiler.ready('direct'), 'numba' in sys.modules)"
    )
    assert run(code, NPCONV_CACHE_DIR=tmp_path)[0] == "False False"
    assert run(code, NPCONV_CACHE_DIR="off")[0] == "False False"


def test_the_command_says_what_it_did(only_tiny):
    only_tiny.mkdir(mode=0o700)
    old = other_version(only_tiny)
    first = CliRunner().invoke(app, ["warmup"])
    assert first.exit_code == 0, first.output
    assert "tiny      compiled 2, loaded 0" in first.output
    assert f"cache     {compiling.folder()} (2 files" in first.output
    assert old.exists()
    forget_tiny()
    second = CliRunner().invoke(app, ["warmup", "--clear"])
    assert f"removed   {old}" in second.output
    assert "tiny      compiled 0, loaded 1" in second.output
    assert not old.exists()


def test_the_command_where_nothing_is_kept(only_tiny, monkeypatch):
    monkeypatch.setenv(files.VARIABLE, "off")
    assert "cache     off" in CliRunner().invoke(app, ["warmup"]).output


def test_the_command_without_numba(monkeypatch):
    monkeypatch.setattr("npconv.cli.warmup.missing", lambda: "Numba is not installed")
    result = CliRunner().invoke(app, ["warmup"])
    assert result.exit_code == 1
    assert "Numba is not installed; nothing can be compiled" in result.output
