"""Linen layers shared by the networks: convolution, product over channels, group norm, attention.

Images are ``[B, *space, C]``, of two or three axes of space; the rank of the input says which.

Parameters are float32. Convolutions and products run in the layer's ``dtype``; norm statistics and
softmax in float32. Initial values come from ``nets.init.init_params``, which goes by name; the
initialisers here only fix shapes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets import ops
from msflow_jax.nets.kernels import convolve, upsample_convolve
from msflow_jax.nets.ops import over_space as over_space

Dtype = Any
_zeros = nn.initializers.zeros


class Conv(nn.Module):
    """Convolution with ``kernel`` ``[k, k, C_in, C_out]`` (of volumes ``[k, k, k, C_in, C_out]``) and
    ``bias``, padded by (k - 1) / 2 on each side as in torch.

    Attributes:
        features: number of output channels.
        size: odd side k of the kernel.
        stride: step along every axis of space.
        upsample: convolve the 2-fold nearest enlargement of the input (size 3, stride 1 only).
        padding: zeros before and after each side; None is (k - 1) / 2 of both.
        bias: whether there is a ``bias``.
        dtype: dtype in which the layer computes.
    """

    features: int
    size: int = 3
    stride: int = 1
    upsample: bool = False
    padding: tuple[int, int] | None = None
    bias: bool = True
    dtype: Dtype = jnp.float32

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C_in]`` to ``[B, *space', C_out]``."""
        y, bias = self.parts(x)
        return y + ops.per_channel(bias, y).astype(y.dtype) if self.bias else y

    @nn.compact
    def parts(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The image without the bias, and the bias [C_out], for a norm behind to take as shift."""
        n = x.ndim - 2
        shape = (*(self.size,) * n, x.shape[-1], self.features)
        kernel = self.param("kernel", _zeros, shape, jnp.float32).astype(self.dtype)
        bias = jnp.zeros(self.features)
        if self.bias:
            bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        x = x.astype(self.dtype)
        if self.upsample:
            return upsample_convolve(x, kernel), bias
        pad = self.padding or ((self.size - 1) // 2,) * 2
        return convolve(x, kernel, self.stride, (pad,) * n), bias


class Dense(nn.Module):
    """Product over the last axis, ``kernel`` [C_in, C_out] and ``bias``; a 1x1 convolution of an image.

    Attributes:
        features: number of output channels.
        dtype: dtype in which the layer computes.
        image: the input is an image or its pixels, so take the product with the cheaper
            reverse-mode derivative.
    """

    features: int
    dtype: Dtype = jnp.float32
    image: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[..., C_in]`` to ``[..., C_out]``."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", _zeros, shape, jnp.float32).astype(self.dtype)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32).astype(self.dtype)
        x = x.astype(self.dtype)
        product = ops.channel_product(x, kernel) if self.image else x @ kernel
        return product + ops.per_channel(bias, product)


class GroupNorm(nn.Module):
    """Group norm with ``scale`` and ``bias`` of the channels, followed by SiLU unless ``silu=False``.

    ``forward_mode`` as in ``ops.group_norm``.
    """

    groups: int
    silu: bool = True
    forward_mode: bool = False
    epsilon: float = ops.NORM_EPSILON

    @nn.compact
    def __call__(self, x: jax.Array, shift: jax.Array | None = None) -> jax.Array:
        """Maps ``[B, *space, C]`` to the same shape; ``shift`` ``[B, C]`` is added before."""
        channels = x.shape[-1]
        if channels % self.groups:
            raise ValueError(
                f"{channels} channels cannot be normalised in {self.groups} groups: set groups"
            )
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", _zeros, (channels,), jnp.float32)
        return ops.group_norm(
            x,
            scale,
            bias,
            shift,
            groups=self.groups,
            silu=self.silu,
            forward_mode=self.forward_mode,
            epsilon=self.epsilon,
        )


class Attention(nn.Module):
    """Residual self-attention over the pixels: zero-initialised output, no position code."""

    heads: int
    groups: int
    dtype: Dtype = jnp.float32
    forward_mode: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to the same shape."""
        batch, channels = x.shape[0], x.shape[-1]
        h = GroupNorm(self.groups, False, self.forward_mode, name="norm")(x)
        h = h.reshape(batch, -1, channels)
        h = Dense(3 * channels, self.dtype, not self.forward_mode, name="qkv")(h)
        h = ops.attend(h, self.heads)
        h = Dense(channels, self.dtype, not self.forward_mode, name="out_zero")(h)
        return x + h.reshape(x.shape)


class ResidualBlock(nn.Module):
    """Norm, SiLU, conv; time embedding added; norm, SiLU, dropout, zero-initialised conv; skip."""

    features: int
    groups: int
    dropout: float = 0.0
    dtype: Dtype = jnp.float32
    forward_mode: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, activated_time: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` and SiLU(time embedding) ``[B, E]`` to ``[B, *space, features]``."""
        h = GroupNorm(self.groups, True, self.forward_mode, name="norm1")(x)
        h, bias = Conv(self.features, dtype=self.dtype, name="conv1").parts(h)
        shift = Dense(self.features, name="time")(activated_time) + bias[None]
        h = GroupNorm(self.groups, True, self.forward_mode, name="norm2")(h, shift)
        if self.dropout:
            h = nn.Dropout(self.dropout, deterministic=False)(h)
        h = Conv(self.features, dtype=self.dtype, name="conv2_zero")(h)
        if x.shape[-1] != self.features:
            x = Dense(self.features, self.dtype, not self.forward_mode, name="skip")(x)
        return x + h


# A time that is jumped is told in few slow waves: a map bends gently with it, and its derivative, which
# distillation needs, must not be that of an embedding made for a thousand steps.
_SPAN_WIDTH, _SPAN_SCALE, _SPAN_PERIOD = 64, 4.0, 64.0


def add_span(hidden: jax.Array, span: jax.Array | None, wanted: bool) -> jax.Array:
    """Adds what a jumped time says to the hidden layer of a time embedding, from zero.

    To be called inside ``nn.compact``; the layer is called ``span_zero``, so that a network that
    starts with another's parameters starts as that network, bit for bit.

    Args:
        hidden: ``[B, F]``, before its activation.
        span: time that is jumped ``[B]``; None: none.
        wanted: whether the network is a flow map's.

    Raises:
        ValueError: a span for another network.
    """
    if not wanted:
        if span is not None:
            raise ValueError("this network is no flow map's: it cannot be told how far to jump")
        return hidden
    span = jnp.zeros(hidden.shape[0]) if span is None else span
    return hidden + Dense(hidden.shape[-1], name="span_zero")(span_code(span))


def span_code(span: jax.Array) -> jax.Array:
    """What the layer ``span_zero`` of a flow map's network sees of a jumped time ``[B]``."""
    return ops.time_embedding(_SPAN_SCALE * span, _SPAN_WIDTH, _SPAN_PERIOD)
