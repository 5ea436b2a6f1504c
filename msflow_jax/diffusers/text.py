"""A small autoencoder of reports: a transformer to a Gaussian latent and an autoregressive one back.

After Optimus (arXiv 2004.04092), the text codec of CoDi, and so of MedM2G. Two things are ours. The
latent is a grid of tokens, not one vector, since a flow over few numbers is a biased sampler. And means
are normalised to unit spread, so that no factor has to be measured for the diffuser; what the posterior
may choose is its deviation.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.diffusers.alignment import embed_tokens
from msflow_jax.nets.layers import Dense, Dtype
from msflow_jax.nets.ops import NORM_EPSILON
from msflow_jax.nets.transformer import Block, MultiHead
from msflow_jax.paired.tokens import END, PAD, START

Params = Any
_MIN_LOG = -4.0  # of the least deviation a posterior may have; it starts from half of it
_SLOW = 0.2


class TextAutoencoder(nn.Module):
    """Reports ``[B, T]`` to latents ``[B, side, side, latent]`` and back.

    Attributes:
        size: how many token numbers there are.
        side: rows and columns of the latent.
        latent: its channels.
        width: channels of a token.
        depth: blocks of the encoder, and of the decoder.
        heads: number of attention heads.
        dtype: compute dtype.
    """

    size: int
    side: int = 4
    latent: int = 16
    width: int = 128
    depth: int = 2
    heads: int = 4
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        """The two halves."""
        self.encoder = _Encoder(
            self.size, self.side**2, self.latent, self.width, self.depth, self.heads, self.dtype
        )
        self.decoder = Decoder(self.size, self.width, self.depth, self.heads, self.dtype)

    def encode(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean, of unit spread over each report's latent, and log-deviation, ``[B, s, s, c]`` each."""
        mean, log_deviation = self.encoder(tokens)
        grid = (len(mean), self.side, self.side, self.latent)
        return mean.reshape(grid), log_deviation.reshape(grid)

    def logits(self, latents: jax.Array, tokens: jax.Array) -> jax.Array:
        """Logits ``[B, T, size]`` of every token given the latent and the tokens before it."""
        memory = latents.reshape(len(latents), -1, self.latent)
        return self.decoder(memory, after_start(tokens))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits of reports through the means of their latents."""
        return self.logits(self.encode(tokens)[0], tokens)


class _Encoder(nn.Module):
    size: int
    slots: int
    latent: int
    width: int
    depth: int
    heads: int
    dtype: Dtype

    @nn.compact
    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, there = embed_tokens(self, tokens)
        for i in range(self.depth):
            x = Block(self.heads, dtype=self.dtype, name=f"block_{i}")(x, there[:, None])
        shape = (1, self.slots, self.width)
        slots = 50 * self.param("slot_embedding", nn.initializers.zeros, shape, jnp.float32)
        slots = jnp.broadcast_to(slots, (len(x), *shape[1:])).astype(self.dtype)
        asked = MultiHead(self.heads, self.dtype, name="slots")(slots, x, there[:, None])
        h = Block(self.heads, dtype=self.dtype, name="last")(slots + asked)
        mean = Dense(self.latent, name="mean")(h).astype(jnp.float32)
        spread = Dense(self.latent, name="deviation_zero")(h).astype(jnp.float32)
        centred = mean - mean.mean(axis=(1, 2), keepdims=True)
        variance = jnp.square(centred).mean(axis=(1, 2), keepdims=True)
        # Not clipped, and slow: what overshot would have no gradient that brings it back, and when the
        # divergence begins to count, all of them move the same way.
        log_deviation = _MIN_LOG * nn.sigmoid(_SLOW * spread)
        return centred * lax.rsqrt(variance + NORM_EPSILON), log_deviation


class Decoder(nn.Module):
    """A transformer over the tokens before each one, which asks a memory; attributes as above."""

    size: int
    width: int
    depth: int
    heads: int
    dtype: Dtype

    @nn.compact
    def __call__(self, memory: jax.Array, before: jax.Array) -> jax.Array:
        """Logits ``[B, T, size]`` of a memory ``[B, M, F]`` and the tokens before, ``[B, T]``."""
        x, _ = embed_tokens(self, before)
        memory = Dense(self.width, self.dtype, name="memory")(memory)
        shape = (1, memory.shape[1], self.width)
        memory += 50 * self.param("slot_embedding", nn.initializers.zeros, shape, jnp.float32)
        causal = jnp.tril(jnp.ones((before.shape[1],) * 2, bool))[None]
        causal = jnp.broadcast_to(causal, (len(x), *causal.shape[1:]))
        for i in range(self.depth):
            x = Block(self.heads, dtype=self.dtype, name=f"block_{i}")(x, causal, memory)
        x = nn.LayerNorm(dtype=jnp.float32, name="norm")(x)
        return Dense(self.size, name="head")(x).astype(jnp.float32)


def text_loss(
    net: TextAutoencoder,
    params: Params,
    tokens: jax.Array,
    key: jax.Array,
    *,
    beta: jax.Array,
    free_bits: float,
    word_dropout: float,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Negative log-likelihood per token and the divergence of the posterior from the prior.

    Args:
        net: the autoencoder.
        params: its parameters.
        tokens: reports int32 ``[B, T]``.
        key: PRNG key.
        beta: weight of the divergence, annealed from 0 to 1.
        free_bits: nats of each latent number that cost nothing.
        word_dropout: share of the decoder's words that are hidden from it.

    Returns:
        The loss, and the metrics ``loss_text`` (nats per token), ``divergence`` (nats per number, of the
        deviation alone: 0 where it is 1).
    """
    k_latent, k_words = jax.random.split(key)
    variables = {"params": params}
    found: Any = net.apply(variables, tokens, method="encode")
    mean, log_deviation = found
    z = mean + jnp.exp(log_deviation) * jax.random.normal(k_latent, mean.shape)
    shown = hide_words(tokens, k_words, word_dropout)
    logits: Any = net.apply(variables, z, shown, method="logits")
    text = mean_nats(logits, tokens)
    # Means have unit spread: their part of the divergence is half a nat whatever is learned, and would
    # pay for all free bits, so that the deviation went to 1.
    divergence = 0.5 * (jnp.exp(2 * log_deviation) - 1) - log_deviation
    per_number = divergence.mean(axis=0)  # over the batch, as free bits are meant
    cost = jnp.maximum(per_number, free_bits).sum() / (tokens != PAD).sum(axis=1).mean()
    return text + beta * cost, {"loss_text": text, "divergence": per_number.mean()}


def hide_words(tokens: jax.Array, key: jax.Array, share: float) -> jax.Array:
    """Tokens ``[B, T]``, each hidden with a probability of ``share``."""
    hidden = jax.random.bernoulli(key, share, tokens.shape) & (tokens > END)
    return jnp.where(hidden, START, tokens)


def mean_nats(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Negative log-likelihood of a token, the mean over all that are no padding."""
    there = (tokens != PAD).astype(jnp.float32)
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[..., None], axis=-1)[..., 0]
    return (nats * there).sum() / there.sum()


def after_start(tokens: jax.Array) -> jax.Array:
    """The token before each of ``[B, T]``: the start, then all but the last."""
    return jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=START)


def annealed(progress: jax.Array) -> jax.Array:
    """Weight of the divergence at a share of the training: 0 up to a half, 1 from three quarters on.

    XGeM's schedule (arXiv 2501.04614); the paper's is not known.
    """
    return jnp.clip((progress - 0.5) / 0.25, 0.0, 1.0)


def write_reports(
    net: nn.Module, params: Params, latents: jax.Array, length: int
) -> tuple[jax.Array, jax.Array]:
    """The most probable words one after the other.

    Args:
        net: the autoencoder, or another module with a method ``logits(latents, tokens)``.
        params: its parameters.
        latents: ``[B, side, side, latent]``, or what else that method takes.
        length: tokens in a row.

    Returns:
        Tokens int32 ``[B, length]``, 0 after the end; and the mean log-probability of a token ``[B]``.
    """

    def step(i: Any, state: Any) -> Any:
        tokens, total, ended = state
        logits: Any = net.apply({"params": params}, latents, tokens, method="logits")
        # Neither padding nor a start within a report.
        here = logits[:, i].at[:, jnp.array([PAD, START])].set(-jnp.inf)
        logs = jax.nn.log_softmax(here)
        best = jnp.where(ended, PAD, logs.argmax(axis=-1)).astype(jnp.int32)
        total += jnp.where(ended, 0.0, logs.max(axis=-1))
        return tokens.at[:, i].set(best), total, ended | (best == END)

    count = len(latents)
    state = jnp.zeros((count, length), jnp.int32), jnp.zeros(count), jnp.zeros(count, bool)
    tokens, total, _ = lax.fori_loop(0, length, step, state)
    return tokens, total / jnp.maximum((tokens > 0).sum(axis=1), 1)


def token_shape(length: int, batch: int = 1) -> jax.ShapeDtypeStruct:
    """Shape of some rows of tokens, to draw parameters with."""
    return jax.ShapeDtypeStruct((batch, length), np.int32)
