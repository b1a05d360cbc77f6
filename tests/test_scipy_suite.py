"""SciPy's own tests of the functions npconv stands in for, run on npconv's functions.

SciPy's wheel ships its tests. Each test here runs one of SciPy's test modules in its own process,
with npconv's functions put in place of SciPy's before the module is imported, and looks at which
tests really ran and how often each function of npconv was called.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from npconv import ndimage, signal

pytest.importorskip("scipy.signal")

# A pytest plugin: it is loaded before the tests are collected, and reports what happened.
PLUGIN = """
import functools
import importlib
import json
import os

room = os.environ["NPCONV_ROOM"]
ours = importlib.import_module("npconv." + room)
theirs = importlib.import_module("scipy." + room)
try:
    from scipy._lib._array_api import xp_capabilities_table as table
except ImportError:
    table = {}
calls = {name: 0 for name in ours.__all__}
results = {}


def stand_in(name):
    function = getattr(ours, name)

    @functools.wraps(function)
    def counted(*args, **kwargs):
        calls[name] += 1
        if name == os.environ.get("NPCONV_BREAK"):
            return function(*args, **kwargs) + 1
        return function(*args, **kwargs)

    return counted


for name in ours.__all__:
    replaced, function = getattr(theirs, name), stand_in(name)
    if replaced in table:
        table[function] = table[replaced]
    setattr(theirs, name, function)


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::", 1)[1]
    if report.when == "call" or report.outcome != "passed":
        results[name] = report.outcome


def pytest_sessionfinish():
    with open(os.environ["NPCONV_REPORT"], "w") as file:
        json.dump({"calls": calls, "results": results}, file)
"""

# Tests of SciPy's that npconv is not asked to pass, and why.
EXEMPT = {
    "TestConvolve2d::test_large_array": "takes 4 GB; marked slow by SciPy",
    "test_many_sizes": "600 sizes, marked slow by SciPy; test_random_data covers a few",
    "test_real_manylens": "7000 sizes, marked slow by SciPy; test_1d_noaxes covers a few",
}
SIGNAL = [
    "TestConvolve", "TestConvolve2d", "TestFFTConvolve", "TestOAConvolve", "TestAllFreqConvolves",
    "test_convolve_longdtype_input", "TestCorrelateReal", "TestCorrelate", "TestCorrelateComplex",
    "TestCorrelate2d", "test_correlation_lags", "test_choose_conv_method",
]  # fmt: skip
# By the start of the test's name. The rest of the module is about filters that npconv does not
# have (rank, minimum, maximum, median, generic and vectorized filters, gradient magnitudes), except
# where a parameter names such a filter: see OTHERS.
NDIMAGE = [
    "test_correlate", "test_gauss", "test_filter", "test_derivative_filter_axes", "test_prewitt",
    "test_sobel", "test_laplace", "test_gaussian_laplace", "test_generic_laplace", "test_uniform",
    "test_extend", "test_orders_gauss", "test_valid_origins2", "test_bad_convolve",
    "test_multiple_modes", "test_gh_5430",
]  # fmt: skip
OTHERS = re.compile(
    "minimum|maximum|median|rank|percentile|gradient_magnitude|test_gaussian_kernel1d"
)


def run(room, module, selected, tmp_path, **environment):
    """Run part of a SciPy test module on npconv's functions; return calls and outcomes."""
    (tmp_path / "npconv_stands_in.py").write_text(PLUGIN)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    report = tmp_path / "report.json"
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]]),
        "NPCONV_ROOM": room,
        "NPCONV_REPORT": str(report),
    }
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini",
        "--rootdir", str(tmp_path), "--noconftest", "-p", "scipy.conftest",
        "-p", "npconv_stands_in", "-k", selected, "--pyargs", module,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(report.read_text())
    return found["calls"], found["results"], done.stdout


def failures(results):
    return sorted(name for name, outcome in results.items() if outcome == "failed")


def test_scipys_tests_of_signal_pass(tmp_path):
    selected = f"({' or '.join(SIGNAL)}) and not ({' or '.join(t.split('::')[-1] for t in EXEMPT)})"
    calls, results, text = run("signal", "scipy.signal.tests.test_signaltools", selected, tmp_path)
    assert failures(results) == [], text[-3000:]
    passed = [name for name, outcome in results.items() if outcome == "passed"]
    assert len(passed) >= 1300, len(passed)
    for part in SIGNAL:
        assert any(part in name for name in passed), part
    assert all(count > 5 for count in calls.values()), calls
    assert calls["convolve"] > 1000
    assert calls["oaconvolve"] > 1000


def test_scipys_tests_of_ndimage_pass(tmp_path):
    selected = " or ".join(NDIMAGE)
    calls, results, text = run("ndimage", "scipy.ndimage.tests.test_filters", selected, tmp_path)
    assert [name for name in failures(results) if not OTHERS.search(name)] == [], text[-3000:]
    ours = {name: outcome for name, outcome in results.items() if not OTHERS.search(name)}
    passed = [name for name, outcome in ours.items() if outcome == "passed"]
    assert len(passed) >= 1900, len(passed)
    for part in NDIMAGE:
        assert any(part in name for name in passed), part
    assert all(count > 5 for count in calls.values()), calls
    assert calls["correlate"] > 1000
    assert calls["convolve1d"] > 1000


@pytest.mark.parametrize(
    ("room", "module", "name", "selected"),
    [
        ("signal", "scipy.signal.tests.test_signaltools", "convolve", "TestConvolve and basic"),
        ("ndimage", "scipy.ndimage.tests.test_filters", "sobel", "sobel"),
    ],
)
def test_a_broken_function_is_seen(room, module, name, selected, tmp_path):
    _, results, _ = run(room, module, selected, tmp_path, NPCONV_BREAK=name)
    assert failures(results) != []


def test_every_function_is_scipys():
    import scipy.ndimage
    import scipy.signal

    for ours, theirs in ((signal, scipy.signal), (ndimage, scipy.ndimage)):
        assert [name for name in ours.__all__ if not hasattr(theirs, name)] == []
