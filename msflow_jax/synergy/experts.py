"""A mixture of transformers: experts with parameters of their own, and one attention over all tokens.

The shape is that of BAGEL-7B (arXiv 2505.14683), on which SynerMedGen (arXiv 2605.08724) is built:
layers of Qwen2.5 (RMS norm, grouped queries, rotary positions, SwiGLU) with norms of queries and keys.
Tokens come in groups, and a group attends to itself and to all earlier ones: what is clean does not see
what is drawn, so that its keys and values are made once for all steps of a solver.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.layers import Dense, Dtype
from msflow_jax.nets.ops import per_channel
from msflow_jax.nets.places import PLACE, near_bias, with_places

NORM_EPSILON = 1e-6
ROTARY_BASE = 1e6  # of Qwen2.5
_NOWHERE = 0.5  # squared distance of tokens that have no place


class Group(NamedTuple):
    """Tokens that are read together.

    Attributes:
        tokens: ``[B, T, C]``.
        seen: which of them are there, bool ``[B, T]``; nobody attends to the others.
        positions: place in the sequence, int ``[T]``; the tokens of an image share one.
        places: where tokens lie in their image, ``[T, 4]`` of
            :func:`msflow_jax.nets.places.with_places`; 0 in the first channel: nowhere.
    """

    tokens: jax.Array
    seen: jax.Array
    positions: jax.Array
    places: jax.Array


class Memory(NamedTuple):
    """What groups leave to later ones.

    Attributes:
        keys: ``[B, S, K, H]`` of every layer.
        values: alike.
        seen: which of them are there, bool ``[B, S]``.
        places: where they lie ``[S, 4]``.
    """

    keys: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]
    seen: jax.Array
    places: jax.Array

    def then(self, other: "Memory") -> "Memory":
        """This and what came later."""

        def join(a: jax.Array, b: jax.Array) -> jax.Array:
            return jnp.concatenate([a, b], axis=1)

        return Memory(
            tuple(map(join, self.keys, other.keys)), tuple(map(join, self.values, other.values)),
            join(self.seen, other.seen), jnp.concatenate([self.places, other.places]),
        )  # fmt: skip


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis, in float32, with a scale."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[..., C]`` to ``[..., C]`` of the same dtype."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x32 = x.astype(jnp.float32)
        size = jnp.square(x32).mean(axis=-1, keepdims=True)
        return (x32 * jax.lax.rsqrt(size + NORM_EPSILON) * per_channel(scale, x)).astype(x.dtype)


def rotate(x: jax.Array, positions: jax.Array) -> jax.Array:
    """Rotary positions (arXiv 2104.09864) of heads ``[B, T, K, H]`` at ``positions [T]``."""
    half = x.shape[-1] // 2
    frequencies = ROTARY_BASE ** (-jnp.arange(half) / half)
    angle = positions.astype(jnp.float32)[None, :, None, None] * frequencies[None, None, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


def distances(own: jax.Array, other: jax.Array) -> jax.Array:
    """Squared distances ``[T, S]`` of places ``[T, 4]`` and ``[S, 4]``, in tokens of the latter."""
    sides = jnp.maximum(own[:, :1], 1.0)
    step = own[:, None, 1:] / sides[:, None] * other[None, :, :1] - other[None, :, 1:]
    both = (own[:, :1] > 0) & (other[None, :, 0] > 0)
    return jnp.where(both, jnp.square(step).sum(axis=-1), _NOWHERE)


class Layer(nn.Module):
    """Attention to all that is there, then SwiGLU, each behind an RMS norm.

    Attributes:
        heads: heads of queries.
        pairs: heads of keys and values; they divide those of queries.
        size: channels of a head.
        hidden: channels of the gated MLP.
        near: whether heads begin near (``places.near_bias``), in what came before if anything did.
        dtype: compute dtype; norms and softmax are float32.
    """

    heads: int
    pairs: int
    size: int
    hidden: int
    near: bool
    dtype: Dtype

    @nn.compact
    def __call__(
        self, x: jax.Array, seen: jax.Array, positions: jax.Array, distance: jax.Array,
        before: tuple[jax.Array, jax.Array] | None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:  # fmt: skip
        """Maps tokens ``[B, T, C]`` to tokens, and gives their keys and values ``[B, T, K, H]``.

        ``seen [B, S]`` and ``distance [T, S]`` are of all that there is, what came before first.
        """
        width, (batch, count) = x.shape[-1], x.shape[:2]
        h = RMSNorm(name="norm_attend")(x).astype(self.dtype)

        def project(heads: int, name: str) -> jax.Array:
            found = Dense(heads * self.size, self.dtype, name=name)(h)
            return found.reshape(batch, count, heads, self.size)

        query = rotate(RMSNorm(name="norm_query")(project(self.heads, "query")), positions)
        key = rotate(RMSNorm(name="norm_key")(project(self.pairs, "key")), positions)
        own = key, project(self.pairs, "value")
        keys, values = own
        if before is not None:
            keys, values = (jnp.concatenate(both, axis=1) for both in zip(before, own, strict=True))
        bias = None
        if self.near:
            free = self.param("near_zero", nn.initializers.zeros, (self.heads,), jnp.float32)
            bias = near_bias(free, distance).astype(query.dtype)[None]
        mixed = jax.nn.dot_product_attention(
            query, keys, values, bias=bias, mask=seen[:, None, None, :]
        )
        mixed = mixed.reshape(batch, count, self.heads * self.size)
        x = x + Dense(width, self.dtype, name="out")(mixed)
        h = RMSNorm(name="norm_mlp")(x).astype(self.dtype)
        gate = nn.silu(Dense(self.hidden, self.dtype, name="gate")(h))
        up = Dense(self.hidden, self.dtype, name="up")(h)
        return x + Dense(width, self.dtype, name="down")(gate * up), own


class Expert(nn.Module):
    """One expert of the mixture: all of its layers.

    Attributes:
        depth: number of layers; those of all experts are equally many.
        heads: see :class:`Layer`.
        pairs: see there, as ``size``, ``hidden``, ``near`` and ``dtype``.
        remat: recompute layers in the backward pass, to save memory.
    """

    depth: int
    heads: int
    pairs: int
    size: int
    hidden: int
    near: bool = False
    dtype: Dtype = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, group: Group, before: Memory | None = None) -> tuple[jax.Array, Memory]:
        """What the expert makes of its group ``[B, T, C]`` float32, and what it leaves to later ones."""
        x, seen, positions, places = group
        x = x.astype(self.dtype)
        every, there = (seen, places) if before is None else (
            jnp.concatenate([before.seen, seen], axis=1),
            jnp.concatenate([before.places, places]),
        )  # fmt: skip
        distance = distances(places, there)
        if before is not None:
            # Near heads look at what came before: what is drawn has its own token without them.
            distance = distance.at[:, -len(places) :].set(_NOWHERE)
        layer = nn.remat(Layer) if self.remat else Layer
        left: list[tuple[jax.Array, jax.Array]] = []
        for i in range(self.depth):
            made = layer(
                self.heads, self.pairs, self.size, self.hidden, self.near, self.dtype,
                name=f"layer_{i}",
            )  # fmt: skip
            earlier = None if before is None else (before.keys[i], before.values[i])
            x, own = made(x, every, positions, distance, earlier)
            left.append(own)
        keys, values = zip(*left, strict=True)
        out = RMSNorm(name="norm")(x).astype(jnp.float32)
        return out, Memory(keys, values, seen, places)


def somewhere(grid: Sequence[int]) -> jax.Array:
    """The places of a grid's tokens, ``[T, 4]``; its axes are equally long."""
    count = math.prod(grid)
    return with_places(jnp.zeros((1, count, 0)), grid[0], len(grid))[0]


def nowhere(count: int) -> jax.Array:
    """The places of tokens that have none, ``[T, 4]``."""
    return jnp.zeros((count, PLACE))
