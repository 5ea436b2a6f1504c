"""The noise-predicting form by its laws."""

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.diffusers import epsilon
from msflow_jax.ode import integrate


def test_the_path_preserves_variance_and_ends_at_data_and_noise():
    alpha, sigma = jax.jit(epsilon.alpha_sigma)(jnp.linspace(0, 1, 11))
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-6)
    assert alpha[0] == 1 and alpha[-1] < 0.08
    assert (np.diff(alpha) < 0).all()


def test_beta_is_the_rate_of_alpha():
    t = jnp.array([0.1, 0.5, 0.9])
    rate = jax.vmap(jax.grad(lambda t: jnp.log(epsilon.alpha_sigma(t)[0])))(t)
    np.testing.assert_allclose(-2 * rate, epsilon.beta(t), rtol=1e-4)


def test_the_exact_noise_of_one_image_leads_to_it():
    image = jnp.linspace(-1, 1, 8).reshape(1, 8)

    def field(u, streams):
        tau = jnp.full(1, u)
        alpha, sigma = epsilon.alpha_sigma(jnp.maximum(1 - tau, epsilon.LEAST))
        exact = (streams["x"] - alpha[:, None] * image) / sigma[:, None]
        return {"x": epsilon.vp_to_velocity(exact, streams["x"], tau)}

    noise = {"x": jax.random.normal(jax.random.key(0), (1, 8))}

    @jax.jit
    def draw(noise):
        return integrate(field, noise, 0.0, 1 - epsilon.LEAST, solver="heun", steps=400).end

    end = draw(noise)["x"]
    np.testing.assert_allclose(end, image, atol=0.06)


def test_normal_data_do_not_move():
    x, tau = jax.random.normal(jax.random.key(0), (4, 6)), jnp.array([0.1, 0.4, 0.7, 0.95])
    _, sigma = epsilon.alpha_sigma(1 - tau)
    velocity = epsilon.vp_to_velocity(sigma[:, None] * x, x, tau)
    np.testing.assert_allclose(velocity, 0, atol=1e-4)
