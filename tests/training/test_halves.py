"""A batch that is distilled on has two halves: one example alone would never jump."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.training import distillation


def loss_of(count):
    """The loss on a batch of so many examples, whose halves are told by their size."""
    seen = {}

    def anchor(params, batch, key, *, train):
        seen["anchored"] = len(batch["x"])
        return 0.0, {}

    def jumped(own, teacher, batch, key):
        seen["jumping"] = len(batch["x"])
        raise StopIteration  # what it learns is tested elsewhere

    settings = ConfigDict({**distillation.SETTINGS, "teacher": "w"})
    loss = distillation.distillation_loss(anchor, jumped, settings)
    with pytest.raises(StopIteration):
        loss({}, {"x": np.zeros((count, 2))}, jax.random.key(0))
    return seen


@pytest.mark.parametrize("count", [2, 3, 8])
def test_both_halves_have_examples(count):
    assert loss_of(count) == {"anchored": count - count // 2, "jumping": count // 2}


def test_one_example_is_refused():
    with pytest.raises(ValueError, match="one example: raise --config.train.batch or lower"):
        loss_of(1)
