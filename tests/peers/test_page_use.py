"""The explain page in use: by keyboard, on a phone, in the dark, by its link; and by axe."""

import statistics

import numpy as np
import pytest
from page_browser import follow, settle

from npconv import explain


def test_tab_reaches_every_control(visit, default_html):
    page = visit(default_html)
    controls = """
      () => [...document.querySelectorAll(
        "button, input, select, summary, a[href], [tabindex='0']")]
        .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled
          && one.tabIndex >= 0 && !(one.type === "radio" && !one.checked)).length
    """
    most = page.evaluate(controls)
    assert most > 40
    page.evaluate("globalThis.met = new Set()")
    for _ in range(most + 80):
        page.keyboard.press("Tab")
        page.evaluate("met.add(document.activeElement)")
    missed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, summary, a[href]")]
          .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled
            && one.tabIndex >= 0 && !(one.type === "radio" && !one.checked) && !met.has(one))
          .map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert missed == []


def test_the_geometry_changes_by_keys(visit, default_html):
    page = visit(default_html)
    before = page.inner_text("#facts")
    page.get_by_role("slider", name="stride, rows and columns").first.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.inner_text("#facts") != before


def test_a_cell_is_walked_to_and_edited_by_keys(visit, default_html):
    page = visit(default_html)
    cell = "#operation .tensor-x [role=gridcell]:not([hidden])"
    page.focus(cell)
    for key in ("PageUp", "PageUp", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    name = page.get_attribute(cell, "aria-label").split(" = ")[0]
    page.keyboard.type("-7")
    page.keyboard.press("Enter")
    settle(page)
    assert page.get_attribute(cell, "aria-label").startswith(f"{name} = −7")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(visit, default_html, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(default_html, width=width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    settle(page)
    found = Axe().run(page).response["violations"]
    assert [
        (fault["id"], [node["html"][:160] for node in fault["nodes"]][:4])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_system_chooses_the_theme_until_the_reader_does(visit, default_html):
    page = visit(default_html, color_scheme="dark", reduced_motion="reduce")
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_role("button", name="Change to light").focus()
    page.keyboard.press("Enter")
    settle(page)
    light = page.evaluate(colour)
    assert light != dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(colour) == light


@pytest.mark.parametrize(
    "link", ["size=%%%", "size=-1x0&stride=0x0", "x=a:b;;", "=&&=", "view=../x"]
)
def test_rubbish_in_the_link_breaks_nothing(visit, default_html, link):
    page = visit(default_html, link)
    assert "equal npconv's" in page.inner_text("#badge")


def test_the_link_restores_what_is_shown(visit, default_html):
    page = visit(default_html)
    follow(page, "stride=2x2&dilation=2x1&x=0.0.0.0:8")
    facts = page.inner_text("#facts")
    again = visit(default_html, page.evaluate("location.hash").removeprefix("#"))
    assert again.inner_text("#facts") == facts
    assert "8 × 8" not in facts.split("out")[-1].split("\n")[0]


def test_a_hover_is_painted_soon(visit):
    x, weight = np.ones((1, 3, 16, 16)), np.ones((2, 3, 5, 5))
    page = visit(explain.page(x, weight, padding=2))
    box = page.locator("#operation .tensor-out canvas").bounding_box()
    page.mouse.wheel(0, box["y"] - 100)
    settle(page)
    box = page.locator("#operation .tensor-out canvas").bounding_box()
    page.evaluate("waits.length = 0")
    for step in range(30):
        share = (step + 1) / 32
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 60 + 3 * step)
        settle(page)
    wait = statistics.median(page.evaluate("waits"))
    print(f"\nhover to repaint: {wait:.0f} ms")
    assert wait < 200
