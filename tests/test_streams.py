import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.streams import (
    LOGIT_NORMAL,
    Clock,
    at_end,
    content_index,
    flow_loss,
    interpolate,
    spread_times,
)

ROUTES = {
    "symmetric": {"image": Clock.FORWARD, "label": Clock.BACKWARD},
    "one modality": {"ct": Clock.FORWARD},
    "joint": {"ct": Clock.FORWARD, "t1": Clock.FORWARD},
    "translation": {"target": Clock.FORWARD, "source": Clock.CLEAN},
}


def streams(route, key, shape=(4, 3, 3, 2)):
    return {
        n: jax.random.normal(jax.random.fold_in(key, i), shape) for i, n in enumerate(sorted(route))
    }


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@settings(max_examples=10)
@given(sigma=st.sampled_from([0.0, 1e-4, 0.1]), u=st.floats(0.05, 0.95))
def test_velocity_is_the_derivative_of_the_state(route, sigma, u):
    data, noise = (streams(route, jax.random.key(i)) for i in (0, 1))

    def at(t):
        return interpolate(route, data, noise, jnp.full(4, t), sigma)

    h = 1e-2
    up, down, velocity = at(u + h)[0], at(u - h)[0], at(u)[1]
    difference = jax.tree.map(lambda a, b: (a - b) / (2 * h), up, down)
    chex.assert_trees_all_close(difference, velocity, atol=2e-4)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_ends_are_noise_and_data_as_the_clock_says(route):
    data, noise = (streams(route, jax.random.key(i)) for i in (0, 1))
    for u in (0, 1):
        state, _ = interpolate(route, data, noise, jnp.full(4, float(u)))
        chex.assert_trees_all_close(state, at_end(route, data, noise, u), atol=1e-6)


def test_published_symmetric_formulas():
    """Section 1 of the specification: x_t, u_x, y_t, u_y with s = 1e-4."""
    x, y, ex, ey = (np.random.default_rng(i).normal(size=(3, 2, 2, 1)) for i in range(4))
    t, s = np.array([0.0, 0.3, 1.0]), 1e-4
    tt = t[:, None, None, None]
    state, velocity = interpolate(
        ROUTES["symmetric"], {"image": x, "label": y}, {"image": ex, "label": ey}, jnp.asarray(t), s
    )
    np.testing.assert_allclose(state["image"], (1 - (1 - s) * tt) * ex + tt * x, atol=1e-6)
    np.testing.assert_allclose(state["label"], (1 - (1 - s) * tt) * y + tt * ey, atol=1e-6)
    np.testing.assert_allclose(velocity["image"], x - (1 - s) * ex, atol=1e-6)
    np.testing.assert_allclose(velocity["label"], ey - (1 - s) * y, atol=1e-6)


def test_loss_weights_mask_and_clean_streams():
    route = {"a": Clock.FORWARD, "b": Clock.BACKWARD, "c": Clock.CLEAN}
    predicted = {"a": jnp.ones((2, 3)), "b": jnp.full((2, 3), 2.0), "c": jnp.full((2, 3), 9.0)}
    target = jax.tree.map(jnp.zeros_like, predicted)
    loss, metrics = flow_loss(route, predicted, target, {"a": 0.7, "b": jnp.array([0.3, 0.0])})
    assert loss == pytest.approx((0.7 * 2 + 0.3 * 4) / 2)
    assert metrics["loss_a"] == pytest.approx(1) and metrics["loss_b"] == pytest.approx(4)
    masked, _ = flow_loss(route, predicted, target, {"a": 1, "b": 0}, jnp.array([1, 0]))
    assert masked == pytest.approx(1)


def test_a_stream_that_is_never_scored_has_no_error_and_costs_nothing():
    route = {"a": Clock.FORWARD, "b": Clock.BACKWARD}
    target = {name: jnp.zeros((2, 3)) for name in route}
    weights = {"a": 0.5, "b": jnp.zeros(2)}

    def loss(predicted):
        return flow_loss(route, predicted, target, weights)

    ones = jax.tree.map(jnp.ones_like, target)
    (total, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(ones)
    assert total == pytest.approx(0.5) and metrics["loss_a"] == 1
    assert np.isnan(metrics["loss_b"])  # and not 0, as if it were right
    np.testing.assert_array_equal(gradient["b"], 0)
    assert np.isfinite(gradient["a"]).all()


def test_bad_input_is_named():
    route = ROUTES["symmetric"]
    with pytest.raises(ValueError, match="label"):
        interpolate(route, {"image": jnp.ones((1, 2))}, {}, jnp.ones(1))
    both = {"image": jnp.ones((2, 2)), "label": jnp.ones((2, 2))}
    with pytest.raises(ValueError, match="batch"):
        interpolate(route, both, both, jnp.ones(3))
    with pytest.raises(ValueError, match="0 or 1"):
        at_end(route, both, both, 0.5)
    with pytest.raises(ValueError, match="needs noise"):
        at_end(route, both, {}, 0)


@given(st.integers(0, 3), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=20)
def test_an_image_has_one_number_however_it_comes(place, before, after):
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    floats = (images / 127.5 - 1).astype(np.float32)
    whole = np.asarray(content_index(jnp.asarray(floats)))
    assert whole.dtype == np.uint32 and len(set(whole.tolist())) == 4
    # Alone, in another order, through float16: the same number.
    np.testing.assert_array_equal(
        content_index(jnp.asarray(floats[place : place + 1])), whole[place]
    )
    np.testing.assert_array_equal(content_index(jnp.asarray(floats[::-1])), whole[::-1])
    np.testing.assert_array_equal(jax.jit(content_index)(jnp.asarray(floats)), whole)
    np.testing.assert_array_equal(content_index(jnp.asarray(floats, jnp.float16)), whole)
    # Images that differ in one entry have two numbers.
    pair = np.repeat(floats[:1], 2, axis=0)
    pair[:, 2, 3, 1] = np.array([before, after]) / 127.5 - 1
    one, other = content_index(jnp.asarray(pair)).tolist()
    assert (one == other) == (before == after)


def test_times_of_training_are_spread_evenly():
    key = jax.random.key(0)
    times = np.sort(spread_times(key, 1000))
    np.testing.assert_array_equal(np.floor(times * 1000), np.arange(1000))
    # In logits a standard normal variable.
    normal = np.sort(spread_times(key, 1000, LOGIT_NORMAL))
    logits = np.log(normal / (1 - normal))
    np.testing.assert_allclose([logits.mean(), logits.std()], [0, 1], atol=0.02)
    assert abs((logits < 1).mean() - 0.8413) < 0.002
