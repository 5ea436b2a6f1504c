"""Flow maps: the identities that they are learned by, on any streams. Knows no family.

A flow map says where a field's paths lead, ``X_ab(z) = z + (b - a) U(z, a, b)``, by its average
velocity ``U``; with no jump it is the field, ``U(z, a, a) = v(z, a)``. The Lagrangian identity of flow
maps (Boffi et al., arXiv 2505.18825) is

    U(z, a, b) = v(X_ab(z), b) - (b - a) dU/db (z, a, b),

whose derivative is one of time alone, with a teacher's field as v. Without derivatives there is the
semigroup identity ``U(z, a, b) = (U(z, a, m) + U(X_am(z), m, b)) / 2`` with m in the middle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from msflow_jax.streams import (
    UNIFORM,
    Clock,
    FlowMap,
    Route,
    Streams,
    VelocityField,
    at_end,
    expand,
    flow_loss,
    interpolate,
    spread_times,
)

LAGRANGIAN, SEMIGROUP = OBJECTIVES = "lagrangian", "semigroup"
_GRID = 4  # parts of the time, at whose starts half of the jumps begin
_LEAST = 0.01  # added to an error by whose power it is divided
JUMPS, STEPS = 4, 25  # of student and teacher, whose ends are compared


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
        units: by what the error of a jump that ends at ``b [B]`` is multiplied; None: 1. Of a predicted
            image it is the time that is left, by which its velocity was divided.
    """

    route: Route
    data: Streams
    noise: Streams
    weights: Mapping[str, float]
    student: FlowMap
    tangent: FlowMap
    teacher: VelocityField | None
    sigma_min: float = 0.0
    units: Callable[[jax.Array], jax.Array] | None = None


def map_loss(
    jumped: Jumped, key: jax.Array, objective: str, power: float, mask: jax.Array | None = None,
    still: bool = False, shift: float = 1.0,
) -> jax.Array:  # fmt: skip
    """Mean over examples and streams of the error of the average velocities, a scalar.

    Args:
        jumped: streams of a batch.
        key: PRNG key of the times.
        objective: one of ``OBJECTIVES``.
        power: each example's error e is divided by ``(e + 0.01)^power``, held fixed.
        mask: ``[B]``, 0 where an example is padding.
        still: whether half of the jumps have no length: then nothing else teaches the field itself.
        shift: of the jumps that will draw, see :func:`jump_times`.
    """
    count = len(next(iter(jumped.data.values())))
    a, b = jump_times(key, count, shift)
    if still:
        b = jnp.where(jnp.arange(count) % 2 == 0, a, b)
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
        if jumped.units is not None:
            error *= jumped.units(b) ** 2
        scale = jax.lax.stop_gradient(error + _LEAST) ** power
        total += jumped.weights[name] * jnp.sum(mask * error / scale) / jnp.maximum(mask.sum(), 1)
    return total


def field_loss(jumped: Jumped, key: jax.Array, times: str = UNIFORM) -> jax.Array:
    """The flow-matching error of a flow map without a jump, a scalar: what keeps it a field."""
    u = spread_times(key, len(next(iter(jumped.data.values()))), times)
    given = jumped.route, jumped.data, jumped.noise
    states, velocities = interpolate(*given, u, jumped.sigma_min)
    found = jumped.student(u, u, states)
    units = 1.0 if jumped.units is None else jumped.units(u) ** 2
    weights = {name: weight * units for name, weight in jumped.weights.items()}
    return flow_loss(jumped.route, found, velocities, weights)[0]


def jump_times(key: jax.Array, count: int, shift: float = 1.0) -> tuple[jax.Array, jax.Array]:
    """Starts and ends ``[B]`` of jumps, 0 <= a < b <= 1.

    Half of them start where four jumps do, the others anywhere; they end anywhere behind.

    Args:
        key: PRNG key.
        count: B.
        shift: of the four jumps' times, see :func:`msflow_jax.ode.shifted_time`.
    """
    from msflow_jax.ode import shifted_time  # diffrax takes a second to import

    k_which, k_grid, k_start, k_end = jax.random.split(key, 4)
    grid = shifted_time(jax.random.randint(k_grid, (count,), 0, _GRID) / _GRID, shift)
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


def jump_error(jumped: Jumped, steps: int = STEPS, shift: float = 1.0) -> jax.Array:
    """Mean squared difference of where few jumps and the teacher's path end, a scalar.

    Args:
        jumped: streams of a batch, all of which are drawn or clean; without a teacher the student's own
            field is followed.
        steps: of the teacher's path, Euler's.
        shift: of jumps and steps, see :func:`msflow_jax.ode.shifted_time`.
    """
    from msflow_jax.ode import integrate, jumps, shifted  # diffrax takes a second to import

    start = at_end(jumped.route, jumped.data, jumped.noise, 0)
    ones = jnp.ones(len(next(iter(start.values()))))

    def student(a: jax.Array, b: jax.Array, z: Streams) -> Streams:
        return jumped.student(a * ones, b * ones, z)

    def teacher(u: jax.Array, z: Streams) -> Streams:
        return student(u, u, z) if jumped.teacher is None else jumped.teacher(u * ones, z)

    ends = [
        integrate(field, start, 0.0, 1.0, steps=count).end
        for field, count in (
            (jumps(student, 1 / JUMPS, shift), JUMPS),
            (shifted(teacher, shift, 1 / steps), steps),
        )
    ]
    return jnp.mean(jnp.stack([
        jnp.mean((ends[0][name] - ends[1][name]) ** 2)
        for name, clock in jumped.route.items() if clock is not Clock.CLEAN
    ]))  # fmt: skip
