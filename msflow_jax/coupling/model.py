"""CouplingFlow: a multiscale class-conditional coupling flow with exact likelihoods (MAGIC-Flow).

An image walks through stages of steps (activation norm, 1 x 1 convolution, affine coupling), is
squeezed, and leaves half of its channels behind as latents where it is split; see
:class:`msflow_jax.coupling.multiscale.Multiscale`. The log-determinants walk along as an array of the
image's shape: the log-likelihood is the sum of a map over the image.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.attribution import Explanation, likelihood_map
from msflow_jax.coupling.density import ConditionalDensity
from msflow_jax.evaluation.likelihood import bits_per_dimension
from msflow_jax.inference.prediction import Prediction, by_bayes, class_numbers
from msflow_jax.streams import sample_noise

Params = Any


@dataclass(frozen=True)
class CouplingFlow(ConditionalDensity):
    """A coupling flow: the verbs of a model over its density. All methods are pure.

    Its attributes, ``init``, ``fit_actnorm`` and likelihoods are those of :class:`ConditionalDensity`.
    """

    def numbers(self, labels: Sequence[int | str]) -> np.ndarray:
        """Class numbers ``[B]`` from numbers or names; see :func:`class_numbers`."""
        return class_numbers(self.classes, labels)

    def classify(
        self, params: Params, images: jax.Array, key: jax.Array, *, draws: int = 1,
        index: jax.Array | None = None, weights: Sequence[float] | None = None,
    ) -> Prediction:  # fmt: skip
        """The posterior over classes by Bayes' rule, from the likelihood given each of them.

        Args:
            params: parameters of the flow.
            images: images ``[B, *space, C]`` of 256 equally spaced values in [-1, 1].
            key: PRNG key of the dequantisation.
            draws: number of draws of the dequantisation; all are returned.
            index: number that each image's noise is folded from ``[B]``; None: :func:`content_index`.
            weights: ratio of target to training prior of each class ``[K]`` (label-shift correction).

        Returns:
            Distances -log p(y | x) in nats; the mode is the likeliest class; ``log_prob`` bounds the
            log-probability of the 8-bit image, as :meth:`explain`'s maps do of each class.

        Raises:
            ValueError: images of another shape than the model's, or ``draws`` < 1.
        """
        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        count, log_prior = len(self.classes), self._log_prior(weights)

        def one(draw: jax.Array) -> Prediction:
            noise = self._noise(key, draw, index, images)
            x, nats = self._dequantise(params, images, noise)
            joint = self.class_log_probs(params, x) + log_prior[None]
            nfe = jnp.float32(count)
            return by_bayes(joint, self.classes, self.dimensions, nfe, _total(nats))

        out = lax.map(one, jnp.arange(draws))
        return dataclasses.replace(out, nfe=out.nfe.mean())

    def _log_prior(self, weights: Sequence[float] | None = None) -> jax.Array:
        """Of each class ``[K]``, after a change by these ratios."""
        count = len(self.classes)
        prior = jnp.asarray(self.class_prior or (1 / count,) * count)
        return jax.nn.log_softmax(
            jnp.log(prior if weights is None else prior * jnp.asarray(weights))
        )

    def explain(
        self, params: Params, images: jax.Array, key: jax.Array, labels: jax.Array,
        others: jax.Array, *, index: jax.Array | None = None, spread: str = "block",
    ) -> Explanation:  # fmt: skip
        """Which entries speak for one class rather than another, as terms of an exact sum.

        The images are dequantised as in the first draw of :meth:`classify` with the same key.

        Args:
            params: parameters of the flow.
            images: images ``[B, *space, C]`` of 256 equally spaced values in [-1, 1].
            key: PRNG key of the dequantisation.
            labels: class numbers ``[B]`` that are explained.
            others: class numbers ``[B]`` that they are compared with.
            index: number that each image's noise is folded from ``[B]``; None: :func:`content_index`.
            spread: see :func:`likelihood_map`.

        Returns:
            Maps ``[B, *space]`` in nats, summed over the channels.

        Raises:
            ValueError: images of another shape, labels that are no class numbers, an unknown spread.
        """
        x, nats = self._dequantise(params, images, self._noise(key, 0, index, images))
        here, there = (likelihood_map(self, params, x, y, spread) for y in (labels, others))
        return Explanation((here + nats).sum(axis=-1), (here - there).sum(axis=-1))

    def generate(
        self, params: Params, labels: jax.Array, key: jax.Array, *,
        temperature: float | jax.Array = 1.0, index: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """An image for each label, ``[B, *space, C]``, of 256 equally spaced values in [-1, 1], or NaN.

        Args:
            params: parameters of the flow.
            labels: class numbers ``[B]``.
            key: PRNG key of the latents.
            temperature: standard deviation of the latents, of all or of each sample ``[B]``.
            index: global index of each sample ``[B]``, on which alone its noise depends.
        """
        index = jnp.arange(len(labels)) if index is None else index
        shapes = self.latent_shapes()
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        # One draw for all latents: its program is the longest to compile here.
        noise = sample_noise(key, index, (self.dimensions,))
        noise *= jnp.reshape(jnp.asarray(temperature, noise.dtype), (-1, 1))
        parts = zip(jnp.split(noise, ends, axis=1), shapes, strict=True)
        latents = [part.reshape(-1, *shape) for part, shape in parts]
        found = self.inverse(params, latents, labels)
        # A grey level is the interval that dequantisation spread it over, not the nearest of 256 points.
        images = bi.quantise(self.codec.decode(None, found)) / 127.5 - 1
        # Of what is not a number that makes black: it stays what it is, and whoever draws refuses it.
        return jnp.where(jnp.isfinite(found), images, jnp.nan)

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Negative log-likelihood in bits per dimension, with ``discriminative_weight`` a cross-entropy.

        Args:
            params: parameters of the flow.
            batch: ``image`` ``[B, *space, C]`` of 256 equally spaced values in [-1, 1], and ``label``
                ``[B]``.
            key: PRNG key of this step (dequantisation, dropout).
            train: whether dropout acts.

        Returns:
            Scalar loss and metrics ``loss_bits``, with a discriminative weight also
            ``loss_cross_entropy``.
        """
        k_noise, k_net = jax.random.split(key)
        noise = jax.random.uniform(k_noise, batch["image"].shape)
        x, nats = self._dequantise(params, batch["image"], noise)
        dropout, weight = k_net if train else None, self.discriminative_weight
        if not weight:
            each = self.log_prob(params, x, batch["label"], dropout) + _total(nats)
            bits = bits_per_dimension(each, self.dimensions).mean()
            return bits, {"loss_bits": bits}
        each, label = self.class_log_probs(params, x, dropout), batch["label"][:, None]
        chosen = jnp.take_along_axis(each, label, axis=1)[:, 0]
        bits = bits_per_dimension(chosen + _total(nats), self.dimensions).mean()
        # Of the posterior of Bayes' rule: without the prior of the batches here the likelihoods would
        # take it in, and `classify` would count it twice.
        posterior = jax.nn.log_softmax(each + self._log_prior()[None])
        entropy = -jnp.take_along_axis(posterior, label, axis=1).mean()
        loss = (1 - weight) * bits + weight * entropy
        return loss, {"loss_bits": bits, "loss_cross_entropy": entropy}


def _total(terms: jax.Array) -> jax.Array:
    """``[B]``: the sum of each image's entries."""
    return terms.sum(axis=tuple(range(1, terms.ndim)))
