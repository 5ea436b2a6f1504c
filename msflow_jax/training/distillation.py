"""Distilling a velocity field into a flow map, which draws in a few jumps. Knows no family.

A flow map says where the field's paths lead, ``X_ab(z) = z + (b - a) U(z, a, b)``, by its average
velocity ``U``; with no jump it is the field, ``U(z, a, a) = v(z, a)``. It is learned by the Lagrangian
identity of flow maps (Boffi et al., arXiv 2505.18825)

    U(z, a, b) = v(X_ab(z), b) - (b - a) dU/db (z, a, b),

whose derivative is one of time alone, with a teacher's field as v, anchored by the family's own loss on
half of each batch: the student stays a field too, and classifies as before. Without derivatives there is
the semigroup identity ``U(z, a, b) = (U(z, a, m) + U(X_am(z), m, b)) / 2`` with m in the middle.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from msflow_jax.settings import Setting
from msflow_jax.storage.facts import TEACHER
from msflow_jax.streams import Clock, FlowMap, Route, Streams, VelocityField, expand, interpolate
from msflow_jax.training.stage import Stage

Params = Any
LAGRANGIAN, SEMIGROUP = OBJECTIVES = "lagrangian", "semigroup"
ITSELF = (
    "itself"  # a student that is its own teacher; others' parameters stand in the tree, untrained
)
STUDENT = rf"(?!{TEACHER}/).*"  # the leaves that are trained
_GRID = 4  # parts of the time, at whose starts half of the jumps begin
_LEAST = 0.01  # added to an error by whose power it is divided
# Part ``model.distillation`` of a configuration.
SETTINGS: dict[str, Any] = dict(teacher="", objective=LAGRANGIAN, weight=1.0, power=0.5)
TABLE: dict[str, Setting] = {
    "model.distillation.teacher": Setting(
        "", f"workdir that is distilled into few steps, or {ITSELF}; empty: none"
    ),
    "model.distillation.objective": Setting(" or ".join(OBJECTIVES), "how jumps are learned"),
    "model.distillation.weight": Setting("(0, inf)", "weight of the jumps in the loss"),
    "model.distillation.power": Setting("[0, 1]", "power of an error by which it is divided"),
}


@dataclass(frozen=True)
class Jumped:
    """Streams of a batch, and what moves them.

    Attributes:
        route: stream -> clock.
        data: clean streams ``[B, ...]``.
        noise: standard normal arrays of the same shapes, but for clean streams.
        weights: weight of each stream's error.
        student: flow map whose gradient is taken.
        tangent: the same of a network that ``jax.jvp`` can go through.
        teacher: field whose paths are learned; None: the student's own.
        sigma_min: see :func:`msflow_jax.streams.interpolate`.
    """

    route: Route
    data: Streams
    noise: Streams
    weights: Mapping[str, float]
    student: FlowMap
    tangent: FlowMap
    teacher: VelocityField | None
    sigma_min: float = 0.0


def check(settings: ConfigDict) -> None:
    """Raises a ValueError for an objective that does not exist, or numbers out of range."""
    if settings.objective not in OBJECTIVES:
        raise ValueError(
            f"model.distillation.objective={settings.objective!r}: choose one of "
            f"{', '.join(OBJECTIVES)}"
        )
    if not (settings.weight > 0 and 0 <= settings.power <= 1):
        raise ValueError(
            "model.distillation needs weight > 0 and power in [0, 1], got "
            f"{settings.weight} and {settings.power}"
        )


def distilled(
    stage: Stage,
    jumped: Callable[[Params, Params | None, Mapping[str, jax.Array], jax.Array], Jumped],
    settings: ConfigDict,
) -> Stage:
    """The stage of a family that also learns jumps; as it was, where the settings name no teacher.

    Args:
        stage: what trains the model from fresh parameters.
        jumped: as of :func:`distillation_loss`.
        settings: part ``model.distillation``.
    """
    if not settings.teacher:
        return stage

    def start(so_far: Params) -> Params:
        fresh = stage.start({})
        return start_from(so_far[TEACHER], fresh) if TEACHER in so_far else fresh

    loss = distillation_loss(stage.loss, jumped, settings)
    return dataclasses.replace(stage, loss=loss, start=start, trains=STUDENT)


def distillation_loss(
    anchor: Callable[..., tuple[jax.Array, dict[str, jax.Array]]],
    jumped: Callable[[Params, Params | None, Mapping[str, jax.Array], jax.Array], Jumped],
    settings: ConfigDict,
) -> Callable[..., tuple[jax.Array, dict[str, jax.Array]]]:
    """The loss of a stage that distils: one half of a batch is anchored, the other half jumps.

    Args:
        anchor: the family's loss, ``(params, batch, key, *, train)``.
        jumped: ``(student's parameters, teacher's or None, batch, key) -> Jumped``.
        settings: part ``model.distillation``.

    Returns:
        ``loss(params, batch, key, *, train)``, where a teacher's parameters stand under ``teacher``.
    """

    def loss(
        params: Params, batch: Mapping[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        k_anchor, k_data, k_times = jax.random.split(key, 3)
        own = {name: leaf for name, leaf in params.items() if name != TEACHER}
        # Every second example: each device keeps its own.
        first, second = (jax.tree.map(lambda x, i=i: x[i::2], dict(batch)) for i in range(2))
        total, metrics = anchor(own, first, k_anchor, train=train)
        found = jumped(own, params.get(TEACHER), second, k_data)
        error = map_loss(found, k_times, settings.objective, settings.power, second.get("mask"))
        return total + settings.weight * error, {**metrics, "loss_map": error}

    return loss


def map_loss(
    jumped: Jumped, key: jax.Array, objective: str, power: float, mask: jax.Array | None = None
) -> jax.Array:
    """Mean over examples and streams of the error of the average velocities, a scalar.

    Args:
        jumped: streams of a batch.
        key: PRNG key of the times.
        objective: one of ``OBJECTIVES``.
        power: each example's error e is divided by ``(e + 0.01)^power``, held fixed.
        mask: ``[B]``, 0 where an example is padding.
    """
    count = len(next(iter(jumped.data.values())))
    a, b = jump_times(key, count)
    given = jumped.route, jumped.data, jumped.noise
    states, _ = interpolate(*given, a, jumped.sigma_min)
    wanted = jax.lax.stop_gradient(target(jumped, a, b, states, objective))
    found = jumped.student(a, b, states)
    mask = jnp.ones(count) if mask is None else mask.astype(jnp.float32)
    total = jnp.zeros(())
    for name, clock in jumped.route.items():
        if clock is Clock.CLEAN:
            continue
        axes = tuple(range(1, found[name].ndim))
        error = jnp.mean((found[name] - wanted[name]) ** 2, axis=axes)
        scale = jax.lax.stop_gradient(error + _LEAST) ** power
        total += jumped.weights[name] * jnp.sum(mask * error / scale) / jnp.maximum(mask.sum(), 1)
    return total


def jump_times(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Starts and ends ``[B]`` of jumps, 0 <= a < b <= 1.

    Half of them start where four jumps do, the others anywhere; they end anywhere behind.
    """
    k_which, k_grid, k_start, k_end = jax.random.split(key, 4)
    grid = jax.random.randint(k_grid, (count,), 0, _GRID) / _GRID
    anywhere = jax.random.uniform(k_start, (count,))
    a = jnp.where(jax.random.bernoulli(k_which, 0.5, (count,)), grid, anywhere)
    return a, 1 - (1 - a) * jax.random.uniform(k_end, (count,))


def target(jumped: Jumped, a: jax.Array, b: jax.Array, states: Streams, objective: str) -> Streams:
    """The average velocities that an identity asks for, of what the student says now.

    Args:
        jumped: streams of a batch.
        a: starts ``[B]``.
        b: ends ``[B]``.
        states: streams at a.
        objective: one of ``OBJECTIVES``.
    """
    if objective == SEMIGROUP:
        middle = (a + b) / 2
        first = jumped.tangent(a, middle, states)
        then = jumped.tangent(middle, b, _jump(jumped.route, a, middle, states, first))
        return jax.tree.map(lambda x, y: (x + y) / 2, first, then)
    average, change = jax.jvp(
        partial(_at_end, jumped.tangent, a, states), (b,), (jnp.ones_like(b),)
    )
    there = _jump(jumped.route, a, b, states, average)
    teacher = jumped.teacher or (lambda u, z: jumped.tangent(u, u, z))
    return jax.tree.map(lambda v, d: v - expand(b - a, d) * d, teacher(b, there), change)


def _at_end(flow_map: FlowMap, a: jax.Array, states: Streams, b: jax.Array) -> Streams:
    return flow_map(a, b, states)


def _jump(route: Route, a: jax.Array, b: jax.Array, states: Streams, average: Streams) -> Streams:
    """Streams at b; a clean one stays what it is."""
    return {
        name: z if route[name] is Clock.CLEAN else z + expand(b - a, z) * average[name]
        for name, z in states.items()
    }


def start_from(teacher: Params, fresh: Params) -> Params:
    """The student's parameters: those of its teacher, and fresh ones, zeros, for how far it jumps.

    Raises:
        ValueError: the teacher is of another network.
    """
    from flax.traverse_util import flatten_dict, unflatten_dict

    theirs, own = flatten_dict(teacher), flatten_dict(fresh)
    new = {path for path in own if "span_zero" in path}
    if (wrong := sorted((own.keys() - new) ^ theirs.keys())) or not new:
        raise ValueError(
            f"model.distillation.teacher is of another network ({'/'.join(wrong[0]) if wrong else ''}"
            "): leave model.net as the teacher's"
        )
    return unflatten_dict({path: theirs.get(path, leaf) for path, leaf in own.items()})
