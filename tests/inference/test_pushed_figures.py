"""Figures that are given away with a model: of its own step, and without names of somebody's folders."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from msflow_jax.commands.push import push
from msflow_jax.evaluation.likelihood import evaluate_likelihood
from msflow_jax.inference import publishing
from msflow_jax.inference.standing_routes import read_standing
from msflow_jax.reports import build_report
from msflow_jax.storage import evaluations
from msflow_jax.workdir import open_workdir
from tests.evaluation.test_looks import learned
from tests.inference.test_standing_routes import block, given
from tests.kept import unpack


@pytest.mark.parametrize("step", [0, 5])
def test_a_report_of_another_step_is_warned_of(tmp_path, capsys, step):
    workdir = unpack("segment", tmp_path)
    (workdir / "report").mkdir(exist_ok=True)
    (workdir / "report" / "index.html").write_text("figures")
    file = evaluations.place(workdir, evaluations.names(workdir)[0]) / evaluations.FILE
    found = json.loads(file.read_text())
    found.setdefault("settings", {})["step"] = step or found["settings"].get("step", 24)
    file.write_text(json.dumps(found))
    expected = pytest.warns(UserWarning, match="is of step 5") if step else nullcontext()
    with expected:
        push(workdir, "me/model", with_report=True, dry_run=tmp_path / "out")
    said = capsys.readouterr().err
    assert ("the report's figures are of step 5, the model is of step 24" in said) == bool(step)


def test_figures_of_another_training_to_the_same_step_stay(tmp_path, capsys):
    """Those of these parameters go, and say so."""
    workdir = unpack("segment", tmp_path)
    (workdir / "report").mkdir(exist_ok=True)
    (workdir / "report" / "index.html").write_text("figures")
    name = evaluations.names(workdir)[0]
    file = evaluations.place(workdir, name) / evaluations.FILE
    found, digest = json.loads(file.read_text()), open_workdir(workdir).digest
    for parameters, gone in ((digest, True), ("b" * 16, False)):
        found.setdefault("settings", {}).update(step=24, parameters=parameters)
        file.write_text(json.dumps(found))
        out = tmp_path / f"out-{gone}"
        words = "is of an earlier training to step 24, the parameters of another one"
        with nullcontext() if gone else pytest.warns(UserWarning, match=words):
            push(workdir, "me/model", with_report=True, dry_run=out)
        said = capsys.readouterr().err
        assert ("figures are of an earlier training to step 24, the model is of" in said) != gone
        assert evaluations.names(out) == [name] * gone
    given = evaluations.read(tmp_path / "out-True", name)
    assert given["settings"]["parameters"] == digest == open_workdir(tmp_path / "out-True").digest


def test_folders_that_were_given_are_not_named():
    """Stand-ins, training images and the split are; figures stay."""
    bits = {
        "train": np.array([2.0, 2.5]), "test": np.array([2.0, 3.0]), "noise": np.array([7.0, 8.0]),
        "patients of Dr. Doe": np.array([4.0, 4.5]), "count": np.array([5.0, 5.5]),
    }  # fmt: skip
    found = evaluate_likelihood(bits, "test", "train", tuple(bits)[2:])
    given = publishing._unnamed({**found, "dimensions": 64})
    assert "Doe" not in json.dumps(given)
    names = ["train", "test", "noise", "given set 1", "given set 2"]
    assert given["sets"] == [row["name"] for row in given["per_set"]] == names
    assert given["outside"] == [row["name"] for row in given["detection"]] == names[2:]
    for now, then in zip(given["per_set"], found["per_set"], strict=True):
        assert {**now, "name": ""} == {**then, "name": ""}
    assert {k: given[k] for k in ("inside", "reference", "dimensions")} == {
        "inside": "test", "reference": "train", "dimensions": 64,
    }  # fmt: skip


def test_a_translation_keeps_its_warnings(tmp_path):
    """Of a bad route and of a wrong source, on the card and for whoever pulls it."""
    workdir = unpack("segment", tmp_path)
    name = evaluations.names(workdir)[0]
    file = evaluations.place(workdir, name) / evaluations.FILE
    found = json.loads(file.read_text())
    translation = block(learned(("dark", "middle")), draws=2, examples=4)
    translation["routes"][0] |= {"trained": True, "examples": 4, "unit": "HU", "per_unit": 2048.0}
    found["translation"] = translation
    found["sections"] = [*found.get("sections", ()), "translation"]
    file.write_text(json.dumps(found))
    push(workdir, "me/model", dry_run=tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert "dark to middle: worse than the unchanged image (18.0 dB)" in card
    here, there = read_standing(workdir), read_standing(tmp_path / "out")
    assert there.block == here.block and there.of_route("dark", "middle", 24)
    assert "look more like middle" in there.of_source(given("middle"), "dark")[0]
    page = build_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "dark to middle" in page and "No translation in evaluation.json" not in page
