"""Experts share one attention: what is clean does not see what is drawn, which reads its keys."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.nets import init_params
from msflow_jax.nets.places import with_places
from msflow_jax.synergy.experts import Expert, Group, distances, nowhere, rotate


def group(count, width=8, batch=2, seed=0, at=0, grid=0):
    tokens = jax.random.normal(jax.random.key(seed), (batch, count, width))
    places = with_places(jnp.zeros((1, count, 0)), grid, 2)[0] if grid else nowhere(count)
    return Group(tokens, jnp.ones((batch, count), bool), at + jnp.arange(count), places)


def expert(**changes):
    given = dict(depth=2, heads=4, pairs=2, size=4, hidden=12)
    return Expert(**{**given, **changes})


def applied(net):
    """``apply``, as one program."""
    return jax.jit(net.apply)


def start(net, one, before=None, seed=0):
    return {"params": init_params(net, jax.random.key(seed), one, before)}


def test_groups_one_after_the_other_are_one_causal_sequence():
    net = expert(depth=1)
    first, second = group(3), group(2, seed=1, at=3)
    variables = start(net, first)
    apply = applied(net)
    early, memory = apply(variables, first)
    late, _ = apply(variables, second, memory)
    chex.assert_shape([early, late], [(2, 3, 8), (2, 2, 8)])
    # Whatever the second group is, the first one's output and memory are what they were.
    again, _ = apply(variables, first)
    np.testing.assert_array_equal(early, again)
    both = Group(*(jnp.concatenate(pair, axis=axis) for pair, axis in
                   zip(zip(first, second, strict=True), (1, 1, 0, 0), strict=True)))  # fmt: skip
    joined, _ = apply(variables, both)
    np.testing.assert_allclose(joined[:, 3:], late, atol=1e-5)


def test_memory_of_two_groups_is_joined_in_order():
    net = expert()
    first, second, third = group(3), group(2, seed=1, at=3), group(4, seed=2, at=5)
    variables = start(net, first)
    apply = applied(net)
    memory = apply(variables, first)[1]
    memory = memory.then(apply(variables, second, memory)[1])
    assert memory.seen.shape == (2, 5) and len(memory.keys) == 2
    chex.assert_shape(memory.keys[0], (2, 5, 2, 4))
    assert apply(variables, third, memory)[0].shape == (2, 4, 8)


def test_unseen_tokens_change_nothing():
    net, first, second = expert(), group(3), group(2, seed=1, at=3)
    variables = start(net, first)
    hidden = first._replace(seen=jnp.zeros((2, 3), bool))
    apply = applied(net)
    memory = apply(variables, hidden)[1]
    other = apply(variables, hidden._replace(tokens=9 * hidden.tokens))[1]
    found = [apply(variables, second, one)[0] for one in (memory, other)]
    np.testing.assert_array_equal(*found)
    seen = apply(variables, second, apply(variables, first)[1])[0]
    assert np.abs(seen - found[0]).max() > 1e-4


@settings(max_examples=20)
@given(shift=st.integers(0, 500), seed=st.integers(0, 9))
def test_rotary_products_depend_on_the_distance_alone(shift, seed):
    x, y = jax.random.normal(jax.random.key(seed), (2, 1, 1, 1, 8))

    def product(a, b):
        at = [rotate(one, jnp.array([p])) for one, p in ((x, a), (y, b))]
        return float((at[0] * at[1]).sum())

    assert product(3, 7) == pytest.approx(product(3 + shift, 7 + shift), abs=1e-4)


def test_near_heads_begin_by_looking_at_their_own_place():
    net, first = expert(near=True, depth=1), group(16, grid=4)
    second = group(16, seed=1, grid=4)
    variables = start(net, first)
    apply = applied(net)
    memory = apply(variables, first)[1]
    moved = first._replace(tokens=first.tokens.at[:, 5].add(3.0))
    change = apply(variables, second, apply(variables, moved)[1])[0]
    change = np.abs(change - apply(variables, second, memory)[0]).mean(axis=(0, 2))
    assert change.argmax() == 5


def test_distances_are_in_tokens_of_the_other_grid():
    fine = with_places(jnp.zeros((1, 16, 0)), 4, 2)[0]
    coarse = with_places(jnp.zeros((1, 4, 0)), 2, 2)[0]
    found = distances(fine, coarse)
    assert found.shape == (16, 4) and found[0].argmin() == 0 and found[15].argmin() == 3
    np.testing.assert_allclose(distances(fine, fine).diagonal(), 0)
    assert (distances(nowhere(2), fine) == 0.5).all()
