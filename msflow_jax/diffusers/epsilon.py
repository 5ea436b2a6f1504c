"""The noise-predicting form (DDPM) in the time of a flow: the variance-preserving path and its ODE.

Time ``u`` runs from 0 (noise) to 1 (data), ``t = 1 - u``. The schedule is Stable Diffusion's, which
CoDi and so MedM2G use: the square root of beta rises linearly, over 1000 steps from 0.00085 to 0.012.
"""

import jax
import jax.numpy as jnp

from msflow_jax.streams import expand

_FIRST, _LAST, _STEPS = 0.00085**0.5, 0.012**0.5, 1000
# The ODE is singular where there is no noise: it ends this far before it.
LEAST = 1e-3


def beta(t: jax.Array) -> jax.Array:
    """Noise rate at ``t`` in [0, 1]."""
    return _STEPS * jnp.square(_FIRST + t * (_LAST - _FIRST))


def alpha_sigma(t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What is left of the data and how much noise there is at ``t``: their squares sum to 1."""
    slope = _LAST - _FIRST
    integral = _STEPS * ((_FIRST + t * slope) ** 3 - _FIRST**3) / (3 * slope)
    alpha = jnp.exp(-0.5 * integral)
    return alpha, jnp.sqrt(jnp.maximum(1 - jnp.square(alpha), 1e-12))


def noisy(data: jax.Array, noise: jax.Array, tau: jax.Array) -> jax.Array:
    """The state at clocks ``tau [B]``: ``alpha x + sigma eps``."""
    alpha, sigma = (expand(part, data) for part in alpha_sigma(1 - tau))
    return alpha * data + sigma * noise


def vp_to_velocity(epsilon: jax.Array, x: jax.Array, tau: jax.Array) -> jax.Array:
    """dx/du of the probability-flow ODE from a predicted noise.

    ``dx/dt = -beta/2 x + beta/2 eps / sigma`` (Song et al. 2021, eq. 13), turned around.

    Args:
        epsilon: predicted noise ``[B, ...]``.
        x: state ``[B, ...]``.
        tau: clocks ``[B]``; no nearer to 1 than ``LEAST`` where noise is divided by.
    """
    t = jnp.maximum(1 - tau, LEAST)
    _, sigma = alpha_sigma(t)
    rate = expand(0.5 * beta(t), x)
    return rate * (x - epsilon / expand(sigma, x))
