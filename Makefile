# Every target makes its own environment in .venv: a bare machine needs Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# More BLAS threads than cores would make the test workers wait for one another.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
TESTS = $(ONE_THREAD) $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-without-numba test-peers check lint bench readme errors docs browser clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 28

demo: $(VENV)/.stamp  ## filter a photograph, draw the table of algorithms, learn to read digits
	$(BIN)/python examples/demo.py

test: $(VENV)/.stamp  ## the test suite
	$(TESTS) -n 2 --dist worksteal

test-all: $(VENV)/.stamp  ## the test suite with the long sweeps
	NPCONV_TEST_ALL=1 $(TESTS) -n 2 --dist worksteal

test-without-numba: $(VENV)/.stamp  ## the test suite where Numba cannot be imported
	NPCONV_TEST_WITHOUT_NUMBA=1 $(TESTS) -n 2 --dist worksteal --doctest-ignore-import-errors

test-peers: $(VENV)/.stamp-peers  ## compare with PyTorch, drive the page in a browser (installs them)
	$(TESTS) tests/peers

lint: $(VENV)/.stamp  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint  ## lint, the rules between the rooms, then the test suite
	$(TESTS) -q tests/test_rooms.py
	$(MAKE) test

# `make bench BENCH='--network resnet50'` measures less, BENCH=--resume goes on where a run stopped.
BENCH ?=
DIRECTIONS := --direction forward --direction input_grad --direction weight_grad
RESULTS := bench-results

bench: $(VENV)/.stamp-bench  ## layers, goals, images beside other libraries (installs them), regret
	@mkdir -p $(RESULTS)
	$(BIN)/npconv bench layers $(DIRECTIONS) $(BENCH) --json $(RESULTS)/layers.json \
	  --picture $(RESULTS)/layers.png
	$(BIN)/npconv bench goals --json $(RESULTS)/goals.json
	$(BIN)/npconv bench images
	$(BIN)/npconv bench regret

readme: $(VENV)/.stamp-bench  ## write the layers of the last `make bench`, and images, into README
	$(BIN)/npconv bench show $(RESULTS)/layers.json --readme --picture docs/bench.png
	$(BIN)/npconv bench images --readme
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory browser
	$(BIN)/python docs/page_picture.py

errors: $(VENV)/.stamp  ## measure the error of each Winograd tile and write it into docs
	$(BIN)/python docs/winograd_errors.py

# Without --quiet, which would let broken links pass.
docs: $(VENV)/.stamp-docs  ## draw the book's figures and build it into site/ (open site/index.html)
	$(BIN)/python docs/make_figures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean:  ## remove everything that can be made again
	rm -rf $(VENV) build dist site demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf src/npconv.egg-info

# Where ensurepip is missing (Debian without python3-venv), the machine's own pip fills the folder.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "npconv needs Python 3.11 or newer; '$(PYTHON)' is `$(PYTHON) --version 2>&1`." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	  && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } \
	  || { rm -rf $(VENV); exit 1; }

$(VENV)/.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --editable '.[all,dev,bench]'
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --editable '.[all,dev,docs]'
	@touch $@

$(VENV)/.stamp-peers: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --editable '.[all,dev,peers]'
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory browser
	@touch $@

browser:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else $(BIN)/playwright install chromium; fi
