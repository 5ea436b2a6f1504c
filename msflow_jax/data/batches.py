"""What happens to a batch on the device."""

import jax
import jax.numpy as jnp
import numpy as np


def to_float(images: jax.Array) -> jax.Array:
    """uint8 images to float32 in [-1, 1]; latents, which are floats, to float32 as they are."""
    floats = images.astype(jnp.float32)
    return floats / 127.5 - 1 if images.dtype == jnp.uint8 else floats


def to_uint8(images: jax.Array) -> np.ndarray:
    """Float in [-1, 1] to uint8, rounded (not truncated) and clipped."""
    return np.asarray(jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8))


def gather(data: dict[str, jax.Array], plan: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The batch of a plan (:func:`msflow_jax.data.order.plan`) from data that lie on the device.

    Whatever has rows and columns moves together: images, label maps, latents.

    Args:
      data: arrays by name, such as ``image`` uint8 ``[N, S, S, C]`` and ``label`` ``[N]`` or
        ``[N, S, S]``; with a plan of ``variant``, those with rows and columns are ``[N, F, S, S, C]``.
      plan: of one step.

    Returns:
      The same names, ``[B, ...]``.
    """
    batch = {name: array[plan["index"]] for name, array in data.items()}
    moving = [name for name, array in batch.items() if array.ndim >= 3]
    if "variant" in plan:
        chosen = jax.vmap(lambda a, f: a[f])
        batch |= {name: chosen(batch[name], plan["variant"]) for name in moving}
    if "rows" in plan:
        pick = jax.vmap(lambda a, r, c: a[r][:, c])
        batch |= {name: pick(batch[name], plan["rows"], plan["columns"]) for name in moving}
    return batch
