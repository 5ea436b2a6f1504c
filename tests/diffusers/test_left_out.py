"""A share of the examples is drawn without its condition: of a model without networks, who is."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.objectives import draw_objective, link_objective

NAMES = ("a", "b", "c")
COUNT = 400
BATCH = {
    name: jnp.asarray(np.random.default_rng(i).uniform(-1, 1, (COUNT, 2, 2, 1)), jnp.float32)
    for i, name in enumerate(NAMES)
}


class Listener:
    """Diffusers that only keep what they are told."""

    prediction, temperature = "velocity", 0.1

    def __init__(self):
        one = SimpleNamespace(text=False, codec=None)
        self.modalities = dict.fromkeys(NAMES, one)
        self.kept = []

    def require(self, name):
        return self.modalities[name]

    def guide_towards(self, *names):
        return "_0"

    first_guide = guide_towards

    def embed(self, params, name, x):
        flat = x.reshape(len(x), -1)
        return flat / jnp.linalg.norm(flat, axis=1, keepdims=True)

    def encode(self, params, name, x):
        return x

    def tokens(self, params, name, z, tau, guide):
        return self.embed(params, name, z)[:, None]

    def placed(self, name, tokens):
        return tokens

    def output(self, params, name, z, tau, condition, keep, partners=None):
        self.kept.append(np.asarray(keep))
        return jnp.zeros_like(z)


@pytest.mark.parametrize("dropout", [0.0, 0.2, 1.0])
def test_so_many_have_no_condition(dropout):
    model, key = Listener(), jax.random.key(0)
    draw_objective(model, "a", "b", dropout, {}, BATCH, key)
    link_objective(model, NAMES, dropout, 0.1, {}, BATCH, key)
    assert len(model.kept) == 1 + len(NAMES)
    for keep in model.kept:
        assert keep.shape == (COUNT,) and set(keep.tolist()) <= {0.0, 1.0}
        assert keep.mean() == pytest.approx(1 - dropout, abs=0.08 if 0 < dropout < 1 else 0)
    alone = Listener()
    draw_objective(alone, "a", "b", dropout, {}, BATCH, key, train=False)
    assert (alone.kept[0] == 1).all()
