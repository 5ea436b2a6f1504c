"""Bijections that only move entries: squeezing blocks of an image into channels."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.coupling.bijections import Mapped, Params


@dataclass(frozen=True)
class Squeeze:
    """Halves every side of ``[B, *space, C]`` and puts each 2 x ... x 2 block into channels.

    Channel ``c`` of the block's corner ``k`` (last axis fastest) becomes ``k C + c``. The
    log-determinant is 0; an array of log-det contributions is moved by
    :meth:`forward` as the entries are.
    """

    def init(self, key: jax.Array) -> Params:
        """No parameters."""
        return {}

    def forward(self, params: Params, x: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`.

        Raises:
            ValueError: an odd side.
        """
        batch, *space, channels = x.shape
        if any(side % 2 for side in space):
            raise ValueError(f"only even sides can be squeezed, got {tuple(space)}")
        n = len(space)
        cut = x.reshape(batch, *(s for side in space for s in (side // 2, 2)), channels)
        sides, corners = range(1, 2 * n + 1, 2), range(2, 2 * n + 2, 2)
        moved = cut.transpose(0, *sides, *corners, 2 * n + 1)
        z = moved.reshape(batch, *(side // 2 for side in space), 2**n * channels)
        return z, jnp.zeros(())

    def inverse(self, params: Params, z: jax.Array, context: Any = None) -> Mapped:
        """See :class:`Bijection`.

        Raises:
            ValueError: channels that a block's corners do not divide.
        """
        batch, *space, channels = z.shape
        n = len(space)
        if channels % 2**n:
            raise ValueError(f"{channels} channels are no squeezed ones: {2**n} must divide them")
        cut = z.reshape(batch, *space, *(2,) * n, channels // 2**n)
        pairs = (axis for i in range(n) for axis in (1 + i, 1 + n + i))
        moved = cut.transpose(0, *pairs, 2 * n + 1)
        x = moved.reshape(batch, *(2 * side for side in space), channels // 2**n)
        return x, jnp.zeros(())
