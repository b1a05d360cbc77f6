"""Where kernels are kept, who may read them, and what else may stand there."""

import os
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest

from npconv import compiler
from npconv.kernels import files

pytest.importorskip("numba")
from kept_kernels import CALLS, fill, loads, other_version, twice_and
from npconv.kernels import compile as compiling
from npconv.kernels.compile import compiled


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache in a process that has not been warned."""
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(files.Warned, "already", False)
    return tmp_path / "kept"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_only_the_owner_may_enter_and_read(place):
    before = os.umask(0)
    try:
        kept = fill()
    finally:
        os.umask(before)
    for path, mode in ((place, 0o700), (kept[0].parent, 0o700), (kept[0], 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


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
