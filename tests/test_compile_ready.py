"""Kernels compiled beforehand: what `warmup` makes, and what is ready."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from npconv import compiler
from npconv.cli import app
from npconv.kernels import files
from test_without_numba import SOURCE, compiled_algorithms, source_of

pytest.importorskip("numba")
from kept_kernels import TINY, other_version, run
from npconv.kernels import compile as compiling
from npconv.kernels.compile import Tally


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache in a process that has not been warned."""
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(files.Warned, "already", False)
    return tmp_path / "kept"


CALL_ALL = """
import sys
import numpy as np, npconv
from npconv import compiler
from npconv.kernels.compile import Tally

compiler.warmup()
new, ran = set(), set()
for name in {names}:
    for dtype in ("float32", "float64"):
        for layout, shape in (
            ("NCHW", (2, 64, 33, 32)), ("NHWC", (2, 33, 32, 64)), ("NCHW", (2, 4, 8, 9)),
        ):
            channels = shape[layout.index("C")]
            groups = channels if name in ("depthwise", "stencil") else 1
            x = np.ones(shape, dtype)
            weight = np.ones((channels, channels // groups, 3, 3), dtype)
            for precision in ("strict", "fast"):
                how = dict(padding=1, layout=layout, algorithm=name, precision=precision)
                how |= dict(weight_layout="OIHW", groups=groups)
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
        for module in re.findall(r"from npconv\.kernels import (\w+)", source_of(name)):
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
    monkeypatch.setattr("npconv.compiler._absent", lambda: "Numba is not installed")
    result = CliRunner().invoke(app, ["warmup"])
    assert result.exit_code == 1
    assert "Numba is not installed; nothing can be compiled" in result.output
