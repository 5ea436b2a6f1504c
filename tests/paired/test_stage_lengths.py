"""How long a stage is: a share of the steps, or of passes over its own examples."""

import pytest
from ml_collections import ConfigDict

from msflow_jax.config import default_config
from msflow_jax.paired.pairs import pair_source
from msflow_jax.paired.stages import make_stage
from tests.paired.tiny import split


@pytest.mark.parametrize(
    ("train", "steps"),
    [({"steps": 30, "epochs": 9.0}, 15), ({"steps": 0, "epochs": 10.0}, 10), ({"steps": 1}, 1)],
)
def test_a_stage_is_as_long_as_steps_or_epochs_say(train, steps):
    """Of ``train.steps=0`` every stage was one step long, whatever ``train.epochs`` said."""
    config = default_config("synergy")
    config.train.update({"batch": 4, **train})
    config.model.lengths = ConfigDict({"understand": 0.5})
    source = pair_source(split(8, (("ct", "xray"),)), ("ct",), None, "training")
    made = make_stage(config, "x", "understand", lambda *a, **k: None, (source, source), ".*", None)
    assert made.config.steps == steps and made.config.eval_every <= steps
