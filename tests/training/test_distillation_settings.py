"""Distilling: students and settings that do not exist, and guidance that needs a teacher."""

import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from msflow_jax.training import distillation
from msflow_jax.training.distillation import start_from


def test_a_student_of_another_network_is_refused():
    fresh = {"time": {"kernel": jnp.ones(2)}, "span_zero": {"kernel": jnp.zeros(2)}}
    started = start_from({"time": {"kernel": jnp.full(2, 7.0)}}, fresh)
    assert started["time"]["kernel"][0] == 7 and started["span_zero"]["kernel"][0] == 0
    with pytest.raises(ValueError, match="another network .time/bias"):
        start_from({"time": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}, fresh)


@pytest.mark.parametrize(
    "wrong, message",
    [({"objective": "eulerian"}, "lagrangian, semigroup"), ({"weight": 0.0}, "weight > 0"),
     ({"power": 2.0}, r"power in \[0, 1\]")],
)  # fmt: skip
def test_settings_that_do_not_exist(wrong, message):
    with pytest.raises(ValueError, match=message):
        distillation.check(ConfigDict({**distillation.SETTINGS, **wrong}))


@pytest.mark.parametrize("changes", [{"objective": "semigroup"}, {"teacher": "itself"}])
def test_guidance_is_learned_from_a_teacher(changes):
    settings = ConfigDict({**distillation.SETTINGS, "teacher": "w", "guidance": 2.0, **changes})
    with pytest.raises(ValueError, match="guidance is learned from a teacher"):
        distillation.check(settings)
