"""What distilling translations needs: a diffuser's field and flow map beside a clean partner."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.diffusers.model import Diffusers, Params
from msflow_jax.diffusers.objectives import carried, pick
from msflow_jax.diffusers.paths import guided_output
from msflow_jax.streams import Clock, Streams
from msflow_jax.training.flow_maps import Jumped


def taught(model: Diffusers, guided: bool | None = None) -> Diffusers:
    """The model that a model which jumps was distilled from: its diffusers are told no jump.

    Args:
        model: a model that jumps.
        guided: whether its teacher's guidance can be weighed; None: as its own.
    """
    own = model.guided if guided is None else guided
    modalities = {
        name: dataclasses.replace(one, diffuser=one.diffuser.clone(span=False))
        for name, one in model.modalities.items()
    }
    return dataclasses.replace(model, modalities=modalities, guided=own)


def jumped(
    model: Diffusers, name: str, link: tuple[str, ...], guidance: Mapping[str, float],
    params: Params, teacher: Params | None, batch: Any, key: jax.Array, *, train: bool = True,
) -> Jumped:  # fmt: skip
    """The latents of a modality with both ends, and the flow maps and field on them.

    Args:
        model: a model whose diffusers are told how far to jump.
        name: the modality.
        link: modalities of a link, one of the others is the source: any, clean.
        guidance: weights ``guidance`` and ``partner_guidance`` of the teacher.
        params: the whole tree; but for diffusers it is the teacher's.
        teacher: the same of the teacher; None: only the map is wanted.
        batch: all modalities of the link.
        key: PRNG key.
        train: whether latents are drawn from their posterior; otherwise it is its mean.
    """
    k_noise, k_which = jax.random.split(key)
    data = carried(model, params, name, batch, key if train else None)
    ones = jnp.ones(len(data))
    others = [other for other in link if other != name]
    which = jax.random.randint(k_which, (len(data),), 0, len(others))
    guide = model.guide_towards(name, others[0])
    told = []
    for other in others:
        clean = carried(model, params, other, batch, None)
        tokens = model.tokens(params, other, clean, ones, model.guide_towards(other, name))
        told.append(model.placed(other, tokens))
    partners = {guide: pick(told, which)}
    condition = pick([model.embed(params, other, batch[other]) for other in others], which)

    def student(a: jax.Array, b: jax.Array, streams: Streams) -> Streams:
        span = jnp.broadcast_to(b - a, a.shape)
        return {name: model.output(params, name, streams[name], a, condition, ones, partners, span)}

    field = None
    if teacher is not None:
        by = taught(model)

        def field(u: jax.Array, streams: Streams) -> Streams:
            found = guided_output(
                by, teacher, name, streams[name], u, condition, ones, partners,
                guidance=guidance["guidance"], partner_guidance=guidance["partner_guidance"],
            )  # fmt: skip
            return {name: found}

    return Jumped(
        route={name: Clock.FORWARD},
        data={name: data},
        noise={name: jax.random.normal(k_noise, data.shape)},
        weights={name: 1.0},
        student=student,
        tangent=student,
        teacher=field,
    )
