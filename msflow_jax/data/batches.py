"""Batches: the order of examples, and what happens to them on the device."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def batch_indices(seed: int, step: int, count: int, examples: int, batch: int) -> np.ndarray:
    """Which examples make up the batches of steps ``step .. step + count - 1``.

    A pure function of its arguments: a resumed run sees what it would have seen. Every epoch is a
    fresh permutation; a batch may straddle two epochs, so that no example is dropped.

    Args:
      seed: seed of the order.
      step: first step.
      count: number of steps.
      examples: size of the training set.
      batch: batch size.

    Returns:
      int32 ``[count, batch]``.
    """
    position = np.arange(step * batch, (step + count) * batch)
    epochs = range(position[0] // examples, position[-1] // examples + 1)
    order = np.concatenate([np.random.default_rng((seed, e)).permutation(examples) for e in epochs])
    return order[position - epochs[0] * examples].reshape(count, batch).astype(np.int32)


def to_float(images: jax.Array) -> jax.Array:
    """uint8 to float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def to_uint8(images: jax.Array) -> np.ndarray:
    """Float in [-1, 1] to uint8, rounded (not truncated) and clipped."""
    return np.asarray(jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8))


def augment(
    images: jax.Array, maps: jax.Array | None, key: jax.Array, flips: Sequence[str], shift: int = 0
) -> tuple[jax.Array, jax.Array | None]:
    """Random flips and shifts, one draw a sample; label maps move with their images.

    Args:
      images: ``[B, H, W, C]``.
      maps: ``[B, H, W]`` or None.
      key: PRNG key.
      flips: any of ``horizontal``, ``vertical``, each with probability one half.
      shift: shift by up to this many pixels each way, the border repeated.

    Raises:
      ValueError: an unknown flip.
    """
    if unknown := set(flips) - {"horizontal", "vertical"}:
        raise ValueError(f"unknown flip {sorted(unknown)}: choose 'horizontal' and / or 'vertical'")
    b, h, w = images.shape[:3]
    k_rows, k_columns, k_flip_rows, k_flip_columns = jax.random.split(key, 4)

    def indices(key, flip_key, size, flip):
        offset = jax.random.randint(key, (b, 1), -shift, shift + 1)
        index = jnp.clip(jnp.arange(size) + offset, 0, size - 1)
        turned = jax.random.bernoulli(flip_key, 0.5 if flip else 0.0, (b, 1))
        return jnp.where(turned, index[:, ::-1], index)

    rows = indices(k_rows, k_flip_rows, h, "vertical" in flips)
    columns = indices(k_columns, k_flip_columns, w, "horizontal" in flips)
    if not flips and not shift:
        return images, maps
    pick = jax.vmap(lambda a, r, c: a[r][:, c])
    return pick(images, rows, columns), None if maps is None else pick(maps, rows, columns)
