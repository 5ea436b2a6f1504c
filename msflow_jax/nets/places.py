"""Where tokens of a grid lie, carried along as their last channels, and how far from other tokens."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

_AXES = 3  # of a volume; a picture lies in its middle plane
_NEAR = 8.0  # logits by which one's own place is ahead of the next, for heads that begin near
PLACE = 1 + _AXES  # channels: tokens along an axis, and the coordinates in tokens


def with_places(tokens: jax.Array, side: int, axes: int) -> jax.Array:
    """Tokens ``[B, side^axes, E]`` with their places behind, ``[B, side^axes, E + 4]``."""
    place = np.full((side**axes, PLACE), side, np.float32)
    place[:, 1:] *= _centres((side,) * axes)
    everywhere = jnp.broadcast_to(place.astype(tokens.dtype)[None], (tokens.shape[0], *place.shape))
    return jnp.concatenate([tokens, everywhere], axis=-1)


def split_places(tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Undoes :func:`with_places`: tokens ``[B, S, E]`` and places ``[B, S, 4]``."""
    return tokens[..., :-PLACE], tokens[..., -PLACE:]


def apart(grid: Sequence[int], place: jax.Array) -> jax.Array:
    """Squared distances ``[T, S]`` of a grid's tokens to places ``[S, 4]``, in tokens of the latter."""
    own = jnp.asarray(_centres(grid))[:, None]  # [T, 1, 3]
    return jnp.square(place[None, :, :1] * own - place[None, :, 1:]).sum(axis=-1)


def near_bias(free: jax.Array, distance: jax.Array) -> jax.Array:
    """What is added to the logits of attention, so that heads begin near ``[heads, T, S]``.

    Two thirds of the heads begin by looking at what lies where they are themselves, which else has to
    be learned first, for hundreds of steps; the rest anywhere.

    Args:
        free: what is learned of how near each head looks, from zero, ``[heads]``.
        distance: squared distances ``[T, S]``, in tokens.
    """
    heads = free.shape[0]
    first = jnp.asarray(np.arange(heads) < -(-2 * heads // 3), jnp.float32)
    return (first + free)[:, None, None] * (-_NEAR * distance)[None]


def _centres(grid: Sequence[int]) -> np.ndarray:
    """The middles of a grid's cells, ``[T, 3]`` in sides of the whole."""
    axes = [(np.arange(side) + 0.5) / side for side in (*(1,) * (_AXES - len(grid)), *grid)]
    return (
        np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, _AXES).astype(np.float32)
    )
