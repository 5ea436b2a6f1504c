"""The UNet of guided diffusion, time-conditioned only, as MedSymmFlow (arXiv 2507.19098) uses it.

Source: Dhariwal and Nichol 2021 (arXiv 2105.05233), with scale-shift norm and residual resampling
off. Given the same weights it returns the official network's output; channels come last and
products over channels are matrix products. Of volumes it is the same network with 3-D convolutions.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets import ops
from msflow_jax.nets.layers import (
    Attention,
    Conv,
    Dense,
    Dtype,
    GroupNorm,
    ResidualBlock,
    add_span,
)  # fmt: skip


class UNet(nn.Module):
    """Velocity network: ``__call__(x, u)`` returns an image with the channels of ``x``.

    The output convolution is zero-initialised, so a fresh network returns exactly 0.

    Attributes:
        channels: channels in and out (all streams joined).
        width: channels at full resolution.
        multipliers: channels of each level over ``width``; every level after the first halves the
            sides.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention: down-sampling factors (1, 2, 4, ...) at which attention is used; the middle
            always has it.
        head_channels: channels per attention head. The weights' shapes do not show it.
        dropout: rate inside the residual blocks when ``train=True`` (needs a 'dropout' key).
        groups: groups of the norms.
        dtype: compute dtype; parameters, norm statistics, softmax and the output are float32.
        remat: recompute blocks in the backward pass, to save memory.
        forward_mode: allow ``jax.jvp``, at a dearer reverse mode (the norms and 1x1 products then
            have no rule of their own).
        span: whether it is the network of a flow map, which is told how far to jump.
    """

    channels: int
    width: int = 64
    multipliers: Sequence[int] = (1, 2, 2, 2)
    blocks: int = 2
    attention: Sequence[int] = (2,)
    head_channels: int = 64
    dropout: float = 0.0
    groups: int = 32
    dtype: Dtype = jnp.float32
    remat: bool = False
    forward_mode: bool = False
    span: bool = False

    @property
    def middle(self) -> str:
        """Name of the module in the middle, whose output says most of an image."""
        return "middle_block_1"

    @nn.compact
    def __call__(
        self, x: jax.Array, u: jax.Array, span: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Velocity at ``x``.

        Args:
            x: ``[B, *space, channels]``, pictures or volumes. Sides that 2^(levels - 1) does not divide
                are padded inside by edge pixels, and the result is cropped.
            u: ``[B]``, time in [0, 1], fed raw to the sinusoidal embedding.
            span: ``[B]``, of a flow map's network: time that is jumped; None: none.
            train: switches dropout on.

        Returns:
            ``[B, *space, channels]`` float32.

        Raises:
            ValueError: for shapes or widths that do not fit the configuration.
        """
        self._check(x, u)
        x, inside = ops.pad_sides(x, 2 ** (len(self.multipliers) - 1))
        time = self._time(u, span)
        x, skips = self._down(x.astype(self.dtype), time, train)
        x = self._block(x, time, self.multipliers[-1], "middle_block_0", train)
        x = self._attention(x, "middle_attention")
        x = self._block(x, time, self.multipliers[-1], "middle_block_1", train)
        x = self._up(x, time, skips, train)
        x = GroupNorm(self.groups, True, self.forward_mode, name="head_norm")(x)
        x = Conv(self.channels, dtype=self.dtype, name="head_zero")(x)
        return x[:, *inside, :].astype(jnp.float32)

    @nn.nowrap
    def _check(self, x: jax.Array, u: jax.Array) -> None:
        ops.check_images(x, self.channels)
        if u.shape != x.shape[:1]:
            raise ValueError(f"expected one time per image, [{x.shape[0]}], got {u.shape}")
        for level, multiplier in enumerate(self.multipliers):
            features = multiplier * self.width
            if features % self.groups or self.width % self.groups:
                raise ValueError(
                    f"width {self.width} times multiplier {multiplier} cannot be normalised "
                    f"in {self.groups} groups: choose a width divisible by it, or set groups"
                )
            attends = 2**level in self.attention or level == len(self.multipliers) - 1
            if attends and features % self.head_channels:
                raise ValueError(
                    f"{features} channels at down-sampling factor {2**level} do not split "
                    f"into heads of {self.head_channels}: set head_channels"
                )
        factors = [2**level for level in range(len(self.multipliers))]
        missed = set(self.attention) - set(factors)
        if missed:
            raise ValueError(
                f"attention at down-sampling factors {sorted(missed)}: the levels have {factors}"
            )

    @nn.nowrap
    def _time(self, u: jax.Array, span: jax.Array | None) -> jax.Array:
        """SiLU of the time embedding ``[B, 4 width]``: every user of it starts with this SiLU."""
        h = Dense(4 * self.width, name="time_dense1")(ops.time_embedding(u, self.width))
        h = add_span(h, span, self.span)
        return nn.silu(Dense(4 * self.width, name="time_dense2")(nn.silu(h)))

    @nn.nowrap
    def _block(
        self, x: jax.Array, time: jax.Array, multiplier: int, name: str, train: bool
    ) -> jax.Array:
        block = nn.remat(ResidualBlock) if self.remat else ResidualBlock
        rate = self.dropout if train else 0.0
        features = multiplier * self.width
        return block(features, self.groups, rate, self.dtype, self.forward_mode, name=name)(x, time)

    @nn.nowrap
    def _attention(self, x: jax.Array, name: str) -> jax.Array:
        attention = nn.remat(Attention) if self.remat else Attention
        heads = x.shape[-1] // self.head_channels
        return attention(heads, self.groups, self.dtype, self.forward_mode, name=name)(x)

    @nn.nowrap
    def _down(
        self, x: jax.Array, time: jax.Array, train: bool
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Every convolution, block and down-sampling leaves a skip."""
        x = Conv(self.width, dtype=self.dtype, name="stem")(x)
        skips = [x]
        for level, multiplier in enumerate(self.multipliers):
            for i in range(self.blocks):
                x = self._block(x, time, multiplier, f"down_{level}_block_{i}", train)
                if 2**level in self.attention:
                    x = self._attention(x, f"down_{level}_attention_{i}")
                skips.append(x)
            if level < len(self.multipliers) - 1:
                name = f"down_{level}_sample"
                x = Conv(x.shape[-1], stride=2, dtype=self.dtype, name=name)(x)
                skips.append(x)
        return x, skips

    @nn.nowrap
    def _up(self, x: jax.Array, time: jax.Array, skips: list[jax.Array], train: bool) -> jax.Array:
        """Every block takes one skip, the last left first."""
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            for i in range(self.blocks + 1):
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = self._block(x, time, multiplier, f"up_{level}_block_{i}", train)
                if 2**level in self.attention:
                    x = self._attention(x, f"up_{level}_attention_{i}")
            if level:
                x = Conv(x.shape[-1], upsample=True, dtype=self.dtype, name=f"up_{level}_sample")(x)
        return x
