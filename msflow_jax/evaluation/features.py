"""Features of images: of a small classifier trained on the training data, or of the user's network.

Public feature networks (Inception for FID, RadImageNet's) need weights from elsewhere. The features of
the classifier come from the data at hand instead: quick, offline, and only comparable within one data
set, seed and number of steps. Who has weights converts them (`tools/convert_features.py`).
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from msflow_jax.data.batches import to_float
from msflow_jax.data.order import draw_balanced
from msflow_jax.evaluation.checks import check_images, check_labels
from msflow_jax.nets.ops import resize
from msflow_jax.nets.resnet import ResNet
from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.storage import weights

FILE = "features.json"

_BATCH = 64
_SIDE = 64
_APPLY_BATCH = 256
_SUPPLIED_BATCH = 32  # images of 224 pixels in a network of the usual size


class FeatureNetwork(nn.Module):
    """Four 3x3 convolutions (16-32-64-64, stride 2 but the last), average pooling, 32 features."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps images `[B, H, W, C]` in [-1, 1] to features `[B, 32]` and logits `[B, K]`."""
        for width, stride in ((16, 2), (32, 2), (64, 2), (64, 1)):
            x = nn.Conv(width, (3, 3), strides=stride)(x)
            x = nn.relu(nn.GroupNorm(num_groups=8)(x))
            self.sow("intermediates", "maps", x)  # kept only for those who ask for them
        features = nn.gelu(nn.Dense(32)(x.mean(axis=(1, 2))))
        return features, nn.Dense(self.classes)(features)


@dataclass(frozen=True)
class FeatureClassifier:
    """A trained `FeatureNetwork` with its parameters, and the largest side it was trained on."""

    network: FeatureNetwork
    params: Any
    limit: int = _SIDE

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features float32 `[N, 32]` of uint8 images `[N, H, W, C]`."""
        return self._apply(images)[0]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Class numbers int64 `[N]` of uint8 images `[N, H, W, C]`."""
        return self._apply(images)[1].argmax(axis=1)

    def _apply(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._run(self.params, shrink(check_images(images, "images"), self.limit))

    @functools.cached_property
    def _run(self) -> Runner:
        def forward(params: Any, images: jax.Array, index: jax.Array) -> Any:
            return self.network.apply(params, to_float(images))

        return batched(forward, _APPLY_BATCH)


def train_feature_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    seed: int,
    steps: int = 400,
    limit: int = _SIDE,
) -> FeatureClassifier:
    """Trains the classifier on class-balanced batches of 64.

    Balanced, so that a rare class can be recognised at all. AdamW, cosine learning rate from 3e-3.

    Args:
        images: uint8 `[N, H, W, C]`; sides above `limit` are reduced to it.
        labels: int `[N]` in 0..classes-1.
        classes: number of classes.
        seed: of the initial weights and the batches.
        steps: optimiser steps.
        limit: largest side that the network sees.

    Raises:
        ValueError: for another dtype or shape, or labels out of range.
    """
    images = shrink(check_images(images, "images"), limit)
    labels = check_labels(labels, classes)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels.")
    order = draw_balanced(labels, (steps, _BATCH), np.random.default_rng(seed))
    network = FeatureNetwork(classes)
    params = _train(network, seed, images, labels.astype(np.int32), order)
    return FeatureClassifier(network, params, limit)


def shrink(images: np.ndarray, limit: int) -> np.ndarray:
    """Reduces uint8 images `[N, H, W, C]` to sides of at most `limit`, antialiased."""
    height, width = images.shape[1:3]
    if max(height, width) <= limit:
        return images
    factor = limit / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)), images.shape[3])
    parts = []
    for start in range(0, len(images), _APPLY_BATCH):
        part = jnp.asarray(images[start : start + _APPLY_BATCH], jnp.float32)
        small = jax.image.resize(part, (len(part), *size), "linear", antialias=True)
        parts.append(np.asarray(jnp.clip(jnp.round(small), 0, 255), dtype=np.uint8))
    return np.concatenate(parts)


def _optimiser(steps: int) -> optax.GradientTransformation:
    return optax.adamw(optax.cosine_decay_schedule(3e-3, steps), weight_decay=1e-3)


@functools.partial(jax.jit, static_argnames=("network", "steps"))
def _init(network: FeatureNetwork, steps: int, key: jax.Array, images: jax.Array) -> Any:
    params = network.init(key, to_float(images))
    return params, _optimiser(steps).init(params)


@functools.partial(jax.jit, static_argnames=("network", "steps"), donate_argnames="carry")
def _step(
    network: FeatureNetwork, steps: int, carry: Any, images: jax.Array, labels: jax.Array
) -> Any:
    def loss(params: Any) -> jax.Array:
        _, logits = network.apply(params, to_float(images))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    params, state = carry
    updates, state = _optimiser(steps).update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state


def _train(
    network: FeatureNetwork, seed: int, images: np.ndarray, labels: np.ndarray, order: np.ndarray
) -> Any:
    carry = _init(network, len(order), jax.random.key(seed), images[:1])
    # A host loop, not lax.scan: XLA's CPU backend runs these convolutions some ten times slower
    # inside a while loop, and a dispatch is cheap beside a step.
    for batch in order:
        carry = _step(network, len(order), carry, images[batch], labels[batch])
    return carry[0]


@dataclass(frozen=True)
class SuppliedNetwork:
    """A network whose weights the user supplies, and what it expects of images.

    Attributes:
        name: every distance on its features is called after it.
        network: images `[B, side, side, 3]` to features `[B, F]`.
        mean: of red, green and blue, taken from images in [0, 1] (grey: repeated three times).
        std: they are divided by it then.
        side: rows and columns to which images are resized (bilinear, antialiased where they shrink).
    """

    name: str
    network: ResNet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int = 224

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("the network for features needs a name: distances are called after it")
        numbers = np.array([self.mean, self.std], np.float64)
        if numbers.shape != (2, 3) or not np.isfinite(numbers).all() or min(self.std) <= 0:
            raise ValueError(
                f"mean and std are three numbers each, std above 0, got {self.mean} and {self.std}"
            )

    def features(self, params: Any) -> Callable[[np.ndarray], np.ndarray]:
        """The function from uint8 images `[N, H, W, 1 or 3]` to float32 features `[N, F]`."""

        def forward(params: Any, images: jax.Array, index: jax.Array) -> Any:
            small = resize(images.astype(jnp.float32) / 255, self.side)
            colour = jnp.broadcast_to(small, (*small.shape[:3], 3))
            normal = (colour - jnp.array(self.mean)) / jnp.array(self.std)
            return self.network.apply({"params": params}, normal)

        run = batched(forward, _SUPPLIED_BATCH)

        def function(images: np.ndarray) -> np.ndarray:
            images = check_images(images, "images")
            if images.shape[-1] not in (1, 3):
                raise ValueError(f"images must be [N, H, W, 1 or 3], got {images.shape}.")
            long = len(images) > _SUPPLIED_BATCH
            return run(params, images, f"features of {self.name}" if long else "")

        return function


def save_features(
    folder: Path, supplied: SuppliedNetwork, params: Any, origin: dict[str, Any]
) -> None:
    """Writes a new folder whole or not at all.

    Args:
        folder: to make; may exist if it is empty.
        supplied: the network and its preprocessing.
        params: its parameters.
        origin: JSON facts on where they come from, such as file, hash and licence.

    Raises:
        ValueError: the folder is not empty.
    """
    net = {k: v for k, v in asdict(supplied.network).items() if k not in ("parent", "name")}
    preprocessing = {"side": supplied.side, "mean": supplied.mean, "std": supplied.std}
    facts = {"name": supplied.name, "network": net, "preprocessing": preprocessing}
    weights.save(folder, FILE, {**facts, "origin": origin}, params)


def load_features(folder: Path) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """The name and the function of a folder that :func:`save_features` wrote.

    Returns:
        Name, and function from uint8 images `[N, H, W, 1 or 3]` to float32 features `[N, F]`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    facts = weights.read_facts(folder, FILE, "network for features", "tools/convert_features.py")
    try:
        net, seen = facts["network"], facts["preprocessing"]
        network = ResNet(**{**net, "blocks": tuple(net["blocks"])})
        supplied = SuppliedNetwork(
            str(facts["name"]), network, tuple(seen["mean"]), tuple(seen["std"]), int(seen["side"])
        )
    except (ValueError, KeyError, TypeError) as error:
        path = Path(folder) / FILE
        raise ValueError(f"{path} is damaged ({error!r}): convert the weights anew") from error
    return supplied.name, supplied.features(weights.load_params(folder))
