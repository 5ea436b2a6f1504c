"""Images larger than what a model sees at once: windows that overlap, and what is said of all of them.

A model that was trained on random crops (``train.crop``) says so by ``window``, the sides of what it
sees. Each window is an image of its own, its noise by its own content; where one window is the whole
image, the result is bit for bit that of the model alone.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.info import Info
from msflow_jax.data.order import move
from msflow_jax.data.order import windows as positions
from msflow_jax.inference.prediction import Prediction

# Of a window's bell, as a share of its side (nnU-Net's), and the least that an end counts.
_SPREAD, _LEAST = 1 / 8, 1e-3


def starts(size: int, side: int, overlap: float) -> np.ndarray:
    """Where the windows of this side begin along an axis: evenly, the first and the last at its ends.

    Args:
        size: entries of the axis, at least ``side``.
        side: entries of a window.
        overlap: least share of a window that the next one sees again, in [0, 1).
    """
    step = max(1.0, side * (1 - overlap))
    return np.linspace(0, size - side, math.ceil((size - side) / step) + 1).round().astype(int)


def weights(size: int, side: int, overlap: float) -> np.ndarray:
    """What each window counts at each of its places along an axis, float32 ``[windows, side]``.

    A bell, since a window sees little around its ends; at every place of the axis they sum to one.
    Arguments as for :func:`starts`.
    """
    middle = (np.arange(side) - (side - 1) / 2) / (_SPREAD * side)
    bell, first = np.maximum(np.exp(-(middle**2) / 2), _LEAST), starts(size, side, overlap)
    total = np.zeros(size)
    for start in first:
        total[start : start + side] += bell
    return np.stack([bell / total[start : start + side] for start in first]).astype(np.float32)


def classify(
    model: Any, params: Any, images: jax.Array, key: jax.Array, *, overlap: float, **settings: Any
) -> Prediction:
    """``model.classify`` of images of any size: distances and probabilities are means over the windows.

    Args:
        model: a model that classifies.
        params: its parameters.
        images: ``[B, *space, C]`` in [-1, 1].
        key: PRNG key.
        overlap: see :func:`starts`.
        **settings: settings of ``model.classify``.

    Raises:
        ValueError: several windows for a model with a likelihood, whose windows are not independent.
    """
    corners = _corners(model, images, overlap)
    if corners is None:
        return model.classify(params, images, key, **settings)

    def one(corner: jax.Array) -> Prediction:
        return model.classify(params, _window(images, corner, model.window), key, **settings)

    found: Prediction = jax.lax.map(one, jnp.asarray(corners))
    if found.log_prob is not None:
        raise ValueError(
            "the likelihood of an image is no sum over windows: train on whole images, train.crop=0"
        )
    classes = found.distances.shape[-1]
    votes = jax.nn.one_hot(found.mode, classes, dtype=jnp.float32).sum(axis=0)
    return dataclasses.replace(
        found,
        distances=found.distances.mean(axis=0),
        probabilities=found.probabilities.mean(axis=0),
        mode=votes.argmax(axis=-1),
        nfe=found.nfe.sum(axis=0),
        ok=found.ok.all(axis=0),
        measures={name: x.mean(axis=0) for name, x in found.measures.items()},
        features=None if found.features is None else found.features.mean(axis=0),
    )


def segment(
    model: Any, params: Any, images: jax.Array, key: jax.Array, *, overlap: float, **settings: Any
) -> jax.Array:
    """``model.segment`` of images of any size, ``[B, *space, K]``: the windows' weighted sum.

    Arguments as for :func:`classify`; for the weights see :func:`weights`.
    """
    corners = _corners(model, images, overlap)
    if corners is None:
        return model.segment(params, images, key, **settings)
    space, n = images.shape[1:-1], images.ndim - 2
    along = [weights(*sizes, overlap) for sizes in zip(space, model.window, strict=True)]
    chosen = np.stack(np.meshgrid(*(np.arange(len(w)) for w in along), indexing="ij"), -1)
    batch, classes = len(images), len(model.classes)

    def add(total: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        corner, which = one
        found = model.segment(params, _window(images, corner, model.window), key, **settings)
        for axis, of_axis in enumerate(along):
            shape = [1] * (n + 2)
            shape[axis + 1] = -1
            found = found * jnp.asarray(of_axis)[which[axis]].reshape(shape)
        place = (0, *corner, 0)
        before = jax.lax.dynamic_slice(total, place, found.shape)
        return jax.lax.dynamic_update_slice(total, before + found, place), None

    empty = jnp.zeros((batch, *space, classes), jnp.float32)
    return jax.lax.scan(add, empty, (jnp.asarray(corners), jnp.asarray(chosen.reshape(-1, n))))[0]


def warn_of_pieces(model: Any, info: Info) -> None:
    """Warns where a model that draws has seen no more than pieces of the training images.

    Args:
        model: a model of any family.
        info: what the training images are.
    """
    window = getattr(model, "window", None)
    if window is not None and tuple(window) != info.sides:
        small, large = (" x ".join(map(str, sides)) for sides in (window, info.sides))
        warnings.warn(
            f"this model was trained on crops of {small}: it draws pieces of that size, not of {large}",
            stacklevel=3,
        )


def crops(model: Any, images: np.ndarray, seed: int) -> np.ndarray:
    """A random window of each image ``[N, *space, C]``, as in training; all of it where that is seen."""
    window, space = getattr(model, "window", None), images.shape[1:-1]
    if window is None or window == space:
        return images
    axes = positions(seed, 0, len(images), space, (), 0, max(window))
    return np.stack([move(*one) for one in zip(images, zip(*axes, strict=True), strict=True)])


def crop_one(model: Any, key: jax.Array, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The same random window of arrays of one example, ``[*space, ...]``; those without space stay."""
    window, space = getattr(model, "window", None), arrays[0].shape[:-1]
    if window is None or window == space:
        return arrays
    room = jnp.asarray(space) - jnp.asarray(window) + 1
    corner = jax.random.randint(key, (len(window),), 0, room)

    def cut(array: jax.Array) -> jax.Array:
        rest = array.shape[len(window) :]
        return jax.lax.dynamic_slice(array, (*corner, *(0,) * len(rest)), (*window, *rest))

    return tuple(cut(array) if array.ndim else array for array in arrays)


def _corners(model: Any, images: jax.Array, overlap: float) -> np.ndarray | None:
    """The first corner of every window, ``[W, axes]``; None where the model sees the whole image."""
    window: Sequence[int] | None = getattr(model, "window", None)
    space = images.shape[1:-1]
    if window is None or len(window) != len(space) or tuple(window) == space:
        return None
    if any(side > size for side, size in zip(window, space, strict=True)):
        return None  # the model says what is wrong
    first = [starts(*sizes, overlap) for sizes in zip(space, window, strict=True)]
    return np.stack(np.meshgrid(*first, indexing="ij"), -1).reshape(-1, len(space))


def _window(images: jax.Array, corner: jax.Array, window: Sequence[int]) -> jax.Array:
    """The windows ``[B, *window, C]`` of images at a corner."""
    sizes = (len(images), *window, images.shape[-1])
    return jax.lax.dynamic_slice(images, (0, *corner, 0), sizes)
