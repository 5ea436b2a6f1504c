"""Parameters drawn leaf by leaf from a numpy generator keyed by the parameter's path.

Nothing is compiled and nothing is run: ``jax.eval_shape`` of ``module.init`` gives the shapes, and
every leaf is drawn from its own generator. A leaf therefore depends on the key and on its own path
only, not on the order of the modules, the number of devices or the version of jax, and adding a
module leaves all others as they were.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

POSITION_STD = 0.02

Params = dict[str, Any]


def _arrays(value: Any) -> bool:
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(isinstance(x, jax.ShapeDtypeStruct | jax.Array) for x in leaves)


def init_params(module: nn.Module, key: jax.Array, *inputs: Any, **options: Any) -> Params:
    """Draws the parameters of ``module`` in the manner of torch's default layers.

    * ``kernel`` ``[..., fan_out]`` and the ``bias`` beside it: U(-1, 1) / sqrt(fan_in), fan_in the
      product of all but the last axis (``nn.Linear``, ``nn.Conv2d``: Kaiming-uniform, a = sqrt(5));
    * ``scale``: ones, and the ``bias`` beside it zeros (norms);
    * ``embedding`` and names ending in ``_embedding`` (positions, tokens): normal of standard deviation
      0.02;
    * every leaf below a path component ending in ``_zero``: zeros (the zero-initialised output
      layers).

    Stacked modules (``nn.scan``, ``nn.vmap``) are not foreseen: their leading axis would count as
    fan-in.

    Args:
        module: a linen module whose only collection is ``params``.
        key: typed PRNG key.
        *inputs: the arguments of ``module.__call__``, arrays or their shapes, or trees of them.
        **options: keyword arguments of ``module.__call__``: arrays as above or trees of them, others
            taken as static.

    Returns:
        Nested dict of float32 arrays.

    Raises:
        ValueError: if a leaf has a name with no rule above, or the module owns other collections.
    """
    arrays = {name: value for name, value in options.items() if _arrays(value)}
    static = {name: value for name, value in options.items() if name not in arrays}
    leaves, structure = jax.tree.flatten((inputs, arrays))
    given = tuple(jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.result_type(x)) for x in leaves)
    try:
        hash((module, *static.values()))
    except TypeError:  # such as a module with an array among its fields
        variables = _shapes.__wrapped__(module, structure, given, **static)
    else:
        variables = _shapes(module, structure, given, **static)
    others = sorted(set(variables) - {"params"})
    if others:
        raise ValueError(
            f"{type(module).__name__} has collections {others}; only 'params' can be initialised"
        )
    tree = variables.get("params", {})
    data = jax.random.key_data(key)
    if not isinstance(key, jax.core.Tracer):
        # Not ``jnp.asarray``, which compiles a program for every shape.
        return jax.device_put(_draw_tree(np.asarray(data).tobytes(), (), tree))
    # Traced, the host draws when the program runs: a callback keeps the numbers those of numpy, and
    # under ``jax.eval_shape``, by which opening a workdir compares shapes, nothing is drawn at all.
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), tree)

    def draw(data: Any) -> Params:
        return _draw_tree(np.asarray(data).tobytes(), (), tree)

    return jax.pure_callback(draw, shapes, data)


# A model of many modalities has many equal networks, and a network is traced for seconds.
@functools.lru_cache(maxsize=64)
def _shapes(
    module: nn.Module, structure: Any, leaves: tuple[jax.ShapeDtypeStruct, ...], /, **static: Any
) -> Mapping[str, Any]:
    """Shapes of all collections of a module; ``leaves`` of ``structure`` are its inputs and options."""
    inputs, arrays = jax.tree.unflatten(structure, leaves)
    init = functools.partial(module.init, **static)
    return jax.eval_shape(init, jax.random.key(0), *inputs, **arrays)


def _draw_tree(seed: bytes, path: tuple[str, ...], tree: Mapping[str, Any]) -> Params:
    params: Params = {}
    for name, node in tree.items():
        here = (*path, name)
        if isinstance(node, Mapping):
            params[name] = _draw_tree(seed, here, node)
        else:
            params[name] = np.asarray(_draw_leaf(seed, here, node.shape, tree), np.float32)
    return params


def _draw_leaf(
    seed: bytes, path: tuple[str, ...], shape: tuple[int, ...], siblings: Mapping[str, Any]
) -> np.ndarray:
    name = path[-1]
    if any(part.endswith("_zero") for part in path):
        return np.zeros(shape, np.float32)
    if name == "scale":
        return np.ones(shape, np.float32)
    if name == "bias" and "scale" in siblings:
        return np.zeros(shape, np.float32)
    if name == "embedding" or name.endswith("_embedding"):
        return POSITION_STD * _generator(seed, path).standard_normal(shape, np.float32)
    if name == "kernel" or (name == "bias" and "kernel" in siblings):
        fan_in = int(np.prod(siblings["kernel"].shape[:-1]))
        bound = np.float32(fan_in**-0.5)
        return bound * (2 * _generator(seed, path).random(shape, np.float32) - 1)
    raise ValueError(
        f"no initialisation rule for parameter {'/'.join(path)} of shape {shape}: "
        "name it kernel, bias, scale, embedding or *_embedding, or end a component of its path "
        "in _zero"
    )


def _generator(seed: bytes, path: tuple[str, ...]) -> np.random.Generator:
    digest = hashlib.sha256(seed + b"\0" + "/".join(path).encode()).digest()
    # Philox is a counter generator whose stream numpy keeps across versions.
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))


def count_parameters(tree: Any) -> int:
    """How many numbers a tree of arrays, or of their shapes, holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
