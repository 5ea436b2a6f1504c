"""Stages: leaves that are frozen by not being there, one stage after the other."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from msflow_jax.storage.checkpoints import Checkpoints
from msflow_jax.training import fit, read_params, run_stages
from msflow_jax.training.records import read_records
from msflow_jax.training.sequence import read_digested, steps_used
from tests.training.tiny_stages import changed, make_stages
from tests.training.tiny_training import assert_equal


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Both stages at once: the tree, and the workdir."""
    from tests.training import tiny_training

    workdir = tmp_path_factory.mktemp("whole")
    stages = make_stages(tiny_training.make_arrays(), tiny_training.make_config())
    return run_stages(stages, workdir, progress=False), workdir


def items(folder):
    """What the newest checkpoint of a stage holds: layouts by item and path."""
    newest = max(folder.glob("checkpoints/[0-9]*"), key=lambda path: int(path.name))
    return json.loads((newest / "digests" / "metadata").read_text()), newest


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_frozen_leaves_are_equal_after_training_and_in_no_checkpoint(whole):
    tree, workdir = whole
    first, second = workdir / "stages" / "first", workdir / "stages" / "second"
    _, after_first = read_params(workdir, "val_auc", upto="first")
    assert set(after_first) == {"slope"}
    np.testing.assert_array_equal(tree["slope"]["w"], after_first["slope"]["w"])
    assert tree["offset"]["b"] != tree["slope"]["w"].mean()  # it was trained
    found, newest = items(second)
    paths = [path for item in found.values() for path in item]
    # Parameters, average and both moments of the offset.
    assert sum("['offset']" in path for path in paths) == 4
    assert not any("slope" in path for path in paths)
    assert size(items(first)[1]) > 4 * 64 * 64 > 3 * size(newest / "ema")
    assert {path.name for path in second.iterdir()} >= {"checkpoints", "metrics.jsonl"}
    assert [r["step"] for r in read_records(second) if "loss" in r] == list(range(1, 13))
    # The loss was given the slope, and the validation the whole tree.
    validated = [r["val_auc"] for r in read_records(second) if "val_auc" in r]
    assert validated == [pytest.approx(tree["slope"]["w"].mean(), abs=1e-6)] * 3


def test_the_digest_is_of_all_stages(whole, tmp_path):
    """A first stage that was trained anew beside a finished second one makes other parameters."""
    from tests.training import tiny_training

    workdir, config = tmp_path / "w", tiny_training.make_config()
    shutil.copytree(whole[1], workdir)
    then, first = read_digested(workdir, "unused"), read_digested(workdir, "unused", upto="first")
    assert then[2] == read_digested(whole[1], "unused")[2] != first[2]
    shutil.rmtree(workdir / "stages" / "first")
    config.seed += 1
    run_stages(make_stages(tiny_training.make_arrays(), config), workdir, progress=False)
    now = read_digested(workdir, "unused")
    assert now[0] == then[0] and now[2] != then[2]
    np.testing.assert_array_equal(now[1]["offset"]["b"], then[1]["offset"]["b"])


def test_a_workdir_is_read_stage_by_stage(whole, tmp_path):
    tree, workdir = whole
    step, params = read_params(workdir, "unused")
    assert step == 12
    first = read_params(workdir, "unused", upto="first")[0]
    assert steps_used(workdir, "unused") == [first, 12]
    assert_equal(params, tree)
    assert_equal(read_params(workdir, "unused", upto="second")[1], tree)
    with pytest.raises(ValueError, match="no stage 'third': its stages are 'first', 'second'"):
        read_params(workdir, "unused", upto="third")
    with pytest.raises(FileNotFoundError, match="no checkpoint in .*train first"):
        read_params(tmp_path, "val_auc")
    (tmp_path / "stages.json").write_text("[1]")
    with pytest.raises(ValueError, match="stages.json is damaged"):
        read_params(tmp_path, "val_auc")


def test_a_single_stage_is_read_as_ever(undisturbed):
    workdir = undisturbed[1]
    with Checkpoints(workdir / "checkpoints", select="val_auc", read_only=True) as checkpoints:
        step, params = checkpoints.restore_params()
    found = read_params(workdir, "val_auc")
    assert [found[0]] == [step] == steps_used(workdir, "val_auc")
    assert_equal(found[1], params)
    assert not (workdir / "stages.json").exists()
    assert set(items(workdir)[0]) == {"ema", "state"}


class Killed(Exception):
    """Stands for whatever ends a run from outside."""


def forbidden(tree):
    raise AssertionError("a start that is not needed")


def test_a_killed_run_goes_on_and_a_finished_stage_is_skipped(stages, whole, tmp_path, capsys):
    calls = []

    def killed(params):
        calls.append(params)
        if len(calls) == 2:
            raise Killed
        return second.validate(params)

    first, second = stages
    with pytest.raises(Killed):
        run_stages([first, changed(second, validate=killed)], tmp_path, progress=False)
    with Checkpoints(tmp_path / "stages/second/checkpoints", read_only=True) as checkpoints:
        assert checkpoints.steps() == [4]
    assert set(read_params(tmp_path, "unused")[1]) == {"slope", "offset"}
    traced = []

    def start(tree):
        traced.append(isinstance(jax.tree.leaves(tree)[0], jax.core.Tracer))
        return second.start(tree)

    rest = [changed(first, start=forbidden), changed(second, start=start)]
    assert_equal(run_stages(rest, tmp_path, progress=False), whole[0])
    assert traced == [True]  # only its shapes were asked for
    for name in ("first", "second"):
        rows = [
            [r["loss"] for r in read_records(w / "stages" / name) if "loss" in r]
            for w in (tmp_path, whole[1])
        ]
        assert rows[0] == rows[1] and len(rows[0]) == 12
    before = (tmp_path / "stages/second/metrics.jsonl").read_text()
    finished = [changed(stage, start=forbidden) for stage in stages]
    assert_equal(run_stages(finished, tmp_path), whole[0])
    assert [line for line in capsys.readouterr().out.splitlines() if "stage" in line] == [
        "stage 1 of 2: first", "stage 2 of 2: second",
    ]  # fmt: skip
    assert (tmp_path / "stages/second/metrics.jsonl").read_text() == before


def test_the_best_of_a_stage_is_what_the_next_one_starts_from(stages, tmp_path):
    first, second = stages
    scores = iter((0.5, 0.9, 0.1))
    seen = []

    def start(tree):
        seen.append(tree)
        return second.start(tree)

    first = changed(first, validate=lambda params: {"val_auc": next(scores)})
    run_stages([first, changed(second, start=start)], tmp_path, progress=False)
    step, best = read_params(tmp_path, "unused", upto="first")
    assert step == 8
    assert_equal(seen[0], best)


def test_a_damaged_last_checkpoint_of_a_finished_stage_is_trained_again(stages, whole, tmp_path):
    run_stages(stages[:1], tmp_path, progress=False)
    folder = tmp_path / "stages/first/checkpoints"
    for file in (folder / "12" / "ema").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = run_stages(stages[:1], tmp_path, progress=False)
    assert_equal(tree["slope"], whole[0]["slope"])


def test_frozen_weights_that_no_stage_trains(stages, whole, tmp_path):
    """They are given to the first stage, and to whoever reads the workdir."""
    given = {"slope": {"w": np.full((4, 4), 0.3, np.float32)}}
    stage = changed(stages[1], name="")
    tree = run_stages([stage], tmp_path, progress=False, params=given)
    np.testing.assert_array_equal(tree["slope"]["w"], given["slope"]["w"])
    assert (tmp_path / "checkpoints").is_dir() and not (tmp_path / "stages").exists()
    assert_equal(read_params(tmp_path, "val_auc", params=given)[1], tree)
    state = fit(stage, tmp_path, given, progress=False)
    assert set(state.params) == {"offset"} and state.step == 12
    assert_equal(state.ema["offset"], tree["offset"])


ON_TWO_DEVICES = """
import pathlib, sys, jax, jax.numpy as jnp
from msflow_jax.training import read_params, run_stages
from tests.training import tiny_stages, tiny_training
assert jax.device_count() == 2
workdir, config = pathlib.Path(sys.argv[1]), tiny_training.make_config()
stages = tiny_stages.make_stages(tiny_training.make_arrays(), config)
run_stages(stages, workdir / "both", progress=False)
given = jax.device_put({"slope": {"w": jnp.full((4, 4), 0.3)}}, jax.devices()[0])
run_stages([tiny_stages.changed(stages[1], name="")], workdir / "one", False, given)
for name, params in (("both", None), ("one", given)):
    tree = read_params(workdir / name, "val_auc", params=params)[1]
    jax.jit(jax.tree.leaves)(tree)  # one program over all leaves
    assert set(tree) == {"slope", "offset"}
"""


def test_what_is_read_together_lies_on_one_device(tmp_path):
    """A stage comes back on the devices it was trained on."""
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ON_TWO_DEVICES, str(tmp_path)],
        env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_reader_beside_a_training(whole, monkeypatch):
    """A checkpoint that goes between listing and reading is no error: the others are read."""
    workdir, steps = whole[1], []
    folder = workdir / "stages" / "second" / "checkpoints"
    read = Checkpoints.restore_params

    def restore(self, step=None):
        steps.append(self.best())
        if self.folder == folder and steps.count(12) == 2:  # of the first stage, then of the second
            (folder / "12").rename(folder / "12.away")
        return read(self, step)

    monkeypatch.setattr(Checkpoints, "restore_params", restore)
    try:
        assert read_params(workdir, "unused")[0] == 8
    finally:
        (folder / "12.away").rename(folder / "12")
    monkeypatch.setattr(Checkpoints, "restore_params", lambda *_: (folder / "none").read_bytes())
    with pytest.raises(FileNotFoundError, match="none"):  # and what is always wrong is one
        read_params(workdir, "unused")
