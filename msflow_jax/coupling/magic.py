"""MAGIC-Flow's conditioners (arXiv 2510.22070), for generation and for classification.

They follow the paper with three changes: group norm where the public code has batch norm, plain
kernels where it normalises them, and the global context of the generation conditioner is pooled before
the residual block that it gates, not after it.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.coupling.blocks import EMBEDDING, FiLM, Outputs, ResidualBlock, embed, modulated
from msflow_jax.nets.convolution import Conv
from msflow_jax.nets.layers import Dense, over_space


class CBAM(nn.Module):
    """Gates over channels, then over sites (Woo et al. 2018)."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to the same shape."""
        space = tuple(range(1, x.ndim - 1))
        hidden = Dense(max(1, x.shape[-1] // self.reduction), name="channel_in")
        out = Dense(x.shape[-1], name="channel_out")
        gate = sum(out(nn.relu(hidden(pool(x, axis=space)))) for pool in (jnp.mean, jnp.max))
        x = x * over_space(nn.sigmoid(gate), x)
        both = jnp.stack([x.mean(axis=-1), x.max(axis=-1)], axis=-1)
        return x * nn.sigmoid(Conv(1, size=7, name="place")(both))


class ASPP(nn.Module):
    """Parallel convolutions of growing reach, weighed by squeeze-and-excitation (ASPP-SE)."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to the same shape."""
        branches = [Conv(x.shape[-1], size=1, name="near")(x)]
        for reach in (6, 12, 18):
            branches.append(Conv(x.shape[-1], dilation=reach, name=f"reach_{reach}")(x))
        h = jnp.concatenate(branches, axis=-1)
        pooled = h.mean(axis=tuple(range(1, x.ndim - 1)))
        pooled = nn.relu(Dense(max(1, h.shape[-1] // self.reduction), name="squeeze")(pooled))
        h = h * over_space(nn.sigmoid(Dense(h.shape[-1], name="excite")(pooled)), h)
        return Conv(x.shape[-1], size=1, name="join")(h)


class Generation(nn.Module):
    """MAGIC-Flow's generation conditioner: three stages that keep the resolution.

    Attributes:
        classes: number of classes K.
        widths: channels of the three stages.
    """

    classes: int
    widths: tuple[int, int, int] = (16, 32, 32)

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = nn.gelu(embed(labels, self.classes))
        space = tuple(range(1, x.ndim - 1))
        h = x
        for i, width in enumerate(self.widths):
            size = 5 if i == 0 else 3
            h = nn.gelu(modulated(h, embedding, width, size, 1, f"stage_{i}"))
            h = CBAM(name=f"stage_{i}_gate")(h)
            pooled = h.mean(axis=space)
            if i == 0:
                fused = nn.gelu(Dense(EMBEDDING, name="fusion_in")(pooled))
                h = h + over_space(Dense(width, name="fusion_out")(fused), h)
            else:
                h = ResidualBlock(name=f"stage_{i}_block")(h, embedding)
                context = nn.relu(Dense(max(1, width // 16), name=f"stage_{i}_context_in")(pooled))
                context = nn.sigmoid(Dense(width, name=f"stage_{i}_context_out")(context))
                h = h + h * over_space(context, h)
            h = ASPP(name=f"stage_{i}_reach")(h)
        raw = Conv(x.shape[-1], name="scale_zero")(h)
        return raw, Conv(x.shape[-1], size=1, name="shift_zero")(h)


class Classification(nn.Module):
    """MAGIC-Flow's classification conditioner: two or three halvings, then back to every entry.

    The published head is dense: it knows one image size, and holds nearly all parameters (151.6 M in
    the published layout). ``dense=False`` convolves and enlarges instead.

    Attributes:
        classes: number of classes K.
        widths: channels of the three stages, each of half the resolution.
        dropout: after every stage, while training.
        dense: the published head.
    """

    classes: int
    widths: tuple[int, int, int] = (16, 32, 32)
    dropout: float = 0.3
    dense: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = self._residual_embedding(labels)
        h = x
        for i, width in enumerate(self.widths):
            size = 5 if i == 0 else 3
            h = nn.gelu(modulated(h, embedding, width, size, 2, f"stage_{i}"))
            if i > 0:
                h = CBAM(name=f"stage_{i}_gate")(h)
                h = ResidualBlock(name=f"stage_{i}_block")(h, embedding)
            if self.dropout and train:
                h = nn.Dropout(self.dropout, deterministic=False)(h)
        return (self._dense_head if self.dense else self._head)(h, x, embedding)

    def _head(self, h: jax.Array, x: jax.Array, embedding: jax.Array) -> Outputs:
        """Convolves, and enlarges to the resolution of ``x``."""
        h = Conv(2 * self.widths[-1], name="head")(h)
        h = nn.gelu(FiLM(name="head_film")(h, embedding))
        h = jax.image.resize(h, (*x.shape[:-1], h.shape[-1]), "nearest")
        h = nn.gelu(Conv(self.widths[-1], name="refine")(jnp.concatenate([h, x], axis=-1)))
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift

    def _dense_head(self, h: jax.Array, x: jax.Array, embedding: jax.Array) -> Outputs:
        """Every entry from all of ``h`` at once."""
        flat = h.reshape(len(h), -1)
        outputs = []
        for name in ("scale", "shift"):
            image = nn.gelu(Dense(64, name=f"{name}_image")(flat))
            label = nn.gelu(Dense(64, name=f"{name}_label")(embedding))
            joined = jnp.concatenate([image, label], axis=-1)
            outputs.append(Dense(math.prod(x.shape[1:]), name=f"{name}_zero")(joined))
        return outputs[0].reshape(x.shape), outputs[1].reshape(x.shape)

    def _residual_embedding(self, labels: jax.Array) -> jax.Array:
        """K -> 16 -> 32 -> 64 -> 128 with linear skips over the middle two."""
        h = nn.gelu(embed(labels, self.classes, 16))
        for width in (32, 64):
            skip = Dense(width, name=f"skip_{width}")(h)
            h = nn.gelu(Dense(width, name=f"label_{width}")(h) + skip)
        return nn.gelu(Dense(EMBEDDING, name=f"label_{EMBEDDING}")(h))
