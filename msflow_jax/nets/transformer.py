"""Attention of tokens to others, and the usual transformer block around it."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.layers import Dense, Dtype
from msflow_jax.nets.places import near_bias


class MultiHead(nn.Module):
    """Attention of tokens to a context, or to themselves.

    Attributes:
        heads: number of heads; divides the channels.
        dtype: compute dtype; the softmax is float32.
        zero: whether the output layer starts at zero.
    """

    heads: int
    dtype: Dtype = jnp.float32
    zero: bool = False

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array | None = None, mask: jax.Array | None = None,
        bias: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Maps tokens ``[B, T, C]`` to ``[B, T, C]``.

        Args:
            x: tokens that ask.
            context: tokens ``[B, S, D]`` that are asked; None: ``x``.
            mask: which may be asked, bool ``[B, T or 1, S]``; None: all.
            bias: added to the logits, ``[heads, T, S]``; None: nothing.

        Raises:
            ValueError: heads that do not divide the channels.
        """
        batch, tokens, width = x.shape
        if width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {width} channels")
        context = x if context is None else context

        def split(h: jax.Array) -> jax.Array:
            return h.reshape(*h.shape[:2], self.heads, -1)

        query = split(Dense(width, self.dtype, name="query")(x))
        key = split(Dense(width, self.dtype, name="key")(context))
        value = split(Dense(width, self.dtype, name="value")(context))
        if mask is not None:
            mask = jnp.broadcast_to(mask[:, None], (batch, 1, tokens, context.shape[1]))
        bias = None if bias is None else bias[None].astype(query.dtype)
        mixed = jax.nn.dot_product_attention(query, key, value, bias=bias, mask=mask)
        name = "out_zero" if self.zero else "out"
        return Dense(width, self.dtype, name=name)(mixed.reshape(batch, tokens, width))


class Block(nn.Module):
    """Attention to themselves, to a context if there is one, and an MLP, each after a layer norm.

    Attributes:
        heads: number of heads.
        mlp_ratio: hidden width of the MLP over that of the tokens.
        dtype: compute dtype; norms and softmax are float32.
    """

    heads: int
    mlp_ratio: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, context: jax.Array | None = None
    ) -> jax.Array:
        """Maps tokens ``[B, T, C]`` to ``[B, T, C]``; ``mask`` bool ``[B, T or 1, T]``."""
        width = x.shape[-1]

        def norm(name: str) -> jax.Array:
            return nn.LayerNorm(dtype=jnp.float32, name=name)(x).astype(self.dtype)

        x = x + MultiHead(self.heads, self.dtype, name="self")(norm("norm_self"), mask=mask)
        if context is not None:
            attend = MultiHead(self.heads, self.dtype, name="cross")
            x = x + attend(norm("norm_cross"), context.astype(self.dtype))
        h = nn.gelu(Dense(self.mlp_ratio * width, self.dtype, name="mlp1")(norm("norm_mlp")))
        return x + Dense(width, self.dtype, name="mlp2")(h)


class Guide(nn.Module):
    """Attention to a partner's tokens, behind an output layer that starts at zero and is its gate.

    At first the tokens pass bit for bit as they are. One number as the gate, with random layers behind
    it, opened over hundreds of steps: it has no direction to open in before those have learned one.
    Heads begin near (``places.near_bias``).
    """

    heads: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, partner: jax.Array, distance: jax.Array) -> jax.Array:
        """Maps tokens ``[B, T, C]``, asking a partner's ``[B, S, D]``, to ``[B, T, C]``.

        ``distance [T, S]`` is the squared distance to the partner's tokens, in tokens.
        """
        normal = nn.LayerNorm(dtype=jnp.float32, name="norm")(x).astype(self.dtype)
        near = self.param("near_zero", nn.initializers.zeros, (self.heads,), jnp.float32)
        bias = near_bias(near, distance)
        attend = MultiHead(self.heads, self.dtype, zero=True, name="attend")
        return x + attend(normal, partner.astype(self.dtype), bias=bias)
