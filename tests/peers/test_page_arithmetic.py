"""The explain page's own arithmetic, run by Node, is npconv's; its store keeps what it is told."""

import json
import shutil
import subprocess
from pathlib import Path

import page_cases
import pytest

import npconv

HERE = Path(__file__).parent
SCRIPTS = Path(npconv.__file__).parent / "explain" / "page" / "scripts"
MAIN = """
import { readFileSync } from "node:fs";
import * as geometry from "./geometry.js";
import * as faults from "./faults.js";
import * as arithmetic from "./arithmetic.js";
import * as check from "./check.js";
import * as state from "./state.js";
import { compareAll } from "./page_arithmetic.mjs";
import { checkStates } from "./page_state.mjs";
const page = { ...geometry, ...faults, ...arithmetic, ...check, ...state };
const cases = JSON.parse(readFileSync("cases.json", "utf8"));
const work = { compareAll, checkStates }[process.argv[2]];
console.log(JSON.stringify(work(page, cases)));
"""


@pytest.fixture
def scripts(tmp_path):
    """A folder where Node takes the page's scripts for modules."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    for path in (*SCRIPTS.glob("*.js"), *HERE.glob("page_*.mjs")):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "main.mjs").write_text(MAIN)

    def work(name, cases):
        (tmp_path / "cases.json").write_text(json.dumps(cases))
        done = subprocess.run(
            [node, "main.mjs", name], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return work


def test_every_value_and_every_sum_written_out_is_npconvs(scripts):
    report = scripts("compareAll", page_cases.cases(500, seed=7))
    assert report["faults"] == []
    assert report["checked"] > 300
    assert report["refused"] > 20
    assert report["values"] > 30_000


def test_a_wrong_value_is_found(scripts):
    given = next(case for case in page_cases.cases(9, seed=1) if "out" in case)
    given["gradX"]["data"][3] += 1e-3
    report = scripts("compareAll", [given])
    assert len(report["faults"]) == 2  # by the array, and by the cell
    assert "gradX" in report["faults"][1]


def test_the_store_and_its_links_keep_what_they_are_told(scripts):
    assert scripts("checkStates", page_cases.cases(60, seed=3)) == []
