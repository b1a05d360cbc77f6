"""`npconv bench goals`: what is asked, and what is said of it."""

import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from bench_cases import networks_result, timed
from npconv.bench import app, goals, networks, report, saved
from npconv.bench.arrays import Job
from npconv.bench.goals import GOALS, SHARE, TINY, Goal
from npconv.bench.goals_text import text
from npconv.bench.peers import GOAL_CONTENDERS

GOAL = Goal("tiny", Job(TINY), "npconv conv", "torch NCHW", 2.0)


def result_of(*rows):
    """A run of goals with these (job, seconds by contender)."""
    made = networks_result()
    made.layers = []
    for job, seconds in rows:
        row = networks.LayerResult("goals", job, 1000, [], peak_flops=1e9)
        row.contenders = [timed(name, value) for name, value in seconds.items()]
        made.layers.append(row)
    return networks.finished(made)


def test_every_goal_names_contenders_that_can_do_its_job():
    assert len(GOALS) > 60
    assert len({(goal.job, goal.own, goal.peer) for goal in GOALS}) == len(GOALS)
    for goal in GOALS:
        for name in {goal.own, goal.peer} - {SHARE}:
            assert GOAL_CONTENDERS[name].why_not(job=goal.job) == "", (goal, name)


@pytest.mark.parametrize(
    ("group", "own", "peer", "least"),
    [
        ("3x3 stride 1", "npconv NHWC fast", "torch NHWC", 2.5),
        ("3x3 stride 1", "npconv NHWC fast", "ncnn", 1.1),
        ("3x3 stride 1", "npconv NCHW fast", "torch NCHW", 2.0),
        ("3x3 stride 1", "npconv NCHW fast", "ncnn", 0.95),
        ("3x3 stride 1", "npconv NHWC strict", "torch NHWC", 1.6),
        ("7 px", "npconv NHWC fast", "torch NHWC", 2.0),
        ("input_grad", "npconv NHWC fast", "torch NHWC", 2.0),
        ("weight_grad", "npconv NHWC fast", "torch NHWC", 1.5),
        ("first-layer input_grad", "npconv NHWC fast", "torch NHWC", 2.0),
        ("5x5", "npconv NHWC strict", "torch NHWC", 2.0),
        ("5x5", "npconv NHWC fast", "torch NHWC", 3.5),
        ("3x3 stride 2", "npconv NHWC strict", "torch NHWC", 1.1),
        ("3x3 stride 2", "npconv NHWC fast", "torch NHWC", 1.25),
        ("1x7 and 7x1", "npconv NHWC fast", "torch NHWC", 1.4),
        ("1-D", "npconv NHWC fast", "torch NCHW", 1.3),
        ("3-D", "npconv NHWC fast", "torch NHWC", 2.0),
        ("1x1", "npconv NHWC fast", "torch NHWC", 0.95),
        ("first layer", "npconv NHWC fast", "onnxruntime", 1.0),
        ("11x11", "npconv NHWC fast", "torch NHWC", 0.95),
        ("tiny", "npconv conv", "torch NCHW", 1.0),
        ("tiny", "npconv NCHW strict", "torch NCHW", 2.0),
        ("float64", "npconv direct", SHARE, 0.9),
    ],
)
def test_the_goals_are_those_that_were_set(group, own, peer, least):
    found = {
        goal.least for goal in GOALS if (goal.group, goal.own, goal.peer) == (group, own, peer)
    }
    assert found == {least}


def test_a_job_is_measured_once_by_all_whom_its_goals_name():
    tasks = goals.tasks(GOALS, "measure")
    assert len({task.job for task in tasks}) == len(tasks) < len(GOALS)
    assert {task.job.effort for task in tasks} == {"measure"}
    tiny = next(task for task in tasks if task.job.layer == TINY)
    assert tiny.names == ("npconv conv", "torch NCHW", "npconv NCHW strict")
    (double,) = goals.chosen("float64 3x3")
    found = goals.tasks([double], "estimate")
    assert [task.job.dtype for task in found] == ["float64", "float32"]
    assert [task.names for task in found] == [("npconv direct",)] * 2


@pytest.mark.parametrize(("peer_seconds", "reached"), [(0.0021, True), (0.0019, False)])
def test_a_ratio_is_held_against_its_goal(peer_seconds, reached):
    job = replace(GOAL.job, effort="measure")
    measured = result_of((job, {"npconv conv": 0.001, "torch NCHW": peer_seconds}))
    (verdict,) = goals.judge([GOAL], measured)
    assert verdict.ratio == verdict.quickest == pytest.approx(peer_seconds / 0.001)
    assert verdict.reached is reached
    printed = text(goals.GoalsResult(measured, [verdict]))
    assert ("reached " in printed.split("\n")[2]) is reached
    assert f"{int(reached)} of 1 goals reached." in printed


def test_a_share_is_held_against_that_of_float32():
    (goal,) = goals.chosen("float64 3x3")
    single = goals.held_against(goal).job
    measured = result_of((goal.job, {goal.own: 0.004}), (single, {goal.own: 0.002}))
    measured.layers[0].peak_flops = 4e8
    (verdict,) = goals.judge([goal], networks.finished(measured))
    assert verdict.ratio == pytest.approx(0.5 * 1e9 / 4e8)
    assert math.isnan(goals.judge([goal], result_of((goal.job, {goal.own: 1.0})))[0].ratio)


@pytest.mark.parametrize(
    ("rows", "absent", "note"),
    [
        ([], {}, "not measured"),
        ([], {"torch NCHW": "torch"}, "not installed"),
        ([(GOAL.job, {"npconv conv": 1.0})], {}, "did not enter"),
    ],
)
def test_a_goal_without_numbers_is_neither_reached_nor_under(rows, absent, note):
    measured = result_of(*rows)
    measured.absent = absent
    (verdict,) = goals.judge([GOAL], measured)
    assert (verdict.note, verdict.reached) == (note, False)
    printed = text(goals.GoalsResult(measured, [verdict]))
    assert "0 of 0 goals reached; 1 without numbers." in printed
    assert "UNDER" not in printed


def test_the_command_picks_cases_and_peers(tmp_path, monkeypatch):
    seen = []

    def measure_layer(task, settings, contenders, *rest):
        seen.append((task.job.layer.name, task.names))
        row = networks.LayerResult("goals", task.job, 1, [], peak_flops=1.0)
        row.contenders = [timed(name, 0.001) for name in task.names]
        return row

    monkeypatch.setattr(networks, "compile_kernels", lambda: None)
    monkeypatch.setattr(networks, "measure_layer", measure_layer)
    path = tmp_path / "goals.json"
    arguments = ["goals", "--only", "11x11", "--peer", "torch", "--json", str(path), "--resume"]
    for _ in range(2):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    name = "11x11 s4 224 px 3 to 64"
    assert seen == [
        (name, ("npconv NHWC fast", "torch NHWC", "npconv NCHW fast", "torch NCHW")),
        (name, ("npconv NHWC fast", "torch NHWC")),
    ]
    found = saved.load(path, goals.GoalsResult)
    assert [verdict.goal.group for verdict in found.verdicts] == [
        "first-layer input_grad",
        "first-layer input_grad",
        "11x11",
    ]
    assert found.measured.totals == []


def test_a_case_that_is_not_there(tmp_path):
    done = CliRunner().invoke(app, ["goals", "--only", "9x9"])
    assert done.exit_code == 1
    assert "goals: none holds '9x9'" in done.output
    report.write_json(tmp_path / "a.json", networks_result())
    done = CliRunner().invoke(app, ["goals", "--json", str(tmp_path / "a.json"), "--resume"])
    assert "holds no result of this version's bench" in done.output
