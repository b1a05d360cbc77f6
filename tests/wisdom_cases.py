"""What the tests of wisdom share: a user's file of its own, times made up, and damaged files."""

import json
import random

import numpy as np

from npconv import plan, planner, wisdom
from npconv.threads import forget_plans
from npconv.wisdom import book, shelf, text

SHAPES = (1, 4, 20, 21), (6, 4, 3, 3)
PROBLEMS = ({}, {"padding": 1}, {"dtype": "int16"}, {"direction": "weight_grad"})
ODD = (
    None, True, False, 0, -1, 1e-300, 1e300, float("nan"), float("inf"), 10**400, "", "winograd",
    "\ud800", [], {}, [[]], {"": {}}, "9999-99-99T99:99:99Z", "x" * 5000,
)  # fmt: skip


def user_file(tmp_path, monkeypatch):
    """Yield the user's file, not there yet, of a process that knows nothing: as a fixture."""
    monkeypatch.setenv(shelf.VARIABLE, str(tmp_path / "kept" / "wisdom.json"))
    another_process(monkeypatch)
    yield tmp_path / "kept" / "wisdom.json"
    another_process(monkeypatch)


def another_process(monkeypatch):
    """Forget what a process knows, but not its user's file."""
    for name, value in (("known", {}), ("measured", {}), ("read", False), ("warned", False)):
        monkeypatch.setattr(book._Memory, name, value)
    forget_plans()


def candidates(made):
    """The algorithms that measuring would try, the quickest by estimate first."""
    hopeful = planner._hopeful(planner._estimated(made))
    return [row.algorithm for row in sorted(hopeful, key=lambda row: row.seconds)]


def teach(made, names=None, **more):
    """Record times in which the last of the names (by default the candidates) is the quickest."""
    names = names or candidates(made)
    times = {name: 1e-3 / 2**i for i, name in enumerate(names)} | more
    known = [
        row._replace(seconds=times.pop(row.algorithm), measured=True)
        for row in made.rows
        if row.algorithm in times
    ]
    unknown = [
        made.rows[0]._replace(algorithm=n, seconds=s, measured=True) for n, s in times.items()
    ]
    wisdom.record(made.problem, known + unknown, made.packed)
    return names[-1]


def arrays(dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.integers(-4, 5, shape).astype(dtype) for shape in SHAPES]


def entry(number, when="2026-01-01T00:00:00Z", size=0):
    return text.Entry(f"{number} ".ljust(size, "é"), {"taps": 0.5, "fft": number * 1e-3}, when)


def filled():
    """A file with an entry of each problem, and one of another machine."""
    for geometry in PROBLEMS:
        teach(plan(*SHAPES, **geometry))
    found, _ = text.parse(wisdom.path().read_bytes())
    found["another CPU"] = {"batch=1": text.Entry("batch=1", {"fft": 1.0}, text.now())}
    return text.dump(found)[0]


def mutations(whole, count):
    """Bytes changed, cut and doubled; then values exchanged, with the JSON left whole."""
    draw = random.Random(0)
    for _ in range(count // 2):
        changed = bytearray(whole)
        for _ in range(draw.choice((1, 1, 1, 2, 30))):
            changed[draw.randrange(len(whole))] = draw.choice((draw.randrange(256), *b'{}[]",:19e'))
        begin = draw.choice((0, 0, 0, draw.randrange(len(whole))))
        end = draw.choice((len(whole), len(whole), draw.randrange(len(whole))))
        yield bytes(changed[begin:end]) if begin < end else bytes(changed[end:begin] * 2)
    for _ in range(count - count // 2):
        tree = json.loads(whole)
        for _ in range(draw.choice((1, 1, 2, 5))):
            exchange(tree, draw)
        yield json.dumps(tree).encode()


def exchange(tree, draw):
    """Exchange, remove, or rename one value of a tree of objects, at any depth."""
    parent = tree
    while isinstance(parent, dict) and parent and draw.random() < 0.95:
        child = parent[draw.choice([*parent])]
        if not isinstance(child, dict) or not child:
            break
        parent = child
    if not isinstance(parent, dict) or not parent:
        return
    name = draw.choice([*parent])
    kind = draw.randrange(4)
    if kind == 0:
        parent[name] = draw.choice(ODD)
    elif kind == 1:
        del parent[name]
    elif kind == 2:
        parent[draw.choice(("fft", "naive", "toeplitz", "x" * 2000, ""))] = parent.pop(name)
    else:
        parent[name] = draw.choice((0, 1e-9, 1e5, 7))
