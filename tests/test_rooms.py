"""The rules between the rooms of src/npconv, read from the sources without importing them."""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "npconv"
MAX_LINES = 320

# Who may import whom: a room sees its own floor and the floors below it, never one above.
GROUND = 1  # the rooms not named here: problem, layout, borders, arrays and their kin
FLOORS = {
    "kernels": 0,
    "errors": 0,
    "algorithms": 2,
    "directions": 3,
    "phasing": 3,
    "execution": 3,
    "wisdom": 3,
    "planner": 3,
    "door": 4,
    "api": 4,
    "pooling": 4,
    "gradcheck": 4,
    "channelwise": 4,
    "insides": 4,
    "direct": 5,
    "signal": 5,
    "ndimage": 5,
    "images": 5,
    "nn": 5,
    "bridges": 5,
    "explain": 5,
    "bench": 5,
    "cli": 5,
    "__main__": 6,
}
OUTER = {room for room, floor in FLOORS.items() if floor >= 5}
# What an outer room may use of its neighbours, through their front doors.
NEIGHBOURS = {
    "signal": {"direct"},
    "ndimage": {"direct", "bands", "ordered"},
    "images": {"bands", "replacing"},
    "nn": {"channelwise", "figures"},
    "explain": {"figures", "images", "insides", "replacing"},
    "bench": {"signal", "ndimage", "images", "compiler", "figures", "nn", "peak"},
    "cli": {"images", "bench", "compiler", "explain", "nn", "wisdom"},
    "__main__": {"cli"},
}

REQUIRED = {"numpy", "numba", "llvmlite", "PIL", "typer", "click", "rich", "threadpoolctl"}
OPTIONAL = {
    "autograd", "cv2", "dask", "jax", "matplotlib", "ncnn", "onnx", "onnxruntime", "openvino",
    "safetensors", "scipy", "skimage", "sklearn", "tensorflow", "torch",
}  # fmt: skip
COMPILER = {"numba", "llvmlite"}
CONTRACT = ("NAME", "why_not", "cost", "forward")
NOT_ALGORITHMS = {"__init__", "contract"}


@dataclass(frozen=True)
class Import:
    """One imported module: `from a.b import c` gives module "a.b" and name "c".

    room is the room of npconv it enters; "" for the front door and for other packages.
    """

    line: int
    module: str
    name: str
    room: str


class Source:
    """One parsed file, its place in the package and what it imports."""

    def __init__(self, path: Path, root: Path) -> None:
        self.rooms = {entry.stem for entry in root.iterdir()}
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        self.where = path.relative_to(root).as_posix()
        self.parts = self.where.removesuffix(".py").split("/")
        self.room = self.parts[0]
        self.imports = list(self._imports())

    def _imports(self) -> Iterator[Import]:
        package = ["npconv", *self.parts[:-1]]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield self._import(node, alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield self._import(node, module, alias.name)
            elif isinstance(node, ast.Attribute):
                chain = ast.unparse(node).split(".")
                if chain[0] == "npconv" and len(chain) == 2:
                    yield self._import(node, "npconv", chain[1])

    def _import(self, node: ast.stmt | ast.expr, module: str, name: str = "") -> Import:
        package, *inside = module.split(".")
        room = (inside or [name])[0] if package == "npconv" else ""
        return Import(node.lineno, module, name, room if inside or room in self.rooms else "")

    def names(self) -> set[str]:
        """The names bound at the top of the file."""
        names = set()
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            elif isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name for alias in node.names}
        return names


def read(root: Path) -> list[Source]:
    return [Source(path, root) for path in sorted(root.rglob("*.py"))]


def assigned(source: Source, name: str) -> ast.expr | None:
    """The expression that the top of a file gives to `name`."""
    for node in source.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    return None


def floor(room: str) -> int:
    return FLOORS.get(room, GROUND)


def public_names(sources: list[Source]) -> set[str]:
    front = next(source for source in sources if source.where == "__init__.py")
    listed = assigned(front, "__all__")
    assert listed is not None, "src/npconv/__init__.py has no __all__"
    return {*ast.literal_eval(listed), "__version__"}


def arrows_back(sources: list[Source]) -> Iterator[str]:
    """Rule 1: api -> planner -> algorithms -> kernels, and no arrow back."""
    for source in sources:
        if source.where == "__init__.py":
            continue
        for item in source.imports:
            if item.room and floor(item.room) > floor(source.room):
                yield f"{source.where}:{item.line}: {source.room} imports {item.room} above it"
            elif item.module == "npconv" and not item.room and source.room not in OUTER:
                yield f"{source.where}:{item.line}: {source.room} goes through the front door"


def algorithms_apart(sources: list[Source]) -> Iterator[str]:
    """Rule 2: algorithms never import each other; what two need goes to arrays.py."""
    for source in sources:
        if source.room != "algorithms" or source.parts[1] in NOT_ALGORITHMS:
            continue
        others = {s.parts[1] for s in sources if s.room == "algorithms"}
        others -= {source.parts[1], *NOT_ALGORITHMS}
        for item in source.imports:
            inside = item.room == "algorithms"
            if inside and others & {item.name, *item.module.split(".")[2:]}:
                yield f"{source.where}:{item.line}: an algorithm imports another algorithm"
            elif not inside and (item.room == "layout" or floor(item.room) > GROUND):
                yield f"{source.where}:{item.line}: an algorithm imports {item.room}"


def kernels_alone(sources: list[Source]) -> Iterator[str]:
    """Rule 3: kernels know nothing of npconv's other rooms, and only they know Numba."""
    for source in sources:
        inside = source.room == "kernels"
        for item in source.imports:
            if inside and item.module.split(".")[0] == "npconv" and item.room != "kernels":
                yield f"{source.where}:{item.line}: a kernel imports {item.module}"
            if not inside and item.module.split(".")[0] in COMPILER:
                yield f"{source.where}:{item.line}: {item.module} is imported outside kernels"


def public_only(sources: list[Source]) -> Iterator[str]:
    """Rule 4: the outer rooms use public names, and one another only as NEIGHBOURS says."""
    public = public_names(sources)
    for source in sources:
        if source.room not in OUTER:
            continue
        for item in source.imports:
            if item.module.split(".")[0] != "npconv" or item.room == source.room:
                continue
            if item.room in NEIGHBOURS.get(source.room, ()):
                if item.module.count(".") > 1 or item.name.startswith("_"):
                    yield f"{source.where}:{item.line}: {item.module} is behind a front door"
            elif item.room in OUTER:
                yield f"{source.where}:{item.line}: {source.room} imports its neighbour {item.room}"
            elif item.module != "npconv" or (item.name and item.name not in public):
                name = f"{item.module}.{item.name}".rstrip(".")
                yield f"{source.where}:{item.line}: {source.room} uses {name}, which is not public"


def one_file_each(sources: list[Source]) -> Iterator[str]:
    """Rule 5: each optional dependency is imported in one file, and no other package is.

    The bench measures some that another room bridges to: its file of that peer counts apart.
    """
    files = defaultdict(set)
    for source in sources:
        for item in source.imports:
            package = item.module.split(".")[0]
            if package in OPTIONAL:
                files[package, source.where.startswith("bench/peers/")].add(source.where)
            elif package not in {"npconv", *REQUIRED, *sys.stdlib_module_names}:
                yield f"{source.where}:{item.line}: {package} is no dependency of npconv"
    for (package, _), places in files.items():
        if len(places) > 1:
            yield f"{package} is imported in {len(places)} files: {', '.join(sorted(places))}"


def algorithms_whole(sources: list[Source]) -> Iterator[str]:
    """An algorithm is a module with the contract's names, listed once in ALGORITHMS."""
    table = next(s for s in sources if s.where == "algorithms/__init__.py")
    if "ALGORITHMS" not in table.names():
        yield f"{table.where}: the table ALGORITHMS is missing"
    modules = assigned(table, "_MODULES")
    listed = (
        [node.id for node in ast.walk(modules) if isinstance(node, ast.Name)] if modules else []
    )
    for source in sources:
        if source.room != "algorithms" or source.parts[2:] not in ([], ["__init__"]):
            continue
        name = source.parts[1]  # of a file, or of a package's folder
        if name in NOT_ALGORITHMS:
            continue
        for part in CONTRACT:
            if part not in source.names():
                yield f"{source.where}: {part} is missing"
        for part in ("input_grad", "weight_grad"):
            if (part in source.names()) != (f"{part}_cost" in source.names()):
                yield f"{source.where}: {part} and {part}_cost come together"
        if ast.unparse(assigned(source, "NAME") or source.tree) != repr(name):
            yield f"{source.where}: NAME is not {name!r}, the file's name"
        if listed.count(name) != 1:
            yield f"{source.where}: listed {listed.count(name)} times in _MODULES"


def short_files(sources: list[Source]) -> Iterator[str]:
    """One purpose a file: about 300 lines at most."""
    for source in sources:
        lines = len(source.text.splitlines())
        if lines > MAX_LINES:
            yield f"{source.where}: {lines} lines, {MAX_LINES} at most"


RULES: tuple[Callable[[list[Source]], Iterator[str]], ...] = (
    arrows_back,
    algorithms_apart,
    kernels_alone,
    public_only,
    one_file_each,
    algorithms_whole,
    short_files,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rooms_keep_the_rule(rule):
    assert list(rule(read(SOURCE))) == []
