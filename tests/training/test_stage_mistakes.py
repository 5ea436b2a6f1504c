"""Stages that cannot be: parameters, metrics, networks and names that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.training import fit, run_stages
from msflow_jax.training.records import read_records
from msflow_jax.training.validation import Validation
from tests.training.tiny_stages import changed


def test_what_a_stage_does_not_train_must_be_there_before(stages, tmp_path):
    with pytest.raises(ValueError, match=r"stage 'second' makes .* does not train \(slope/w\)"):
        fit(
            changed(stages[1], start=lambda tree: {"slope": {"w": 1.0}, "offset": {"b": 0.0}}),
            tmp_path, progress=False,
        )  # fmt: skip
    with pytest.raises(ValueError, match="'ofset/.*' matches no parameter; .* offset/b, slope/w"):
        fit(
            changed(stages[1], trains="ofset/.*"), tmp_path,
            {"slope": {"w": jnp.ones(2)}}, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    "select, why",
    [
        ("val_dice", "is no metric of this validation"),
        ("", "is no metric"),
        ("--val_auc", "is no metric"),
        ("-val_auc", "would keep the worst"),
        ("val_nll", "would keep the worst"),
    ],
)
def test_a_metric_that_is_known_to_be_wrong_is_refused_before_training(stages, select, why):
    config = ConfigDict({**stages[0].config.to_dict(), "select": select})
    known = Validation(lambda params: {}, ("val_auc", "-val_nll"))
    with pytest.raises(
        ValueError, match=rf"select='{select}' {why}.*: choose one of val_auc, -val_"
    ):
        changed(stages[1], config=config, validate=known)
    config.select = "-val_nll"
    changed(stages[1], config=config, validate=known)


@pytest.mark.parametrize("select", ["val_dice", "-val_bits"])
def test_a_metric_that_the_validation_does_not_report(select, stages, train_config, tmp_path):
    train_config.select = select
    with pytest.raises(ValueError, match=rf"select='{select}' .* which reports val_auc: set"):
        run_stages(stages, tmp_path, progress=False)
    folder = tmp_path / "stages" / "first"
    assert [r["step"] for r in read_records(folder)] == [1, 2, 3, 4]  # the first validation
    silent = changed(stages[0], name="silent", validate=None)
    run_stages([silent], tmp_path, progress=False)


def test_checkpoints_of_another_network_are_refused(stages, arrays, train_config, tmp_path):
    run_stages(stages[:1], tmp_path, progress=False)
    train_config.steps = 16

    def larger(tree):
        return {"slope": {"w": jnp.zeros((64, 65))}}

    def on_the_host(tree):
        return {"slope": {"w": jnp.asarray(np.asarray(jnp.zeros((64, 66))))}}

    for start, now in ((larger, 65), (on_the_host, 66)):
        with (
            pytest.warns(UserWarning, match="Trying the one before"),
            pytest.raises(
                ValueError, match=rf"changed\?.* was float32\[64,64\], is float32\[64,{now}"
            ),
        ):
            run_stages([changed(stages[0], start=start)], tmp_path, progress=False)


def test_names_of_stages(stages, tmp_path):
    first, second = stages
    for names in (("first", "first"), ("", "second")):
        given = [changed(stage, name=name) for stage, name in zip(stages, names, strict=True)]
        with pytest.raises(ValueError, match="several stages need names of their own"):
            run_stages(given, tmp_path)
    with pytest.raises(ValueError, match="a stage is named by .* not '../x'"):
        run_stages([changed(first, name="../x"), second], tmp_path)
