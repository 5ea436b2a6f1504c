"""README and docs/: blocks of code compile, and commands in blocks and text name what is there."""

import ast
import configparser
import csv
import importlib
import json
import re
import shlex
import textwrap
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from reference_commands import parser_of

from msflow_jax.commands.main import commands
from msflow_jax.config import load_config, settings_table
from msflow_jax.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.S | re.M)
COMMAND = r"(python -m experiments\.\w|python tools/|python benchmarks/|msflow \w)"
# What an exported folder brings with it.
ELSEWHERE = {"load": "msflow_jax.inference.exported_loader"}
# Of an environment of its own: docs/export.md says which.
APART = {"onnx", "onnxruntime"}
# Programs that are not ours; whoever starts one of ours through another is looked through.
OTHERS = {"ruff", "mypy", "mkdocs", "pip", "curl"}
STARTERS = {"gcloud", "srun"}
NO_KEYS = {"as_trained", "csv", "load", "py"}  # of functions and files that look like settings
OPEN = {"...", "FILE.py", "C"}  # stand for a configuration of the reader's

pages = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())


@cache
def blocks(page):
    """The language and text of every block."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, textwrap.dedent(text)) for _, language, text in found]


@cache
def spans(page):
    """What stands in single backticks outside of blocks."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


@cache
def known_keys():
    return {key for family in FAMILIES for key in settings_table(family)}


@cache
def parser(name):
    file = commands()[name]
    return parser_of(importlib.import_module(f"msflow_jax.commands.{file.stem}").main)


@cache
def tool_flags(path):
    """Flags that a script's text adds, or that of a script beside it which it imports."""
    tree, found = ast.parse((ROOT / path).read_text(encoding="utf-8")), {"--help"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            found |= {a.value for a in node.args if isinstance(a, ast.Constant)}
        names = [getattr(node, "module", None) or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names + [a.name for a in getattr(node, "names", []) if hasattr(a, "name")]:
            other = Path(path).parent / f"{name.split('.')[-1]}.py"
            if (ROOT / other).is_file() and str(other) != path:
                found |= tool_flags(str(other))
    return found


def check_key(argument):
    """``--config.KEY=VALUE`` names a setting of some family, or a part of it that is one."""
    key = argument.removeprefix("--config.").split("=")[0]
    if key not in ("KEY", "a.b"):
        assert key in known_keys(), f"{argument}: no such setting"


def check_ours(name, arguments, whole):
    """A command of ours: its flags, and its configuration; ``whole``: nothing is left out."""
    assert name in commands() or name in ("configs", "completion"), (
        f"msflow {name}: no such command"
    )
    if name not in commands():
        return
    given = [a for a in arguments if a.startswith("--config.")]
    rest = [a for a in arguments if a not in given]
    for argument in given:
        check_key(argument)
    if not whole:
        flags = {flag for action in parser(name)._actions for flag in action.option_strings}
        named = {re.split(r"[=\[]", a)[0] for a in rest if re.match(r"--\w", a)}
        assert named <= {*flags, "--config"}, f"{name}: {named - flags}"
        return
    options, unknown = parser(name).parse_known_args(rest)
    assert not unknown, f"{name}: {unknown}"
    config = getattr(options, "config", None)
    if config and config not in OPEN:
        load_config([f"--config={config}", *given])


def check_words(words, whole):
    """One command as a list of words."""
    first, *rest = words
    name = Path(first).name
    if "NAME" in " ".join(rest[:2]):  # stands for any command
        return
    if name in STARTERS:
        inner = [w.removeprefix("--command=") for w in rest if w.startswith("--command=")]
        start = next((i for i, w in enumerate(words) if w == "msflow"), None)
        check_words(shlex.split(inner[0]) if inner else words[start:], whole)
    elif name == "msflow":
        if not rest[0].startswith("--"):
            check_ours(rest[0].replace("_", "-"), rest[1:], whole)
    elif name.startswith("python"):
        if rest[:1] == ["-c"]:
            compile(rest[1], "-c", "exec")
        elif rest[0] == "-m":
            if rest[1] not in ("venv", "pytest"):
                assert (ROOT / f"{rest[1].replace('.', '/')}.py").is_file(), rest[1]
                check_ours(rest[1].split(".")[1].replace("_", "-"), rest[2:], whole)
        else:
            assert (ROOT / rest[0]).is_file(), rest[0]
            if (command := Path(rest[0]).stem.replace("_", "-")) in commands():
                check_ours(command, rest[1:], whole)
            else:
                named = {a.split("=")[0] for a in rest[1:] if re.match(r"--\w", a)}
                assert named <= tool_flags(rest[0]), f"{rest[0]}: {named - tool_flags(rest[0])}"
    else:
        assert name in OTHERS, f"{first}: unknown; add it to OTHERS if it is meant"
        check_extras(" ".join(words))


def check_extras(text):
    """``pip install '.[one,two]'`` names extras that setup.cfg has."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    known = setup["options.extras_require"]
    for named in re.findall(r"(?:\.|msflow_jax)\[([\w,]+)\]", text):
        assert set(named.split(",")) <= set(known), named


def test_every_extra_is_on_the_page_and_is_installed_from_the_clone():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w.*?) \|", text, re.M)))
    assert set(setup["options.extras_require"]) <= set(listed)
    for page in PAGES:  # no index has the package
        by_name = re.findall(r"pip install [^`\n]*msflow_jax\[.*", page.read_text(encoding="utf-8"))
        assert all("--no-index" in line for line in by_name), (page, by_name)


def lines(text):
    """Commands of a shell block, with continued lines joined and chains taken apart."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


@pages
def test_blocks(page, capsys):
    for language, text in blocks(page):
        where = f"{page.name}: {text[:60]!r}"
        assert language in ("python", "sh", "json", "csv", "text"), f"{where}: name its language"
        try:
            if language == "python":
                check_python(text)
            elif language == "sh":
                for words in lines(text):
                    check_words(words, whole=True)
            elif language == "json":
                json.loads(text)
            elif language == "csv":
                assert len({len(row) for row in csv.reader(text.splitlines())}) == 1
        except SystemExit:
            pytest.fail(f"{where}: {capsys.readouterr().err}")


@pytest.mark.parametrize(
    "line",
    [
        "msflow trian",
        "msflow classify --workdir=W",  # --images is needed
        "msflow classify --workdir=W --images=P --covrage=0.9",
        "msflow train --config=quickstrat",
        "msflow train --config=quickstart --config.train.stepz=1",
        "msflow train --config=quickstart:gpu",
        "python -m experiments.trian",
        "python tools/make_reference.py --chek",
        "python benchmarks/scaling.py --outputs F",
        "pip install '.[medcial]'",
        "grep nothing",
    ],
)
def test_a_line_that_is_wrong_is_found(line):
    with pytest.raises((AssertionError, SystemExit, ValueError, OSError)):
        for words in lines(line):
            check_words(words, whole=True)


def check_python(text):
    """It compiles, and what it imports is there."""
    compile(text, "block", "exec")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for name in {alias.name for alias in node.names} - APART:
                importlib.import_module(ELSEWHERE.get(name, name))
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(ELSEWHERE.get(node.module, node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pages
def test_commands_and_settings_in_the_text(page):
    check_extras(page.read_text(encoding="utf-8"))
    for span in spans(page):
        word, _, rest = span.partition(" ")
        if re.match(COMMAND, span):
            check_words(shlex.split(span.replace(" ...", "")), whole=False)
        elif rest.startswith("--") and word in commands():
            check_ours(word, shlex.split(rest), whole=False)
        elif span.startswith("--config."):
            check_key(span.split()[0])
        elif re.fullmatch(r"(train|model|sample|data)(\.\w+)+(=[^ ]*)?", span):
            key = span.split("=")[0]
            part = any(known == key or known.startswith(f"{key}.") for known in known_keys())
            assert part or key.split(".")[-1] in NO_KEYS, f"{page.name}: {span}: no such setting"


def test_the_proof_of_streams_runs():
    (text,) = [text for language, text in blocks(ROOT / "docs/streams.md") if language == "python"]
    names = {}
    exec(text, names)
    np.testing.assert_allclose(names["found"][0], [0.7, 0.2, 0.1], atol=1e-5)


def test_the_readme_is_short_and_has_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len([b for b in blocks(ROOT / "README.md") if b[0] == "sh"]) == 2
    assert text.count("\n") <= 100
    assert set(re.findall(r"^\| `msflow ([\w-]+)", text, re.M)) <= set(commands())
