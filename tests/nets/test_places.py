"""Places of tokens, and guides that begin by looking near."""

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.nets import init_params
from msflow_jax.nets.places import PLACE, apart, split_places, with_places
from msflow_jax.nets.transformer import Guide


def test_places_travel_with_tokens():
    tokens = jnp.arange(2 * 9 * 5.0).reshape(2, 9, 5)
    both = with_places(tokens, 3, 2)
    assert both.shape == (2, 9, 5 + PLACE)
    found, place = split_places(both)
    np.testing.assert_array_equal(found, tokens)
    np.testing.assert_array_equal(place[0], place[1])


def test_distances_are_counted_in_the_partners_tokens():
    place = split_places(with_places(jnp.zeros((1, 9, 1)), 3, 2))[1][0]
    same = np.asarray(apart((3, 3), place))
    assert same.shape == (9, 9) and not same.diagonal().any()
    assert same[0, 1] == same[0, 3] == 1 and same[0, 4] == 2 and same[0, 8] == 8
    # Of a finer grid, the four middles of a cell are equally far from its own.
    fine = np.asarray(apart((6, 6), place))
    np.testing.assert_allclose(fine[[0, 1, 6, 7], 0], 0.125, atol=1e-6)
    assert (fine.argmin(axis=1).reshape(6, 6)[::2, ::2].ravel() == np.arange(9)).all()


def test_one_token_and_a_picture_in_a_volume():
    one = split_places(with_places(jnp.zeros((1, 1, 1)), 1, 2))[1][0]
    assert np.asarray(apart((4, 4), one)).max() <= 0.5
    flat = split_places(with_places(jnp.zeros((1, 4, 1)), 2, 2))[1][0]
    found = np.asarray(apart((3, 2, 2), flat)).reshape(3, 4, 4)
    assert not found[1].diagonal().any()  # a picture lies in the middle plane
    np.testing.assert_allclose(found[0], found[2])


def test_a_guide_begins_by_looking_near():
    guide = Guide(3)
    x, partner = jnp.zeros((1, 16, 12)), jnp.zeros((1, 16, 8))
    place = split_places(with_places(jnp.zeros((1, 16, 1)), 4, 2))[1][0]
    distance = apart((4, 4), place)
    params = init_params(guide, jax.random.key(0), x, partner, distance)
    kernel = jax.random.normal(jax.random.key(1), (12, 12))
    out = {"kernel": kernel, "bias": jnp.zeros(12)}
    opened = {**params, "attend": {**params["attend"], "out_zero": out}}

    @jax.jit
    def output(params, partner):
        return guide.apply({"params": params}, x, partner, distance)

    np.testing.assert_array_equal(output(params, partner + 1), x)  # shut
    moved = jnp.abs(output(opened, partner.at[0, 5].add(5.0)) - output(opened, partner))[0].mean(-1)
    assert moved.argmax() == 5 and moved[5] > 3 * moved[15]
