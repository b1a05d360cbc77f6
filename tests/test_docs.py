"""Every block of the book runs and prints what its page says; links and figures are whole."""

import ast
import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

import cases
import npconv
import readme_blocks

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NPCONV = str(Path(sys.executable).with_name("npconv"))
SPECIALISTS = {"toeplitz", "small", "depthwise", "stencil"}  # which share a page
SOURCE = re.compile(r'<(?:img|source)\b[^>]* src(?:set)?="([^"]+)"')
UNWRAPPED = ("|", "!", "   ", "  <")  # tables, pictures, formulas, HTML
WORD = re.compile(r"\w+")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder to run in; threads are as many as before."""
    monkeypatch.chdir(tmp_path)
    threads = npconv.get_num_threads()
    yield tmp_path
    npconv.set_num_threads(threads)


def run_page(page):
    """Run the blocks of a page in order, in one namespace, and compare what each prints."""
    namespace = {"__name__": "page"}
    for number, block in enumerate(readme_blocks.blocks("python", page), 1):
        printed = io.StringIO()
        try:
            code = compile(block.source, f"{page.name}, block {number}", "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
        except Exception as error:
            raise AssertionError(
                f"{page.name}: {type(error).__name__}: {error} in\n{block.source}"
            ) from error
        compare(page, block, printed.getvalue())


def compare(page, block, printed):
    assert readme_blocks.says_the_same(block.output, printed), (
        f"{page.name} shows\n{block.output}\nand this was printed\n{printed}by\n{block.source}"
    )


def words(*texts):
    return {word for text in texts for word in WORD.findall(text)}


def skip_without_kernels(blocks):
    used = words(*(text for block in blocks for text in (block.source, block.output)))
    if absent := used & cases.absent():
        pytest.skip(f"the page shows {', '.join(sorted(absent))}, which wants Numba")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_print_what_the_page_says(page, home):
    skip_without_kernels(readme_blocks.blocks("python", page))
    run_page(page)


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page in PAGES for block in readme_blocks.blocks("console", page)],
    ids=lambda one: one.stem if isinstance(one, Path) else one.source[:40],
)
def test_commands_print_what_the_page_says(page, block, home):
    skip_without_kernels([block])
    assert block.commands
    printed = [readme_blocks.run([NPCONV, *arguments], home) for _, *arguments in block.commands]
    compare(page, block, "".join(printed))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_printed_is_shown(page):
    for block in readme_blocks.blocks("python", page):
        prints = any(
            isinstance(node, ast.Name) and node.id == "print"
            for node in ast.walk(ast.parse(block.source))
        )
        assert prints == bool(block.output), f"{page.name}:\n{block.source}"


def test_each_algorithm_has_its_page():
    blocks = {page.stem: readme_blocks.blocks("python", page) for page in PAGES}
    for name in npconv.algorithms():
        page = "specialists" if name in SPECIALISTS else name
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        assert name in text
        assert any("npconv.conv(" in block.source for block in blocks[page])
        assert f"`{name}`" in (DOCS / "how-it-works.md").read_text(encoding="utf-8")


def test_pages_are_short_and_in_the_book():
    book = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r"(\S+\.md)$", book, re.MULTILINE)) == [page.name for page in PAGES]
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), page.name
        assert len(lines) <= 210, page.name
        long = [line for line in lines if len(line) > 100 and not line.startswith(UNWRAPPED)]
        assert not long, f"{page.name}: {long}"


def test_links_and_pictures_are_there():
    shown = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in readme_blocks.LINK.findall(text) + SOURCE.findall(text):
            if ":" not in target:
                assert (DOCS / target).exists(), f"{page.name} leads to {target}"
                shown.add(target)
    pictures = {f"figures/{path.name}" for path in (DOCS / "figures").iterdir()}
    assert pictures
    assert pictures <= shown, f"no page shows {pictures - shown}"
    assert all((DOCS / picture).stat().st_size < 100_000 for picture in pictures)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", "page.md shows"),
        ("```python\n1 / 0\n```\n", "page.md: ZeroDivisionError"),
        ("```python\na = 1\n```\n```python\nprint(b)\n```\n", "NameError"),
        ("```python\nimport numpy as np\nnp.log(0)\n```\n", "RuntimeWarning"),
    ],
)
def test_a_fault_is_seen(source, message, home):
    page = home / "page.md"
    page.write_text(source, encoding="utf-8")
    with pytest.raises(AssertionError, match=message):
        run_page(page)
