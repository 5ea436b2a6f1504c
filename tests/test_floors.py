"""The floors of the house: a room imports from the rooms below it, and no generic room from a family."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "msflow_jax"
FAMILY_ROOMS = {"symmetric", "coupling", "diffusers", "synergy"}
# From the top down. Rooms of one floor do not import each other.
FLOORS = (
    {"commands"},
    {"serving"},
    {"teachers"},
    {"workdir"},
    FAMILY_ROOMS,
    {"paired"},
    {"latent", "inference"},
    {"evaluation", "training", "config"},
    {"choices"},
    {"data", "reports", "parallel", "convert", "ode"},
    {"nets", "streams", "storage", "progress", "families"},
    {"train_settings"},
    {"settings"},
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    """``msflow_jax.data.sources.listings.loading`` -> ``data``; "" for the package itself."""
    return [*module.split("."), ""][1]


def imported(path: Path) -> set[str]:
    """Modules of the library that a file imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name for alias in node.names} - {"__version__"}
            parts = {f"{node.module}.{name}" for name in names}
            found |= parts if node.module == "msflow_jax" else {node.module}
    return {name for name in found if name.split(".")[0] == "msflow_jax"}


def height(name: str) -> int:
    """Number of the floor, 0 at the top."""
    return next(i for i, floor in enumerate(FLOORS) if name in floor)


def test_every_room_has_a_floor():
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in MODULES} - {
        "__init__", "__main__",
    }  # fmt: skip
    assert rooms == set().union(*FLOORS)
    loose = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert loose == {
        "streams",
        "ode",
        "families",
        "choices",
        "config",
        "workdir",
        "progress",
        "settings",
        "train_settings",
        "teachers",
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert imported(path) <= {"msflow_jax.inference.flow", "msflow_jax.workdir"}
        return
    if own == "__main__":
        assert imported(path) == {"msflow_jax.commands.main"}
        return
    for module in imported(path):
        other = room(module)
        if other != own:
            assert height(own) < height(other), f"{path.name} of {own} imports {module}"


def test_data_sources_do_not_import_each_other_in_a_circle():
    start = "msflow_jax.data.sources."
    graph: dict[str, set[str]] = {}
    for path in (PACKAGE / "data" / "sources").rglob("*.py"):
        own = path.relative_to(PACKAGE / "data" / "sources").parts[0].removesuffix(".py")
        others = {name.removeprefix(start).split(".")[0] for name in imported(path)
                  if name.startswith(start)}  # fmt: skip
        graph.setdefault(own, set()).update(others - {own})
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_nothing_imports_what_the_user_sees():
    for path in MODULES:
        text = re.sub(r"python -m experiments", "", path.read_text(encoding="utf-8"))
        assert not re.search(r"\bimport experiments|from (experiments|tools)\b", text), path


def test_no_line_outside_a_family_asks_for_one():
    """``python benchmarks/structure.py`` counts them."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("structure", ROOT / "benchmarks" / "structure.py")
    structure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(structure)
    assert structure.asking(ROOT) == []


def test_files_and_functions_can_be_held_in_the_head():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 250, f"{path} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 75, f"{path.name}: {node.name} has {lines} lines"


def test_words_of_old_are_gone():
    """Section "Words" of docs/architecture.md: coined words that the field does not know."""
    old = re.compile(
        r"\b(doubts?|runners?[- _]up|put aside|batch-mates|surest|forgers?|mend(s|ed)?|anew|doors?"
        r"|whole or not at all|wished|tempered|codeless|swung|reading[ _]share|picture mask"
        r"|contrast maps?|(images|bytes|lines|levels) an? (device|shard|file|step|second|chip))\b",
        re.I,
    )
    for path in [
        *MODULES,
        *ROOT.glob("experiments/*.py"),
        *ROOT.glob("tools/*.py"),
        *ROOT.glob("configs/*.py"),
        ROOT / "README.md",
        *ROOT.glob("docs/**/*.md"),
    ]:
        # Lines _RENAMED hold the names of format 1, which a family translates.
        found = old.search(re.sub(r"\b_RENAMED = .*", "", path.read_text(encoding="utf-8")))
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]!r}"
