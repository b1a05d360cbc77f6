"""Pages of `npconv explain` in Chromium: what they draw, what they say, and what they ask for."""

import shutil
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from npconv import explain

# Every text that a canvas shows, with its place, is kept beside it until it is cleared.
_DRAWN = """
const pen = CanvasRenderingContext2D.prototype;
const { fillText, clearRect } = pen;
pen.clearRect = function (...box) {
  this.canvas.drawn = [];
  this.canvas.frames = (this.canvas.frames ?? 0) + 1;
  return clearRect.apply(this, box);
};
pen.fillText = function (text, x, y, ...rest) {
  (this.canvas.drawn ??= []).push([text, x, y, this.textAlign]);
  return fillText.call(this, text, x, y, ...rest);
};
// The time from the pointer's event to the end of the frame that answers it, milliseconds.
globalThis.waits = [];
addEventListener("pointermove", (event) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => globalThis.waits.push(performance.now() - event.timeStamp);
  port2.postMessage(0);
}), true);
// Done once two more frames have been painted.
globalThis.settled = () => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
});
"""
_FOLLOW = """
(link) => new Promise((done) => {
  if (location.hash === `#${link}`) done();
  addEventListener("hashchange", () => settled().then(done), { once: true });
  location.hash = link;
})
"""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium: the system's, or else Playwright's own."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def default_html():
    """The page that `npconv explain` writes without arguments."""
    return explain.page()


@pytest.fixture
def visit(browser):
    """A function that opens a page; at the end of the test none has complained or asked for more.

    visit(html, link, width=1280, height=900, **context) returns Playwright's page, painted.
    """
    complaints = []
    folder = Path(tempfile.mkdtemp(prefix="npconv-page-"))
    contexts = []

    def open_page(html, link="", *, width=1280, height=900, **options):
        file = folder / f"{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        context.add_init_script(_DRAWN)
        context.set_default_timeout(10_000)
        page = context.new_page()
        watch(page, file.as_uri(), complaints)
        page.goto(file.as_uri() + (f"#{link}" if link else ""))
        settle(page)
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    shutil.rmtree(folder)
    assert complaints == []


def watch(page, address, complaints):
    """Write down what a page complains about on the console, and what it requests but itself."""

    def console(message):
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    def request(asked):
        if asked.url.split("#")[0] != address and not asked.url.startswith(("data:", "blob:")):
            complaints.append(f"request: {asked.url}")

    page.on("console", console)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", request)


def settle(page):
    """Wait until what has just happened is painted."""
    page.evaluate("settled()")


def follow(page, link):
    """Go to a link of the page that is open, and wait until it is painted."""
    page.evaluate(_FOLLOW, link)


def link_of(given, n=0):
    """Return the link to a problem with all its numbers: what is behind the "#"."""
    problem = given["problem"]

    def pair(name):
        return "x".join(map(str, problem[name]))

    parts = {
        "size": pair("size"), "kernel": pair("kernelSize"), "stride": pair("stride"),
        "dilation": pair("dilation"), "more": pair("outputPadding"),
        "padding": ",".join(str(side) for sides in problem["padding"] for side in sides),
        "batch": problem["batch"], "in": problem["inChannels"], "out": problem["outChannels"],
        "groups": problem["groups"], "mode": problem["mode"], "layout": problem["layout"],
        "transposed": int(problem["transposed"]), "n": n,
    }  # fmt: skip
    for key, name in (("x", "x"), ("w", "weight"), ("g", "gradOut"), ("b", "bias")):
        if name in given:
            parts[key] = _cells(**given[name])
    return "&".join(f"{key}={value}" for key, value in parts.items())


def _cells(shape, data):
    cells = []
    for flat, value in enumerate(data):
        index = []
        for length in reversed(shape):
            flat, at = divmod(flat, length)
            index.insert(0, str(at))
        cells.append(f"{'.'.join(index)}:{value:.9g}")
    return ";".join(cells)
