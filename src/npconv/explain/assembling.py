"""The page's sources put into one file: styles, scripts in the order of their imports, and data."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "page"
_FIRST_STYLES = ("tokens.css", "base.css")
_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w-]+\.js)";[ \t]*\n', re.MULTILINE)
_TOP_NAME = re.compile(
    r"^(export )?(?:async )?(?:function\*?|class|const|let|var) +([A-Za-z_$][\w$]*)", re.MULTILINE
)


def assemble(data: Mapping[str, Any], title: str, sources: Path = SOURCES) -> str:
    """Return one HTML document of the sources in a folder, and what npconv computed.

    The folder has index.html with the marks ``<!-- title -->``, ``<!-- styles -->``,
    ``<!-- scripts -->`` and ``<!-- given -->``, styles/*.css and scripts/*.js.
    """
    page = (sources / "index.html").read_text(encoding="utf-8")
    parts = {
        "title": html.escape(title),
        "styles": f"<style>\n{_styles(sources / 'styles')}</style>",
        "given": f'<script type="application/json" id="given">{_json(data)}</script>',
        "scripts": f'<script type="module">\n{scripts(sources / "scripts")}</script>',
    }
    missing = [name for name in parts if page.count(f"<!-- {name} -->") != 1]
    if missing:
        raise ValueError(f"index.html has not one each of the marks {', '.join(missing)}.")
    return re.sub("<!-- (title|styles|given|scripts) -->", lambda mark: parts[mark[1]], page)


def scripts(folder: Path) -> str:
    """Return all modules of a folder as one: each after those that it imports from.

    Raises ValueError where a name stands at the top of two modules, is imported from a module that
    does not export it, or where modules import one another in a ring.
    """
    modules = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.js"))}
    _check_names(modules)
    return "".join(f"// ---- {name}\n{_plain(modules[name])}\n" for name in _ordered(modules))


def _styles(folder: Path) -> str:
    paths = sorted(
        folder.glob("*.css"),
        key=lambda path: (
            _FIRST_STYLES.index(path.name) if path.name in _FIRST_STYLES else 9, path.name,
        ),
    )  # fmt: skip
    return "".join(path.read_text(encoding="utf-8") for path in paths)


def _json(data: Mapping[str, Any]) -> str:
    """Return data as JSON that no text in it can end early."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(text: str) -> str:
    """Return a module's text without its imports, and with nothing exported."""
    text = _IMPORT.sub("", text)
    return re.sub(r"^export (?=async |function|class|const|let|var)", "", text, flags=re.MULTILINE)


def _check_names(modules: Mapping[str, str]) -> None:
    """Raise where a name is at the top of two modules, or is imported from where it is not."""
    owners: dict[str, str] = {}
    exported: dict[str, set[str]] = {}
    for module, text in modules.items():
        exported[module] = set()
        for export, name in _TOP_NAME.findall(text):
            if name in owners:
                raise ValueError(f"{name} is at the top of {owners[name]} and of {module}.")
            owners[name] = module
            if export:
                exported[module].add(name)
    for module, text in modules.items():
        for names, other in _IMPORT.findall(text):
            for name in filter(None, map(str.strip, names.split(","))):
                if name not in exported.get(other, ()):
                    raise ValueError(f"{module} imports {name}, which {other} does not export.")
        left = [line for line in _plain(text).splitlines() if re.match(r"(import|export)\b", line)]
        if left:
            raise ValueError(f"{module}: {left[0]!r} is not of the form that is assembled.")


def _ordered(modules: Mapping[str, str]) -> list[str]:
    """Return the modules' names, each after those that it imports from."""
    done: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            raise ValueError(f"modules import one another: {' -> '.join([*path, name])}.")
        path.append(name)
        for _, other in _IMPORT.findall(modules[name]):
            visit(other)
        done.append(path.pop())

    for name in modules:
        visit(name)
    return done
