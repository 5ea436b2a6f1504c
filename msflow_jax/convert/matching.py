"""Named tensors to a tree of parameters, each used exactly once."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from msflow_jax.nets.init import Params

SHOWN = 5
Path = tuple[str, ...]


def leaves(tree: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields ``(path, leaf)`` of a nested dict."""
    for name, node in tree.items():
        if isinstance(node, Mapping):
            yield from leaves(node, (*path, name))
        else:
            yield (*path, name), node


def match(
    state: Mapping[str, np.ndarray],
    names: Mapping[str, Path],
    shapes: Mapping[Path, tuple[int, ...]],
    what: str,
) -> Params:
    """Puts every tensor to its place, in the layout of flax.

    Args:
        state: tensors by name, in the layout of torch.
        names: place of each name.
        shapes: tree of the parameters' shapes.
        what: what the tensors should be, for errors.

    Returns:
        Nested dict of float32 arrays.

    Raises:
        ValueError: naming the first offending tensors, if some are missing, left over, of another
            shape or not finite.
    """

    def refuse(fault: str, wrong: list[str]) -> None:
        if wrong:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise ValueError(f"not a {what}: tensors {fault}: {', '.join(wrong[:SHOWN])}{more}")

    refuse("missing", [name for name in names if name not in state])
    refuse("left over", [name for name in state if name not in names])
    params: Params = {}
    misshapen, unfinite = [], []
    for name, path in names.items():
        array = _to_flax(np.asarray(state[name], np.float32))
        if shapes[path] == (1, 1, *array.shape):
            array = array[None, None]
        if array.shape != shapes[path]:
            misshapen.append(f"{name} {state[name].shape}")
        if not np.isfinite(array).all():
            unfinite.append(name)
        _insert(params, path, array)
    refuse("of a shape that does not fit the others", misshapen)
    refuse("not finite", unfinite)
    return params


def _to_flax(array: np.ndarray) -> np.ndarray:
    """[O, I, k, k] -> [k, k, I, O]; linear maps and 1x1 convolutions -> [I, O]."""
    if set(array.shape[2:]) <= {1}:
        return array.reshape(array.shape[:2]).T
    return array.transpose(*range(2, array.ndim), 1, 0)


def _insert(tree: Params, path: Path, array: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = jnp.asarray(array)
