"""What understanding sees of an image: content tokens, and one vector of how it looks.

Content is what all modalities of a slice share, where it lies; appearance is what a modality is. Of
SynerMedGen (arXiv 2605.08724) both come from BAGEL's SigLIP, whose tokens carry everything; a model from
scratch that shall draw what it never saw as pairs needs them apart, as a prototype has shown.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.dit import position_code
from msflow_jax.nets.layers import Conv, Dense, Dtype, GroupNorm
from msflow_jax.nets.ops import pad_sides
from msflow_jax.nets.transformer import Block

LEVELS = 3  # of the appearance's convolutions


class Seen(NamedTuple):
    """What the encoders see of images.

    Attributes:
        content: ``[..., T, F]``.
        look: vector of the appearance ``[..., E]``.
    """

    content: jax.Array
    look: jax.Array


class ContentEncoder(nn.Module):
    """Images to a grid of content tokens.

    ``cnn``: convolutions that see 3, 5 or 9 pixels (patch 1, 2, 4), and no further: what lies
    elsewhere says which modality it is, while a token shall say what lies here. ``vit``: a transformer,
    as large as SigLIP's if so configured.

    Attributes:
        features: numbers of a token; few keep a contrast out of it.
        width: channels of the last convolution, half as many for each halving before them (8 at
            least); or of the
            transformer's tokens.
        patch: pixels of an image for one token, along a side; of a CNN a power of 2.
        kind: ``cnn`` or ``vit``.
        depth: blocks of a ViT.
        heads: its heads of attention.
        dtype: compute dtype.
    """

    features: int = 16
    width: int = 64
    patch: int = 4
    kind: str = "cnn"
    depth: int = 4
    heads: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` in [-1, 1] to ``[B, T, features]`` float32 of unit mean square."""
        x, _ = pad_sides(x, self.patch)
        if self.kind == "vit":
            p = self.patch
            x = Conv(self.width, p, p, padding=(0, 0), dtype=self.dtype, name="patches")(x)
            x = self._coded(x)
            for i in range(self.depth):
                x = Block(self.heads, dtype=self.dtype, name=f"block_{i}")(x)
        else:
            stride, levels = 1, self.patch.bit_length()
            for level in range(levels):
                width = max(8, self.width >> (levels - 1 - level))
                x = Conv(width, stride=stride, dtype=self.dtype, name=f"down_{level}")(x)
                # Of each place: a norm over space would see the whole image.
                norm = nn.LayerNorm(dtype=jnp.float32, name=f"norm_{level}")
                x = norm(nn.silu(x)).astype(self.dtype)
                stride = 2
            x = nn.silu(Dense(self.width, self.dtype, name="last")(x))
            x = x.reshape(len(x), -1, self.width)
        return spread(Dense(self.features, name="head")(x.astype(jnp.float32)))

    @nn.nowrap
    def _coded(self, x: jax.Array) -> jax.Array:
        """Tokens ``[B, T, width]`` of a grid, with their places."""
        code = position_code(x.shape[1:-1], self.width).astype(x.dtype)
        return x.reshape(len(x), -1, self.width) + code[None]


class AppearanceEncoder(nn.Module):
    """Images to one vector each: what all of the image looks like.

    Attributes:
        features: numbers of the vector.
        width: channels of the first level.
        dtype: compute dtype.
    """

    features: int = 32
    width: int = 16
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` in [-1, 1] to ``[B, features]`` float32 of unit mean square."""
        for level in range(LEVELS):
            features = self.width * 2**level
            x = Conv(features, stride=1 + (level > 0), dtype=self.dtype, name=f"down_{level}")(x)
            x = GroupNorm(min(8, features), name=f"norm_{level}")(nn.silu(x))
        x = x.astype(jnp.float32).mean(axis=tuple(range(1, x.ndim - 1)))
        return spread(Dense(self.features, name="head")(x))


def spread(x: jax.Array) -> jax.Array:
    """Vectors of unit mean square along the last axis: of length ``sqrt(C)``."""
    return x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + 1e-6)
