"""Draw docs/explain.png, with which README opens: the page of `npconv explain` in Chromium."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from npconv.explain import write_page

_VIEW = {"width": 1180, "height": 900}
_COLOURS = 128  # of a picture with few, so that it stays small


def main() -> None:
    """Write the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "page.html")
        write_page(path)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=_VIEW, color_scheme="light", device_scale_factor=1)
        page.goto(path.as_uri())
        page.locator("#algorithms").scroll_into_view_if_needed()  # it is drawn when it is seen
        page.get_by_role("button", name="Step 5").click()
        page.locator("#algorithms").evaluate(
            "section => scrollTo(0, section.getBoundingClientRect().top + scrollY + 190)"
        )
        page.wait_for_timeout(1000)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(_COLOURS).save(
        Path(__file__).parent / "explain.png", optimize=True
    )


if __name__ == "__main__":
    main()
