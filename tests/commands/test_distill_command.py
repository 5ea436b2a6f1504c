"""Distil a finished run into few steps: a workdir like any other, which needs its teacher no more."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from msflow_jax.commands.distill import configure
from msflow_jax.config import default_config
from msflow_jax.inference import publishing
from msflow_jax.inference.few_steps import walking
from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.symmetric.family import FAMILY
from msflow_jax.symmetric.objective import taught
from msflow_jax.teachers import read_teacher
from msflow_jax.training.records import read_records
from msflow_jax.workdir import open_workdir
from tests.commands.conftest import evaluation, only, quickly


def with_two_checkpoints(*args, **kwargs):
    """A run whose checkpoint that classifies is another than the one that draws."""
    flow = open_workdir(*args, **kwargs)
    other = jax.tree.map(lambda leaf: leaf + 0.5, flow.params)
    return dataclasses.replace(flow, params=other, step=100, drawing=(flow.step, flow.params))


@pytest.fixture(scope="module")
def distilled(trained, tmp_path_factory):
    """Workdir of a distilled run, whose teacher is gone."""
    from msflow_jax.commands.distill import main

    folder = tmp_path_factory.mktemp("distilled")
    teacher = shutil.copytree(trained, folder / "teacher")
    with quickly(), only(FAMILY, "few_steps"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("msflow_jax.inference.few_steps.JUMPS", (1, 2))  # each way is compiled
        patch.setattr("msflow_jax.inference.few_steps.REFERENCE", 3)
        patch.setattr("msflow_jax.teachers.open_workdir", with_two_checkpoints)
        patch.setattr("msflow_jax.training.loop.classifies_better", lambda *_: True)
        main([f"--workdir={teacher}", f"--output={folder / 'student'}", "--config.train.keep=9"])
    teacher.rename(folder / "gone")
    return folder / "student"


def test_it_draws_in_jumps_and_classifies(distilled, pictures, tmp_path, command):
    out = command(
        "generate", f"--workdir={distilled}", f"--output={tmp_path}/drawn", "--count=2",
        "--steps=1",
    )  # fmt: skip
    assert out.status == 0, out.err
    said = json.loads((tmp_path / "drawn" / "generated.json").read_text())
    assert "jump" in json.dumps(said)
    out = command(
        "classify", f"--workdir={distilled}", f"--images={pictures / 'test'}",
        f"--output={tmp_path / 'p.csv'}",
    )  # fmt: skip
    assert out.status == 0, out.err


def test_its_start_may_be_the_teachers_checkpoint_that_classifies(distilled, trained):
    """It draws as another of them does, which the student's own steps started from."""
    start = read_records(distilled)[0]
    assert start["step"] == 0 and "val_auc" in start and "val_jump_error" not in start
    with Checkpoints(distilled / "checkpoints", read_only=True) as kept:
        _, first = kept.restore_params(0)
        assert kept.best_drawing() > 0
    teacher = open_workdir(trained)
    assert not first.pop("span_zero")["kernel"].any()
    jax.tree.map(
        np.testing.assert_array_equal, first, jax.tree.map(lambda leaf: leaf + 0.5, teacher.params)
    )
    jax.tree.map(np.testing.assert_array_equal, read_teacher(distilled)["teacher"], teacher.params)


def test_the_report_shows_few_jumps_beside_the_teacher(distilled):
    found = evaluation(distilled)["few_steps"]
    names = ["1 jump", "2 jumps", "teacher, 1 step", "teacher, 2 steps", "teacher, 3 steps"]
    assert found["ways"] == names and set(found["rows"]) == {"real", *names}
    assert found["rows"]["teacher, 3 steps"]["difference"] == 0
    page = (distilled / "report" / "index.html").read_text(encoding="utf-8")
    assert "Drawn in few steps" in page and "teacher, 3 steps" in page


def test_given_to_others_without_its_teacher_it_is_compared_with_itself(distilled, tmp_path):
    publishing.stage(open_workdir(distilled), tmp_path)
    given, here = open_workdir(tmp_path), open_workdir(distilled)
    assert walking(given, taught) == (given.model, given.drawing_params, "own field")
    model, params, called = walking(here, taught)
    assert called == "teacher" and model == taught(here.model) and "span_zero" not in params


def test_it_keeps_its_teacher_and_goes_on_without_it(distilled, tmp_path, command):
    copy = shutil.copytree(distilled, tmp_path / "copy")
    kept = read_teacher(copy)["teacher"]
    shapes = jax.tree.map(np.shape, open_workdir(copy).drawing_params)
    assert set(shapes) == {*kept, "span_zero"}
    config = json.loads((copy / "config.json").read_text())
    assert config["sample"]["generate"]["solver"] == "jump" and config["train"]["steps"] == 4
    (copy / "teacher" / "teacher.json").write_text("{}")
    out = command("evaluate", f"--workdir={copy}", "--split=val")
    assert out.status == 2 and "teacher/teacher.json is not the file" in out.err


def test_given_again_it_needs_no_teacher_but_no_other_one(distilled, trained, command):
    gone = distilled.parent / "teacher"
    out = command("distill", f"--workdir={gone}", f"--output={distilled}", "--no-evaluate")
    assert out.status == 0 and f"next: msflow evaluate --workdir={distilled}" in out.out, out.err
    out = command("distill", f"--workdir={trained}", f"--output={distilled}")
    assert out.status == 2 and "holds a run of the teacher" in out.err


def test_its_teacher_may_be_named_by_another_path(tmp_path, monkeypatch):
    config = default_config()
    with config.unlocked():
        config.model.distillation.teacher = "a"
    for module in ("has_checkpoint", "read"):
        monkeypatch.setattr(f"msflow_jax.workdir.{module}", lambda path: (config, None))
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path)
    for same in ("a", "b/../a", str(tmp_path / "a")):
        assert configure(Path(same), Path("v"), []).model.distillation.teacher == "a"
    with pytest.raises(ValueError, match="holds a run of the teacher a, not b: use another"):
        configure(Path("b"), Path("v"), [])


def test_what_cannot_be_distilled(trained, distilled, tmp_path, command):
    def call(workdir, *more):
        out = command("distill", f"--workdir={workdir}", f"--output={tmp_path / 'v'}", *more)
        assert out.status == 2 and not (tmp_path / "v" / "checkpoints").exists()
        return out.err

    assert "is distilled itself" in call(distilled)
    assert "leave it as the teacher's" in call(trained, "--config.model.net.width=16")
    for key, value in (("balanced", True), ("crop", 4), ("calibrate_every", 2)):
        assert f"not {value}: leave it as that" in call(trained, f"--config.train.{key}={value}")
    assert "eulerian" in call(trained, "--config.model.distillation.objective=eulerian")
    assert "is no workdir" in call(tmp_path)
    out = command("distill", f"--workdir={trained}", f"--output={trained}")
    assert out.status == 2 and "own workdir" in out.err
    out = command("generate", f"--workdir={trained}", f"--output={tmp_path}/d", "--solver=jump")
    assert out.status != 0


def test_a_model_may_be_its_own_teacher(config_file, pictures, tmp_path, command):
    out = command(
        "train", f"--config={config_file}", f"--workdir={tmp_path}/w",
        f"--config.data.root={pictures}",
        "--config.model.distillation.teacher=itself", "--config.sample.generate.solver=jump",
        "--config.model.distillation.objective=semigroup", "--no-evaluate",
    )  # fmt: skip
    assert out.status == 0, out.err
    assert not (tmp_path / "w" / "teacher").exists()
    row = json.loads((tmp_path / "w" / "metrics.jsonl").read_text().splitlines()[-1])
    assert row["val_jump_error"] >= 0
