"""A linear autoencoder: the principal components of patches. No weights from elsewhere."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.nets.ops import per_channel


class PatchAutoencoder(nn.Module):
    """Every patch by its principal components: ``patch``-fold smaller sides, no posterior.

    With an orthonormal basis, decoding an encoded image gives its nearest image in their span.

    Attributes:
        channels: channels of the images.
        latent: components kept, at most ``patch ** 2 * channels``.
        patch: rows and columns of a patch.
    """

    channels: int = 1
    latent: int = 16
    patch: int = 8

    posterior = False

    @property
    def factor(self) -> int:
        """Pixels of an image for one of its latent, along a side."""
        return self.patch

    def setup(self) -> None:
        """The mean patch ``[P]`` and the basis ``[P, latent]``."""
        size = self.patch**2 * self.channels
        self.mean = self.param("mean", nn.initializers.zeros, (size,))
        self.basis = self.param("basis", nn.initializers.orthogonal(), (size, self.latent))

    def encode(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Latents ``[B, h, w, latent]`` float32, and a log-variance of no spread.

        Raises:
            ValueError: for images of another number of channels, or sides that ``patch`` does not
                divide.
        """
        shape = images.shape
        if len(shape) != 4 or shape[-1] != self.channels:
            raise ValueError(f"expected images [B, H, W, {self.channels}], got {shape}")
        patches = to_patches(images, self.patch)
        latents = (patches - per_channel(self.mean, patches)) @ self.basis
        return latents, jnp.full_like(latents, -30.0)

    def decode(self, latents: jax.Array) -> jax.Array:
        """Images ``[B, patch h, patch w, channels]`` of latents, not clipped."""
        p, (b, h, w, _) = self.patch, latents.shape
        patches = latents @ self.basis.T
        patches = patches + per_channel(self.mean, patches)
        patches = patches.reshape(b, h, w, p, p, self.channels)
        return patches.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * p, w * p, self.channels)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Images through their latents."""
        return self.decode(self.encode(images)[0])


def to_patches(images: Any, patch: int) -> Any:
    """``[B, H, W, C] -> [B, H / patch, W / patch, patch ** 2 * C]``.

    Raises:
        ValueError: sides that ``patch`` does not divide.
    """
    b, h, w, c = images.shape
    if h % patch or w % patch:
        raise ValueError(f"the sides of {h} x {w} images must be divisible by {patch}")
    cut = images.reshape(b, h // patch, patch, w // patch, patch, c)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // patch, w // patch, patch**2 * c)


def fit_patches(
    images: np.ndarray, patch: int, latent: int
) -> tuple[PatchAutoencoder, dict, float]:
    """The network, its parameters, and the standard deviation of its latents over all channels.

    Args:
        images: float ``[N, S, S, C]`` in [-1, 1].
        patch: rows and columns of a patch.
        latent: components to keep.

    Raises:
        ValueError: more components than a patch has numbers, or a patch that does not divide the
            sides.
    """
    patches = to_patches(images, patch).reshape(-1, patch**2 * images.shape[-1])
    if not 0 < latent <= patches.shape[1]:
        raise ValueError(
            f"a patch of {patch} x {patch} x {images.shape[-1]} has {patches.shape[1]} components, "
            f"{latent} were requested"
        )
    mean = patches.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    basis = vectors[:, ::-1][:, :latent]
    spread = float(np.sqrt(values[::-1][:latent].mean()))
    params = {"mean": mean.astype(np.float32), "basis": np.ascontiguousarray(basis, np.float32)}
    return PatchAutoencoder(images.shape[-1], latent, patch), params, spread
