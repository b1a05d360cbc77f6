"""How many threads share a call: what was asked for, the variable, affinity, the container."""

import warnings

import pytest

import npconv
from npconv import threads
from npconv.threads import count
from thread_tools import shared_by


def start_value(monkeypatch, text):
    """What NPCONV_NUM_THREADS makes of the number of threads."""
    monkeypatch.setenv("NPCONV_NUM_THREADS", text)
    npconv.set_num_threads(None)
    try:
        return npconv.get_num_threads()
    finally:
        monkeypatch.undo()
        npconv.set_num_threads(None)


def test_the_number_that_was_set_holds_until_it_is_taken_back(monkeypatch):
    monkeypatch.setattr(count, "_cpus", lambda: 3)
    npconv.set_num_threads(None)
    assert npconv.get_num_threads() == 3
    with shared_by(7):
        assert npconv.get_num_threads() == threads.num_threads() == 7
    assert npconv.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1025, 2.0, "2", True + 0.5, [2]])
def test_other_numbers_of_threads_are_errors(n):
    before = npconv.get_num_threads()
    with pytest.raises(npconv.ProblemError, match=r"set_num_threads: n is .*\n.* from 1 to 1024"):
        npconv.set_num_threads(n)
    assert npconv.get_num_threads() == before


@pytest.mark.parametrize(("text", "number"), [("5", 5), (" 2 ", 2), ("1", 1)])
def test_the_variable_is_the_start_value(monkeypatch, text, number):
    assert start_value(monkeypatch, text) == number


def test_without_the_variable_the_cpus_count(monkeypatch):
    monkeypatch.setattr(count, "_cpus", lambda: 11)
    assert start_value(monkeypatch, "") == 11


@pytest.mark.parametrize("text", ["0", "many", "-2", "1.5", "99999"])
def test_a_variable_that_is_no_number_of_threads_warns(monkeypatch, text):
    monkeypatch.setattr(count, "_cpus", lambda: 6)
    with pytest.warns(RuntimeWarning, match=f"6 threads: NPCONV_NUM_THREADS is '{text}'"):
        assert start_value(monkeypatch, text) == 6


V1 = "7:cpuset:/box\n4:{name}:/box/inner\n2:memory:/box\n"


QUOTAS = {
    "none": ("", {}, None),
    "v2": ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
    "v2, no limit": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "v2, less than one": ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
    "v2, a group within": ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n"}, 4),
    "v2, the group above has less": (
        "0::/a/b\n",
        {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n", "cpu.max": "max 1\n"},
        2,
    ),
    "v2, a path outside of the container": ("0::/../x\n", {"cpu.max": "200000 100000\n"}, 2),
    "v2 beside v1": ("0::/\n", {"unified/cpu.max": "500000 100000\n"}, 5),
    "v1": (
        V1.format(name="cpu"),
        {"cpu/box/inner/cpu.cfs_quota_us": "200000\n", "cpu/box/inner/cpu.cfs_period_us": "50000"},
        4,
    ),
    "v1, another name, the root is the container's": (
        V1.format(name="cpu,cpuacct"),
        {"cpu,cpuacct/cpu.cfs_quota_us": "90000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        1,
    ),
    "v1, no limit": (
        V1.format(name="cpu"),
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        None,
    ),
    "nonsense": ("x\n0::/\n::\n:cpu:\n", {"cpu.max": "1 2 3", "cpu/cpu.cfs_quota_us": "?"}, None),
    "no period": ("0::/\n", {"cpu.max": "100000 0"}, None),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_a_container_grants_so_many_cpus(tmp_path, name):
    groups, files, want = QUOTAS[name]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for place, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert count._quota(tmp_path) == want


def test_cpus_are_those_of_affinity_and_quota(monkeypatch):
    monkeypatch.setattr(count.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    for quota, want in ((None, 3), (2, 2), (9, 3), (1, 1)):
        monkeypatch.setattr(count, "_quota", lambda root, quota=quota: quota)
        assert count._cpus() == want


def test_a_plan_is_made_anew_for_another_number_of_threads():
    def held():
        plan = npconv.plan((1, 3, 200, 200), (8, 3, 7, 7))
        return next(row.workspace for row in plan.rows if row.algorithm == "im2col_tiled")

    with shared_by(1):
        one = held()
    with shared_by(3):
        assert held() > one
    with shared_by(1):
        assert held() == one


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        npconv.set_num_threads(None)
        assert npconv.get_num_threads() >= 1
