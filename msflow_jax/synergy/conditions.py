"""What drawing looks at while it is trained: an image's own content, or a source and an instruction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.synergy.augmentation import Augmentation
from msflow_jax.synergy.encoder import Seen
from msflow_jax.synergy.model import Params, Synergy


class Shown(NamedTuple):
    """What is drawn, and behind what.

    Attributes:
        images: what is drawn ``[B, *shape]``.
        read: ``(model, params, words, content, latents) -> (memory, at)``, as of
            :meth:`~msflow_jax.synergy.model.Synergy.remember`; 1 where name and instruction, content,
            and the source's latents are given ``[B]``.
    """

    images: jax.Array
    read: Callable[[Synergy, Params, jax.Array, jax.Array, jax.Array], Any]


def alone(
    model: Synergy, named: float, augment: Augmentation, params: Params, batch: Any,
    keys: Sequence[jax.Array], *, train: bool,
) -> Shown:  # fmt: skip
    """Any image of each example behind its own content and look; of a share ``named`` its name.

    Args:
        model: the model.
        named: that share.
        augment: how images are moved.
        params: the whole tree.
        batch: all modalities, and which of them are present.
        keys: PRNG keys of the choice, of the move, of the noise on content, and of the names.
        train: whether images are moved and content is noisy.
    """
    k_pick, k_augment, k_noise, k_name = keys
    x, which = any_of(model, batch, k_pick)
    if train:
        x = augment.shift(k_augment, x)
    seen = jax.lax.stop_gradient(model.see(params, x))
    content = seen.content
    if train:
        content += model.noise * jax.random.normal(k_noise, content.shape)
    look = seen.look
    if named:
        called = jax.lax.stop_gradient(model.names(params))[which]
        look = jnp.where(jax.random.bernoulli(k_name, named, (len(x), 1)), called, look)
    prompt = jnp.zeros((len(x), 1), jnp.int32)

    def read(
        by: Synergy, params: Params, words: jax.Array, shown: jax.Array, latents: jax.Array
    ) -> Any:
        del latents
        keep = jnp.stack([shown, words], axis=1)
        return by.remember(params, prompt, jnp.zeros(len(x)), Seen(content, look), keep)

    return Shown(x, read)


def paired(
    model: Synergy, augment: Augmentation, routes: tuple[tuple[str, str], ...], frozen: bool,
    params: Params, batch: Any, keys: Sequence[jax.Array], *, train: bool,
) -> Shown:  # fmt: skip
    """A target behind its source and an instruction, on any route that an example has.

    Args:
        model: the model.
        augment: changes of pairs, and of sources alone.
        routes: pairs (source, target).
        frozen: whether understanding stays as it is.
        params: the whole tree.
        batch: all modalities, and which of them are present.
        keys: PRNG keys of the route, of its phrasing, and of the changes.
        train: whether images are changed, and phrasings chosen.
    """
    k_route, k_words, k_augment, *_ = keys
    images, there = stacked(model, batch)
    names, rows = list(model.modalities), jnp.arange(len(images))
    table = np.array([[names.index(a), names.index(b)] for a, b in routes])
    possible = there[:, table[:, 0]] & there[:, table[:, 1]]
    route = jax.random.categorical(k_route, jnp.where(possible, 0.0, -jnp.inf))
    source, target = (images[rows, jnp.asarray(table)[route, i]] for i in (0, 1))
    prompts = jnp.asarray([model.routes[one] for one in routes], jnp.int32)  # [R, K, T]
    phrase = jax.random.randint(k_words, (len(images),), 0, prompts.shape[1])
    prompt = prompts[route, phrase if train else 0 * phrase]
    if train:
        source, target = augment.pair(k_augment, source, target)
    look = model.names(params)[jnp.asarray(table)[route, 1]]
    seen = Seen(model.see(params, source).content, look)
    if frozen:
        seen = jax.lax.stop_gradient(seen)
    clean = model.encode(params, names[0], source)

    def read(
        by: Synergy, params: Params, words: jax.Array, shown: jax.Array, latents: jax.Array
    ) -> Any:
        keep = jnp.stack([shown, words], axis=1)
        return by.remember(params, prompt, words, seen, keep, clean, latents)

    return Shown(target, read)


def stacked(model: Synergy, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
    """All modalities ``[B, M, *shape]``, and which an example has ``[B, M]``."""
    images = jnp.stack([batch[name] for name in model.modalities], axis=1)
    present, ones = batch.get("present", {}), jnp.ones(len(images), bool)
    return images, jnp.stack([present.get(name, ones) for name in model.modalities], axis=1)


def any_of(model: Synergy, batch: Mapping[str, Any], key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One of the images of each example, any ``[B, *shape]``, and which modality it is ``[B]``."""
    images, there = stacked(model, batch)
    which = jax.random.categorical(key, jnp.where(there, 0.0, -jnp.inf))
    return images[jnp.arange(len(images)), which], which
