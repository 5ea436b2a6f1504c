"""The networks inside a coupling: what is seen and the label to raw log-scale and shift.

Every module maps ``x`` ``[B, *space, C]`` and class numbers ``[B]`` to two arrays of ``x``'s shape, in
two or three dimensions; the last layers start at zero: a fresh coupling is the identity. No batch
statistics anywhere: with them the density of an image would depend on the other samples of the batch.

MAGIC-Flow's are in :mod:`msflow_jax.coupling.magic`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.coupling.blocks import FiLM, Outputs, ResidualBlock, embed, modulated
from msflow_jax.coupling.magic import Classification, Generation
from msflow_jax.nets.convolution import Conv

_zeros = nn.initializers.zeros


class Convolutional(nn.Module):
    """Glow's: convolutions of sizes 3, 1 and 3; behind the first a learned spatial bias, and FiLM.

    Anatomy has its place, of which a convolution sees only the nearest borders: without the bias the
    X-rays that a flow draws are clouds. A volume's bias is a sum over its pairs of axes, three planes:
    one per voxel and hidden channel would be nearly all parameters (4 MB for each step at 64^3).

    Attributes:
        classes: number of classes K.
        width: channels of the hidden layers.
        spatial_bias: whether there is a learned bias by place; without it the flow knows no place.
    """

    classes: int
    width: int = 64
    spatial_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        h = Conv(self.width, name="in_conv")(x)
        if self.spatial_bias:
            h = h + self._places(h.shape[1:])[None]
        h = nn.relu(FiLM(name="in_film")(h, jax.nn.one_hot(labels, self.classes)))
        h = nn.relu(Conv(self.width, size=1, name="mid_conv")(h))
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift

    def _places(self, shape: tuple[int, ...]) -> jax.Array:
        """The bias at every place ``[*space, width]``."""
        if len(shape) == 3:
            return self.param("place_zero", _zeros, shape, jnp.float32)
        planes = [(*shape[:axis], 1, *shape[axis + 1 :]) for axis in range(3)]
        named = zip(("depth", "height", "width"), planes, strict=True)
        parts = [self.param(f"along_{n}_zero", _zeros, plane, jnp.float32) for n, plane in named]
        return sum(jnp.broadcast_to(part, shape) for part in parts)  # type: ignore[return-value]


class Residual(nn.Module):
    """The plain one: a convolution and residual blocks at full resolution.

    Attributes:
        classes: number of classes K.
        width: channels of the hidden layers.
        blocks: number of residual blocks.
    """

    classes: int
    width: int = 64
    blocks: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> Outputs:
        """Raw log-scale and shift."""
        embedding = nn.gelu(embed(labels, self.classes))
        h = nn.gelu(modulated(x, embedding, self.width, 3, 1, "stem"))
        for i in range(self.blocks):
            h = ResidualBlock(name=f"block_{i}")(h, embedding)
        raw, shift = jnp.split(Conv(2 * x.shape[-1], name="out_zero")(h), 2, axis=-1)
        return raw, shift


CONDITIONERS: dict[str, Any] = {
    "convolutional": Convolutional,
    "residual": Residual,
    "generation": Generation,
    "classification": Classification,
}
