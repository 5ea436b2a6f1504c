"""What happens to a batch on the device."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.modality import Batch, Modality
from msflow_jax.data.order import Plan, move


def to_float(images: jax.Array) -> jax.Array:
    """uint8 images to float32 in [-1, 1]; latents, which are floats, to float32 as they are."""
    floats = images.astype(jnp.float32)
    return floats / 127.5 - 1 if images.dtype == jnp.uint8 else floats


def to_uint8(images: jax.Array) -> np.ndarray:
    """Float in [-1, 1] to uint8, rounded and clipped; inverts :func:`to_float` of uint8 images."""
    return np.asarray(grey_levels(images))


def grey_levels(images: jax.Array) -> jax.Array:
    """The same where it is traced."""
    # Truncated, images would be half a grey level too dark on average, and a grey level whose float32
    # lies a little below it would lose a whole one.
    return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def gather(data: Mapping[str, jax.Array], plan: Plan, modalities: Mapping[str, Modality]) -> Batch:
    """The batch of a plan from data that lie on the device, as they are stored.

    What moves, moves together; which arrays do is their kind's to say.

    Args:
        data: arrays ``[N, *shape]`` by the name of their modality.
        plan: one step of ``msflow_jax.data.order.plan``.
        modalities: what each array is.

    Returns:
        The same names, ``[B, *shape]``, of latents the chosen variant.
    """
    batch = {}
    for name, array in data.items():
        rows = array[plan["index"]]
        if modalities[name].variants:
            rows = jax.vmap(lambda example, variant: example[variant])(rows, plan["variant"])
        if modalities[name].moves and "axes" in plan:
            rows = jax.vmap(move)(rows, plan["axes"])
        batch[name] = rows
    return batch


def to_loss(
    batch: Mapping[str, jax.Array],
    modalities: Mapping[str, Modality],
    present: Mapping[str, jax.Array] | None = None,
) -> Batch:
    """A batch as a loss takes it: each array by its kind, zeros where an example lacks it.

    Args:
        batch: arrays ``[B, *shape]`` as they are stored.
        modalities: what each array is.
        present: whether each example has an array, bool ``[B]``, by the names of those it may lack.

    Returns:
        Images float32 in [-1, 1], latents float32, the others int32; and ``present``, where given.
    """
    out: Batch = {}
    for name, array in batch.items():
        kind = modalities[name].kind
        if kind == "image":
            out[name] = to_float(array)
        else:
            out[name] = array.astype(jnp.float32 if kind == "latent" else jnp.int32)
    for name, has in (present or {}).items():
        every = has.reshape(-1, *[1] * (out[name].ndim - 1))
        out[name] = jnp.where(every, out[name], jnp.zeros_like(out[name]))
    return {**out, "present": dict(present)} if present else out
