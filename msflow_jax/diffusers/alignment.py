"""Encoders of all modalities into one space, and the loss that brings pairs together (InfoNCE).

MedM2G (arXiv 2403.04290), section "central alignment": text is the hub, because text accompanies most
images; others attach to what is there and stays fixed. The loss is CLIP's (arXiv 2103.00020).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.nets.layers import Conv, Dense, Dtype, GroupNorm
from msflow_jax.nets.ops import resize
from msflow_jax.nets.transformer import Block
from msflow_jax.nets.vit import ViT

# The paper does not say the temperature: CLIP's first value, and the largest scale it may learn.
FIRST_SCALE = float(np.log(1 / 0.07))
MAX_SCALE = float(np.log(100.0))
_GRID = 4  # places along each axis that the vector of an image tells apart


class ImageEncoder(nn.Module):
    """Images to vectors: four levels of strided convolutions, or a small ViT.

    Attributes:
        width: channels of the first level, or of a ViT's tokens over 8.
        kind: ``cnn`` or ``vit``.
        depth: blocks of a ViT.
        patch: rows and columns of its patches.
        heads: its heads of attention.
        dtype: compute dtype.
        pooled: whether it gives one vector, of a CNN of 4 places along each axis.
    """

    width: int = 16
    kind: str = "cnn"
    depth: int = 4
    patch: int = 4
    heads: int = 4
    dtype: Dtype = jnp.float32
    pooled: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` in [-1, 1] to ``[B, F]``, or not pooled to ``[B, places, F]``."""
        if self.kind == "vit":
            given = (8 * self.width, self.depth, self.heads, self.patch, self.dtype)
            return ViT(*given, name="vit")(x)
        for level in range(4):
            features = self.width * 2**level
            x = Conv(features, stride=1 + (level > 0), dtype=self.dtype, name=f"down_{level}")(x)
            x = GroupNorm(min(8, features), name=f"norm_{level}")(x)
            h = Conv(features, dtype=self.dtype, name=f"conv_{level}")(x)
            x = x + GroupNorm(min(8, features), name=f"norm_conv_{level}")(h)
        x = x.astype(jnp.float32)
        if not self.pooled:
            return x.reshape(len(x), -1, x.shape[-1])
        # Places are kept: a mean over space could not tell left from right, nor how broad a head is.
        return resize(x, _GRID).reshape(len(x), -1)


class TextEncoder(nn.Module):
    """Rows of token numbers to vectors: a small transformer, the mean of its tokens.

    Attributes:
        size: how many token numbers there are.
        width: channels of a token.
        depth: number of blocks.
        heads: number of attention heads.
        dtype: compute dtype.
    """

    size: int
    width: int = 128
    depth: int = 2
    heads: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Maps int32 ``[B, T]``, 0 for padding, to ``[B, width]``."""
        x, there = embed_tokens(self, tokens)
        for i in range(self.depth):
            x = Block(self.heads, dtype=self.dtype, name=f"block_{i}")(x, there[:, None])
        weight = there[..., None].astype(jnp.float32)
        total = (x.astype(jnp.float32) * weight).sum(axis=1)
        return total / jnp.maximum(weight.sum(axis=1), 1)


def embed_tokens(module: nn.Module, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Embedded tokens with their places ``[B, T, width]``, and which are no padding ``[B, T]``."""
    size, width, length = module.size, module.width, tokens.shape[1]
    zeros = nn.initializers.zeros
    words = module.param("word_embedding", zeros, (size, width), jnp.float32)
    places = module.param("place_embedding", zeros, (length, width), jnp.float32)
    # Of unit spread: embeddings are drawn with a deviation of 0.02.
    x = 50 * (jnp.take(words, tokens, axis=0) + places[None])
    return x.astype(module.dtype), tokens > 0


class Aligned(nn.Module):
    """An encoder with its projection to the common space.

    Attributes:
        encoder: module from an array ``[B, ...]`` to vectors ``[B, F]``.
        features: dimensions of the common space.
        views: width of the projector of the visual-invariant term; 0: the term is on the common space.
    """

    encoder: nn.Module
    features: int = 64
    views: int = 0

    def setup(self) -> None:
        """The layers behind the encoder."""
        self.project = Dense(self.features)
        if self.views:
            self.view_in, self.view_out = Dense(self.views), Dense(self.views)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Unit vectors ``[B, features]``."""
        if self.is_initializing():
            self.view(x)
        return unit(self.project(self.encoder(x)))

    def view(self, x: jax.Array) -> jax.Array:
        """Features for the visual-invariant term, ``[B, views]``, or ``[B, features]``."""
        if not self.views:
            return self.project(self.encoder(x))
        return self.view_out(nn.relu(self.view_in(self.encoder(x))))


def unit(x: jax.Array) -> jax.Array:
    """Vectors of length 1 along the last axis; a zero vector stays near zero."""
    return x / jnp.sqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-12))


def mean_condition(*vectors: jax.Array) -> jax.Array:
    """The mean of unit vectors of several modalities, of length 1 again."""
    total = vectors[0]
    for one in vectors[1:]:
        total = total + one
    return unit(total)


def infonce(
    a: jax.Array, b: jax.Array, log_scale: jax.Array, same: jax.Array | None = None
) -> jax.Array:
    """Symmetric InfoNCE of pairs: row i of ``a`` belongs to row i of ``b``.

    Args:
        a: unit vectors ``[B, D]``.
        b: unit vectors ``[B, D]``.
        log_scale: logarithm of 1 / temperature, clipped at log 100.
        same: which rows are one and the same, bool ``[B, B]``, for instance equal reports; they count
            as pairs too. None: no row but itself.

    Returns:
        The mean over rows and both directions of the cross-entropy; log B where all vectors are equal.
        With duplicates its least value is the entropy of the targets, not 0.
    """
    scores = jnp.exp(jnp.minimum(log_scale, MAX_SCALE)).reshape(1, 1) * (a @ b.T)
    truth = jnp.eye(len(a)) if same is None else same.astype(jnp.float32)

    def one(logits: jax.Array, target: jax.Array) -> jax.Array:
        target = target / target.sum(axis=1, keepdims=True)
        return -(target * jax.nn.log_softmax(logits, axis=1)).sum(axis=1).mean()

    return 0.5 * (one(scores, truth) + one(scores.T, truth.T))


def equal_rows(tokens: jax.Array) -> jax.Array:
    """Which rows ``[B, ...]`` are equal, bool ``[B, B]``."""
    flat = tokens.reshape(len(tokens), -1)
    return (flat[:, None] == flat[None]).all(axis=-1)
