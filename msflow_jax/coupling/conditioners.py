"""The networks inside a coupling: what is seen and the label to raw log-scale and shift.

Every module maps ``x`` ``[B, *space, C]`` and class numbers ``[B]`` to two arrays of ``x``'s shape, in
two or three dimensions; the last layers start at zero: a fresh coupling is the identity. No batch
statistics anywhere: with them the density of an image would depend on its batch-mates.

`Generation` and `Classification` follow MAGIC-Flow (arXiv 2510.22070) with two changes: group norm where
the public code has batch norm, plain kernels where it normalises them.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.convolution import Conv, Norm
from msflow_jax.nets.layers import Dense, over_space

Outputs = tuple[jax.Array, jax.Array]
EMBEDDING = 128
_zeros = nn.initializers.zeros


class _Product(nn.Module):
    """`Dense` with the bias as one more row of the kernel.

    Added behind the product, XLA on CPU adds it at every entry that is modulated, twice the time of the
    modulation itself in a loop of steps.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, E]` to `[B, features]`."""
        kernel = self.param("kernel", _zeros, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", _zeros, (self.features,), jnp.float32)
        padded = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=-1)
        return padded @ jnp.concatenate([kernel, bias[None]])


class FiLM(nn.Module):
    """Feature-wise linear modulation, `h (1 + gamma(e)) + beta(e)`; starts as the identity."""

    @nn.compact
    def __call__(self, h: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` and `[B, E]` to the former's shape."""
        both = _Product(2 * h.shape[-1], name="modulation_zero")(embedding)
        gamma, beta = jnp.split(over_space(both, h), 2, axis=-1)
        return h * (1 + gamma) + beta


class CBAM(nn.Module):
    """Gates over channels, then over places (Woo et al. 2018)."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` to the same shape."""
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
        """Maps `[B, *space, C]` to the same shape."""
        branches = [Conv(x.shape[-1], size=1, name="near")(x)]
        for reach in (6, 12, 18):
            branches.append(Conv(x.shape[-1], dilation=reach, name=f"reach_{reach}")(x))
        h = jnp.concatenate(branches, axis=-1)
        pooled = h.mean(axis=tuple(range(1, x.ndim - 1)))
        pooled = nn.relu(Dense(max(1, h.shape[-1] // self.reduction), name="squeeze")(pooled))
        h = h * over_space(nn.sigmoid(Dense(h.shape[-1], name="excite")(pooled)), h)
        return Conv(x.shape[-1], size=1, name="join")(h)


class ResidualBlock(nn.Module):
    """Conv, norm, FiLM, GELU, conv, norm, FiLM beside the input; GELU."""

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """Maps `[B, *space, C]` and `[B, E]` to the former's shape."""
        h = nn.gelu(_modulated(x, embedding, x.shape[-1], 3, 1, "first"))
        h = _modulated(h, embedding, x.shape[-1], 3, 1, "second")
        return nn.gelu(x + h)


class Convolutional(nn.Module):
    """Glow's: convolutions of sizes 3, 1 and 3; behind the first an offset at every place, and FiLM.

    Anatomy has its place, of which a convolution sees only the nearest borders: without the offsets the
    X-rays that a flow draws are clouds.

    Attributes:
        classes: number of classes K.
        width: channels.
        places: whether there are offsets; without them the flow knows no place.
    """

    classes: int
    width: int = 64
    places: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        h = Conv(self.width, name="in_conv")(x)
        if self.places:
            h = h + self.param("place_zero", _zeros, h.shape[1:], jnp.float32)
        h = nn.relu(FiLM(name="in_film")(h, jax.nn.one_hot(labels, self.classes)))
        h = nn.relu(Conv(self.width, size=1, name="mid_conv")(h))
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift


class Residual(nn.Module):
    """The plain one: a convolution and residual blocks at full resolution.

    Attributes:
        classes: number of classes K.
        width: channels.
        blocks: residual blocks.
    """

    classes: int
    width: int = 64
    blocks: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = nn.gelu(_embed(labels, self.classes))
        h = nn.gelu(_modulated(x, embedding, self.width, 3, 1, "stem"))
        for i in range(self.blocks):
            h = ResidualBlock(name=f"block_{i}")(h, embedding)
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift


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
        embedding = nn.gelu(_embed(labels, self.classes))
        space = tuple(range(1, x.ndim - 1))
        h = x
        for i, width in enumerate(self.widths):
            size = 5 if i == 0 else 3
            h = nn.gelu(_modulated(h, embedding, width, size, 1, f"stage_{i}"))
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
            h = nn.gelu(_modulated(h, embedding, width, size, 2, f"stage_{i}"))
            if i > 0:
                h = CBAM(name=f"stage_{i}_gate")(h)
                h = ResidualBlock(name=f"stage_{i}_block")(h, embedding)
            if self.dropout and train:
                h = nn.Dropout(self.dropout, deterministic=False)(h)
        if not self.dense:
            h = Conv(2 * self.widths[-1], name="head")(h)
            h = nn.gelu(FiLM(name="head_film")(h, embedding))
            h = jax.image.resize(h, (*x.shape[:-1], h.shape[-1]), "nearest")
            h = nn.gelu(Conv(self.widths[-1], name="refine")(jnp.concatenate([h, x], axis=-1)))
            raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
            return raw, shift
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
        h = nn.gelu(_embed(labels, self.classes, 16))
        for width in (32, 64):
            skip = Dense(width, name=f"skip_{width}")(h)
            h = nn.gelu(Dense(width, name=f"label_{width}")(h) + skip)
        return nn.gelu(Dense(EMBEDDING, name=f"label_{EMBEDDING}")(h))


def _embed(labels: jax.Array, classes: int, width: int = EMBEDDING) -> jax.Array:
    """A learned vector for each class, ``[B] -> [B, width]``: a linear layer on one-hot labels."""
    return Dense(width, name="label")(jax.nn.one_hot(labels, classes))


def _modulated(
    x: jax.Array, embedding: jax.Array, width: int, size: int, stride: int, name: str
) -> jax.Array:
    """Conv, norm, FiLM: children of the module whose compact method calls this."""
    h = Conv(width, size, stride, name=f"{name}_conv")(x)
    return FiLM(name=f"{name}_film")(Norm(name=f"{name}_norm")(h), embedding)


CONDITIONERS: dict[str, Any] = {
    "convolutional": Convolutional,
    "residual": Residual,
    "generation": Generation,
    "classification": Classification,
}
