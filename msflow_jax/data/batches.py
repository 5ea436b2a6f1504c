"""What happens to a batch on the device."""

import jax
import jax.numpy as jnp
import numpy as np


def to_float(images: jax.Array) -> jax.Array:
    """uint8 to float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def to_uint8(images: jax.Array) -> np.ndarray:
    """Float in [-1, 1] to uint8, rounded (not truncated) and clipped."""
    return np.asarray(jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8))


def gather(data: dict[str, jax.Array], plan: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The batch of a plan (:func:`msflow_jax.data.order.plan`) from data that lie on the device.

    Label maps move with their images.

    Args:
      data: ``image`` uint8 ``[N, S, S, C]`` and ``label`` ``[N]`` or ``[N, S, S]``.
      plan: of one step.

    Returns:
      ``image`` uint8 ``[B, S, S, C]`` and ``label``.
    """
    batch = {name: data[name][plan["index"]] for name in ("image", "label")}
    if "rows" in plan:
        pick = jax.vmap(lambda a, r, c: a[r][:, c])
        moving = ("image", "label") if batch["label"].ndim == 3 else ("image",)
        batch |= {name: pick(batch[name], plan["rows"], plan["columns"]) for name in moving}
    return batch
