"""The symmetric flow against closed forms: networks whose velocity is known."""

import dataclasses
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.symmetric import Code, PixelCodec, SymmetricFlow, TimeDistribution
from msflow_jax.symmetric.paths import to_image, to_label


class ClassGaussians(nn.Module):
    """The exact velocity of the label at u = 1 for pixels x ~ N(mean of the class, 1), classes even.

    v_label = e_label - E[code | x] (section 10 of the specification); the image's velocity is 0.
    """

    code: Code
    means: tuple[float, ...]

    def __call__(self, x, u, *, train=False):
        del u, train
        image, noise = x[..., :1], x[..., 1:]
        pixels = image.shape[1] * image.shape[2]
        mean = image.mean((1, 2))
        logits = -0.5 * pixels * (mean - jnp.asarray(self.means)[None]) ** 2
        expected = jax.nn.softmax(logits, axis=-1) @ jnp.asarray(self.code.table)
        return jnp.concatenate([jnp.zeros_like(image), noise - expected[:, None, None]], -1)


MEANS = (-0.3, 0.0, 0.35)


def gaussian_flow(scheme):
    code = Code(scheme, 3)
    return SymmetricFlow(
        ClassGaussians(code, MEANS), code, ("a", "b", "c"), PixelCodec((4, 4, 1), bounded=False)
    )


def posterior(images):
    logits = -0.5 * 16 * (np.asarray(images).mean((1, 2)) - np.array(MEANS)) ** 2
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("scheme", ["palette", "grey", "simplex"])
def test_one_step_reading_is_the_expected_code(scheme):
    flow = gaussian_flow(scheme)
    key = jax.random.key(0)
    images = jnp.asarray(MEANS)[jnp.arange(60) % 3][:, None, None, None]
    images = images + jax.random.normal(key, (60, 4, 4, 1))
    path = jax.jit(functools.partial(to_label, flow, {}, steps=1, grid=2))(
        images, jnp.arange(60), key
    )
    u, states = path.grid, path.states
    expected = posterior(images) @ flow.code.table
    np.testing.assert_allclose(states["label"][-1].mean((1, 2)), expected, atol=1e-5)
    assert u[0] == 1 and u[-1] == 0
    reading = jax.jit(functools.partial(flow.classify, {}, draws=2))(images, key)
    chex.assert_shape([reading.distances, reading.probabilities], (2, 60, 3))
    assert reading.nfe == 1
    if scheme == "simplex":
        np.testing.assert_allclose(reading.probabilities[0], posterior(images), atol=1e-5)
        np.testing.assert_array_equal(reading.distances[0].argmin(1), posterior(images).argmax(1))


def test_training_finds_the_posterior():
    """Regression at u = 1 tends to E[code | x]: a linear network on binary Gaussian classes."""
    code = Code("simplex", 2)

    class Linear(nn.Module):
        @nn.compact
        def __call__(self, x, u, *, train=False):
            image, noise = x[..., :1], x[..., 1:]
            h = nn.Dense(16, name="hidden")(image.mean((1, 2)))
            h = nn.Dense(1, name="out")(nn.tanh(h))
            return jnp.concatenate([0 * image, noise - h[:, None, None]], -1)

    time = TimeDistribution(classification_fraction=1.0)
    flow = SymmetricFlow(
        Linear(), code, ("a", "b"), PixelCodec((2, 2, 1), bounded=False), time=time
    )
    import optax

    optimiser = optax.adam(2e-2)
    params = flow.init(jax.random.key(0))
    state = optimiser.init(params)

    def batch(key, n=512):
        k1, k2 = jax.random.split(key)
        label = jax.random.randint(k1, (n,), 0, 2)
        image = (label - 0.5)[:, None, None, None] + jax.random.normal(k2, (n, 2, 2, 1))
        return {"image": image, "label": label}

    @jax.jit
    def step(params, state, key):
        loss = lambda p: flow.loss(p, batch(key), key)[0]  # noqa: E731
        updates, state = optimiser.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    for i in range(300):
        params, state = step(params, state, jax.random.key(i))
    images = batch(jax.random.key(999), 64)["image"]
    p = jax.jit(flow.classify)(params, images, jax.random.key(1)).probabilities[0, :, 1]
    # Two Gaussians of means -+0.5, variance 1 a pixel, 4 pixels: log odds = 4 x mean.
    exact = jax.nn.sigmoid(4 * images.mean((1, 2, 3)))
    assert np.abs(p - exact).mean() < 0.04


class Silent(nn.Module):
    """A fresh network: it says nothing."""

    def __call__(self, x, u, *, train=False):
        del u, train
        return jnp.zeros_like(x)


def test_a_preconditioned_fresh_flow_draws_the_gaussian_of_its_spread():
    """The best linear velocity carries N(0, 1) to N(0, std^2), exactly: z_u = total(u) z_0."""
    std = (0.1, 3.0)
    flow = SymmetricFlow(
        Silent(), Code("simplex", 2), ("a", "b"), PixelCodec((4, 4, 2)), image_std=std
    )
    draw = jax.jit(functools.partial(to_image, flow, {}, steps=400, grid=3))
    path = draw(jnp.zeros(2, int), jax.random.key(0))
    u, states = path.grid, path.states
    start, middle, end = np.asarray(states["image"])
    np.testing.assert_allclose(end, start * np.asarray(std), rtol=0.02)
    total = np.sqrt((1 - u[1]) ** 2 + (u[1] * np.asarray(std)) ** 2)
    np.testing.assert_allclose(middle, start * total, rtol=0.02)


@pytest.mark.parametrize("std", [(0.1,), (0.1, 0.0)])
def test_spreads_that_do_not_fit(std):
    with pytest.raises(ValueError, match="image_std needs 2 positive numbers"):
        SymmetricFlow(
            Silent(), Code("simplex", 2), ("a", "b"), PixelCodec((4, 4, 2)), image_std=std
        )


class Memory(nn.Module):
    """A velocity that is right for images of a grey level, and a label picture that is even of them."""

    code: Code
    level: float = 0.2

    def __call__(self, x, u, *, train=False):
        del train
        image, label = x[..., :1], x[..., 1:]
        time = u[:, None, None, None]
        # Of image = level everywhere: its velocity is (level - state) / (1 - u), where u is not 1.
        velocity = (self.level - image) / jnp.maximum(1 - time, 0.1)
        clean = image + (float(self.code.table[0, 0]) - self.level)
        return jnp.concatenate([velocity, label - clean], axis=-1)


def test_two_scores_tell_images_of_another_kind():
    code = Code("grey", 2)
    flow = SymmetricFlow(Memory(code), code, ("a", "b"), PixelCodec((8, 8, 1), bounded=False))
    noise = 0.5 * jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    images = jnp.concatenate([jnp.full((4, 8, 8, 1), 0.2), 0.2 + noise])
    classify = jax.jit(functools.partial(flow.classify, {}), static_argnames=("draws", "outside"))
    found = classify(images, jax.random.key(0), draws=2)
    spread, error = (found.uncertainty[k] for k in ("picture_spread", "flow_error"))
    assert spread[:4].max() < 1e-5 < 0.2 < spread[4:].min()
    assert error[:4].max() < 1e-5 < 0.2 < error[4:].min()
    assert found.measures["picture_spread"].shape == (2, 8)
    without = classify(images, jax.random.key(0), outside=False)
    assert without.measures == {}
    alone = classify(images[5:6], jax.random.key(0), draws=2)
    np.testing.assert_allclose(alone.uncertainty["flow_error"], error[5:6], rtol=1e-5)


def test_draws_come_in_pairs_of_opposite_noise():
    flow = dataclasses.replace(gaussian_flow("simplex"), net=Silent())
    images, index, key = jnp.zeros((3, 4, 4, 1)), jnp.arange(3), jax.random.key(0)
    draw = jax.jit(lambda d: to_label(flow, {}, images, index, key, draw=d).end["label"])
    ends = [draw(d) for d in range(4)]
    np.testing.assert_array_equal(ends[0], -ends[1])
    np.testing.assert_array_equal(ends[2], -ends[3])
    assert not np.allclose(ends[0], ends[2])
