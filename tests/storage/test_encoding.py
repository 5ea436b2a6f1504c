"""Text files are UTF-8 wherever the program runs, whatever the locale says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("msflow_jax", "experiments", "tools", "configs", "benchmarks")
TEXT = ("read_text", "write_text", "open", "fdopen", "NamedTemporaryFile", "TemporaryFile")
# Opens that are no files of text: pictures, archives, a workdir, links of the web.
OTHERS = (
    "Image",
    "archive",
    "tarfile",
    "zipfile",
    "webbrowser",
    "gzip",
    "os",
    "msflow_jax",
    "safetensors",
)


def opens_by_locale(call):
    """Whether a call opens a text file without saying its encoding."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in TEXT or any(word.arg == "encoding" for word in call.keywords):
        return False
    owner = getattr(function, "value", None)
    if isinstance(owner, ast.Name) and owner.id in OTHERS and name == "open":
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) < (1 if name == "read_text" else 2)
    words = [word.value for word in call.keywords if word.arg == "mode"]
    first = call.args[1:] if isinstance(function, ast.Name) and name == "open" else call.args
    mode = next((m.value for m in (*words, *first) if isinstance(m, ast.Constant)), None)
    binary = name.endswith("TemporaryFile")  # as it is by default there
    return not (binary if mode is None else "b" in str(mode))


def test_the_check_sees_what_it_should():
    wrong = ("p.read_text()", "p.write_text(x)", "p.open()", "open(p)", "p.open('a', newline='')")
    right = (
        "p.read_text('utf-8')", "p.open('rb')", "open(p, 'rb')", "open(p, 'w', encoding='utf-8')",
        "Image.open(p)", "TemporaryFile(dir=d)",
    )  # fmt: skip
    assert all(opens_by_locale(ast.parse(c, mode="eval").body) for c in wrong)
    assert not any(opens_by_locale(ast.parse(c, mode="eval").body) for c in right)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_text_file_says_its_encoding(folder):
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_by_locale(node)
    ]
    assert found == []
