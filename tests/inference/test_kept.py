"""What is compiled once: the same model and settings, whatever the seed."""

import jax
import numpy as np
import pytest

from msflow_jax.inference.kept import kept


class Model:
    """Adds noise, and counts how often it is traced."""

    def __init__(self):
        self.traced = 0


def adding(model, key, scale=1.0):
    def function(params, items, index):
        model.traced += 1
        return items + params + scale * jax.random.normal(key, items.shape)

    return function


def call(model, seed, scale=1.0):
    return kept(adding, model, seed=seed, batch=4, scale=scale)(np.float32(2), np.ones((4, 3)))


def test_another_seed_is_no_other_program():
    model = Model()
    found = [call(model, seed) for seed in (0, 1, 0)]
    assert model.traced == 1
    assert (found[0] == found[2]).all() and (found[0] != found[1]).all()
    noise = jax.random.normal(jax.random.key(1), (4, 3))
    np.testing.assert_allclose(found[1], 3 + np.asarray(noise), rtol=1e-6)


def test_other_settings_and_other_models_are():
    first, second = Model(), Model()
    call(first, 0), call(first, 0, 2.0), call(second, 0)
    assert (first.traced, second.traced) == (2, 1)


@pytest.mark.parametrize("seed", [2**31, 2**32 - 1])
def test_seeds_are_as_jax_takes_them(seed):
    noise = jax.random.normal(jax.random.key(seed), (4, 3))
    np.testing.assert_allclose(call(Model(), seed), 3 + np.asarray(noise), rtol=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**32 + 1])
def test_seeds_that_jax_would_take_for_another_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed must lie in \[0, 4294967295\]"):
        call(Model(), seed)
