"""Blocks of the conditioners: how the label's embedding enters a network of two or three dimensions."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.convolution import Conv, Norm
from msflow_jax.nets.layers import Dense, over_space

Outputs = tuple[jax.Array, jax.Array]  # raw log-scale and shift
EMBEDDING = 128
_zeros = nn.initializers.zeros


class _BiasedProduct(nn.Module):
    """``Dense`` with the bias as one more row of the kernel.

    Added behind the product, XLA on CPU adds it at every entry that is modulated, twice the time of the
    modulation itself in a loop of steps.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, E]`` to ``[B, features]``."""
        kernel = self.param("kernel", _zeros, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        # The bias as a row: XLA on CPU would add it again at every entry that is modulated.
        padded = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=-1)
        return padded @ jnp.concatenate([kernel, bias[None]])


class FiLM(nn.Module):
    """Feature-wise linear modulation, ``h (1 + gamma(e)) + beta(e)``; starts as the identity."""

    @nn.compact
    def __call__(self, h: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` and ``[B, E]`` to the former's shape."""
        both = _BiasedProduct(2 * h.shape[-1], name="modulation_zero")(embedding)
        gamma, beta = jnp.split(over_space(both, h), 2, axis=-1)
        return h * (1 + gamma) + beta


class ResidualBlock(nn.Module):
    """Conv, norm, FiLM, GELU, conv, norm, FiLM beside the input; GELU."""

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` and ``[B, E]`` to the former's shape."""
        h = nn.gelu(modulated(x, embedding, x.shape[-1], 3, 1, "first"))
        h = modulated(h, embedding, x.shape[-1], 3, 1, "second")
        return nn.gelu(x + h)


def embed(labels: jax.Array, classes: int, width: int = EMBEDDING) -> jax.Array:
    """A learned vector for each class, ``[B] -> [B, width]``: a linear layer on one-hot labels."""
    return Dense(width, name="label")(jax.nn.one_hot(labels, classes))


def modulated(
    x: jax.Array, embedding: jax.Array, width: int, size: int, stride: int, name: str
) -> jax.Array:
    """Conv, norm, FiLM: children of the module whose compact method calls this."""
    h = Conv(width, size, stride, name=f"{name}_conv")(x)
    return FiLM(name=f"{name}_film")(Norm(name=f"{name}_norm")(h), embedding)
