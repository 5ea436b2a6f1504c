"""Label pictures in an autoencoder's latent space.

MedSymmFlow's LatMSF (arXiv 2507.19098) draws each class's colour picture at full size and encodes it
like an image. A class has the same picture always, so it need not be encoded while training: a few
pictures of each class, with their dequantisation noise, are encoded once.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.latent.autoencoder import Autoencoder, Params
from msflow_jax.parallel.batched import batched
from msflow_jax.symmetric.codes import Code, most_votes, palette_table

SCHEMES = ("encoded", "pooled")


@dataclass(frozen=True)
class LatentCode:
    """A code whose label pictures are latents; the same interface as :class:`Code`.

    Attributes:
        scheme: ``encoded``: the latents of the palette's pictures (published); ``pooled``: their
            means over the picture, one point per class, spread over the grid.
        clean: latents of each class's picture without noise, ``[K, h, w, C]`` (``pooled``: h = w =
            1).
        noisy: latents of V pictures of each class with dequantisation noise, ``[K, V, h, w, C]``.
        beta: strength of the dequantisation, as for ``palette``.
    """

    scheme: str
    clean: np.ndarray
    noisy: np.ndarray
    beta: float = 4.0

    def __post_init__(self):
        if self.scheme not in SCHEMES:
            raise ValueError(f"unknown latent code {self.scheme!r}: choose {' or '.join(SCHEMES)}")
        fits = self.clean.ndim == 4 and self.noisy.ndim == 5 and len(self.clean) > 1
        if self.scheme == "pooled":
            fits &= self.clean.shape[1:3] == (1, 1)
        if not fits or self.noisy.shape[:1] + self.noisy.shape[2:] != self.clean.shape:
            raise ValueError(
                f"latent pictures [K, h, w, C] and [K, V, h, w, C] are needed, got {self.clean.shape} "
                f"and {self.noisy.shape}"
            )

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.clean)

    @property
    def channels(self) -> int:
        """Channels of the latents."""
        return self.clean.shape[-1]

    @property
    def noise_width(self) -> float:
        """Half width of the uniform noise of ``pooled`` pictures; 0 for ``encoded`` ones."""
        return self.beta / 255 if self.scheme == "pooled" else 0.0

    def pictures(self, labels: jax.Array, *space: int, key: jax.Array) -> jax.Array:
        """Label pictures ``[B, H, W, C]`` of class numbers ``[B]``: one of V at random, with noise.

        Raises:
            ValueError: label maps, or another grid than the pictures'.
        """
        which, dither = jax.random.split(key)
        labels = jnp.asarray(labels)
        variant = jax.random.randint(which, labels.shape, 0, self.noisy.shape[1])
        chosen = self._spread(jnp.asarray(self.noisy)[labels, variant], space)
        noise = jax.random.uniform(dither, chosen.shape, minval=-1, maxval=1)
        return chosen + self.noise_width * noise

    def clean_pictures(self, labels: jax.Array, *space: int) -> jax.Array:
        """Latent label pictures without noise; see :meth:`pictures`."""
        return self._spread(jnp.asarray(self.clean)[jnp.asarray(labels)], space)

    def _spread(self, chosen: jax.Array, space: tuple[int, ...]) -> jax.Array:
        if chosen.ndim != 4 or chosen.shape[1:3] not in ((1, 1), space):
            raise ValueError(
                f"{self.scheme} label pictures are one class per image on a grid of "
                f"{self.clean.shape[1:3]}, not {chosen.shape[:-1]} on {space}"
            )
        return jnp.broadcast_to(chosen, (len(chosen), *space, self.channels))

    def pixel_distances(self, pictures: jax.Array) -> jax.Array:
        """Euclidean distance to every class's picture at every point, ``[B, h, w, K]``."""
        differences = pictures[..., None, :] - jnp.moveaxis(jnp.asarray(self.clean), 0, 2)[None]
        return jnp.sqrt(jnp.sum(differences.astype(jnp.float32) ** 2, axis=-1))

    def distances(self, pictures: jax.Array) -> jax.Array:
        """Mean over the picture of :meth:`pixel_distances`, ``[B, K]``; of ``pooled`` the mean's."""
        if self.scheme == "pooled":
            pictures = pictures.mean(axis=(1, 2), keepdims=True)
        return self.pixel_distances(pictures).mean(axis=(1, 2))

    def read(
        self, pictures: jax.Array, weights: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Distances ``[B, K]``, ``softmax(-distance)`` ``[B, K]`` and the mode rule's class ``[B]``.

        Raises:
            ValueError: weights: these codes give no posterior.
        """
        if weights is not None:
            raise ValueError(
                "another class prior needs the code 'simplex', whose read-out is a posterior"
            )
        distances = self.distances(pictures)
        mode = most_votes(self.pixel_distances(pictures))
        return distances, jax.nn.softmax(-distances, axis=-1), mode

    def to_rgb(self, pictures: jax.Array) -> jax.Array:
        """The palette's colours, mixed by nearness at every point: ``[..., C] -> [..., 3]``."""
        weights = jax.nn.softmax(-4 * self.pixel_distances(pictures), axis=-1)
        return weights @ jnp.asarray(palette_table(self.classes))


def encode_pictures(
    autoencoder: Autoencoder,
    params: Params,
    scheme: str,
    classes: int,
    side: int,
    *,
    beta: float = 4.0,
    variants: int = 8,
    batch: int = 8,
    seed: int = 0,
) -> LatentCode:
    """The latent code of a palette: each class's pictures, drawn at full size and encoded by the mean.

    Args:
        autoencoder: network and scale that encode the images.
        params: parameters of the autoencoder.
        scheme: ``encoded`` or ``pooled``.
        classes: number of classes.
        side: rows and columns of the pictures, those that the images are encoded at.
        beta: strength of the dequantisation, see :class:`Code`.
        variants: noisy pictures of each class.
        batch: pictures encoded at a time.
        seed: seed of the pictures' dequantisation noise.

    Raises:
        ValueError: an autoencoder that is not for colour images.
    """
    if autoencoder.net.channels != 3:
        raise ValueError(
            f"the code {scheme!r} encodes colours, but the autoencoder is for images of "
            f"{autoencoder.net.channels} channel(s): take the code 'simplex', or convert the images to "
            "colour with data.channels=3"
        )
    palette = Code("palette", classes, beta)
    labels = jnp.arange(classes)
    run = batched(lambda p, x, index: autoencoder.encode(p, x), batch)

    def encode(pictures: jax.Array) -> np.ndarray:
        return run(params, np.asarray(pictures))

    clean = encode(palette.clean_pictures(labels, side, side))
    keys = jax.random.split(jax.random.key(seed), variants)
    pictures = (palette.pictures(labels, side, side, key=key) for key in keys)
    noisy = np.stack([encode(x) for x in pictures], axis=1)
    if scheme == "pooled":
        clean = clean.mean(axis=(1, 2), keepdims=True)
        noisy = noisy.mean(axis=(2, 3), keepdims=True)
    return LatentCode(scheme, clean, noisy, beta)
