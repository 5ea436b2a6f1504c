"""Keys by name."""

import jax

from msflow_jax.data.order import set_seed


def named_key(key: jax.Array, name: str) -> jax.Array:
    """The key of what has this name, whatever else there is."""
    return jax.random.fold_in(key, set_seed(0, name) % (1 << 31))
