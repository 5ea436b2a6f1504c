"""Class codes: points in colour space that stand for classes, label pictures, and their read-out.

A *label picture* spreads a class's code over the grid and adds dequantisation noise, so that a
continuous flow can carry it. Three schemes share one interface:

* ``palette``: the RGB codes of MedSymmFlow (arXiv 2507.19098), value for value;
* ``grey``: the one-channel code of SymmFlow (arXiv 2506.10634), value for value;
* ``simplex``: K equidistant points in K - 1 channels of unit variance. One Euler step of a perfect
  symmetric flow returns ``E[code | image]``. With the vertices of a simplex this *is* the posterior,
  and the nearest code is the most probable class, which holds for neither of the published codes.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.nets.ops import over_space, space_axes

SCHEMES = ("palette", "grey", "simplex")
# Levels per channel -> 8-bit step: MedSymmFlow; SymmFlow on COCO-Stuff.
_PUBLISHED_STEPS = {4: 75, 6: 50}
_LEAST = 1e-6  # probability of a class whose share of a simplex picture is less


def palette_indices(classes: int, levels: int) -> np.ndarray:
    """Which of the ``levels ** 3`` colours the classes take: evenly spaced, first and last included."""
    return np.floor(np.linspace(0, levels**3 - 1, classes)).astype(int)


def palette_table(classes: int) -> np.ndarray:
    """RGB codes in [-1, 1], ``[K, 3]``: colour ``16 r + 4 g + b`` of the levels {0, 75, 150, 225}.

    More than 64 classes take more levels per channel (6 levels of step 50 up to 216, as SymmFlow does).
    """
    levels = max(4, math.ceil(round(classes ** (1 / 3), 6)))
    step = _PUBLISHED_STEPS.get(levels, 255 // (levels - 1))
    index = palette_indices(classes, levels)
    rgb = np.stack([index // levels**2, index // levels % levels, index % levels], axis=1) * step
    return (rgb / 255 * 2 - 1).astype(np.float32)


def grey_table(classes: int, beta: float) -> np.ndarray:
    """Grey codes ``[K, 1]``: equally spaced over [-beta / 2, beta / 2]."""
    return (np.linspace(-1, 1, classes)[:, None] * beta / 2).astype(np.float32)


def simplex_table(classes: int) -> np.ndarray:
    """Vertices of a regular simplex ``[K, K - 1]``: mean 0 and variance 1 in every channel.

    Built from the Helmert contrasts, so that ``c_j . c_k = K [j = k] - 1``.
    """
    table = np.zeros((classes, classes - 1))
    for j in range(1, classes):
        table[:j, j - 1] = 1 / math.sqrt(j * (j + 1))
        table[j, j - 1] = -j / math.sqrt(j * (j + 1))
    return (math.sqrt(classes) * table).astype(np.float32)


def most_votes(pixel_distances: jax.Array) -> jax.Array:
    """The class that is nearest at most pixels, ``[B, *space, K] -> [B]``."""
    classes = pixel_distances.shape[-1]
    nearest = jnp.argmin(pixel_distances, axis=-1)
    votes = jax.nn.one_hot(nearest, classes, dtype=jnp.float32).sum(
        axis=space_axes(pixel_distances)
    )
    return jnp.argmax(votes, axis=-1)


@dataclass(frozen=True)
class Code:
    """How classes are written into label pictures and read back.

    Attributes:
        scheme: ``palette``, ``grey`` or ``simplex``.
        classes: number of classes K, at least 2.
        beta: strength of the published dequantisation. For ``palette`` and ``simplex`` the noise is
            uniform in +-beta / 255, in units of the image range [-1, 1] (+-beta / 2 grey levels).
            For ``grey`` the codes themselves fill [-beta / 2, beta / 2] and the noise is uniform
            over half of the spacing between two codes. The papers use 4 in both.
        pooling: ``pixels`` measures the distance at every pixel and averages (published for
            ``palette``); ``picture`` averages the picture first, which cancels the pixels' noise
            (published for ``grey``, and what makes ``simplex`` Bayes-consistent); empty: the
            scheme's published rule.

    Raises:
        ValueError: unknown scheme or pooling, fewer than 2 classes, or a beta that is not positive.
    """

    scheme: str
    classes: int
    beta: float = 4.0
    pooling: str = ""

    def __post_init__(self):
        if self.scheme not in SCHEMES:
            raise ValueError(f"unknown code {self.scheme!r}: choose one of {', '.join(SCHEMES)}")
        if self.classes < 2:
            raise ValueError(f"a code needs at least 2 classes, got {self.classes}")
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta must be a positive number, got {self.beta}")
        if self.pooling not in ("", "pixels", "picture"):
            raise ValueError(f"pooling is 'pixels' or 'picture', not {self.pooling!r}")

    @property
    def channels(self) -> int:
        """Channels of a label picture: 3, 1 or K - 1."""
        return {"palette": 3, "grey": 1, "simplex": self.classes - 1}[self.scheme]

    @property
    def table(self) -> np.ndarray:
        """The codes, ``[K, C]`` float32."""
        if self.scheme == "grey":
            return grey_table(self.classes, self.beta)
        return (palette_table if self.scheme == "palette" else simplex_table)(self.classes)

    @property
    def noise_width(self) -> float:
        """Half width of the uniform dequantisation noise."""
        return self.beta / 4 / (self.classes - 1) if self.scheme == "grey" else self.beta / 255

    def pictures(self, labels: jax.Array, *space: int, key: jax.Array) -> jax.Array:
        """Label pictures with fresh dequantisation noise.

        Args:
            labels: class numbers, ``[B]`` (one per picture) or ``[B, *space]`` (one per pixel).
            *space: sides of the pictures: rows and columns, of volumes slices before them.
            key: PRNG key.

        Returns:
            ``[B, *space, C]`` float32.

        Raises:
            ValueError: labels of another shape.
        """
        codes = self.clean_pictures(labels, *space)
        return codes + self.noise_width * jax.random.uniform(key, codes.shape, minval=-1, maxval=1)

    def clean_pictures(self, labels: jax.Array, *space: int) -> jax.Array:
        """Label pictures without noise; see :meth:`pictures`."""
        labels = jnp.asarray(labels)
        if labels.ndim == 1:
            count, ones = labels.shape[0], (1,) * len(space)
            labels = jnp.broadcast_to(labels.reshape(count, *ones), (count, *space))
        if labels.shape[1:] != space:
            raise ValueError(f"labels must be [B] or [B, *{space}], got {labels.shape}")
        return jnp.asarray(self.table)[labels]

    def pixel_distances(self, pictures: jax.Array) -> jax.Array:
        """Euclidean distance of every pixel to every code, ``[..., C] -> [..., K]``.

        Grey distances are in units of classes: ``|index - k|``, as published.
        """
        if pictures.shape[-1] != self.channels:
            raise ValueError(
                f"{self.scheme} pictures have {self.channels} channels, got {pictures.shape}"
            )
        table = jnp.expand_dims(jnp.asarray(self.table), tuple(range(pictures.ndim - 1)))
        difference = pictures[..., None, :].astype(jnp.float32) - table
        unit = self.beta / (self.classes - 1) if self.scheme == "grey" else 1.0
        return jnp.sqrt(jnp.sum(difference**2, axis=-1)) / unit

    def distances(self, pictures: jax.Array) -> jax.Array:
        """Distance of each picture to each class, ``[B, *space, C] -> [B, K]``.

        The smallest one wins: the published mean rule (for ``grey`` the same as rounding the mean index
        and clamping it to 0..K-1).
        """
        pooling = self.pooling or ("pixels" if self.scheme == "palette" else "picture")
        if pooling == "pixels":
            return self.pixel_distances(pictures).mean(axis=space_axes(pictures))
        return self.pixel_distances(pictures.mean(axis=space_axes(pictures)))

    def mode(self, pictures: jax.Array) -> jax.Array:
        """The published mode rule: the class that is nearest at most pixels, ``[B]``."""
        return most_votes(self.pixel_distances(pictures))

    def probabilities(self, pictures: jax.Array) -> jax.Array:
        """Class probabilities, ``[B, *space, C] -> [B, K]``.

        ``simplex`` inverts ``mean picture = sum_k p_k c_k``: the posterior of a perfect one-step
        read-out, exactly ``(1 + c_k . mean) / K``, clipped to [0, 1] and renormalised. The other
        codes do not determine a posterior; they give ``softmax(-distance)``, a convention only.
        """
        means = pictures.mean(axis=space_axes(pictures))
        return self._probabilities(means, self.distances(pictures))

    def pixel_probabilities(self, pictures: jax.Array) -> jax.Array:
        """Class probabilities at every pixel, ``[B, *space, C] -> [B, *space, K]``."""
        return self._probabilities(pictures, self.pixel_distances(pictures))

    def _probabilities(self, means: jax.Array, distances: jax.Array) -> jax.Array:
        if self.scheme != "simplex":
            return jax.nn.softmax(-distances, axis=-1)
        raw = jnp.clip(self._shares(means), _LEAST, None)
        return raw / raw.sum(axis=-1, keepdims=True)

    def _shares(self, means: jax.Array) -> jax.Array:
        """Of each class in a picture of ``simplex``; their sum is 1, and some may be below 0."""
        inner = jnp.einsum("...c,kc->...k", means.astype(jnp.float32), jnp.asarray(self.table))
        return (1 + inner) / self.classes

    def read(
        self, pictures: jax.Array, weights: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Distances ``[B, K]``, probabilities ``[B, K]`` and the mode rule's class ``[B]`` of pictures.

        ``weights`` ``[K]``, see :meth:`reweight`, are applied first.
        """
        if weights is not None:
            pictures = self.reweight(pictures, weights)
        return self.distances(pictures), self.probabilities(pictures), self.mode(pictures)

    def reweight(self, pictures: jax.Array, weights: jax.Array) -> jax.Array:
        """Pictures as they would be under other class frequencies, ``[B, *space, C]`` to the same.

        Bayes' rule on the posterior p of the mean picture: it becomes ``p_k w_k / sum_j p_j w_j``, and
        every pixel moves alike. Classes of a share below 0, whose p is 0, keep it.

        Args:
            pictures: label pictures.
            weights: ``[K]``, positive: ratio of target to training prior of each class.

        Raises:
            ValueError: another scheme than ``simplex``, which alone determines a posterior.
        """
        if self.scheme != "simplex":
            raise ValueError(
                f"another class prior needs the code 'simplex', whose read-out is a posterior, "
                f"not {self.scheme!r}"
            )
        before = jnp.clip(shares := self._shares(pictures.mean(space_axes(pictures))), _LEAST, None)
        after = before * jnp.asarray(weights)[None]
        after *= before.sum(axis=-1, keepdims=True) / after.sum(axis=-1, keepdims=True)
        move = jnp.where(shares > _LEAST, after - shares, 0) @ jnp.asarray(self.table)
        return pictures + over_space(move, pictures)

    def to_rgb(self, pictures: jax.Array) -> jax.Array:
        """Label pictures for display: ``[..., C] -> [..., 3]`` in [-1, 1].

        ``palette`` pictures are colours already, ``grey`` ones are scaled to the image range, and
        ``simplex`` ones mix the palette's colours by their (unclipped) class weights.
        """
        if self.scheme == "palette":
            return jnp.clip(pictures, -1, 1)
        if self.scheme == "grey":
            return jnp.clip(jnp.repeat(pictures / (self.beta / 2), 3, axis=-1), -1, 1)
        return jnp.clip(self._shares(pictures) @ jnp.asarray(palette_table(self.classes)), -1, 1)
