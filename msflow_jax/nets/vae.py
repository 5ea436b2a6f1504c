"""Stable Diffusion's autoencoder between images and latents.

``AutoencoderKL`` follows Rombach et al. 2022 (arXiv 2112.10752) as the diffusers library builds it;
images in and out are in [-1, 1], NHWC. The tiny autoencoders are in :mod:`msflow_jax.nets.tiny`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets import ops
from msflow_jax.nets.layers import Conv, Dense, Dtype, GroupNorm

EPSILON = 1e-6
LOG_VARIANCE_RANGE = (-30.0, 20.0)


class ResnetBlock(nn.Module):
    """Norm, SiLU, conv, twice, beside the input or its 1x1 convolution."""

    features: int
    groups: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H, W, features]``."""
        h = GroupNorm(self.groups, epsilon=EPSILON, name="norm1")(x)
        h = Conv(self.features, dtype=self.dtype, name="conv1")(h)
        h = GroupNorm(self.groups, epsilon=EPSILON, name="norm2")(h)
        h = Conv(self.features, dtype=self.dtype, name="conv2")(h)
        if x.shape[-1] != self.features:
            x = Dense(self.features, self.dtype, True, name="skip")(x)
        return x + h


class PixelAttention(nn.Module):
    """Residual self-attention of one head over the pixels."""

    groups: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to the same shape."""
        batch, height, width, channels = x.shape
        h = GroupNorm(self.groups, False, epsilon=EPSILON, name="norm")(x)
        h = h.reshape(batch, height * width, channels)
        qkv = [Dense(channels, self.dtype, name=name)(h) for name in ("query", "key", "value")]
        h = ops.attend(jnp.concatenate(qkv, axis=-1), heads=1)
        return x + Dense(channels, self.dtype, name="out")(h).reshape(x.shape)


def _middle(x: jax.Array, groups: int, dtype: Dtype) -> jax.Array:
    channels = x.shape[-1]
    x = ResnetBlock(channels, groups, dtype, name="middle_block_0")(x)
    x = PixelAttention(groups, dtype, name="middle_attention")(x)
    return ResnetBlock(channels, groups, dtype, name="middle_block_1")(x)


class KLEncoder(nn.Module):
    """Images to twice the latent channels: see ``AutoencoderKL`` for the attributes."""

    latent: int
    widths: Sequence[int]
    blocks: int
    groups: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, h, w, 2 latent]``."""
        x = Conv(self.widths[0], dtype=self.dtype, name="stem")(x)
        for level, width in enumerate(self.widths):
            for i in range(self.blocks):
                x = ResnetBlock(width, self.groups, self.dtype, name=f"down_{level}_block_{i}")(x)
            if level < len(self.widths) - 1:
                name = f"down_{level}_sample"
                x = Conv(width, stride=2, padding=(0, 1), dtype=self.dtype, name=name)(x)
        x = _middle(x, self.groups, self.dtype)
        x = GroupNorm(self.groups, epsilon=EPSILON, name="head_norm")(x)
        return Conv(2 * self.latent, dtype=self.dtype, name="head")(x)


class KLDecoder(nn.Module):
    """Latents to images: see ``AutoencoderKL`` for the attributes."""

    channels: int
    widths: Sequence[int]
    blocks: int
    groups: int
    dtype: Dtype

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Maps ``[B, h, w, latent]`` to ``[B, H, W, C]``."""
        x = Conv(self.widths[-1], dtype=self.dtype, name="stem")(z)
        x = _middle(x, self.groups, self.dtype)
        for level, width in enumerate(reversed(self.widths)):
            for i in range(self.blocks + 1):
                x = ResnetBlock(width, self.groups, self.dtype, name=f"up_{level}_block_{i}")(x)
            if level < len(self.widths) - 1:
                x = Conv(width, upsample=True, dtype=self.dtype, name=f"up_{level}_sample")(x)
        x = GroupNorm(self.groups, epsilon=EPSILON, name="head_norm")(x)
        return Conv(self.channels, dtype=self.dtype, name="head")(x)


class AutoencoderKL(nn.Module):
    """Stable Diffusion's autoencoder; the defaults are those of SD 1.x (83,653,863 parameters).

    Attributes:
        channels: channels of the images.
        latent: channels of the latents.
        widths: channels of each level; every level but the last halves the sides.
        blocks: residual blocks per level (one more in the decoder).
        groups: groups of the normalisation.
        quant: whether 1x1 convolutions stand between encoder, latents and decoder (not in SD3, FLUX).
        dtype: compute dtype; parameters, norms and the output are float32.
    """

    channels: int = 3
    latent: int = 4
    widths: Sequence[int] = (128, 256, 512, 512)
    blocks: int = 2
    groups: int = 32
    quant: bool = True
    dtype: Dtype = jnp.float32

    posterior = True

    @property
    def factor(self) -> int:
        """Pixels of an image for one of its latent, along a side."""
        return 2 ** (len(self.widths) - 1)

    def setup(self) -> None:
        """The two halves."""
        rest = (tuple(self.widths), self.blocks, self.groups, self.dtype)
        self.encoder = KLEncoder(self.latent, *rest)
        self.decoder = KLDecoder(self.channels, *rest)
        if self.quant:
            self.quant_conv = Dense(2 * self.latent, self.dtype)
            self.post_quant_conv = Dense(self.latent, self.dtype)

    def encode(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log-variance of the posterior, each ``[B, h, w, latent]`` float32.

        Raises:
            ValueError: for images of another number of channels, or sides that ``factor`` does not
                divide.
        """
        check_images(images, self.channels, self.factor)
        moments = self.encoder(images)
        if self.quant:
            moments = self.quant_conv(moments)
        mean, log_variance = jnp.split(moments.astype(jnp.float32), 2, axis=-1)
        return mean, jnp.clip(log_variance, *LOG_VARIANCE_RANGE)

    def decode(self, latents: jax.Array) -> jax.Array:
        """Images ``[B, H, W, channels]`` float32 of latents ``[B, h, w, latent]``, not clipped."""
        if self.quant:
            latents = self.post_quant_conv(latents)
        return self.decoder(latents).astype(jnp.float32)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Images through the mean of their posterior."""
        return self.decode(self.encode(images)[0])


def check_images(images: jax.Array, channels: int, factor: int) -> None:
    """Refuses images that an autoencoder cannot encode.

    Raises:
        ValueError: another number of channels, or sides that ``factor`` does not divide.
    """
    if images.ndim != 4 or images.shape[-1] != channels:
        raise ValueError(f"expected images [B, H, W, {channels}], got {images.shape}")
    if images.shape[1] % factor or images.shape[2] % factor:
        raise ValueError(
            f"the sides of {images.shape[1]} x {images.shape[2]} images must be divisible by {factor}"
        )
