"""The generation branch: latents through an expert that attends to what understanding left.

SynerMedGen, arXiv 2605.08724, stage II, in the shape of BAGEL: patches of latents with the time added,
a clean group of the source's before a noisy one of the target's, and an output layer from zero. What
the encoders see comes in by a connector that learns to draw, so that a frozen understanding may have
learned to read from anything, or nothing.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.dit import TIME_FREQUENCIES, TIME_SCALE, cut, join, position_code
from msflow_jax.nets.layers import Dense, Dtype, span_code
from msflow_jax.nets.ops import pad_sides, time_embedding
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.experts import Expert, Group, Memory, somewhere

LEAST = 0.05  # of a path, the least that a velocity to an image is taken over


def guidance_terms(guidance: float, image_guidance: float) -> list[tuple[float, float, float]]:
    """What a guided velocity is the sum of: (weight, 1 with the words, 1 with what the source shows).

    As BAGEL has it: first the words, then of the result the image.
    """
    terms = [(image_guidance * guidance, 1.0, 1.0)]
    if guidance != 1:
        terms.append((image_guidance * (1 - guidance), 0.0, 1.0))
    if image_guidance != 1:
        terms.append((1 - image_guidance, 1.0, 0.0))
    return terms


class Drawing(nn.Module):
    """Latents that become images.

    Attributes:
        channels: channels of the latents.
        width: channels of a token.
        patch: side of a patch of the latents.
        expert: the expert, of this width.
        axes: axes of space.
        dtype: compute dtype.
        span: whether it draws by a flow map, and is told how far to jump.
    """

    channels: int
    width: int
    patch: int
    expert: Expert
    axes: int = 2
    dtype: Dtype = jnp.float32
    span: bool = False

    def setup(self) -> None:
        """The layers of all methods."""
        self.content_in, self.look_in = (Dense(self.width, self.dtype) for _ in range(2))
        self.patches = Dense(self.width, self.dtype)
        self.time1, self.time2 = Dense(self.width), Dense(self.width)
        self.head_zero = Dense(self.patch**self.axes * self.channels, self.dtype)
        if self.span:
            self.span_zero = Dense(self.width)

    def __call__(
        self, seen: Seen, z: jax.Array, tau: jax.Array, memory: Memory, at: int
    ) -> jax.Array:
        """All layers once, for their shapes."""
        return self.draw(z, tau, memory, at) + sum(one.sum() for one in self.connect(seen))

    def connect(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        """Tokens for :meth:`Understanding.read`: of content ``[B, T, F]``, of a look ``[B, E]``."""
        return self.content_in(seen.content), self.look_in(seen.look)[:, None]

    def draw(
        self, z: jax.Array, tau: jax.Array, memory: Memory, at: int, span: jax.Array | None = None
    ) -> jax.Array:
        """What is made of noisy latents, ``[B, *space, C]`` float32.

        Args:
            z: latents ``[B, *space, C]``.
            tau: their clocks ``[B]``, 0: noise, 1: data.
            memory: what came before.
            at: place in the sequence, behind all of that.
            span: of a flow map: time that is jumped ``[B]``; None: none.
        """
        span = jnp.zeros(len(z)) if self.span and span is None else span
        group, grid, inside = self._group(z, tau, jnp.ones(len(z)), at, span)
        out, _ = self.expert(group, memory)
        tokens = self.head_zero(out.astype(self.dtype))
        return join(tokens, grid, self.patch)[:, *inside, :].astype(jnp.float32)

    def read(self, z: jax.Array, keep: jax.Array, memory: Memory, at: int) -> Memory:
        """What clean latents ``[B, *space, C]`` leave, where ``keep [B]`` is 1, behind the rest."""
        group, _, _ = self._group(z, jnp.ones(len(z)), keep, at)
        return memory.then(self.expert(group, memory)[1])

    @nn.nowrap
    def _group(
        self, z: jax.Array, tau: jax.Array, keep: jax.Array, at: int, span: jax.Array | None = None
    ) -> tuple[Group, tuple[int, ...], tuple[slice, ...]]:
        z, inside = pad_sides(z, self.patch)
        grid = tuple(side // self.patch for side in z.shape[1:-1])
        tokens = (
            self.patches(cut(z, self.patch))
            + position_code(grid, self.width).astype(self.dtype)[None]
        )
        code = time_embedding(TIME_SCALE * tau, TIME_FREQUENCIES)
        hidden = self.time1(code)
        if span is not None:
            hidden = hidden + self.span_zero(span_code(span))
        time = self.time2(nn.silu(hidden))
        tokens = tokens + time[:, None].astype(tokens.dtype)
        count = tokens.shape[1]
        seen = jnp.repeat(keep[:, None] > 0, count, axis=1)
        return Group(tokens, seen, jnp.full(count, at), somewhere(grid)), grid, inside
