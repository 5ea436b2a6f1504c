"""The flow-matching loss of a symmetric flow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.data.checks import check_labels
from msflow_jax.streams import expand, flow_loss, interpolate
from msflow_jax.symmetric.velocity import ROUTE

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow


def flow_matching_loss(
    flow: "SymmetricFlow", params: Any, batch: Mapping[str, jax.Array], key: jax.Array, train: bool
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """See :meth:`SymmetricFlow.loss`."""
    image, key = flow.codec.training(batch, key)
    check_labels(batch["label"], flow.code.classes)
    b = image.shape[0]
    k_time, k_code, k_image, k_label, k_drop, k_net = jax.random.split(key, 6)
    label = flow.code.pictures(batch["label"], *flow.space, key=k_code)
    dropped = jax.random.uniform(k_drop, (b,)) < flow.code_dropout
    label = jnp.where(expand(dropped, label), 0.0, label)
    u, classified = flow.time.sample(k_time, b)
    data = {"image": image, "label": label}
    noise = {
        "image": jax.random.normal(k_image, image.shape),
        "label": jax.random.normal(k_label, label.shape),
    }
    states, target = interpolate(ROUTE, data, noise, u, flow.sigma_min)
    predicted = flow.field(params, train=train, key=k_net)(u, states)
    label_weight = jnp.where(classified, flow.time.classification_weight, 1 - flow.image_weight)
    weights = {
        "image": jnp.where(classified, 0.0, flow.image_weight),
        "label": jnp.where(dropped, 0.0, label_weight),
    }
    return flow_loss(ROUTE, predicted, target, weights, batch.get("mask"))
