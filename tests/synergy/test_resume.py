"""A run that is killed in either stage goes on, and ends where an undisturbed one does."""

import dataclasses

import chex
import pytest

from msflow_jax.synergy.stages import stages
from msflow_jax.training import run_stages
from tests.synergy import tiny

pytest.importorskip("tokenizers")
CHANGES = dict(stages=("understand", "reconstruct"))


class Killed(Exception):
    """Stands for whatever ends a run from outside."""


def made():
    config = tiny.config(**CHANGES)
    config.train.update(dict(steps=4, eval_every=2))
    return stages(config, tiny.splits(), tiny.parts(), tiny.model(**CHANGES))


def killed_in(stage, call):
    """The stage, whose validation ends the run when it is asked for a second time."""
    calls = []

    def measure(params):
        calls.append(params)
        if len(calls) == call:
            raise Killed
        return stage.validate.measure(params)

    return dataclasses.replace(stage, validate=dataclasses.replace(stage.validate, measure=measure))


def test_killed_in_each_stage_and_given_again(tmp_path):
    whole = run_stages(made(), tmp_path / "whole", progress=False)
    first, second = made()
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        run_stages([killed_in(first, 2), second], folder, progress=False)
    with pytest.raises(Killed):
        run_stages([first, killed_in(second, 2)], folder, progress=False)
    assert (folder / "stages" / "reconstruct").is_dir()
    chex.assert_trees_all_equal(run_stages(made(), folder, progress=False), whole)
