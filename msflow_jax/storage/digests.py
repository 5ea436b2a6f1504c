"""Digests of arrays, so that a checkpoint that was altered is told from one that was not."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_WORDS = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}
_AT_ONCE = 1 << 20  # words


@jax.jit
def _digest(tree: Any) -> Any:
    def one(array: jax.Array) -> jax.Array:
        if array.dtype == bool:
            array = array.astype(jnp.uint8)
        words = lax.bitcast_convert_type(array, _WORDS[array.dtype.itemsize]).astype(jnp.uint32)
        position = jnp.zeros((), jnp.uint32)
        for axis, size in enumerate(words.shape):
            position = position * jnp.uint32(size) + lax.broadcasted_iota(
                jnp.uint32, words.shape, axis
            )
        # Odd weights: no change of one word leaves the sum as it was. Sums of integers do not depend on
        # their order, so not on the devices either.
        return jnp.sum(words * (2 * position + 1), dtype=jnp.uint32)

    return jax.tree.map(one, tree)


def at_hand(leaf: Any) -> np.ndarray | None:
    """An array that this computer's memory holds whole, without a copy; None where a device does."""
    if isinstance(leaf, jax.Array):
        if not leaf.is_fully_replicated or any(d.platform != "cpu" for d in leaf.devices()):
            return None
        leaf = leaf.addressable_shards[0].data  # whose view is not kept: the array may be donated
    found = np.asarray(leaf)
    return found if found.dtype.itemsize in _WORDS else None


def _digest_on_host(array: np.ndarray) -> int:
    """What :func:`_digest` computes; a program for every tree would take longer than to compute it."""
    words, total = array.reshape(-1).view(_WORDS[array.dtype.itemsize]), 0
    for start in range(0, len(words), _AT_ONCE):
        some = words[start : start + _AT_ONCE].astype(np.uint32)
        weights = np.arange(start, start + len(some)).astype(np.uint32) * np.uint32(2) + np.uint32(
            1
        )
        total += int(np.sum(some * weights, dtype=np.uint32))
    return total % (1 << 32)


def one_copy(tree: Any) -> Any:
    """Arrays that several CPU devices of the only process hold alike, as one of them holds them.

    Else orbax has each device write a part, and compiles a program that cuts it for every shape.

    Args:
        tree: tree of arrays.
    """

    def one(leaf: Any) -> Any:
        alike = isinstance(leaf, jax.Array) and leaf.is_fully_replicated
        if not alike or jax.process_count() > 1 or jax.default_backend() != "cpu":
            return leaf
        return leaf.addressable_shards[0].data

    return jax.tree.map(one, tree)


def layouts(tree: Any) -> dict[str, str]:
    """``float32[3,2]`` and the like for every array of a tree, by path.

    Args:
        tree: tree of arrays or ``jax.ShapeDtypeStruct``.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        for path, leaf in leaves
    }


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What two results of :func:`layouts` do not share, one line per path.

    Args:
        then: layouts that were saved.
        now: layouts that are needed.
    """
    return [
        f"{path} was {then.get(path, 'absent')}, is {now.get(path, 'absent')}"
        for path in sorted(then.keys() | now.keys())
        if then.get(path) != now.get(path)
    ]


def digests(tree: Any) -> dict[str, str]:
    """Layout and a number of 32 bits for every array of a tree, by path: ``float32[3,2] 1a2b3c4d``.

    Any change within one 32-bit word changes the number, and most other changes do; it does not depend
    on how the array is sharded. No defence against an adversary.

    Args:
        tree: tree of arrays.
    """
    here = [at_hand(leaf) for leaf in jax.tree.leaves(tree)]
    whole = [array for array in here if array is not None]
    if len(whole) == len(here):
        numbers = [_digest_on_host(array) for array in whole]
    else:
        numbers = jax.tree.leaves(jax.device_get(_digest(tree)))
    return {
        path: f"{layout} {int(number):08x}"
        for (path, layout), number in zip(layouts(tree).items(), numbers, strict=True)
    }
