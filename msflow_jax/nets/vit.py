"""A small vision transformer (arXiv 2010.11929): patches, blocks, the mean of the tokens."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.dit import position_code
from msflow_jax.nets.layers import Conv, Dtype
from msflow_jax.nets.ops import pad_sides
from msflow_jax.nets.transformer import Block


class ViT(nn.Module):
    """Images to vectors.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: number of attention heads.
        patch: side of a patch; sides that it does not divide are padded by their edge.
        dtype: compute dtype.
    """

    width: int = 128
    depth: int = 4
    heads: int = 4
    patch: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, *space, C]`` to ``[B, width]`` float32."""
        x, _ = pad_sides(x, self.patch)
        p = self.patch
        x = Conv(self.width, p, p, padding=(0, 0), dtype=self.dtype, name="patches")(x)
        grid = x.shape[1:-1]
        x = x.reshape(x.shape[0], -1, self.width)
        x = x + position_code(grid, self.width).astype(self.dtype)[None]
        for i in range(self.depth):
            x = Block(self.heads, dtype=self.dtype, name=f"block_{i}")(x)
        return x.astype(jnp.float32).mean(axis=1)
