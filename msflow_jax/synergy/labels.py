"""What class an image shows: a small head on what understanding sees, which stays as it is."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.layers import Dense
from msflow_jax.synergy.encoder import Seen


class Labels(nn.Module):
    """Content tokens and look to logits of the classes.

    Attributes:
        classes: how many.
        width: channels of the hidden layers.
    """

    classes: int
    width: int = 64

    @nn.compact
    def __call__(self, seen: Seen) -> jax.Array:
        """Maps content ``[B, T, F]`` and looks ``[B, E]`` to logits ``[B, K]``, from zero."""
        each = nn.gelu(Dense(self.width, name="each")(seen.content))
        # The largest beside the mean: a lesion is one token among many.
        both = [each.mean(axis=1), each.max(axis=1), seen.look]
        h = nn.gelu(Dense(self.width, name="all")(jnp.concatenate(both, axis=-1)))
        return Dense(self.classes, name="head_zero")(h)
