"""Learned priors of a coupling flow's latents: mean and log-scale by class and by what is kept."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.convolution import Conv
from msflow_jax.nets.layers import Dense, over_space

Outputs = tuple[jax.Array, jax.Array]
_zeros = nn.initializers.zeros


class SplitPrior(nn.Module):
    """Glow's prior of the half that is split off: mean and log-scale by the other half and the class.

    Attributes:
        classes: number of classes K.
        features: channels of the half that is split off.
        bound: largest absolute log-scale.
    """

    classes: int
    features: int
    bound: float = 3.0

    @nn.compact
    def __call__(self, kept: jax.Array, labels: jax.Array) -> Outputs:
        """Mean and log-scale, both ``[B, *space, features]``; a fresh prior is the standard normal."""
        h = Conv(2 * self.features, name="out_zero")(kept)
        given = Dense(2 * self.features, name="label_zero")(jax.nn.one_hot(labels, self.classes))
        mean, raw = jnp.split(h + over_space(given, h), 2, axis=-1)
        return mean, self.bound * jnp.tanh(raw / self.bound)


class TopPrior(nn.Module):
    """Prior of what is never split off: a mean and a log-scale for every entry and class.

    Attributes:
        classes: number of classes K.
        bound: largest absolute log-scale.
    """

    classes: int
    bound: float = 3.0

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array) -> Outputs:
        """Mean and log-scale for latents ``[B, *space, C]``; a fresh prior is the standard normal."""
        shape = (2, self.classes, *x.shape[1:])
        mean, raw = self.param("table_zero", _zeros, shape, jnp.float32)[:, labels]
        return mean, self.bound * jnp.tanh(raw / self.bound)
