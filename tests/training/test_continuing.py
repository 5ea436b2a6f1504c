"""A run that is made longer, and one that starts from another: what is taken, and what is said."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.config import default_config, train_config
from msflow_jax.training import continuing
from msflow_jax.training.optimiser import one_cycle
from msflow_jax.training.stage import Stage


def config(**changes):
    out = train_config()
    out.update(steps=100, learning_rate=1e-3, **changes)
    return out


def test_longer_is_a_schedule_of_the_new_length_from_there_on(tmp_path):
    then, now = config(), config()
    now.steps = 300
    continuing.check_length(then, now, 10, tmp_path)
    line = continuing.describe_length(then, now, 10, 100)
    expected = float(one_cycle(now, 300)(100))
    assert "from 100 to 300 steps: after step 100" in line and f"{expected:.2g} instead of" in line
    assert expected > 5e-4 > float(one_cycle(then, 100)(100))
    assert continuing.describe_length(then, then, 10, 100) == ""


def test_epochs_count_as_steps(tmp_path):
    then, now = config(), config()
    then.update(steps=0, epochs=10.0, batch=10)
    now.update(steps=0, epochs=20.0, batch=10)
    continuing.check_length(then, now, 50, tmp_path)
    assert "from 50 to 100 steps" in continuing.describe_length(then, now, 50, 50)
    for examples in (50, 0):  # 0: not known
        with pytest.raises(ValueError, match="longer, not shorter.*evaluate --workdir="):
            continuing.check_length(now, then, examples, tmp_path)


def test_arrays_of_one_name_and_shape_are_taken(tmp_path):
    there = {"net": {"a": jnp.ones(3), "b": jnp.ones((2, 2))}, "old": {"c": jnp.ones(1)}}
    here = {"net": {"a": jnp.zeros(3), "b": jnp.zeros((2, 3))}, "head": {"d": jnp.zeros(1)}}
    taken = continuing.take("runs/a", 7, there, here)
    assert str(taken) == (
        "starts from runs/a (step 7): 1 of 3 arrays taken; fresh: net/b ((2, 2) there, (2, 3) here), "
        "head/d (not there)"
    )
    assert taken.to_dict()["taken"] == 1 and len(taken.to_dict()["fresh"]) == 2
    one = Stage("", None, None, train_config(), start=lambda so_far: here)
    (stage,) = continuing.begin_with(taken, [one], tmp_path)
    started = stage.start({})
    np.testing.assert_array_equal(started["net"]["a"], 1)
    np.testing.assert_array_equal(started["net"]["b"], 0)
    trained = Stage("head", None, None, train_config(), start=lambda so_far: {**here, **so_far})
    (stage,) = continuing.begin_with(taken, [trained], tmp_path)
    assert (
        stage.start({"net": {"a": jnp.full(3, 5.0)}})["net"]["a"][0] == 5
    )  # a stage has trained it
    (tmp_path / "checkpoints" / "2" / "ema").mkdir(parents=True)
    assert continuing.begin_with(taken, [one], tmp_path) == [one]  # it has begun
    with pytest.raises(ValueError, match="train.init=runs/a: none of its arrays"):
        continuing.take("runs/a", 7, {"x": jnp.ones(1)}, here)


def test_settings_that_give_the_same_arrays_another_meaning_are_named():
    here, there = default_config(), default_config()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        continuing.warn_of_others("runs/a", there, here)
    with here.unlocked():
        here.model.code.scheme = "grey"
    with pytest.warns(UserWarning, match="runs/a .* model.code.scheme='grey' \\('.*' there\\)$"):
        continuing.warn_of_others("runs/a", there, here)
