"""An autoencoder fitted to the images at hand: what is minimised, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import LazySplit, Split, some_rows
from msflow_jax.evaluation import features
from msflow_jax.evaluation.features import FeatureClassifier
from msflow_jax.evaluation.paired import WINDOW
from msflow_jax.latent.autoencoder import DECODERS, Autoencoder
from msflow_jax.latent.reconstruction import resized
from msflow_jax.nets.ops import resize
from msflow_jax.train_settings import check_train, train_config

_MAX_SEEN = 2000  # training images for the feature network

Params = Any


@dataclass(frozen=True)
class FineTuning:
    """What a stage of training needs to start from an autoencoder that is there.

    The loss is the mean absolute error, plus ``perceptual`` times :func:`feature_distance`, plus ``kl``
    times the divergence of the posterior from N(0, 1), for an autoencoder that has a posterior.

    Attributes:
        autoencoder: network and scale; the scale is left as it is.
        pretrained: parameters to start from.
        side: rows and columns that images are resized to.
        classifier: network whose feature maps are compared; not needed if ``perceptual`` is 0.
        perceptual: weight of the distance of the feature maps.
        kl: weight of the divergence.
        freeze_encoder: whether the latents stay what they are, so that flows trained on them stay valid.
    """

    autoencoder: Autoencoder
    pretrained: Params
    side: int
    classifier: FeatureClassifier | None = None
    perceptual: float = 0.1
    kl: float = 1e-6
    freeze_encoder: bool = False

    def __post_init__(self) -> None:
        for name in ("perceptual", "kl"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"the weight {name} must be a number from 0 on, got {value}")
        factor = self.autoencoder.net.factor
        if self.side < WINDOW or self.side % factor:
            fits = max(-(-self.side // factor), -(-WINDOW // factor)) * factor
            raise ValueError(
                f"side {self.side} does not fit the autoencoder: a multiple of {factor}, at least "
                f"{WINDOW}, is needed, for instance --side={fits}"
            )
        if self.freeze_encoder and "encoder" not in self.pretrained:
            raise ValueError(
                f"the encoder of a {type(self.autoencoder.net).__name__} shares its parameters with the "
                "decoder: leave out --freeze-encoder"
            )

    @property
    def trains(self) -> str:
        """Regular expression of the paths that are trained, see :class:`msflow_jax.training.Stage`."""
        return f"({'|'.join(DECODERS)})/.*" if self.freeze_encoder else ".*"

    def loss(
        self, params: Params, batch: Mapping[str, jax.Array], key: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scalar loss of ``batch["image"]``, float ``[B, S, S, C]`` in [-1, 1], and its parts.

        Args:
            params: the autoencoder's parameters.
            batch: batch of images.
            key: PRNG key of this step.
            train: whether a posterior is sampled; else its mean is decoded.

        Raises:
            ValueError: feature maps are to be compared, and there is no classifier.
        """
        if self.perceptual and self.classifier is None:
            raise ValueError("the weight perceptual needs a classifier: train one, or set it to 0")
        images = resize(batch["image"], self.side)
        mean, deviation = self.autoencoder.moments(params, images)
        latents = mean
        if train and self.autoencoder.net.posterior:
            latents = mean + deviation * jax.random.normal(key, mean.shape)
        decoded = self.autoencoder.decode(params, latents, images.shape[-1])
        parts = {"l1": jnp.abs(decoded - images).mean()}
        loss = parts["l1"]
        if self.perceptual and self.classifier is not None:
            parts["perceptual"] = feature_distance(self.classifier, decoded, images)
            loss += self.perceptual * parts["perceptual"]
        if self.kl and self.autoencoder.net.posterior and not self.freeze_encoder:
            parts["kl"] = divergence(self.autoencoder, mean, deviation)
            loss += self.kl * parts["kl"]
        return loss, parts


def feature_distance(classifier: FeatureClassifier, a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean squared distance of the feature maps of two sets of images, averaged over the layers.

    Args:
        classifier: network whose feature maps are compared.
        a: images ``[B, H, W, C]`` in [-1, 1].
        b: images of the same shape.
    """

    def maps(images: jax.Array) -> tuple[jax.Array, ...]:
        _, kept = classifier.network.apply(classifier.params, images, mutable=["intermediates"])
        return kept["intermediates"]["maps"]

    layers = zip(maps(a), maps(b), strict=True)
    return jnp.stack([jnp.mean((x - y) ** 2) for x, y in layers]).mean()


def divergence(autoencoder: Autoencoder, mean: jax.Array, deviation: jax.Array) -> jax.Array:
    """KL divergence of the network's posterior from N(0, 1), in nats for each value of an image.

    Rombach et al. sum it over the latents and the error over the image; divided by the image's size,
    the error is a mean and the usual weight of 1e-6 keeps its meaning at every size.

    Args:
        autoencoder: autoencoder whose scale is undone.
        mean: scaled mean ``[B, h, w, latent]``, as :meth:`Autoencoder.moments` gives it.
        deviation: scaled standard deviation of the same shape.
    """
    net = autoencoder.net
    mean, deviation = mean / autoencoder.scale + autoencoder.shift, deviation / autoencoder.scale
    nats = 0.5 * (mean**2 + deviation**2 - 1) - jnp.log(deviation)
    return nats.mean() * net.latent / (net.factor**2 * net.channels)


def train_classifier(
    split: Split | LazySplit, classes: int, side: int, *, seed: int, steps: int = 400
) -> FeatureClassifier:
    """The network of :func:`feature_distance`, trained to tell the classes at the side it is used at.

    At most 2000 images of the split, drawn at random, are used.

    Args:
        split: training images with their classes.
        classes: number of classes.
        side: rows and columns that images are resized to.
        seed: seed of the choice of images and of the training.
        steps: number of training steps.
    """
    index = some_rows(len(split), _MAX_SEEN, seed)
    few = split.take(index)
    return features.train_feature_classifier(
        resized(few.images, side), few.labels, classes, seed=seed, steps=steps, limit=side
    )


def training_config(*, steps: int, batch: int, learning_rate: float, seed: int) -> ConfigDict:
    """The ``train`` part of a configuration; ``val_psnr`` picks the best checkpoint.

    Args:
        steps: number of training steps.
        batch: images per step.
        learning_rate: peak of the learning rate.
        seed: seed of the order of the images and of the noise.

    Raises:
        ValueError: fewer than 1 step or image per batch, a negative seed, a learning rate not above 0.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    config = train_config()
    config.update({"steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed})
    config.update({"eval_every": max(1, min(500, steps // 4)), "log_every": 10})
    config.select = "val_psnr"
    check_train(config)
    return config
