"""The command ``msflow``: sub-commands, names of configurations, completion, a wheel elsewhere."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

import msflow_jax
from msflow_jax.commands import main as entry
from msflow_jax.storage.places import CONFIGS, find_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def msflow(shell):
    """`msflow("train", "--config=x")`: exit status and both streams."""
    return partial(shell, entry.main, "msflow")


def test_every_command_is_listed_and_has_its_forward(msflow):
    status, out, _ = msflow("--help")
    assert status == 0
    for name, file in entry.commands().items():
        module = importlib.import_module(f"msflow_jax.commands.{file.stem}")
        assert f"  {name} " in out and entry.summary(file) in out and callable(module.main)
        forwards = [ROOT / folder / file.name for folder in ("experiments", "tools")]
        (forward,) = (path for path in forwards if path.is_file())
        assert f"from msflow_jax.commands.{file.stem} import main, run" in forward.read_text()
    of_users = {p.stem for p in (ROOT / "experiments").glob("[a-z]*.py")}
    assert of_users <= {file.stem for file in entry.commands().values()}
    assert msflow() == msflow("--help") == msflow("help")


def test_nothing_that_is_said_names_a_file_that_a_wheel_lacks():
    """Help and messages; a page of the documentation is named by its title."""
    pages = re.findall(r"- ([^:\n]+): [\w/]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    for file in sorted((ROOT / "msflow_jax").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
        own = [n for n in ast.walk(tree) if isinstance(n, holders) and ast.get_docstring(n)]
        silent = {
            id(n.body[0].value) for n in own if file.parent.name != "commands" or n is not tree
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = "" if id(node) in silent else " ".join(node.value.split())
                assert not re.search(r"\b(docs|tools|tests|benchmarks)/\w", said), (file, said)
                for page in re.findall(r"the page (.+?) of the documentation", said):
                    assert page in pages, (file, page)


def test_help_version_and_what_is_wrong(msflow):
    assert msflow("--version") == (0, f"msflow_jax {msflow_jax.__version__}\n", "")
    status, out, _ = msflow("train", "--help")
    assert status == 0 and out.startswith("usage: msflow train") and "--config" in out
    assert msflow("convert_vae", "--help")[1].startswith("usage: msflow convert-vae")
    status, _, err = msflow("clasify")
    assert status == 2 and "did you mean classify?" in err and err.count("\n") == 1
    assert "msflow --help lists them" in msflow("qqq")[2]
    status, _, err = msflow("classify")
    assert status == 2 and "required" in err


def test_configurations_by_name(msflow, tmp_path, monkeypatch):
    status, out, _ = msflow("configs")
    assert status == 0 and len(out.splitlines()) == len(list(CONFIGS.glob("*.py")))
    assert "quickstart " in out and "Quickstart: graded lesions" in out
    monkeypatch.chdir(tmp_path)
    for given in ("quickstart", "configs/quickstart.py", "quickstart.py"):
        assert find_config(f"{given}:cpu") == f"{CONFIGS / 'quickstart.py'}:cpu"
    own = tmp_path / "configs" / "quickstart.py"
    own.parent.mkdir()
    shutil.copy(CONFIGS / "quickstart.py", own)
    assert find_config("configs/quickstart.py") == "configs/quickstart.py"  # the user's own
    for wrong, says in (
        ("quickstrat", "did you mean quickstart?"),
        ("elsewhere/quickstart.py", "msflow"),
    ):
        with pytest.raises(FileNotFoundError, match=says):
            find_config(wrong)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion(msflow, tmp_path):
    status, script, _ = msflow("completion", "bash")
    assert status == 0
    fake = tmp_path / "msflow"
    fake.write_text("#!/bin/sh\necho '--config FILE --workdir W'\n")
    fake.chmod(0o755)

    def complete(*words):
        line = " ".join(f'"{word}"' for word in words)
        run = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _msflow; echo ${{COMPREPLY[@]}}"
        out = subprocess.run(
            ["bash", "-c", f"{script}\n{run}"], capture_output=True, text=True, check=True,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )  # fmt: skip
        return out.stdout.split()

    assert complete("msflow", "tra") == ["train", "translate"]
    assert complete("msflow", "train", "--w") == ["--workdir"]
    assert complete("msflow", "train", "--config", "=", "quick") == ["quickstart"]
    assert {"quickstart", "own_images"} <= set(complete("msflow", "train", "--config", "="))
    assert complete("msflow", "train", "--config=quick") == ["quickstart"]  # as zsh has it
    assert "bashcompinit" in msflow("completion", "zsh")[1]
    assert msflow("completion", "fish")[0] == 2


def test_a_wheel_works_outside_the_repository(tmp_path):
    """Built from a copy, unpacked alone: what is not in it is not found."""
    source = tmp_path / "source"
    names = (
        "msflow_jax",
        "experiments",
        "configs",
        "setup.cfg",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    )
    for name in names:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(
                path, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(path, source / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--wheel-dir",
        tmp_path,
        source,
    ]
    made = subprocess.run([*map(str, build)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no wheel can be built here: {made.stderr.strip().splitlines()[-1]}")
    (wheel,) = tmp_path.glob("*.whl")
    site, place = tmp_path / "site", tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    place.mkdir()
    (place / "experiments").mkdir()  # a user's own, which hides ours
    (place / "experiments" / "__init__.py").write_text("")
    assert len(list((site / "msflow_jax" / "configs").glob("*.py"))) == len(
        list(CONFIGS.glob("*.py"))
    )
    assert (
        "msflow = msflow_jax.commands.main:main"
        in next(site.glob("*.dist-info/entry_points.txt")).read_text()
    )
    flags = ["train.steps=2", "train.eval_every=2", "data.phantoms.subjects=24", "train.writers=()"]
    flags += ["model.net.name=dit", "model.net.depth=1", "model.net.width=8", "model.net.patch=4"]
    flags += [
        "model.net.head_channels=8",
        "data.side=16",
        "data.phantoms.slices=1",
        "train.batch=8",
    ]
    command = [
        *(sys.executable, "-m", "msflow_jax", "train", "--config=quickstart", "--no-evaluate"),
        *(f"--config.{flag}" for flag in flags),
    ]
    run = subprocess.run(
        command, cwd=place, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert (place / "runs" / "quickstart" / "checkpoints").is_dir()
