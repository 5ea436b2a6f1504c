"""Tiny autoencoders of the TAESD family, after github.com/madebyollin/taesd.

Images in and out are in [-1, 1], NHWC.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from msflow_jax.nets.layers import Conv, Dtype, GroupNorm
from msflow_jax.nets.vae import LOG_VARIANCE_RANGE, check_images


class TinyBlock(nn.Module):
    """Three convolutions with ReLU beside the input; ``pool`` adds a normalised 1x1 detour first."""

    features: int
    pool: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` to ``[B, H, W, features]``."""
        if self.pool:
            channels = x.shape[-1]
            h = Conv(4 * channels, 1, bias=False, dtype=self.dtype, name="pool_in")(x)
            h = nn.relu(GroupNorm(4, False, name="pool_norm")(h))
            x = x + Conv(channels, 1, bias=False, dtype=self.dtype, name="pool_out")(h)
        h = x
        for i in range(3):
            h = Conv(self.features, dtype=self.dtype, name=f"conv_{i}")(h if i == 0 else nn.relu(h))
        if x.shape[-1] != self.features:
            x = Conv(self.features, 1, bias=False, dtype=self.dtype, name="skip")(x)
        return nn.relu(h + x)


class TinyEncoder(nn.Module):
    """See ``TinyAutoencoder``."""

    latent: int
    width: int
    pool: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[B, H, W, C]`` in [0, 1] to ``[B, H / 8, W / 8, latent]``."""
        x = Conv(self.width, dtype=self.dtype, name="stem")(x)
        x = TinyBlock(self.width, False, self.dtype, name="block")(x)
        for level in range(3):
            name = f"down_{level}_sample"
            x = Conv(self.width, stride=2, bias=False, dtype=self.dtype, name=name)(x)
            for i in range(3):
                pool = self.pool and level == 2
                x = TinyBlock(self.width, pool, self.dtype, name=f"down_{level}_block_{i}")(x)
        return Conv(self.latent, dtype=self.dtype, name="head")(x)


class TinyDecoder(nn.Module):
    """See ``TinyAutoencoder``."""

    channels: int
    width: int
    pool: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Maps ``[B, h, w, latent]`` to ``[B, 8 h, 8 w, C]`` in [0, 1]."""
        x = Conv(self.width, dtype=self.dtype, name="stem")(3 * jnp.tanh(z / 3))
        x = nn.relu(x)
        for level in range(3):
            for i in range(3):
                pool = self.pool and level == 0
                x = TinyBlock(self.width, pool, self.dtype, name=f"up_{level}_block_{i}")(x)
            name = f"up_{level}_sample"
            x = Conv(self.width, upsample=True, bias=False, dtype=self.dtype, name=name)(x)
        x = TinyBlock(self.width, False, self.dtype, name="block")(x)
        return Conv(self.channels, dtype=self.dtype, name="head")(x)


class TinyAutoencoder(nn.Module):
    """A distilled autoencoder of the TAESD family: 8-fold smaller sides, no posterior, 1.2 M parameters
    each way.

    Attributes:
        channels: channels of the images.
        latent: channels of the latents: 4 (SD, SDXL), 16 (SD3, FLUX.1), 32 (FLUX.2).
        width: channels of every layer.
        pool: whether the blocks at the smallest side have normalised pooling (FLUX.2).
        dtype: dtype in which the network computes.
    """

    channels: int = 3
    latent: int = 4
    width: int = 64
    pool: bool = False
    dtype: Dtype = jnp.float32

    factor = 8
    posterior = False

    def setup(self) -> None:
        """The two halves."""
        self.encoder = TinyEncoder(self.latent, self.width, self.pool, self.dtype)
        self.decoder = TinyDecoder(self.channels, self.width, self.pool, self.dtype)

    def encode(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Latents ``[B, H / 8, W / 8, latent]`` float32, and a log-variance of no spread.

        Raises:
            ValueError: for images of another number of channels, or sides that 8 does not divide.
        """
        check_images(images, self.channels, self.factor)
        mean = self.encoder((images + 1) / 2).astype(jnp.float32)
        return mean, jnp.full_like(mean, LOG_VARIANCE_RANGE[0])

    def decode(self, latents: jax.Array) -> jax.Array:
        """Images ``[B, 8 h, 8 w, channels]`` float32 of latents, not clipped."""
        return 2 * self.decoder(latents).astype(jnp.float32) - 1

    def __call__(self, images: jax.Array) -> jax.Array:
        """Images through their latents."""
        return self.decode(self.encode(images)[0])
