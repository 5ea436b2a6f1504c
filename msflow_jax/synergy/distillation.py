"""What distilling a drawing needs: its field and its flow map behind what it looks at."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from msflow_jax.streams import Clock, Streams
from msflow_jax.synergy.conditions import Shown
from msflow_jax.synergy.generation import guidance_terms
from msflow_jax.synergy.model import Params, Synergy
from msflow_jax.training.flow_maps import Jumped

DRAWN = "z"
_LEFT = 1e-3  # of a path, the least time that is left where a predicted image makes a velocity
_KEYS = 4  # that conditions take at most


def taught(model: Synergy, unguided: tuple[str, ...] | None = None) -> Synergy:
    """The model that a model which jumps was distilled from: its drawing is told no jump.

    Args:
        model: a model that jumps.
        unguided: weights of guidance that its teacher cannot have; None: as its own.
    """
    own = model.unguided if unguided is None else unguided
    return dataclasses.replace(model, drawing=model.drawing.clone(span=False), unguided=own)


def jumped(
    model: Synergy, show: Callable[..., Shown], guidance: Mapping[str, float], params: Params,
    teacher: Params | None, batch: Any, key: jax.Array, *, train: bool = True,
) -> Jumped:  # fmt: skip
    """The latents of a batch with both ends, and the flow maps and field on them.

    Args:
        model: a model whose drawing is told how far to jump.
        show: ``(params, batch, keys, train=...)``, one of :mod:`msflow_jax.synergy.conditions`.
        guidance: weights of the teacher, as of :func:`~msflow_jax.synergy.generation.guidance_terms`.
        params: the whole tree.
        teacher: the same of the teacher; None: only the map is wanted.
        batch: as of the objectives.
        key: PRNG key.
        train: whether images are changed and content is noisy, as the objectives have it.
    """
    k_noise, *keys = jax.random.split(key, 1 + _KEYS)
    shown = show(params, batch, keys, train=train)
    data = model.encode(params, next(iter(model.modalities)), shown.images)
    ones = jnp.ones(len(data))
    memory, place = shown.read(model, params, ones, ones, ones)

    def student(a: jax.Array, b: jax.Array, streams: Streams) -> Streams:
        span = jnp.broadcast_to(b - a, a.shape)
        return {DRAWN: model.velocity(params, streams[DRAWN], a, memory, place, _LEFT, span)}

    field = None
    if teacher is not None:
        by = taught(model)
        terms = [
            (weight, *shown.read(by, teacher, words * ones, image * ones, image * ones))
            for weight, words, image in guidance_terms(**guidance)
        ]

        def field(u: jax.Array, streams: Streams) -> Streams:
            z = streams[DRAWN]
            found = [w * by.velocity(teacher, z, u, kept, at, _LEFT) for w, kept, at in terms]
            return {DRAWN: sum(found[1:], found[0])}

    predicts = model.prediction == "data"
    return Jumped(
        route={DRAWN: Clock.FORWARD},
        data={DRAWN: data},
        noise={DRAWN: jax.random.normal(k_noise, data.shape)},
        weights={DRAWN: 1.0},
        student=student,
        tangent=student,
        teacher=field,
        units=(lambda b: jnp.maximum(1 - b, _LEFT)) if predicts else None,
    )
