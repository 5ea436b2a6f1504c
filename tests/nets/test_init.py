"""Parameters keyed by path."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets import init_params
from msflow_jax.nets.layers import Conv, Dense, GroupNorm

PINNED = [0.23249589, -0.060131036, 0.28927064]
X = jax.ShapeDtypeStruct((1, 4, 4, 8), jnp.float32)


class Net(nn.Module):
    extra: bool = False
    stray: bool = False

    @nn.compact
    def __call__(self, x):
        if self.extra:
            x = Dense(8, name="another")(x)
        x = GroupNorm(2, name="norm")(Conv(8, name="conv")(x))
        x = x + self.param("row_embedding", nn.initializers.zeros, (4, 8))[None, None]
        if self.stray:
            x = x * self.param("gamma", nn.initializers.ones, (8,))[None, None, None]
        return Dense(64, name="wide")(x), Dense(3, name="out_zero")(x)


def test_ranges_follow_torch():
    params = init_params(Net(), jax.random.key(0), X)
    for layer, fan_in in (("conv", 72), ("wide", 8)):
        for leaf in params[layer].values():
            assert leaf.dtype == jnp.float32
            assert jnp.abs(leaf).max() <= fan_in**-0.5
    kernel = params["conv"]["kernel"]
    np.testing.assert_allclose(kernel.std() * 72**0.5, 3**-0.5, rtol=0.1)
    np.testing.assert_array_equal(params["norm"]["scale"], 1)
    np.testing.assert_array_equal(params["norm"]["bias"], 0)
    assert 0.01 < params["row_embedding"].std() < 0.03
    assert not any(leaf.any() for leaf in params["out_zero"].values())


def test_same_key_same_values_other_key_others():
    first, again = (init_params(Net(), jax.random.key(3), X) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = init_params(Net(), jax.random.key(4), X)
    assert (first["conv"]["kernel"] != other["conv"]["kernel"]).mean() > 0.99


def test_values_are_pinned():
    """A checkpoint's start must be reproducible in later versions."""
    kernel = init_params(Net(), jax.random.key(0), X)["wide"]["kernel"]
    np.testing.assert_allclose(kernel[0, :3], PINNED, rtol=1e-6)


def test_an_added_module_moves_no_other():
    small = init_params(Net(), jax.random.key(0), X)
    large = init_params(Net(extra=True), jax.random.key(0), X)
    large.pop("another")
    jax.tree.map(np.testing.assert_array_equal, small, large)


def test_equal_shapes_differ_by_path():
    params = init_params(Net(extra=True), jax.random.key(0), X)
    assert (params["another"]["bias"] != params["conv"]["bias"]).all()


def test_equal_networks_are_traced_once():
    """A model of many modalities has many of them."""
    traced = []

    class Traced(nn.Module):
        table: object = None
        width: int = 3

        @nn.compact
        def __call__(self, x, bias=False):
            traced.append(x.shape)
            return Dense(self.width, name="wide" if bias else "narrow")(x)

    key = jax.random.key(0)
    first, again = (init_params(Traced(), key, np.ones((1, 4), np.float32)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert traced == [(1, 4)]
    assert init_params(Traced(), key, jnp.ones((1, 5)))["narrow"]["kernel"].shape == (5, 3)
    assert init_params(Traced(width=2), key, X)["narrow"]["kernel"].shape == (8, 2)
    assert set(init_params(Traced(), key, X, bias=True)) == {"wide"}
    # What cannot be looked up is traced each time.
    for _ in range(2):
        init_params(Traced(table=np.ones(3)), key, X)
    assert len(traced) == 6


def test_unknown_names_and_collections_are_refused():
    with pytest.raises(ValueError, match="gamma of shape"):
        init_params(Net(stray=True), jax.random.key(0), X)
    with pytest.raises(ValueError, match="batch_stats"):
        init_params(nn.BatchNorm(use_running_average=False), jax.random.key(0), X)
