"""A workdir whose checkpoints were removed is trained again: nothing of the earlier run is applied."""

import csv
import json
import shutil
import warnings

import pytest

import msflow_jax
from tests.commands.conftest import evaluation


@pytest.fixture
def again(copied, config_file, pictures, command):
    """The run with another seed to the same step, in the same workdir, not evaluated."""
    shutil.rmtree(copied / "checkpoints")
    given = f"--config={config_file}", f"--workdir={copied}", f"--config.data.root={pictures}"
    with pytest.warns(UserWarning, match="are of checkpoints that are gone.*copy/earlier-run,"):
        out = command("train", *given, "--config.train.seed=5", "--no-evaluate")
    assert out.status == 0, out.err
    return copied


@pytest.fixture
def same_step(monkeypatch):
    """The last checkpoint is the best of each training."""
    monkeypatch.setattr("msflow_jax.storage.choice.best", lambda found, *_: max(found))
    monkeypatch.setattr("msflow_jax.storage.choice.best_drawing", lambda found, *_: max(found))


@pytest.mark.usefixtures("same_step")
def test_an_evaluation_of_an_earlier_training_is_not_applied(again, pictures, tmp_path, command):
    workdir, aside = again, again / "earlier-run"
    assert not (workdir / "evaluations").exists() and not (workdir / "report").exists()
    assert (aside / "report" / "index.html").is_file() and evaluation(aside)["split"] == "test"
    flow = msflow_jax.open(workdir)
    assert not flow.calibration.known and flow.calibration.reason.startswith("no evaluation")

    # As if it had stayed: the digest tells where the step does not.
    found = evaluation(aside)
    shutil.copytree(aside / "evaluations", workdir / "evaluations")
    file = workdir / "evaluations" / "test" / "evaluation.json"
    for where in ("settings", "learned"):
        found[where]["step"] = flow.step
    del found["learned"]["digest"]
    file.write_text(json.dumps(found))
    output = tmp_path / "p.csv"
    given = f"--workdir={workdir}", f"--images={pictures / 'test'}", f"--output={output}"
    words = f"'test' is of an earlier training to step {flow.step}, the parameters of another one"
    with pytest.warns(UserWarning, match=words):
        assert command("classify", *given).status == 0
    with output.open() as table:
        assert {(row["abstain"], row["evaluation"]) for row in csv.DictReader(table)} == {("", "")}
    given = f"--workdir={workdir}", "--repo=me/x", f"--dry-run={tmp_path / 'out'}"
    with pytest.warns(UserWarning, match=words):
        assert command("push", *given).status == 0
    assert not (tmp_path / "out" / "evaluations").exists()

    out = command("evaluate", f"--workdir={workdir}", f"--root={pictures}")
    assert out.status == 0 and f"is kept as 'test-step{flow.step}'" in out.out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert msflow_jax.open(workdir).calibration.known
    assert evaluation(workdir)["settings"]["parameters"] == flow.digest
    assert evaluation(workdir, f"test-step{flow.step}")["learned"] == found["learned"]


def test_an_evaluation_without_a_digest_goes_on(copied):
    found = evaluation(copied)
    assert found["settings"].pop("parameters") == msflow_jax.open(copied).digest != ""
    (copied / "evaluations" / "test" / "evaluation.json").write_text(json.dumps(found))
    assert msflow_jax.open(copied).calibration.known
