"""Variational noise of the coupling flow: its density, and the bound that it gives."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.dequantiser import Dequantiser
from tests.coupling.table import OPTIONS
from tests.coupling.test_options import EACH, SEEDS
from tests.coupling.tiny_flows import LABELS, eight_bit, move, plain_flow, shaken


def test_fresh_variational_noise_is_uniform():
    flow = plain_flow(**OPTIONS["variational"])
    uniform = plain_flow()
    params, batch = flow.init(jax.random.key(0)), {"image": eight_bit(flow), "label": LABELS}
    key = jax.random.key(3)
    bound = jax.jit(flow.loss)(params, batch, key)[0]
    plain = jax.jit(uniform.loss)(uniform.init(jax.random.key(0)), batch, key)[0]
    assert bound == pytest.approx(float(plain), abs=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 1), (2, 1, 2, 1)])
@EACH
@given(seed=SEEDS)
def test_the_density_of_variational_noise_is_that_of_its_jacobian(shape, seed):
    dequantiser, noisy = dequantisers(shape)
    params = move(dequantiser.init(jax.random.key(0)), seed, 0.05)
    rng = np.random.default_rng(seed)
    image = jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32)
    noise = jnp.asarray(rng.uniform(0.01, 0.99, shape), jnp.float32)
    jacobian, (u, log_q) = noisy(params, image, noise)
    assert u.min() >= 0 and u.max() <= 1
    expected = -np.linalg.slogdet(jacobian.reshape(u.size, u.size))[1]
    np.testing.assert_allclose(log_q.sum(), expected, rtol=1e-3, atol=1e-3)
    ends, nats = dequantiser(params, image[None], jnp.zeros((1, *shape)))
    assert np.isfinite(ends).all() and np.isfinite(nats).all()


@cache
def dequantisers(shape):
    dequantiser = Dequantiser(shape)

    def noisy(params, image, noise):
        def one(noise):
            u, log_q = dequantiser(params, image[None], noise[None])
            return u[0], (u[0], log_q[0])

        return jax.jacobian(one, has_aux=True)(noise)

    return dequantiser, jax.jit(noisy)


def test_the_variational_bound_lies_below_the_probability():
    """An image of two entries, whose probability is an integral over its cell."""
    settings_ = {"shape": (1, 1, 2), "layout": "channel:1 checkerboard:1"}
    flow = plain_flow(dequantisation="variational", **settings_)
    params = shaken(flow, size=0.3)
    v, count = jnp.array([150, 90]), 4096
    log_prob = jax.jit(flow.log_prob)
    axis = (jnp.arange(32) + 0.5) / 32
    noise = jnp.stack(jnp.meshgrid(axis, axis), -1).reshape(-1, 1, 1, 2)
    x, log_det = bi.dequantise(v.reshape(1, 1, 1, 2), noise)
    labels = jnp.ones(len(x), int)
    true = jax.nn.logsumexp(log_prob(params, x, labels)) - np.log(len(x)) + 2 * log_det
    image = jnp.broadcast_to(v / 127.5 - 1, (count, 1, 1, 2))

    @jax.jit
    def bounds(key):
        x, nats = flow._dequantise(params, image, jax.random.uniform(key, image.shape))
        return flow.log_prob(params, x, jnp.ones(count, int)) + nats.sum((1, 2, 3))

    found = bounds(jax.random.key(0))
    error = float(found.std()) / np.sqrt(count)
    assert found.mean() < true - 3 * error  # noise that is not the posterior loses
    np.testing.assert_allclose(jax.nn.logsumexp(found) - np.log(count), true, atol=6 * error)
