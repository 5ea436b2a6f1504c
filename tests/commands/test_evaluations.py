"""Evaluations by name through the commands: by which images are classified, and that none is lost."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

import msflow_jax
from msflow_jax import workdir as workdirs
from tests.commands.conftest import evaluation


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def classify(copied, pictures, tmp_path, command):
    """The rows of a table of the test images."""

    def call(*more):
        images, output = pictures / "test", tmp_path / "p.csv"
        out = command(
            "classify", f"--workdir={copied}", f"--images={images}", f"--output={output}", *more
        )
        assert out.status == 0, out.err
        return read(output)

    return call


def test_predictions_are_on_paper(trained):
    rows = read(trained / "evaluations" / "test" / "predictions.csv")
    measured = evaluation(trained)
    assert len(rows) == 12 and rows[0]["name"].startswith("test/dark/")
    correct = [row["true_class"] == row["class"] for row in rows]
    assert np.mean(correct) == pytest.approx(measured["classification"]["accuracy"])
    assert {"true_label", "label", "p_dark", "uncertainty_distance", "abstain"} <= set(rows[0])
    assert {row["evaluation"] for row in rows} == {f"test (step {measured['settings']['step']})"}
    with np.load(trained / "evaluations" / "test" / "evaluation.npz") as shown:
        assert int(shown["classify_predicted"]) == int(rows[0]["label"])
        assert int(shown["classify_end"]) in (0, 1)  # of one draw, which may be another
    assert measured["paths"]["draws"] == 2 and measured["paths"]["steps"]["classify"] == 24
    again = msflow_jax.open(trained)
    assert (again.calibration.name, again.calibration.step) == ("test", again.step)


def test_another_evaluation_changes_nothing_until_it_is_adopted(
    copied, pictures, command, classify
):
    before, page = classify(), (copied / "report" / "index.html").read_text()
    kept = (copied / "evaluations" / "test" / "evaluation.json").read_bytes()
    given = f"--workdir={copied}", "--draws=3", "--prior=uniform"
    out = command("evaluate", *given)
    assert out.status == 2 and "draws=2, not 3" in out.err and "(--name=...)" in out.err
    out = command("evaluate", *given, "--split=val", "--name=three")
    assert out.status == 0 and "images are classified by 'test'" in out.out
    assert (copied / "evaluations" / "test" / "evaluation.json").read_bytes() == kept
    assert classify() == before
    index = (copied / "report" / "index.html").read_text()
    assert "three.html" in index and "three.html" not in page
    assert "evaluation three" in (copied / "report" / "three.html").read_text()
    out = command("evaluate", f"--workdir={copied}", "--adopt=three")
    assert out.status == 0, out.err
    flow = msflow_jax.open(copied)
    assert (
        flow.calibration.settings["draws"] == 3 and flow.calibration.settings["prior"] == "uniform"
    )
    assert {row["evaluation"] for row in classify()} == {f"three (step {flow.step})"}
    assert "test.html" in (copied / "report" / "index.html").read_text()


def test_images_from_elsewhere(copied, pictures, tmp_path, command):
    """Beside the test split, by its thresholds: those of the test split itself give its own scores."""
    table = tmp_path / "b.csv"
    shutil.copytree(pictures / "test", tmp_path / "b")
    files = sorted((tmp_path / "b").glob("*/*.png"))
    lines = [f"b/{f.parent.name}/{f.name},{f.parent.name}\n" for f in files]
    table.write_text("path,label\n" + "".join(lines))
    own = [f"test/{line.removeprefix('b/')}" for line in lines[:2]]
    (pictures / "own.csv").write_text("path,label\n" + "".join(own))
    with pytest.warns(
        UserWarning, match="2 of 2 images are, pixel by pixel, images of the run's own data"
    ):
        given = f"--images={pictures / 'own.csv'}"
        assert command("evaluate", f"--workdir={copied}", given, "--name=own").status == 0
    (pictures / "own.csv").unlink()
    before = (copied / "evaluations" / "standing.json").read_text()
    out = command("evaluate", f"--workdir={copied}", f"--images={table}", "--name=siteB")
    assert out.status == 0, out.err
    test, site = evaluation(copied), evaluation(copied, "siteB")
    for key in ("accuracy", "auc_probability", "ece"):
        assert site["classification"][key] == pytest.approx(test["classification"][key], abs=1e-6)
    assert site["learned"] == test["learned"] and site["sections"] == ["classification", "abstain"]
    assert len(read(copied / "evaluations" / "siteB" / "predictions.csv")) == 12
    assert (copied / "evaluations" / "standing.json").read_text() == before
    index = (copied / "report" / "index.html").read_text()
    assert "siteB.html" in index and str(table) in index
    for more, words in (
        (["--name=test"], "needs a --name of its own"), (["--name=x", "--draws=1"], "leave out"),
        (["--name=x", "--root=elsewhere"], "leave out --split"),
        (["--name=x", "--split=val"], "leave out --split"),
        ([], "needs a --name"),
    ):  # fmt: skip
        out = command("evaluate", f"--workdir={copied}", f"--images={table}", *more)
        assert out.status == 2 and words in out.err, out.err
    out = command("evaluate", f"--workdir={copied}", "--adopt=siteB")
    assert out.status == 2 and "images from elsewhere" in out.err
    other = f"--images={pictures / 'val'}"
    out = command("evaluate", f"--workdir={copied}", other, "--name=siteB")
    assert out.status == 2 and "images_md5" in out.err


def test_a_longer_run_leaves_old_thresholds_behind(
    copied, config_file, pictures, command, classify
):
    """It goes on along the new schedule; what was learned of other parameters is not applied."""
    given = f"--config={config_file}", f"--workdir={copied}", f"--config.data.root={pictures}"
    out = command("train", *given, "--config.train.steps=3", "--no-evaluate")
    assert out.status == 2 and "can be made longer, not shorter" in out.err
    out = command(
        "train", *given, "--config.train.steps=6", "--config.data.workers=1", "--no-evaluate"
    )
    assert out.status == 0, out.err
    assert "made longer, from 4 to 6 steps: after step 4 the learning rate" in out.out
    assert workdirs.read(copied)[0].train.steps == 6
    found = evaluation(copied)
    found["settings"]["step"] = found["learned"]["step"] = 1
    del found["learned"]["digest"]  # as of an evaluation before there was one
    (copied / "evaluations" / "test" / "evaluation.json").write_text(json.dumps(found))
    assert {(row["abstain"], row["evaluation"]) for row in classify()} == {("", "")}
    out = command("evaluate", f"--workdir={copied}", f"--root={pictures}", "--split=val")
    assert out.status == 0 and "'test' stands, but is of step 1, the parameters of" in out.out
    index = (copied / "report" / "index.html").read_text()
    assert "The figures are of step 1, the" in index and "Images are classified by" not in index
    out = command("evaluate", f"--workdir={copied}", "--adopt=val")
    assert "images are classified by the evaluation 'val' from now on" in out.out
    index = (copied / "report" / "index.html").read_text()
    assert "The figures are" not in index and "Images are classified by" in index
    out = command("evaluate", f"--workdir={copied}", "--adopt=test")
    assert "'test' stands, but is of step 1" in out.out and "evaluate again" in out.out
    out = command("evaluate", f"--workdir={copied}", f"--root={pictures}")
    assert out.status == 0 and "is kept as 'test-step1'" in out.out
    assert {row["abstain"] for row in classify()} <= {"0", "1"}


def test_classes_that_a_run_starts_from_under_other_numbers_are_said(trained, tmp_path):
    flow = workdirs.open_workdir(trained)
    model = dataclasses.replace(flow.model, classes=tuple(reversed(flow.classes)))
    with pytest.warns(UserWarning, match="by their numbers, not by their names"):
        workdirs.take_params(trained, model)


def test_a_run_that_starts_from_another(trained, config_file, pictures, tmp_path, command):
    given = f"--config={config_file}", f"--config.data.root={pictures}", "--no-evaluate"
    out = command(
        "train", *given, f"--workdir={tmp_path / 'w'}", f"--config.train.init={trained}",
        "--config.train.steps=1",
    )  # fmt: skip
    assert out.status == 0, out.err
    assert f"starts from {trained} (step " in out.out
    manifest = json.loads((tmp_path / "w" / "manifest.json").read_text())
    assert (
        manifest["started_from"]["workdir"] == str(trained)
        and not manifest["started_from"]["fresh"]
    )
    out = command("train", *given, f"--workdir={trained}", f"--config.train.init={trained}")
    assert out.status == 2 and "train.init" in out.err


def test_edited_files_and_metrics_are_refused(copied, pictures, tmp_path, command):
    """Class names reversed in the manifest: not a table in which every label is wrong."""
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["data"]["classes"].reverse()
    workdirs.write_json(copied / "manifest.json", manifest)
    given = f"--workdir={copied}", f"--images={pictures / 'test'}", f"--output={tmp_path / 'p.csv'}"
    out = command("classify", *given)
    assert out.status == 2 and "manifest.json has data.classes" in out.err
    manifest["data"]["classes"].reverse()
    workdirs.write_json(copied / "manifest.json", manifest)
    for file in copied.glob("checkpoints/*/metrics/metrics"):
        file.write_text(file.read_text().replace("0.", "0.9", 1))
    out = command("classify", *given)
    assert out.status == 2 and "does not hold the metrics" in out.err
