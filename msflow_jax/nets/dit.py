"""A small diffusion transformer with the UNet's call signature.

Source: DiT, Peebles and Xie 2023 (arXiv 2212.09748).
"""

import math
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.nets import ops
from msflow_jax.nets.layers import Dense, Dtype, add_span
from msflow_jax.nets.places import apart, split_places
from msflow_jax.nets.transformer import Guide, MultiHead

# DiT's embedding was made for diffusion steps 0..999; raw u in [0, 1] would leave most of its
# frequencies constant.
TIME_SCALE = 1000.0
TIME_FREQUENCIES = 256
NORM_EPSILON = 1e-6
LEARNED = 0.5  # squared distance of a guide's learned tokens, beyond the nearest of the partner's


def position_code(space: Sequence[int], width: int) -> np.ndarray:
    """Fixed sine-cosine code of places, ``[T, width]``: an equal share of the channels for each axis.

    Args:
        space: number of places along each axis; T is their product.
        width: channels; those that the axes do not share evenly stay 0.
    """
    count = width // (2 * len(space))
    frequencies = np.exp(-np.log(1e4) * np.arange(count) / count)
    grid = np.meshgrid(*map(np.arange, space), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in grid]
    parts = [function(angle) for angle in angles for function in (np.sin, np.cos)]
    code = np.concatenate(parts, axis=1).astype(np.float32)
    return np.pad(code, ((0, 0), (0, width - code.shape[1])))


def modulated_norm(x: jax.Array, shift: jax.Array, scale: jax.Array) -> jax.Array:
    """Layer norm of ``[B, T, C]`` in float32 without parameters, then scale and shift by ``[B, C]``."""
    # In float32 whatever the compute dtype: bfloat16 has 8 bits, too few for a mean and a variance.
    x32 = x.astype(jnp.float32)
    centred = x32 - x32.mean(-1, keepdims=True)
    variance = jnp.square(centred).mean(-1, keepdims=True)
    normal = centred * lax.rsqrt(variance + NORM_EPSILON)
    return (normal * (1 + scale[:, None]) + shift[:, None]).astype(x.dtype)


class DiTBlock(nn.Module):
    """Attention and MLP, each between an adaptive norm and a gate from zero (adaLN-zero).

    Between them attention to a condition, whose output starts at zero, and to partners' tokens behind
    gates that do, where these are given.
    """

    heads: int
    mlp_ratio: int
    dtype: Dtype

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        activated_time: jax.Array,
        condition: jax.Array | None = None,
        partners: Mapping[str, tuple[jax.Array, jax.Array]] | None = None,
    ) -> jax.Array:
        """Maps tokens ``[B, T, C]`` and SiLU(time embedding) ``[B, C]`` to tokens ``[B, T, C]``.

        ``condition`` and ``partners``, the latter by the name of their attention and each with its
        distances ``[T, S]``, are further tokens ``[B, S, D]``.
        """
        width = x.shape[-1]
        modulation = Dense(6 * width, name="modulation_zero")(activated_time)
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(modulation, 6, axis=-1)
        h = Dense(3 * width, self.dtype, name="qkv")(modulated_norm(x, shift1, scale1))
        h = Dense(width, self.dtype, name="out")(ops.attend(h, self.heads))
        x = x + gate1[:, None].astype(x.dtype) * h
        if condition is not None:
            normal = nn.LayerNorm(dtype=jnp.float32, name="condition_norm")(x).astype(x.dtype)
            attend = MultiHead(self.heads, self.dtype, zero=True, name="condition")
            x = x + attend(normal, condition)
        for name, (tokens, distance) in sorted((partners or {}).items()):
            x = Guide(self.heads, self.dtype, name=f"guide{name}")(x, tokens, distance)
        h = Dense(self.mlp_ratio * width, self.dtype, name="mlp1")(
            modulated_norm(x, shift2, scale2)
        )
        h = Dense(width, self.dtype, name="mlp2")(nn.gelu(h))
        return x + gate2[:, None].astype(x.dtype) * h


class DiT(nn.Module):
    """Velocity transformer: ``__call__(x, u)`` returns an image with the channels of ``x``.

    The joined streams are cut into patches and embedded by one linear map, which equals the sum of
    one embedding per stream at each position. The output is zero-initialised: a fresh network
    returns exactly 0.

    Attributes:
        channels: channels in and out (all streams joined).
        patch: side of a patch.
        width: channels of a token; divisible by 4 and by ``heads``.
        depth: number of blocks.
        heads: number of attention heads.
        mlp_ratio: hidden width of the MLP over ``width``.
        dtype: compute dtype; parameters, norms, softmax, modulation and the output are float32.
        remat: recompute blocks in the backward pass, to save memory.
        guide_tokens: learned tokens that partners' are joined by, where some are given.
        span: as of :class:`~msflow_jax.nets.unet.UNet`.
    """

    channels: int
    patch: int = 2
    width: int = 256
    depth: int = 8
    heads: int = 4
    mlp_ratio: int = 4
    dtype: Dtype = jnp.float32
    remat: bool = False
    guide_tokens: int = 0
    span: bool = False

    @property
    def middle(self) -> str:
        """Name of the module in the middle, whose output says most of an image."""
        return f"block_{self.depth // 2}"

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        u: jax.Array,
        span: jax.Array | None = None,
        *,
        train: bool = False,
        condition: jax.Array | None = None,
        keep: jax.Array | None = None,
        partners: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """Velocity at ``x``.

        Args:
            x: ``[B, *space, channels]``, pictures or volumes. Sides that ``patch`` does not divide are
                padded inside by edge pixels, and the result is cropped.
            u: ``[B]``, time in [0, 1]; multiplied by 1000 for the sinusoidal embedding.
            span: ``[B]``, of a flow map's network: time that is jumped; None: none.
            train: no effect (there is no dropout); taken for the UNet's signature.
            condition: tokens ``[B, m, D]`` that all blocks attend to; None: a network without.
            keep: 1 where an example has its condition, 0 where it has none ``[B]``; None: all have.
            partners: tokens of what is drawn beside and their places ``[B, k, E + 4]``, see
                :func:`~msflow_jax.nets.places.with_places`; of each name an attention of its own, whose
                leaves are called ``guideNAME``. None: the network as it is alone.

        Returns:
            ``[B, *space, channels]`` float32.

        Raises:
            ValueError: for shapes or widths that do not fit the configuration.
        """
        del train
        self._check(x, u)
        x, inside = ops.pad_sides(x, self.patch)
        time = nn.silu(self._time(u, span))
        tokens = Dense(self.width, self.dtype, name="patches")(cut(x, self.patch))
        grid = tuple(side // self.patch for side in x.shape[1:-1])
        tokens = tokens + position_code(grid, self.width).astype(self.dtype)[None]
        block = nn.remat(DiTBlock) if self.remat else DiTBlock
        told = {name: self._partner(name, one, grid) for name, one in (partners or {}).items()}
        context = self._condition(condition, keep), told
        for i in range(self.depth):
            made = block(self.heads, self.mlp_ratio, self.dtype, name=f"block_{i}")
            tokens = made(tokens, time, *context)
        shift, scale = jnp.split(Dense(2 * self.width, name="head_modulation_zero")(time), 2, -1)
        tokens = modulated_norm(tokens, shift, scale)
        out = Dense(self.patch ** len(grid) * self.channels, self.dtype, name="head_zero")(tokens)
        return join(out, grid, self.patch)[:, *inside, :].astype(jnp.float32)

    @nn.nowrap
    def _check(self, x: jax.Array, u: jax.Array) -> None:
        ops.check_images(x, self.channels)
        if u.shape != x.shape[:1]:
            raise ValueError(f"expected one time per image, [{x.shape[0]}], got {u.shape}")
        if self.width % 4 or self.width % self.heads:
            raise ValueError(
                f"width {self.width} must be divisible by 4 (position code) and by heads "
                f"{self.heads}"
            )

    @nn.nowrap
    def _time(self, u: jax.Array, span: jax.Array | None) -> jax.Array:
        code = ops.time_embedding(TIME_SCALE * u, TIME_FREQUENCIES)
        h = add_span(Dense(self.width, name="time_dense1")(code), span, self.span)
        return Dense(self.width, name="time_dense2")(nn.silu(h))

    @nn.nowrap
    def _condition(self, condition: jax.Array | None, keep: jax.Array | None) -> jax.Array | None:
        """The condition's tokens at this width, and a learned one that also stands where there is none.

        With it beside a single token, attention has something to choose from.
        """
        if condition is None:
            return None
        tokens = Dense(self.width, self.dtype, name="condition_in")(condition)
        shape = (1, 1, self.width)
        null = self.param("null_embedding", nn.initializers.zeros, shape, jnp.float32)
        null = jnp.broadcast_to(null, (tokens.shape[0], 1, self.width)).astype(self.dtype)
        if keep is not None:
            tokens = jnp.where(keep[:, None, None] > 0, tokens, null)
        return jnp.concatenate([tokens, null], axis=1)

    @nn.nowrap
    def _partner(
        self, name: str, partner: jax.Array, grid: Sequence[int]
    ) -> tuple[jax.Array, jax.Array]:
        """A partner's tokens at this width and the learned ones, and how far they are."""
        content, place = split_places(partner)
        distance = apart(grid, place[0])  # the places of all examples are the same
        tokens = Dense(self.width, self.dtype, name=f"guide{name}_in")(content)
        if not self.guide_tokens:
            return tokens, distance
        shape = (1, self.guide_tokens, self.width)
        own = self.param(f"guide{name}_embedding", nn.initializers.zeros, shape, jnp.float32)
        own = jnp.broadcast_to(own, (tokens.shape[0], *shape[1:])).astype(self.dtype)
        rest = jnp.repeat(distance.min(axis=1, keepdims=True) + LEARNED, self.guide_tokens, axis=1)
        return jnp.concatenate([tokens, own], axis=1), jnp.concatenate([distance, rest], axis=1)


def cut(x: jax.Array, patch: int) -> jax.Array:
    """``[B, *space, C]`` -> ``[B, T, p^n C]``, patches in the order of their places."""
    grid = [side // patch for side in x.shape[1:-1]]
    x = x.reshape(x.shape[0], *(part for side in grid for part in (side, patch)), x.shape[-1])
    return x.transpose(_patches_last(len(grid))).reshape(x.shape[0], math.prod(grid), -1)


def join(tokens: jax.Array, grid: Sequence[int], patch: int) -> jax.Array:
    """Undoes :func:`cut`: ``[B, T, p^n C]`` of a grid -> ``[B, *space, C]``."""
    n, channels = len(grid), tokens.shape[-1] // patch ** len(grid)
    x = tokens.reshape(tokens.shape[0], *grid, *(patch,) * n, channels)
    x = x.transpose(np.argsort(_patches_last(n)))
    return x.reshape(tokens.shape[0], *(side * patch for side in grid), channels)


def _patches_last(n: int) -> tuple[int, ...]:
    """From ``[B, side, p, side, p, ..., C]`` to ``[B, side, side, ..., p, p, ..., C]``."""
    return (0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
