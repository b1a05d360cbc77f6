"""The page's controls by keyboard alone: presets, playback, tabs, the photo, what is copied."""

import re

import pytest
from page_browser import settle

OUT = "#operation .tensor-out [role=gridcell]:not([hidden])"


def press(page, name, key="Enter", role="button", within="main"):
    """Put the focus on a control and press a key there."""
    page.locator(within).get_by_role(role, name=name, exact=isinstance(name, str)).first.focus()
    page.keyboard.press(key)
    settle(page)


@pytest.mark.parametrize(
    ("preset", "call"),
    [("stride 2", "stride=2"), ("dilated", "dilation=2"), ("depthwise", "groups="),
     ("transposed stride 2", "conv_transpose("), ("reflect", 'padding_mode="reflect"'),
     ("crop", "padding="), ("asymmetric", "padding=((")],
)  # fmt: skip
def test_presets_change_the_problem_and_its_call(visit, default_html, preset, call):
    page = visit(default_html)
    press(page, preset, within="#operation")
    assert call in page.inner_text("#call")
    assert page.locator("#operation .op-fault").is_hidden()
    press(page, "3×3 same", within="#operation")
    assert "npconv.conv(x, weight, padding=1)" in page.inner_text("#call")


@pytest.mark.parametrize("within", ["#operation", "#backward"])
def test_playback_steps_and_plays(visit, default_html, within):
    page = visit(default_html, reduced_motion="reduce")
    step = page.locator(f"{within} .playback-range").first
    press(page, "First", within=within)
    assert step.input_value() == "0"
    press(page, "One step on", within=within)
    press(page, "One step on", within=within)
    assert step.input_value() == "2"
    press(page, "One step back", within=within)
    assert step.input_value() == "1"
    step.focus()
    page.keyboard.press("End")
    assert step.input_value() == step.get_attribute("max")
    page.keyboard.press("Home")
    press(page, re.compile("Play"), within=within)
    page.wait_for_function("(one) => one.value !== '0'", arg=step.element_handle())
    press(page, re.compile("Pause"), within=within)
    stands = step.input_value()
    page.wait_for_timeout(1000)
    assert step.input_value() == stands


def test_keys_of_a_grid(visit, default_html):
    page = visit(default_html)
    page.focus(OUT)

    def at():
        label = page.get_attribute(OUT, "aria-label")
        return [int(n) for n in re.match(r"out\[([\d, ]+)\]", label)[1].split(",")]

    for key, index in (
        ("Home", 0), ("End", 7), ("ArrowLeft", 6), ("ArrowRight", 7), ("ArrowRight", 7),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert at()[3] == index
    page.keyboard.press("PageDown")
    assert at()[1] == 1
    page.keyboard.press("PageUp")
    assert at()[1] == 0


def test_every_algorithm_has_its_panel(visit, default_html):
    page = visit(default_html)
    page.locator("#algorithms").scroll_into_view_if_needed()
    settle(page)
    tabs = page.locator("#algorithms [role=tab]")
    tabs.first.wait_for()
    count = tabs.count()
    assert count == 10
    tabs.first.focus()
    seen = set()
    for _ in range(count):
        seen.add(page.locator("#algorithms [role=tabpanel]:visible").first.inner_text()[:200])
        page.keyboard.press("ArrowRight")
        settle(page)
    assert len(seen) == count


def test_the_tour_is_walked(visit, default_html):
    page = visit(default_html)
    page.locator("#algorithms").scroll_into_view_if_needed()
    page.get_by_role("button", name="Step 1").wait_for()
    titles = []
    for _ in range(5):
        titles.append(page.locator(".alg-tour-guide h4, .alg-tour-guide h3").first.inner_text())
        if page.get_by_role("button", name="Next").is_enabled():
            press(page, "Next", within="#algorithms")
    assert len(set(titles)) == 5


def test_what_is_copied_is_what_is_shown(visit, default_html):
    page = visit(default_html, permissions=["clipboard-read", "clipboard-write"])
    press(page, "Copy the call in npconv", within="#call")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "npconv.conv(x, weight, padding=1)" in copied
    press(page, "npconv", "ArrowRight", role="tab", within="#call")
    press(page, "Copy the call in PyTorch", within="#call")
    assert "torch" in page.evaluate("navigator.clipboard.readText()")


def test_the_photo_by_keys(visit, default_html):
    page = visit(default_html)
    page.locator("#photo").scroll_into_view_if_needed()
    settle(page)
    divider = page.locator("#photo input[type=range]").first
    before = divider.input_value()
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert divider.input_value() != before
    for kernel in ("sharpen", "sobel"):
        press(page, kernel, "Space", role="radio", within="#photo")
        assert f'"{kernel}"' in page.locator("#photo pre").inner_text()
    number = page.locator("#photo").get_by_label("row 0, column 1")
    number.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    settle(page)
    assert number.input_value() == "3"
    assert "[[-1, 3, -1]" in page.locator("#photo pre").inner_text()


def test_a_reload_shows_the_same(visit, default_html):
    page = visit(default_html)
    press(page, "stride 2", within="#operation")
    facts = page.inner_text("#facts")
    page.wait_for_function("() => location.hash.includes('stride=2x2')")
    page.reload()
    settle(page)
    assert page.inner_text("#facts") == facts
