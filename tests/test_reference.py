"""docs/reference: made from the code, up to date, and complete."""

import importlib.util
import json
import tarfile
from pathlib import Path

import pytest

from msflow_jax.config import default_config, settings_table
from msflow_jax.evaluation.measures import COUNTS, LESS, MEASURES, MORE
from msflow_jax.families import FAMILIES
from msflow_jax.settings import leaves

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date(tool):
    tool.main(["--check"])


def test_a_stale_page_is_named(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    monkeypatch.setattr(tool, "PAGES", {"measures.md": tool.measures})
    with pytest.raises(ValueError, match=r"measures\.md is not up to date: run python tools/make"):
        tool.main(["--check"])
    tool.main([])
    tool.main(["--check"])


def test_every_setting_is_there_with_its_default_and_meaning(tool):
    text = tool.configuration()
    for family in FAMILIES:
        table = settings_table(family)
        for key, default in leaves(default_config(family)):
            assert f"| `{key}` | " in text and f"`{default!r}`" in text and table[key].meaning
        for key in table:  # also those of networks that are not the default
            assert f"| `{key}` | " in text


def numbers(tree, path=()):
    """Names of the numbers in a nested JSON value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from numbers(value, (*path, key))
    elif isinstance(tree, list):
        for value in tree:
            yield from numbers(value, path)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield path


@pytest.mark.parametrize("kind", ["pixel", "coupling", "latent", "segment"])
def test_every_number_of_an_evaluation_is_explained(kind):
    with tarfile.open(ROOT / "tests" / "fixtures" / "workdirs" / f"{kind}.tar.gz") as archive:
        name = next(n for n in archive.getnames() if n.endswith("evaluation.json"))
        found = json.load(archive.extractfile(name))
    known = {name for part in MEASURES.values() for name in part} | COUNTS
    blocks = (
        "classification",
        "calibration",
        "segmentation",
        "generation",
        "likelihood",
        "abstain",
    )
    for block in blocks:
        for path in numbers(found.get(block, {})):
            if {"settings", "nearest", "confusion"} & set(path):
                continue
            assert known & set(path[-2:]), (block, path)


def test_measures_say_which_way_is_better():
    for part in MEASURES.values():
        for name, measure in part.items():
            assert measure.definition and measure.values and measure.direction, name
    assert (
        MEASURES["Classification (`classification`, of each split and subgroup)"]["nll"][2] == LESS
    )
    assert (
        MEASURES["Classification (`classification`, of each split and subgroup)"]["ece"][2] == LESS
    )
    assert MEASURES["Generated images (`generation`)"]["coverage"][2] == MORE
