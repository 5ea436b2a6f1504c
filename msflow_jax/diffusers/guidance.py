"""Latent cross-guidance of MedM2G: what each diffuser tells the others of what it draws.

arXiv 2403.04290, section "latent cross-guided generation"; the shape of the context encoders is that of
CoDi (arXiv 2305.11846). A stream attends to its *partners* and never to itself: the public code of both
CoDi and XGeM feeds a stream its own token, so that partners have no influence there at all.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.diffusers.alignment import infonce, unit
from msflow_jax.nets.layers import Conv, Dense, Dtype, GroupNorm
from msflow_jax.nets.ops import over_space, resize, time_embedding

TIME_SCALE, TIME_WIDTH = 1000.0, 64


class ContextEncoder(nn.Module):
    """What one stream carries, at its time, as tokens of length 1 for the others.

    Attributes:
        width: channels of the first level.
        features: channels of a token.
        side: tokens along each axis of space; 1 gives one token, as in the public base code.
        dtype: compute dtype.
    """

    width: int = 16
    features: int = 64
    side: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array, tau: jax.Array) -> jax.Array:
        """Maps latents ``[B, *space, C]`` at clocks ``[B]`` (1: clean) to ``[B, side^n, features]``."""
        code = time_embedding(TIME_SCALE * tau, TIME_WIDTH)
        time = nn.silu(Dense(self.features, name="time")(code))
        x, level = z, 0
        while level == 0 or min(x.shape[1:-1]) >= 2 * max(self.side, 2):
            features = self.width * 2 ** min(level, 2)
            shift = Dense(features, name=f"time_{level}")(time)
            stride = 1 + (level > 0)
            x = Conv(features, stride=stride, dtype=self.dtype, name=f"conv_{level}")(x)
            # The norm is behind the activation, else all tokens are mostly one and the same vector; and
            # before the shift, which it would take away again.
            x = GroupNorm(min(8, features), name=f"norm_{level}")(nn.silu(x))
            x = x + over_space(shift, x).astype(x.dtype)
            level += 1
        x = Conv(self.features, dtype=self.dtype, name="head")(x)
        x = resize(x.astype(jnp.float32), self.side)
        return unit(x.reshape(len(x), -1, self.features))


def context_loss(a: jax.Array, b: jax.Array, temperature: float) -> jax.Array:
    """InfoNCE between the context tokens of pairs, ``[B, k, E]`` each, by their means.

    With a temperature and with both directions; XGeM's code has neither.
    """
    log_scale = -jnp.log(jnp.asarray(temperature))
    return infonce(unit(a.mean(axis=1)), unit(b.mean(axis=1)), log_scale)
