"""Settings that every test shares."""

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
# Compiled kernels outlive a run of the tests, in the repository and not in the user's home.
os.environ["NPCONV_CACHE_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "npconv")

# `make test` draws the same few examples each time; `make test-all` looks for new ones.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("all", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("all" if os.environ.get("NPCONV_TEST_ALL") == "1" else "quick")
