"""What a symmetric flow minimises: its flow-matching loss, and what distilling it needs."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from msflow_jax.data.checks import check_labels
from msflow_jax.streams import Streams, expand, flow_loss, interpolate
from msflow_jax.symmetric.guidance import guided
from msflow_jax.symmetric.velocity import ROUTE, in_forward_mode
from msflow_jax.training.flow_maps import Jumped

if TYPE_CHECKING:
    from msflow_jax.symmetric.model import SymmetricFlow


def flow_matching_loss(
    flow: "SymmetricFlow", params: Any, batch: Mapping[str, jax.Array], key: jax.Array, train: bool,
    image: bool = True,
) -> tuple[jax.Array, dict[str, jax.Array]]:  # fmt: skip
    """See :meth:`SymmetricFlow.loss`; without ``image`` its error counts nothing, labels' as before."""
    shown, key = flow.codec.training(batch, key)
    check_labels(batch["label"], flow.code.classes)
    b = shown.shape[0]
    k_time, k_code, k_image, k_label, k_drop, k_net = jax.random.split(key, 6)
    label = flow.code.pictures(batch["label"], *flow.space, key=k_code)
    dropped = jax.random.uniform(k_drop, (b,)) < flow.code_dropout
    label = jnp.where(expand(dropped, label), 0.0, label)
    u, classified = flow.time.sample(k_time, b)
    data = {"image": shown, "label": label}
    noise = {
        "image": jax.random.normal(k_image, shown.shape),
        "label": jax.random.normal(k_label, label.shape),
    }
    states, target = interpolate(ROUTE, data, noise, u, flow.sigma_min)
    predicted = flow.field(params, train=train, key=k_net)(u, states)
    label_weight = jnp.where(classified, flow.time.classification_weight, 1 - flow.image_weight)
    weights = {
        "image": jnp.where(classified, 0.0, flow.image_weight) * image,
        "label": jnp.where(dropped, 0.0, label_weight),
    }
    return flow_loss(ROUTE, predicted, target, weights, batch.get("mask"))


def taught(flow: "SymmetricFlow", code_dropout: float | None = None) -> "SymmetricFlow":
    """The flow that a flow which jumps was distilled from: its network is told no jump.

    Args:
        flow: the one that jumps.
        code_dropout: with which the other was trained; None: as the one that jumps, which has none
            where it learned a guided field, and takes no guidance then.
    """
    kept = flow.code_dropout if code_dropout is None else code_dropout
    net = flow.net.clone(span=False)
    return dataclasses.replace(flow, net=net, code_dropout=kept, learned_guidance=1.0)


def jumped(
    flow: "SymmetricFlow", guidance: float, params: Any, teacher: Any,
    batch: Mapping[str, jax.Array], key: jax.Array,
) -> Jumped:  # fmt: skip
    """The streams of a batch with both ends, and the flow maps and field on them.

    Nothing is dropped here, neither codes nor features: what jumps is the path that is drawn.

    Args:
        flow: a flow whose network is told how far to jump.
        guidance: weight of the label in the teacher's field; 1 is no guidance.
        params: its parameters.
        teacher: parameters of the same network without that; None: it is its own teacher.
        batch: as of :meth:`SymmetricFlow.loss`.
        key: PRNG key.
    """
    image, key = flow.codec.training(batch, key)
    k_code, k_image, k_label = jax.random.split(key, 3)
    field = None if teacher is None else taught(flow).field(teacher)
    label = flow.code.pictures(batch["label"], *flow.space, key=k_code)
    if field is not None and guidance != 1:
        null = jax.random.normal(jax.random.fold_in(k_label, 1), label.shape)
        improved = guided(field, guidance)

        def field(u: jax.Array, streams: Streams) -> Streams:
            found = improved(u, {**streams, "null": null})
            return {name: found[name] for name in streams}

    return Jumped(
        route=ROUTE,
        data={"image": image, "label": label},
        noise={
            "image": jax.random.normal(k_image, image.shape),
            "label": jax.random.normal(k_label, label.shape),
        },
        weights={"image": flow.image_weight, "label": 1 - flow.image_weight},
        student=flow.flow_map(params),
        tangent=dataclasses.replace(flow, net=in_forward_mode(flow.net)).flow_map(params),
        teacher=field,
        sigma_min=flow.sigma_min,
    )
