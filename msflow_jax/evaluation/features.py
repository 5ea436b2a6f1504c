"""Features of images by a small classifier trained on the training data.

Public feature networks (Inception for FID, RadImageNet's) need weights from elsewhere. The features of
this classifier come from the data at hand instead: quick, offline, and only comparable within one data
set, seed and number of steps. For a network with weights of its own see ``supplied.py``.

Of volumes the slices along the first axis are the channels of that network: it sees the whole volume,
and is trained in a minute where convolutions in three dimensions take most of an hour (two busy cores).
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.experimental import multihost_utils

from msflow_jax.data.batches import to_float
from msflow_jax.data.order import draw_balanced
from msflow_jax.evaluation.checks import check_images, check_labels
from msflow_jax.parallel.batched import Runner, batched

_BATCH = 64
_SIDE = 64
_VOLUME_SIDE = 32  # of volumes, whose slices are channels
_APPLY_BATCH = 256


class FeatureNetwork(nn.Module):
    """Four 3x3 convolutions (16-32-64-64, stride 2 but the last), average pooling, 32 features."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps images ``[B, H, W, C]`` in [-1, 1] to features ``[B, 32]`` and logits ``[B, K]``."""
        for width, stride in ((16, 2), (32, 2), (64, 2), (64, 1)):
            x = nn.Conv(width, (3, 3), strides=stride)(x)
            x = nn.relu(nn.GroupNorm(num_groups=8)(x))
            self.sow("intermediates", "maps", x)  # kept only where a caller collects them
        features = nn.gelu(nn.Dense(32)(x.mean(axis=(1, 2))))
        return features, nn.Dense(self.classes)(features)


@dataclass(frozen=True)
class FeatureClassifier:
    """A trained ``FeatureNetwork`` with its parameters, and the largest side it was trained on."""

    network: FeatureNetwork
    params: Any
    limit: int = _SIDE

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features float32 ``[N, 32]`` of uint8 images ``[N, *space, C]``."""
        return self._apply(images)[0]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Class numbers int64 ``[N]`` of uint8 images ``[N, *space, C]``."""
        return self.logits(images).argmax(axis=1)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What a softmax makes probabilities of, float32 ``[N, K]``."""
        return self._apply(images)[1]

    def _apply(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._run(self.params, _to_network(images, self.limit))

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
        images: uint8 ``[N, *space, C]``; sides above ``limit``, of volumes above 32, are reduced.
        labels: int ``[N]`` in 0..classes-1.
        classes: number of classes.
        seed: seed of the initial weights and of the batches.
        steps: number of optimiser steps.
        limit: largest side that the network sees.

    Raises:
        ValueError: for another dtype or shape, or labels out of range.
    """
    images = _to_network(images, limit)
    labels = check_labels(labels, classes)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels.")
    order = draw_balanced(labels, (steps, _BATCH), np.random.default_rng(seed))
    network = FeatureNetwork(classes)
    params = _train(network, seed, images, labels.astype(np.int32), order)
    return FeatureClassifier(network, params, limit)


def _to_network(images: np.ndarray, limit: int) -> np.ndarray:
    """Images as the network takes them: small, and volumes ``[N, D, H, W, C]`` as ``[N, H, W, D C]``."""
    images = check_images(images, "images")
    if images.ndim == 4:
        return shrink(images, limit)
    small = shrink(images, min(limit, _VOLUME_SIDE))
    n, d, h, w, c = small.shape
    return np.ascontiguousarray(small.transpose(0, 2, 3, 1, 4)).reshape(n, h, w, d * c)


def shrink(images: np.ndarray, limit: int) -> np.ndarray:
    """Reduces uint8 images ``[N, *space, C]`` to sides of at most ``limit``, antialiased."""
    space = images.shape[1:-1]
    if max(space) <= limit:
        return images
    factor = limit / max(space)
    size = (*(max(1, round(side * factor)) for side in space), images.shape[-1])
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
    if jax.process_count() == 1:
        return carry[0]
    # Of equal seeds processes come to equal numbers but for the last bits: all take the first one's.
    return multihost_utils.broadcast_one_to_all(carry[0])
