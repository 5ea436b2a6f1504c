"""Classifier-free guidance of generated images."""

import jax
import jax.numpy as jnp

from msflow_jax.streams import Streams, VelocityField, expand


def guided(field: VelocityField, guidance: float) -> VelocityField:
    """Classifier-free guidance of the image (Ho and Salimans 2022), twice the network evaluations.

    The unconditional label is 0 at u = 0 and the noise of the clean stream ``null`` at u = 1: its
    path is known and need not be integrated.
    """

    def velocity(u: jax.Array, streams: Streams) -> Streams:
        null = streams["null"]
        u = jnp.broadcast_to(u, null.shape[:1])
        both = {
            "image": jnp.concatenate([streams["image"]] * 2),
            "label": jnp.concatenate([streams["label"], expand(u, null) * null]),
        }
        out = field(jnp.concatenate([u, u]), both)
        image, unconditional = jnp.split(out["image"], 2)
        label = out["label"][: image.shape[0]]
        improved = unconditional + guidance * (image - unconditional)
        return {"image": improved, "label": label, "null": jnp.zeros_like(null)}

    return velocity
