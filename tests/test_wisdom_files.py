"""Whatever lies in the place of the file of wisdom, calls go on and results are right."""

import dataclasses
import json
import os
import random
import warnings

import numpy as np
import pytest

import npconv
from npconv import plan, planner, wisdom
from npconv.wisdom import book, text
from npconv.wisdom.signature import signature
from wisdom_cases import (
    PROBLEMS,
    SHAPES,
    another_process,
    arrays,
    entry,
    filled,
    mutations,
    teach,
    user_file,
)

DEEP = 100_000
# What is no wisdom at all, and what the user is told of it.
NO_WISDOM = {
    "empty": (b"", "not JSON"),
    "zeros": (bytes(4096), "not JSON"),
    "prose": (b"my thesis", "not JSON"),
    "not UTF-8": ('{"npconv wisdom": 1, "known": {"é": {}}}'.encode("latin-1"), "not JSON"),
    "UTF-16": ('{"npconv wisdom": 1, "known": {}}'.encode("utf-16"), "not JSON"),
    "deep": (b'{"npconv wisdom": 1, "known": ' + b"[" * DEEP, "not JSON"),
    "deep and whole": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "not JSON"),
    "long number": (b'{"npconv wisdom": ' + b"1" * 5000 + b"}", "not JSON"),
    "list": (b"[1, 2]", "something else"),
    "number": (b"1e999", "something else"),
    "other JSON": (b'{"name": "npm"}', "something else"),
    "newer": (b'{"npconv wisdom": 2, "known": {}}', "not of format 1"),
    "nested format": (b'{"npconv wisdom": [[1]], "known": {}}', "not of format 1"),
    "known is null": (b'{"npconv wisdom": 1, "known": null}', "not an object"),
    "nothing is known": (b'{"npconv wisdom": 1}', "not an object"),
    "huge": (b'{"npconv wisdom": 1, "known": {}}' + b" " * text.LARGEST, "longer than"),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The user's file, of a process that knows nothing."""
    yield from user_file(tmp_path, monkeypatch)


def test_ten_thousand_mutated_files(place):
    whole = filled()
    problems = []
    for geometry in PROBLEMS:
        made = plan(*SHAPES, **geometry)
        problems.append((made.problem, planner._hopeful(planner._estimated(made)), made.rows))
    refused = advised = 0
    choices = set()
    for data in mutations(whole, 10_000):
        book._Memory.known.clear()
        try:
            found, _ = text.parse(data)
        except ValueError:
            refused += 1
            continue
        book._Memory.known.update(found.get(signature(), {}))
        json.loads(text.dump(found)[0])
        for problem, hopeful, rows in problems:
            seconds = wisdom.recall(problem, hopeful, False)
            if seconds is not None:
                assert {*seconds} == {row.algorithm for row in hopeful}
                assert all(0 <= s <= 1e6 for s in seconds.values())
                (chosen,) = (row for row in planner._timed(rows, seconds) if row.chosen)
                assert chosen.why_not == ""
                choices.add((problem, chosen.algorithm))
                advised += 1
    assert 3000 < refused < 8000
    assert advised > 5_000
    assert len(choices) > 6  # wrong advice was believed, and every plan of it can run
    for problem, algorithm in choices:
        assert planner.choose(problem, algorithm).algorithm == algorithm


def test_mutated_files_on_the_disk_change_no_number(place, monkeypatch):
    whole = filled()
    x, weight = arrays()
    want = npconv.conv(x, weight, padding=1, algorithm="naive")
    told = set()
    for data in mutations(whole, 200):
        place.write_bytes(data)
        another_process(monkeypatch)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                out = npconv.conv(x, weight, padding=1)
                np.testing.assert_array_equal(np.rint(out), want)
                another = plan(*SHAPES, direction="weight_grad")
                assert another.effort in ("estimate", "remember")
        assert len(caught) <= 1
        told |= {str(warning.message)[:20] for warning in caught}
        assert place.read_bytes() == data
    assert len(told) == 1


@pytest.mark.parametrize("name", NO_WISDOM)
def test_what_is_no_wisdom(place, monkeypatch, name):
    data, reason = NO_WISDOM[name]
    place.parent.mkdir()
    place.write_bytes(data)
    with pytest.warns(
        RuntimeWarning, match=f"(?s)is left as it is until .*{reason}.*WISDOM"
    ) as told:
        before = plan(*SHAPES)
    assert (len(told), before.effort) == (1, "estimate")
    for call in (wisdom.load, wisdom.save, wisdom.forget):
        with pytest.raises(npconv.ProblemError, match=rf"(?s)^wisdom\.\w+: .* holds no .*{reason}"):
            call(*([place] if call is not wisdom.forget else []))
        assert place.read_bytes() == data
    winner = teach(before)  # which was warned of
    assert plan(*SHAPES).algorithm == winner
    assert place.with_name("wisdom.json.damaged").read_bytes() == data
    another_process(monkeypatch)
    assert plan(*SHAPES).algorithm == winner


def test_what_is_damaged_later_is_set_aside_with_a_warning(place):
    teach(plan(*SHAPES))
    place.write_bytes(place.read_bytes()[:-40])
    cut = place.read_bytes()
    with pytest.warns(RuntimeWarning, match=r"begun anew.* is now wisdom\.json\.damaged: .*JSON"):
        teach(plan(*SHAPES, padding=1))
    assert place.with_name("wisdom.json.damaged").read_bytes() == cut
    assert text.parse(place.read_bytes())[0] == {signature(): book._Memory.known}


def test_a_failed_load_changes_nothing(place, tmp_path):
    winner = teach(plan(*SHAPES))
    known, bad = wisdom.entries(), tmp_path / "bad.json"
    bad.write_bytes(place.read_bytes()[:-1].rstrip()[:-1])
    with pytest.raises(
        npconv.ProblemError, match=r"(?s)bad\.json holds no wisdom.*nothing was load"
    ):
        wisdom.load(bad)
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        wisdom.load(tmp_path / "missing.json")
    with pytest.raises(OSError, match="is not a file"):
        wisdom.load(tmp_path)
    assert wisdom.entries() == known
    assert plan(*SHAPES).algorithm == winner


def test_damaged_entries_are_counted_and_the_others_taken(place, tmp_path):
    tree = json.loads(filled())
    here = tree["known"][signature()]
    first, second, *_ = here
    here[first]["seconds"] = {"taps": "fast"}
    here[second] = None
    tree["known"]["old"] = 3
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(tree), encoding="utf-8-sig")
    wisdom.forget()
    assert wisdom.load(copy) == (
        len(PROBLEMS) - 2,
        {"not of the form of an entry": 3, "measured on another CPU, or by other versions": 1},
    )


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "no parent", "unreadable"])
def test_odd_places(place, kind):
    place.parent.mkdir()
    if kind == "directory":
        place.mkdir()
        (place / "file").touch()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes with names here")
        os.mkfifo(place)
    elif kind == "loop":
        place.symlink_to(place)
    elif kind == "no parent":
        place.parent.rmdir()
        place.parent.write_text("a file")
    else:
        if not hasattr(os, "geteuid") or os.geteuid() == 0:
            pytest.skip("root reads everything")
        place.touch(mode=0)
    with pytest.warns(RuntimeWarning, match=r"wisdom\.json is not used: .*NPCONV_WISDOM") as told:
        made = plan(*SHAPES)
    winner = teach(made)
    assert (made.effort, len(told)) == ("estimate", 1)
    assert plan(*SHAPES).algorithm == winner


@pytest.mark.parametrize(("size", "all_fit"), [(20, True), (1000, False)])
def test_a_file_is_bounded_and_the_oldest_go_first(size, all_fit):
    known = [
        entry(i, f"2026-{1 + i // 1000:02d}-01T00:{i // 60 % 60:02d}:{i % 60:02d}Z", size)
        for i in range(text.MOST + 50)
    ]
    order = random.Random(0).sample(known, len(known))
    data, count = text.dump({"one": {e.problem: e for e in order[:5000]},
                             "two": {e.problem: e for e in order[5000:]}})  # fmt: skip
    assert len(data) <= text.LARGEST
    assert (count == text.MOST) == all_fit
    found, left = text.parse(data)
    assert not left
    whens = sorted(e.when for of in found.values() for e in of.values())
    assert len(whens) == count
    assert whens == sorted(e.when for e in known)[-count:]


def test_a_problem_too_long_to_keep_is_not_remembered(place):
    made = plan(*SHAPES)
    wide = dataclasses.replace(made.problem, size=(1,) * 600)
    wisdom.record(wide, [made.rows[0]._replace(measured=True, seconds=1.0)], False)
    assert wisdom.entries() == ()
    assert not place.exists()
