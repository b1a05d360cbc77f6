"""Wisdom: what was measured once is taken from then on, where it holds, and is only advice."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import npconv
from npconv import plan, planner, wisdom
from npconv.algorithms import ALGORITHMS
from npconv.cli import app
from npconv.wisdom import book, shelf, text
from npconv.wisdom.signature import signature
from wisdom_cases import SHAPES, another_process, arrays, candidates, teach, user_file


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The user's file, of a process that knows nothing."""
    yield from user_file(tmp_path, monkeypatch)


def test_what_was_measured_is_taken_from_then_on(place, monkeypatch):
    before = plan(*SHAPES)
    winner = teach(before)
    assert winner != before.algorithm
    made = plan(*SHAPES)
    assert (made.algorithm, made.effort) == (winner, "remember")
    assert str(made).splitlines()[0].endswith("(remembered)")
    assert {r.algorithm for r in made.rows if r.measured} == {*candidates(before)}
    assert made.seconds == min(r.seconds for r in made.rows if r.measured)
    x, weight = arrays()
    want = npconv.conv(x, weight, algorithm="naive")
    ran = []
    whole = ALGORITHMS[winner].forward
    monkeypatch.setattr(ALGORITHMS[winner], "forward", lambda *a: ran.append(winner) or whole(*a))
    np.testing.assert_array_equal(np.rint(npconv.conv(x, weight)), want)
    np.testing.assert_array_equal(np.rint(made(x, weight)), want)
    assert ran == [winner] * 2


def test_calls_that_were_made_before_change_their_mind(place, monkeypatch):
    x, weight = np.ones((1, 1, 10, 10), "float32"), np.ones((1, 1, 3, 3), "float32")
    for _ in range(2):
        assert (npconv.conv(x, weight) == 9).all()
    for favourite in candidates(plan(x, weight)):
        names = [name for name in candidates(plan(x, weight)) if name != favourite]
        assert teach(plan(x, weight), [*names, favourite]) == favourite
        ran = []
        with monkeypatch.context() as patch:
            module = ALGORITHMS[favourite]

            def spy(*given, whole=module.forward, name=favourite, ran=ran):
                ran.append(name)
                return whole(*given)

            patch.setattr(module, "forward", spy)
            assert (npconv.conv(x, weight) == 9).all()
        # Only the way of small calls goes by no `forward`.
        assert ran == [favourite] or favourite == "small"


def test_measuring_records_and_measures_anew(place, monkeypatch):
    teach(plan(*SHAPES), naive=5e5)
    (old,) = wisdom.entries()
    made = plan(*SHAPES, effort="measure")
    assert made.effort == "measure"
    assert {r.algorithm for r in made.rows if r.measured} == {*candidates(made)}
    assert "naive" not in candidates(made)
    (entry,) = wisdom.entries()
    assert entry.seconds != old.seconds
    assert entry.algorithm == made.algorithm
    for r in made.rows:
        assert r.measured == (r.algorithm in entry.seconds)
        if r.measured:
            assert entry.seconds[r.algorithm] == pytest.approx(r.seconds, rel=1e-3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.when)
    another_process(monkeypatch)
    assert wisdom.entries() == (entry,)
    remembered = plan(*SHAPES)
    assert (remembered.algorithm, remembered.effort) == (made.algorithm, "remember")


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": "float64"}, {"dtype": ">f4"}, {"stride": 2}, {"padding": 1}, {"dilation": 2},
        {"precision": "fast"}, {"direction": "input_grad"}, {"direction": "weight_grad"},
        {"padding": ((1, 0), (0, 1))}, {"groups": 2, "weight_shape": (6, 2, 3, 3)},
        {"x_shape": (2, 4, 20, 21)}, {"weight_shape": (6, 4, 3, 2)},
        {"x_shape": (1, 20, 21, 4), "weight_shape": (3, 3, 4, 6), "layout": "NHWC"},
    ],
    ids=str,
)  # fmt: skip
def test_another_problem_is_estimated(place, other):
    given = {"x_shape": SHAPES[0], "weight_shape": SHAPES[1], **other}
    teach(plan(*SHAPES))
    assert plan(*SHAPES).effort == "remember"
    assert plan(**given).effort == "estimate"
    winner = teach(plan(**given))
    assert (plan(**given).algorithm, plan(**given).effort) == (winner, "remember")
    assert len(wisdom.entries()) == 2


def test_the_side_of_padding_counts(place):
    teach(plan(*SHAPES, padding=((1, 0), (0, 0))))
    for other in (((0, 1), (0, 0)), ((0, 0), (1, 0)), ((1, 1), (0, 0)), ((1, 0), (0, -1))):
        assert plan(*SHAPES, padding=other).effort == "estimate"


def test_the_number_of_threads_counts(place):
    number = npconv.get_num_threads()
    winner = teach(plan(*SHAPES))
    try:
        npconv.set_num_threads(number + 1)
        assert plan(*SHAPES).effort == "estimate"
        npconv.set_num_threads(number)
        assert plan(*SHAPES).algorithm == winner
    finally:
        npconv.set_num_threads(None)


def test_a_memory_limit_leaves_the_quickest_that_fits(place):
    free = plan(*SHAPES)
    by_need = sorted(
        (r for r in free.rows if r.algorithm in candidates(free)), key=lambda r: r.workspace
    )
    names = [r.algorithm for r in by_need]
    assert teach(free, names) == names[-1]
    limit = by_need[-1].workspace - 1
    held = plan(*SHAPES, memory_limit=limit)
    assert held.workspace <= limit
    # The limit may make hopeful what was not timed: then nothing is known of it.
    known = {*candidates(held)} <= {*names}
    assert held.effort == ("remember" if known else "estimate")
    assert not known or held.algorithm == max(
        (n for n in names if n in candidates(held)), key=names.index
    )


def test_measuring_under_a_limit_keeps_what_is_known_of_the_others(place):
    free = plan(*SHAPES)
    names = candidates(free)
    teach(free)
    (old,) = wisdom.entries()
    need = {r.algorithm: r.workspace for r in free.rows}
    limit = max(need[name] for name in names) - 1
    unfit = {name for name in names if need[name] > limit}
    made = plan(*SHAPES, memory_limit=limit, effort="measure")
    (entry,) = wisdom.entries()
    assert {n: entry.seconds[n] for n in unfit} == {n: old.seconds[n] for n in unfit}
    assert {r.algorithm for r in made.rows if r.measured} == {*entry.seconds} - unfit
    assert plan(*SHAPES).effort == "remember"


def test_times_of_some_candidates_say_nothing_of_the_others(place):
    before = plan(*SHAPES)
    for left_out in candidates(before):
        names = [name for name in candidates(before) if name != left_out]
        teach(before, names)
        assert plan(*SHAPES) == before


def test_what_cannot_or_is_unknown_or_hopeless_is_not_taken(place):
    for dtype, absurd in (("int16", "fft"), ("float32", "warp"), ("float32", "naive")):
        before = plan((1, 4, 40, 41), (6, 4, 3, 3), dtype)
        assert absurd not in candidates(before)
        winner = teach(before, **{absurd: 0.0})
        made = plan((1, 4, 40, 41), (6, 4, 3, 3), dtype)
        assert (made.algorithm, made.effort) == (winner, "remember")


def test_a_named_algorithm_is_taken_as_named(place):
    winner = teach(plan(*SHAPES))
    for name in ("taps", "im2col_tiled"):
        assert name != winner or len(candidates(plan(*SHAPES))) == 1
        chosen = planner.choose(plan(*SHAPES).problem, name)
        assert (chosen.algorithm, chosen.effort) == (name, "estimate")


def test_entries_of_others_are_ignored_and_kept(place, monkeypatch):
    for room in (book, shelf):
        monkeypatch.setattr(room, "signature", lambda: "another CPU")
    teach(plan(*SHAPES))
    monkeypatch.undo()
    monkeypatch.setenv(shelf.VARIABLE, str(place))
    another_process(monkeypatch)
    assert plan(*SHAPES).effort == "estimate"
    assert wisdom.entries() == ()
    assert wisdom.load() == (0, {"measured on another CPU, or by other versions": 1})
    teach(plan(*SHAPES, padding=1))
    assert len(wisdom.entries()) == 1
    found, left = text.parse(place.read_bytes())
    assert {name: len(known) for name, known in found.items()} == {
        "another CPU": 1,
        signature(): 1,
    }
    assert not left


def test_forget(place, monkeypatch):
    before = plan(*SHAPES)
    teach(before)
    assert place.exists()
    wisdom.forget()
    assert not place.exists()
    assert wisdom.entries() == ()
    assert plan(*SHAPES) == before
    wisdom.forget()
    teach(before)
    assert len(text.parse(place.read_bytes())[0]) == 1


def test_what_another_process_forgets_is_not_written_back(place, monkeypatch):
    teach(plan(*SHAPES))
    another_process(monkeypatch)
    assert plan(*SHAPES).effort == "remember"
    place.unlink()
    teach(plan(*SHAPES, padding=1))
    (known,) = text.parse(place.read_bytes())[0].values()
    assert len(known) == 1
    assert len(wisdom.entries()) == 2


def test_save_and_load(place, tmp_path, monkeypatch):
    winner = teach(plan(*SHAPES))
    teach(plan(*SHAPES, padding=1))
    copy = tmp_path / "copy.json"
    assert wisdom.save(copy) == 2
    wisdom.forget()
    assert plan(*SHAPES).effort == "estimate"
    assert wisdom.load(copy) == (2, {})
    assert (plan(*SHAPES).algorithm, plan(*SHAPES).effort) == (winner, "remember")
    assert not place.exists()
    assert wisdom.save() == 2
    assert place.read_bytes() == copy.read_bytes()
    teach(plan(*SHAPES, stride=2))
    assert wisdom.save(str(copy)) == 3
    # What was measured later stays, whichever comes first.
    monkeypatch.setattr("npconv.wisdom.advice.now", lambda: "2999-01-01T00:00:00Z")
    teach(plan(*SHAPES), [*reversed(candidates(plan(*SHAPES)))])
    monkeypatch.setattr(text, "now", lambda: "3000-01-01T00:00:00Z")
    assert wisdom.load(copy) == (2, {"measured again since": 1})
    assert plan(*SHAPES).algorithm != winner
    assert wisdom.save(copy) == 3
    another_process(monkeypatch)
    assert wisdom.load(copy).taken + sum(wisdom.load(copy).left.values()) == 3
    assert plan(*SHAPES).algorithm != winner


def test_load_sees_what_another_process_has_written(place, monkeypatch):
    assert wisdom.load() == (0, {})
    winner = teach(plan(*SHAPES))
    whole = place.read_bytes()
    wisdom.forget()
    place.write_bytes(whole)
    assert plan(*SHAPES).effort == "estimate"
    assert wisdom.load().taken == 1
    assert plan(*SHAPES).algorithm == winner


def test_a_clock_that_was_wrong_makes_nothing_last_for_ever(place, monkeypatch):
    monkeypatch.setattr("npconv.wisdom.advice.now", lambda: "2999-01-01T00:00:00Z")
    teach(plan(*SHAPES))
    monkeypatch.undo()
    monkeypatch.setenv(shelf.VARIABLE, str(place))
    another_process(monkeypatch)
    assert wisdom.entries()[0].when <= text.now()


def test_without_a_file(place, tmp_path, monkeypatch):
    monkeypatch.setenv("NPCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(shelf.VARIABLE)
    assert wisdom.path() == tmp_path / "cache" / "wisdom.json"
    for variables in ({shelf.VARIABLE: "off"}, {shelf.VARIABLE: " "}, {"NPCONV_CACHE_DIR": "off"}):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert wisdom.path() is None
            winner = teach(plan(*SHAPES))
            assert plan(*SHAPES).algorithm == winner
            for call in (wisdom.save, wisdom.load):
                with pytest.raises(
                    npconv.ProblemError, match=r"(?s)^wisdom\.\w+: no file.*name a f"
                ):
                    call()
            wisdom.forget()
            assert plan(*SHAPES).effort == "estimate"
    assert not (tmp_path / "cache").exists()
    monkeypatch.setenv(shelf.VARIABLE, "~/here.json")
    assert wisdom.path() == Path("~/here.json").expanduser()


def test_the_command(place):
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    def told(*words):
        result = runner.invoke(app, ["wisdom", *words], prog_name="npconv")
        assert result.exit_code == 0
        return result.output

    assert f"{place} (not there yet)" in told()
    winner = teach(plan(*SHAPES))
    assert re.search(rf"(?s)wisdom\.json\nentries  1 .*\nlatest   2\S+Z: {winner} for ", told())
    assert re.search(r"(?s)^forgotten.*not there yet.*entries  0 ", told("--forget"))
    assert not place.exists()
    place.write_text("my thesis")
    result = runner.invoke(app, ["wisdom", "--forget"], prog_name="npconv")
    assert result.exit_code == 1
    assert place.read_text() == "my thesis"
