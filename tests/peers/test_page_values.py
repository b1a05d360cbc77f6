"""The values that the explain page draws are npconv's, cell by cell."""

import json
import re

import numpy as np
import page_cases
import pytest
from page_browser import follow, link_of, settle

# What each canvas shows: the section it is in, and the name of the array in the page's data.
GRIDS = {
    "#operation .tensor-x": "x",
    "#operation .tensor-weight": "weight",
    "#operation .tensor-bias": "bias",
    "#operation .tensor-out": "out",
    "#backward .tensor-gradOut": "gradOut",
    "#backward .tensor-gradX": "gradX",
    "#backward .tensor-gradWeight": "gradWeight",
}
READ = """
(selectors) => selectors.map((selector) => {
  const grid = document.querySelector(`${selector} [role=grid]`);
  return { drawn: (grid.querySelector("canvas").drawn ?? []).filter((text) => text[3] === "center"),
    rows: Number(grid.getAttribute("aria-rowcount")),
    columns: Number(grid.getAttribute("aria-colcount")) };
})
"""
# Walk a grid by its keys, plane by plane, and read each cell's name and value aloud.
WALK = """
(selector) => {
  const grid = document.querySelector(`${selector} [role=grid]`);
  const cell = () => [...grid.querySelectorAll("[role=gridcell]")].find((one) => !one.hidden);
  const press = (key) => cell().dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const [rows, columns] = ["aria-rowcount", "aria-colcount"].map((n) => +grid.getAttribute(n));
  const said = [];
  for (let up = 0; up < 64; up += 1) press("PageUp");
  for (let step = 0; step < 400; step += 1) {
    said.push(cell().getAttribute("aria-label"));
    const before = said.at(-1);
    press(step % 7 === 6 ? "PageDown" : step % 2 ? "ArrowRight" : "ArrowDown");
    if (cell().getAttribute("aria-label") === before) {
      if (step % 7 === 6) break;
      press("Home");
    }
  }
  return said;
}
"""


def number(text):
    return float(text.replace("−", "-"))


def agrees(text, value):
    """Whether a text is a value, to the digits it shows."""
    shown = text.replace("−", "").split("e")[0]
    last = len(shown.split(".")[1]) if "." in shown else 0
    slack = 0 if value == int(value) and "." not in text else 0.5 * 10.0**-last
    return abs(number(text) - value) <= slack + 1e-9


def padded(given, name):
    """An array as it is drawn: x with the cells that its padding reads, by NumPy's own pad.

    Round grad_x stands what lands in the padding: NaN here, which nothing is held to.
    """
    array = np.reshape(given[name]["data"], given[name]["shape"])
    problem = given["problem"]
    if name in ("x", "gradX") and not problem["transposed"]:
        sides = [(0, 0)] * 2 + [tuple(max(side, 0) for side in pair) for pair in problem["padding"]]
        if name == "gradX":
            return np.pad(array, sides, constant_values=np.nan)
        array = np.pad(
            array, sides, mode="constant" if problem["mode"] == "zeros" else problem["mode"]
        )
    return array


def planes_of(given, name, n):
    array = padded(given, name)
    if name == "bias":
        return array.reshape(1, -1, 1)
    if name in ("weight", "gradWeight"):
        return array.reshape(-1, *array.shape[2:])
    return array[n]


def compare(given, name, n, seen):
    """Hold what a canvas shows to an array; return how many cells had their number shown."""
    planes = planes_of(given, name, n)
    _, rows, columns = planes.shape
    border = max(max(map(max, given["problem"]["padding"])), 0)
    drawn = [text for text in seen["drawn"] if text[0] != "·"]
    wide, tall = seen["columns"], seen["rows"]
    # grad_x and a transposed out may be drawn with more round them than the array has.
    if (tall, wide) != (rows, columns) or len(drawn) != planes.size:
        return (
            0
            if border or len(drawn) < planes.size
            else pytest.fail(f"{name}: {len(drawn)} texts, {tall} x {wide}: {given['problem']}")
        )
    xs, ys = (sorted({text[axis] for text in drawn}) for axis in (1, 2))
    a_row = len(xs) // wide
    for text, x, y, _ in drawn:
        (down, i), (across, j) = divmod(ys.index(y), rows), divmod(xs.index(x), columns)
        value = planes[down * a_row + across, i, j]
        assert np.isnan(value) or agrees(text, value), (
            f"{name}[{down * a_row + across}, {i}, {j}]: {text}, not {value}"
        )
    return np.count_nonzero(~np.isnan(planes))


def heard(given, name, said):
    """Hold what a grid says of its cells to the array; return how many cells it told of."""
    array = np.reshape(given[name]["data"], given[name]["shape"])
    count = 0
    for line in dict.fromkeys(said):
        found = re.match(r"\w+\[([^\]]+)\] = ([^,]+)", line)
        index = tuple(int(number(at)) for at in found[1].split(","))
        if all(0 <= at < length for at, length in zip(index, array.shape, strict=True)):
            assert agrees(found[2], array[index]), f"{line}: not {array[index]}"
            count += 1
    return count


def integer(problem, rng):
    """The page's data for a problem in small whole numbers."""

    class Whole:
        def random(self):
            return 0.0

        def integers(self, _low, _high, shape):
            return rng.integers(-4, 5, shape)

    return page_cases.solve(problem, Whole())


def drawn_cases(count, seed):
    import npconv

    rng = np.random.default_rng(seed)
    made, refused = [], []
    while len(made) < count:
        problem = page_cases.draw(rng)
        try:
            given = integer(problem, rng)
        except npconv.ProblemError as error:
            refused.append((problem, error.sentence))
        else:
            # What is larger is not drawn.
            if given["out"]["data"] and max(len(given[k]["data"]) for k in ("out", "x")) < 2000:
                made.append(given)
    return made, refused


def test_what_is_drawn_and_said_of_220_geometries_is_npconvs(visit, default_html):
    page = visit(default_html, width=2200, height=1200, reduced_motion="reduce")
    made, _ = drawn_cases(220, seed=3)
    shown = dict.fromkeys(GRIDS.values(), 0)
    told = dict.fromkeys(GRIDS.values(), 0)
    for at, given in enumerate(made):
        n = at % given["problem"]["batch"]
        follow(page, link_of(given, n))
        for name, seen in zip(GRIDS.values(), page.evaluate(READ, list(GRIDS)), strict=True):
            try:
                shown[name] += compare(given, name, n, seen)
            except AssertionError as error:
                raise AssertionError(f"{error}: {given['problem']}") from None
        selector = list(GRIDS)[at % len(GRIDS)]
        told[GRIDS[selector]] += heard(given, GRIDS[selector], page.evaluate(WALK, selector))
    print(f"\nshown {shown}\ntold {told}")
    modes = {(g["problem"]["mode"], g["problem"]["transposed"]) for g in made}
    assert len(modes) == 6
    assert min(shown.values()) > 100
    assert sum(shown.values()) > 10_000
    assert min(told.values()) > 50


def test_a_geometry_that_npconv_refuses_is_refused_in_its_words(visit, default_html):
    page = visit(default_html)
    _, refused = drawn_cases(60, seed=4)
    before = page.evaluate(READ, ["#operation .tensor-out"])
    told = 0
    for problem, sentence in refused[:20]:
        follow(page, link_of({"problem": problem}))
        fault = page.locator(".op-fault")
        assert fault.is_visible()
        told += sentence in fault.inner_text()
        assert page.evaluate(READ, ["#operation .tensor-out"]) == before
    assert told >= len(refused[:20]) * 0.7  # a transposed size that is none has words of its own


def test_the_badge_says_that_all_values_are_equal(visit, default_html):
    page = visit(default_html)
    assert re.search(r"\d values equal npconv's", page.inner_text("#badge"))


@pytest.mark.parametrize("name", ["out", "gradX", "gradWeight"])
def test_the_badge_says_when_a_value_differs(visit, default_html, name):
    mark = re.compile(r'(<script type="application/json" id="given">)(.*?)(</script>)', re.DOTALL)
    data = json.loads(mark.search(default_html)[2])
    data[name]["data"][5] += 1e-3
    text = json.dumps(data).replace("<", "\\u003c")
    page = visit(mark.sub(lambda found: found[1] + text + found[3], default_html))
    assert "differs" in page.inner_text("#badge")


def test_pages_of_given_arrays_show_them(visit):
    from npconv import explain

    rng = np.random.default_rng(5)
    x, weight = rng.integers(-4, 5, (2, 2, 5, 6)), rng.integers(-2, 3, (4, 1, 3, 2))
    page = visit(explain.page(x, weight, padding=1, groups=2, padding_mode="reflect"))
    settle(page)
    assert "equal npconv's" in page.inner_text("#badge")
    said = page.evaluate(WALK, "#operation .tensor-x")
    given = {"x": {"shape": x.shape, "data": x.ravel()}}
    assert heard(given, "x", said) > 10
