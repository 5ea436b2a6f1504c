"""An autoencoder fitted to the images at hand: what is minimised, and how well it reconstructs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import LazySplit, Split
from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.defaults import default_config
from msflow_jax.evaluation import features
from msflow_jax.evaluation.features import FeatureClassifier
from msflow_jax.evaluation.paired import WINDOW, psnr, ssim
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import resize
from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.workdir import write_json

SETTINGS = "settings.json"
_MOST_SEEN = 2000  # training images for the feature network
_BATCH = 64

Params = Any
Measure = Callable[..., dict[str, float]]


@dataclass(frozen=True)
class FineTuning:
    """A model for :func:`msflow_jax.training.fit` that starts from the parameters it has.

    The loss is the mean absolute error, plus ``perceptual`` times :func:`feature_distance`, plus ``kl``
    times the divergence of the posterior from N(0, 1), for an autoencoder that has a posterior.

    Attributes:
      autoencoder: network and scale; the scale is left as it is.
      pretrained: the parameters to start from.
      side: rows and columns that images are resized to.
      classifier: whose feature maps are compared; the loss needs it unless ``perceptual`` is 0.
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

    def init(self, key: jax.Array) -> Params:
        """The pretrained parameters, whatever the key."""
        del key
        return self.pretrained

    def loss(
        self, params: Params, batch: Mapping[str, jax.Array], key: jax.Array, *, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scalar loss of ``batch["image"]``, float ``[B, S, S, C]`` in [-1, 1], and its parts.

        With ``train`` a posterior is sampled, without its mean is decoded.

        Raises:
          ValueError: feature maps are to be compared, and there is no classifier.
        """
        if self.perceptual and self.classifier is None:
            raise ValueError("the weight perceptual needs a classifier: train one, or set it to 0")
        images = resize(batch["image"], self.side)
        mean, deviation = self.autoencoder.moments(params, images)
        if self.freeze_encoder:
            mean, deviation = jax.lax.stop_gradient((mean, deviation))
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
    """Mean squared distance of the feature maps of images ``[B, H, W, C]``, averaged over the layers."""

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
      autoencoder: whose scale is undone.
      mean: scaled, ``[B, h, w, latent]``, as :meth:`Autoencoder.moments` gives it.
      deviation: likewise.
    """
    net = autoencoder.net
    mean, deviation = mean / autoencoder.scale + autoencoder.shift, deviation / autoencoder.scale
    nats = 0.5 * (mean**2 + deviation**2 - 1) - jnp.log(deviation)
    return nats.mean() * net.latent / (net.factor**2 * net.channels)


def make_measure(model: FineTuning, batch: int) -> Measure:
    """``measure(params, images uint8 [N, S, S, C], description="")``: quality of the reconstructions.

    Gives the means of ``psnr`` (dB) and ``ssim`` over the images, decoded from the posterior's mean and
    clipped, and ``latent_std``, the standard deviation of all scaled latents together. The images are
    compared at the model's side.

    The function raises FloatingPointError where a reconstruction is not finite.
    """
    runner = batched(lambda params, images, index: _quality(model, params, images), batch)

    def measure(params: Params, images: np.ndarray, description: str = "") -> dict[str, float]:
        found = runner(params, images, description)
        means = {name: float(np.mean(v, dtype=np.float64)) for name, v in found.items()}
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(
                "the reconstructions are not finite: convert the weights anew, or lower the "
                "learning rate"
            )
        variance = means.pop("square") - means.pop("mean") ** 2
        return {**means, "latent_std": float(np.sqrt(max(variance, 0.0)))}

    return measure


def _quality(model: FineTuning, params: Params, images: jax.Array) -> dict[str, jax.Array]:
    originals = resize(to_float(images), model.side)
    mean, deviation = model.autoencoder.moments(params, originals)
    decoded = model.autoencoder.decode(params, mean, originals.shape[-1])
    decoded = jnp.clip(decoded, -1, 1)
    return {
        "psnr": psnr(decoded, originals),
        "ssim": ssim(decoded, originals),
        "mean": mean.mean(axis=(1, 2, 3)),
        "square": (mean**2 + deviation**2).mean(axis=(1, 2, 3)),
    }


def make_validation(measure: Measure, images: np.ndarray) -> Callable[[Params], dict[str, float]]:
    """``parameters -> val_psnr, val_ssim, val_latent_std`` of uint8 images, for ``fit``."""
    return lambda params: {f"val_{k}": v for k, v in measure(params, images).items()}


def make_reconstruction(model: FineTuning, batch: int) -> Runner:
    """``runner(params, images uint8 [N, S, S, C])``: uint8 ``[N, side, side, C]`` as reconstructed."""

    def function(params: Params, images: jax.Array, index: jax.Array) -> jax.Array:
        originals = resize(to_float(images), model.side)
        latents = model.autoencoder.encode(params, originals)
        return model.autoencoder.decode(params, latents, originals.shape[-1])

    run = batched(function, batch)
    return lambda params, images: to_uint8(run(params, images))


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """uint8 images ``[N, H, W, C]`` as ``[N, side, side, C]``."""
    if images.shape[1:3] == (side, side):
        return images
    run = batched(lambda _, part, index: resize(to_float(part), side), _BATCH)
    return to_uint8(run({}, images))


def train_classifier(
    split: Split | LazySplit, classes: int, side: int, *, seed: int, steps: int = 400
) -> FeatureClassifier:
    """The network of :func:`feature_distance`, trained to tell the classes at the side it is used at.

    At most 2000 images of the split, drawn at random, are looked at.
    """
    index = np.sort(np.random.default_rng(seed).permutation(len(split))[:_MOST_SEEN])
    few = split.take(index)
    return features.train_feature_classifier(
        resized(few.images, side), few.labels, classes, seed=seed, steps=steps, limit=side
    )


def training_config(*, steps: int, batch: int, learning_rate: float, seed: int) -> ConfigDict:
    """The ``train`` part of a configuration, for ``fit``; ``val_psnr`` picks the best checkpoint.

    Raises:
      ValueError: fewer than 1 step or image a batch, a negative seed, a learning rate not above 0.
    """
    for name, value, least in (("steps", steps, 1), ("batch", batch, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"the learning rate must be a positive number, got {learning_rate}")
    config = default_config().train
    config.update({"steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed})
    config.update({"eval_every": max(1, min(500, steps // 4)), "log_every": 10})
    config.select = "val_psnr"
    return config


def claim(run: Path, settings: Mapping[str, Any]) -> None:
    """Notes the settings in a run's folder; one that holds checkpoints goes on only with the same.

    Raises:
      ValueError: the run was begun with other settings (what differs is named), or the note is damaged.
    """
    path = run / SETTINGS
    if any((run / "checkpoints").glob("*/ema")):
        try:
            old = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} cannot be read ({error}): remove {run}") from error
        for name in sorted(old.keys() | settings.keys()):
            if old.get(name) != settings.get(name):
                raise ValueError(
                    f"{run} holds a fine-tuning with {name}={old.get(name)}, not "
                    f"{settings.get(name)}: repeat the command with the old value to go on, remove "
                    "that folder, or name another output"
                )
    write_json(path, dict(settings))
