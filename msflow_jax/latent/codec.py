"""Codecs: from images to what a flow carries, and back. Pixels (resize and clip) or latents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from msflow_jax.data.checks import check_range, check_shape
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import per_channel, resize

Params = Any
KEY = "codec"  # name of a codec's parameters among those of a model


class Codec(Protocol):
    """What stands between images ``[B, *shape]`` and what a flow carries, ``[B, *inner]``.

    Attributes:
        shape: ``(*space, C)`` of the images.
        inner: ``(*space, C)`` of what the flow carries.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(*space, C)`` of the images."""

    @property
    def inner(self) -> tuple[int, ...]:
        """``(*space, C)`` of what the flow carries."""

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """``[B, *inner]`` of images ``[B, *shape]`` in [-1, 1]; ValueError for another shape."""

    def decode(self, params: Params, inner: jax.Array) -> jax.Array:
        """Images ``[B, *shape]``, clipped to [-1, 1]."""

    def training(
        self, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """What the loss sees of a batch, ``[B, *inner]``, and the key that is left for the flow."""


@dataclass(frozen=True)
class PixelCodec:
    """Images as they are, or at another side; it has no parameters.

    Attributes:
        shape: ``(*space, C)`` of the images.
        resize: every side inside (linear; 32 is what the authors' code makes of 28), 0 to leave the
            images as they are.
        bounded: whether values lie in [-1, 1], as those of images do; latents' do not.
    """

    shape: tuple[int, ...]
    resize: int = 0
    bounded: bool = True

    @property
    def inner(self) -> tuple[int, ...]:
        """See :class:`Codec`."""
        *space, channels = self.shape
        return (*(self.resize or side for side in space), channels)

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """See :class:`Codec`."""
        del params
        check_shape(images, self.shape)
        if self.bounded:
            check_range(images)
        return resize(images, self.inner[:-1])

    def decode(self, params: Params, inner: jax.Array) -> jax.Array:
        """See :class:`Codec`."""
        del params
        images = resize(inner, self.shape[:-1])
        return jnp.clip(images, -1, 1) if self.bounded else images

    def training(
        self, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The batch's images; the key is left whole."""
        return self.encode(None, batch["image"]), key


@dataclass(frozen=True)
class LatentCodec:
    """An autoencoder between images and flow; its parameters are given with each call.

    Attributes:
        autoencoder: network and scale.
        shape: ``(S, S, C)`` of the images, C 1 or the autoencoder's.
        resize: rows and columns at which images are encoded (bilinear; the authors' code makes 256 of
            224), 0 to leave them as they are.
        mean: mean of each channel, which is taken away; empty for none.
        std: deviation of each channel, which it is divided by; empty for none.

    Raises:
        ValueError: channels that are not the autoencoder's, or a side that its factor does not divide.
    """

    autoencoder: Autoencoder
    shape: tuple[int, ...]
    resize: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        known = self.autoencoder.net.channels
        if self.shape[-1] not in (1, known):
            raise ValueError(
                f"the autoencoder is for images of {known} channels (or 1), not {self.shape[-1]}"
            )
        latent_side(self.autoencoder.net.factor, self.side)

    @property
    def side(self) -> int:
        """Rows and columns at which images are encoded."""
        return self.resize or self.shape[0]

    @property
    def inner(self) -> tuple[int, ...]:
        """See :class:`Codec`."""
        side = latent_side(self.autoencoder.net.factor, self.side)
        return (side, side, self.autoencoder.net.latent)

    def moments(self, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and deviation of the posterior of images ``[B, S, S, C]``, each ``[B, h, w, c]``."""
        check_shape(images, self.shape)
        check_range(images)
        mean, deviation = self.autoencoder.moments(params, resize(images, self.side))
        if self.std:
            deviation = deviation / per_channel(jnp.asarray(self.std), deviation)
        return self._normalised(mean), deviation

    def _normalised(self, latents: jax.Array) -> jax.Array:
        if not self.std:
            return latents
        mean, std = (per_channel(jnp.asarray(one), latents) for one in (self.mean, self.std))
        return (latents - mean) / std

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """The posterior's mean.

        The authors' code encodes a random sample instead, which makes predictions vary between calls.
        """
        return self.moments(params, images)[0]

    def decode(self, params: Params, inner: jax.Array) -> jax.Array:
        """See :class:`Codec`."""
        if self.std:
            mean, std = (per_channel(jnp.asarray(one), inner) for one in (self.mean, self.std))
            inner = inner * std + mean
        images = self.autoencoder.decode(params, inner, self.shape[-1])
        return jnp.clip(resize(images, self.shape[0]), -1, 1)

    def training(
        self, batch: Mapping[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Latents that were encoded before; with ``deviation`` a fresh sample of the posterior.

        Args:
            batch: ``image``, the posterior's mean ``[B, h, w, c]`` as the autoencoder gives it; maybe
                ``deviation`` of that shape.
            key: PRNG key of the step.
        """
        # Split whether a deviation is there or not, so that the flow's noise does not depend on it. The
        # pixel codec needs no noise and leaves the key whole: its runs keep theirs.
        k_flow, k_posterior = jax.random.split(key)
        latents = batch["image"]
        check_shape(latents, self.inner)
        if "deviation" in batch:
            deviation = batch["deviation"].astype(jnp.float32)
            latents = latents + deviation * jax.random.normal(k_posterior, latents.shape)
        return self._normalised(latents), k_flow


def latent_side(factor: int, side: int) -> int:
    """Rows and columns of the latents of images of this side, for an autoencoder of this factor.

    Raises:
        ValueError: the factor does not divide the side.
    """
    if side % factor:
        raise ValueError(
            f"the autoencoder makes latents {factor} times smaller, which does not divide images of "
            f"{side}: set model.resize"
        )
    return side // factor
