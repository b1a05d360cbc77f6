"""Settings that every test shares."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import no_numba

# A shell's job in the background ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CACHE = Path(__file__).parents[1] / ".pytest_cache"
os.environ.setdefault("MPLBACKEND", "Agg")
# Compiled kernels outlive a run of the tests, in the repository and not in the user's home.
os.environ["NPCONV_CACHE_DIR"] = str(CACHE / "npconv")
os.environ["NPCONV_WISDOM"] = "off"  # what one run measures is nothing to the next
if os.environ.get("NPCONV_TEST_WITHOUT_NUMBA") == "1":  # `make test-without-numba`
    no_numba.hide(CACHE / "without-numba")

# `make test` draws the same few examples each time; `make test-all` looks for new ones.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("all", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("all" if os.environ.get("NPCONV_TEST_ALL") == "1" else "quick")


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    """Have no test plan by what another has measured."""
    yield
    from npconv import wisdom

    if wisdom.entries():
        wisdom.forget()
