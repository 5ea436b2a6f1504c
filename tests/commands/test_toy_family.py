"""A family is a package and a line in ``FAMILIES``: the tests' toy family through every command."""

import csv

import numpy as np
import pytest

from msflow_jax.families import FAMILIES
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training.records import read_records
from tests.commands.conftest import evaluation, quickly

CONFIG = """
from msflow_jax.config import default_config


def get_config():
    config = default_config("toy")
    config.data.name = "folder"
    config.train.update({"steps": 30, "batch": 8, "eval_every": 15, "log_every": 1})
    config.train.update({"learning_rate": 0.3, "writers": ()})
    return config
"""


@pytest.fixture(autouse=True, scope="module")
def toy():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", "tests.toy.family")
        yield


@pytest.fixture(scope="module")
def arguments(toy, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.py").write_text(CONFIG)
    return [
        f"--config={folder / 'toy.py'}", f"--workdir={folder / 'run'}",
        f"--config.data.root={pictures}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def workdir(arguments, tmp_path_factory):
    """Workdir of a whole run: both stages trained, evaluated, reported."""
    from pathlib import Path

    from msflow_jax.commands.train import main

    with quickly():
        main(arguments)
    return Path(arguments[1].split("=")[1])


def params(workdir, stage):
    with Checkpoints(workdir / "stages" / stage / "checkpoints", read_only=True) as kept:
        return kept.restore_params()[1]


def test_it_trains_in_two_stages_with_a_frozen_part(workdir):
    assert set(params(workdir, "features")) == {"features"}
    assert set(params(workdir, "head")) == {"head"}  # what is frozen is not there
    for stage, loss in (("features", "loss_features"), ("head", "loss_head")):
        rows = [r for r in read_records(workdir / "stages" / stage) if loss in r]
        assert [r["step"] for r in rows] == list(range(1, 31))
        assert rows[-1][loss] < rows[0][loss]


def test_it_is_evaluated_and_reported(workdir):
    found = evaluation(workdir)
    assert found["family"] == "toy"
    assert found["sections"] == ["classification", "abstain", "features"]
    assert found["classification"]["accuracy"] > 0.9
    assert set(found["features"]) == {"mean", "sd"}
    page = (workdir / "report" / "index.html").read_text()
    assert 'id="features"' in page and "toy" in page


def test_it_classifies(workdir, pictures, command, tmp_path):
    out = command(
        "classify", f"--workdir={workdir}", f"--images={pictures / 'test'}",
        f"--output={tmp_path / 'p.csv'}",
    )  # fmt: skip
    assert out.status == 0, out.err
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    correct = [row["class"] == row["name"].split("/")[0] for row in rows]
    assert np.mean(correct) > 0.9 and {row["abstain"] for row in rows} <= {"0", "1"}


def test_it_answers_after_its_first_stage(workdir, command):
    out = command("evaluate", f"--workdir={workdir}", "--split=val", "--stage=features")
    assert out.status == 0, out.err
    found = evaluation(workdir, "val-features")
    assert "images are classified by 'test'" in out.out
    out = command("evaluate", f"--workdir={workdir}", "--adopt=val-features")
    assert out.status == 2 and "is of the stage 'features'" in out.err
    assert found["sections"] == ["features"] and "classification" not in found
    out = command("evaluate", f"--workdir={workdir}", "--stage=legs")
    assert out.status == 2 and "'features', 'head'" in out.err


def test_a_finished_run_is_skipped(workdir, arguments, command):
    before = {p: p.read_bytes() for p in workdir.glob("stages/*/metrics.jsonl")}
    out = command("train", *arguments, "--no-evaluate")
    assert out.status == 0, out.err
    assert before == {p: p.read_bytes() for p in workdir.glob("stages/*/metrics.jsonl")}


def test_what_it_cannot_do_is_said(workdir, arguments, pictures, command, tmp_path):
    given = f"--workdir={workdir}", f"--output={tmp_path}"
    out = command("generate", *given)
    assert out.status == 2 and "cannot generate; this one can classify" in out.err
    out = command("explain", *given, f"--images={pictures}")
    assert out.status == 2 and "has no likelihood to explain" in out.err
    out = command("evaluate", f"--workdir={workdir}", "--steps=2")
    assert out.status == 2 and "classify of this model has no steps" in out.err
    out = command("train", *arguments, "--config.model.colour=red", "--config.data.root=nowhere")
    assert out.status == 2 and "unknown model.colour 'red'" in out.err  # before any data are read
    out = command("train", *arguments, "--config.model.net.width=3")
    assert out.status == 2 and "a setting of the family 'symmetric'" in out.err
