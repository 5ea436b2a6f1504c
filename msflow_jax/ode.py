"""Integrate a velocity field. The only module that imports diffrax."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.streams import FlowMap, Streams, VelocityField, expand


class RungeKutta4(diffrax.AbstractERK):
    """The classic fourth-order Runge-Kutta method (four evaluations a step, no error estimate)."""

    tableau = diffrax.ButcherTableau(
        a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
        b_sol=np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        b_error=np.zeros(4),
        c=np.array([0.5, 0.5, 1.0]),
    )
    interpolation_cls = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms) -> int:
        """Order of convergence."""
        del terms
        return 4


# name -> (solver, evaluations a step)
FIXED = {
    "euler": (diffrax.Euler, 1),
    "heun": (diffrax.Heun, 2),
    "midpoint": (diffrax.Midpoint, 2),
    "rk4": (RungeKutta4, 4),
}
ADAPTIVE = {"tsit5": (diffrax.Tsit5, 6), "dopri5": (diffrax.Dopri5, 6)}
SOLVERS = (*FIXED, *ADAPTIVE)

ADJOINTS = {
    "checkpoint": diffrax.RecursiveCheckpointAdjoint,
    "direct": diffrax.DirectAdjoint,
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Solution:
    """Result of :func:`integrate`.

    Attributes:
        end: the streams at ``u1``, float32; NaN where an adaptive solver gave up.
        nfe: network evaluations per sample: a scalar for fixed steps, ``[B]`` for adaptive solvers.
        ok: False where an adaptive solver gave up (a scalar, or ``[B]``); check it on the host.
        states: the streams on the grid, ``[G, B, ...]``, or None.
        grid: the times of ``states``, ``[G]``, or None.
    """

    end: Streams
    nfe: jax.Array
    ok: jax.Array
    states: Streams | None = None
    grid: jax.Array | None = None


def integrate(
    field: VelocityField,
    streams: Streams,
    u0: float,
    u1: float,
    *,
    solver: str = "euler",
    steps: int = 25,
    rtol: float = 1e-4,
    atol: float = 1e-4,
    max_steps: int = 1000,
    grid: int | None = None,
    adjoint: str = "checkpoint",
) -> Solution:
    """Solve d streams / du = field(u, streams) from ``u0`` to ``u1``, forwards or backwards.

    Args:
        field: ``field(u, streams) -> velocities`` with ``u`` a float32 scalar; a pure function whose
            result for one sample does not depend on the others.
        streams: any number of arrays ``[B, ...]``; integrated in float32.
        u0: start time.
        u1: end time; smaller than ``u0`` to go backwards.
        solver: ``euler``, ``heun``, ``midpoint``, ``rk4`` take ``steps`` equal steps; ``tsit5`` and
            ``dopri5`` choose their steps *per sample*, so that a result never depends on the other
            samples of the batch.
        steps: number of equal steps. Euler with 1 backwards and 25 forwards are the papers' settings.
        rtol: relative tolerance of the adaptive solvers.
        atol: absolute tolerance of the adaptive solvers.
        max_steps: an adaptive solve that needs more stops there with ``ok`` False.
        grid: also return the states at this many equally spaced times, both ends included.
        adjoint: how a gradient flows through: ``checkpoint`` (least memory), or ``direct``, the one
            that also works inside ``shard_map`` and ``pmap``.

    Raises:
        ValueError: unknown solver or adjoint, ``steps`` < 1, ``grid`` < 2, or ``u0 == u1``.
    """
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}: choose one of {', '.join(SOLVERS)}")
    if adjoint not in ADJOINTS:
        raise ValueError(f"unknown adjoint {adjoint!r}: choose one of {', '.join(ADJOINTS)}")
    if steps < 1 or u0 == u1 or (grid is not None and grid < 2):
        raise ValueError(
            f"need steps >= 1, grid >= 2, u0 != u1; got {steps=}, {grid=}, {u0=}, {u1=}"
        )
    streams = jax.tree.map(lambda z: jnp.asarray(z, jnp.float32), streams)
    method, stages = FIXED[solver] if solver in FIXED else ADAPTIVE[solver]
    times = None if grid is None else jnp.linspace(u0, u1, grid)
    save = diffrax.SaveAt(t1=True)
    if times is not None:
        save = diffrax.SaveAt(subs=[diffrax.SubSaveAt(t1=True), diffrax.SubSaveAt(ts=times)])
    field = jax.jit(field)  # diffrax traces it for its shapes, and again for each loop
    term = diffrax.ODETerm(lambda u, z, _: field(jnp.asarray(u), z))
    common = dict(saveat=save, throw=False, adjoint=ADJOINTS[adjoint]())
    if solver in FIXED:
        # Not StepTo: it leaves a host callback, which keeps the program out of the compilation cache.
        out = diffrax.diffeqsolve(
            term, method(), u0, u1, (u1 - u0) / steps, streams, max_steps=steps, **common
        )
        nfe = jnp.asarray(steps * stages)
        return _solution(out, nfe, times)

    def solve_one(sample: Streams):
        def one(u, z, _):
            velocity = field(u, jax.tree.map(lambda a: a[None], z))
            return jax.tree.map(lambda a: a[0], velocity)

        return diffrax.diffeqsolve(
            diffrax.ODETerm(one), method(), u0, u1, None, sample,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=max_steps, **common,
        )  # fmt: skip

    out = jax.vmap(solve_one)(streams)
    # First-same-as-last methods evaluate once more, at the start.
    return _solution(out, out.stats["num_steps"] * stages + 1, times, batched=True)


def shifted_time(s: Any, shift: float) -> Any:
    """Where a path stands at the share ``s`` of its steps: ``s / (s + shift (1 - s))``; 1: ``s`` itself.

    Above 1 steps are shorter near noise, at 0 (arXiv 2403.03206, eq. 23).
    """
    return s / (s + shift * (1 - s))


def shifted(field: VelocityField, shift: float, step: float = 0.0) -> VelocityField:
    """The field whose equal steps from 0 to 1 are shifted ones of another, :func:`shifted_time`.

    Args:
        field: the other.
        shift: see there.
        step: of Euler's, so that each is exactly one of the other field; 0: any solver's.
    """

    def warped(s: jax.Array, streams: Streams) -> Streams:
        u = shifted_time(s, shift)
        if step:
            rate = (shifted_time(jnp.minimum(s + step, 1.0), shift) - u) / step
        else:
            rate = shift / (s + shift * (1 - s)) ** 2
        return jax.tree.map(lambda v: rate * v, field(u, streams))

    return field if shift == 1 else warped


def jumps(flow_map: FlowMap, step: float, shift: float = 1.0) -> VelocityField:
    """The field whose Euler steps of this length are jumps of a flow map, of shifted lengths."""

    def average(u: jax.Array, streams: Streams) -> Streams:
        return flow_map(u, u + step, streams)

    def warped(s: jax.Array, streams: Streams) -> Streams:
        a, b = (shifted_time(one, shift) for one in (s, jnp.minimum(s + step, 1.0)))
        return jax.tree.map(lambda v: (b - a) / step * v, flow_map(a, b, streams))

    return average if shift == 1 else warped


VALUE, GAINED = "value", "gained"


def tracing(
    velocity: Callable[[jax.Array, jax.Array], jax.Array], probes: jax.Array | None
) -> VelocityField:
    """The field of one stream, together with the integral of its divergence.

    Along a path the logarithm of a density falls by that integral (arXiv 1806.07366, theorem 1).

    Args:
        velocity: ``(u, [B, ...]) -> [B, ...]``, of each sample by itself; it must allow ``jax.jvp``.
        probes: entries of -1 and 1 ``[P, B, ...]`` for Hutchinson's estimate (arXiv 1810.01367), the
            same along the path; None: the exact trace, by as many products as an entry of the batch
            has numbers.

    Returns:
        A field of the streams ``value`` ``[B, ...]`` and ``gained`` ``[B]``.
    """

    def field(u: jax.Array, streams: Streams) -> Streams:
        value = streams[VALUE]
        speed, push = jax.linearize(lambda x: velocity(u, x), value)

        def entry(i: jax.Array) -> jax.Array:
            one = jnp.zeros(value[0].size).at[i].set(1.0).reshape(value.shape[1:])
            return push(jnp.broadcast_to(one[None], value.shape)).reshape(len(value), -1)[:, i]

        def estimate(probe: jax.Array) -> jax.Array:
            return (probe * push(probe)).reshape(len(value), -1).sum(axis=1)

        if probes is None:
            divergence = jax.lax.map(entry, jnp.arange(value[0].size)).sum(axis=0)
        else:
            divergence = jax.lax.map(estimate, probes).mean(axis=0)
        return {VALUE: speed, GAINED: divergence}

    return field


def _solution(out: diffrax.Solution, nfe: jax.Array, times, *, batched: bool = False) -> Solution:
    first = (slice(None), 0) if batched else 0
    ok = jnp.asarray(out.result == diffrax.RESULTS.successful)

    def end_of(ys: Any) -> Any:
        end = jax.tree.map(lambda a: a[first], ys)
        if not batched:  # fixed steps all come to their end
            return end
        # Where a path broke off is no end of it, though it looks like one: nobody shall draw that.
        return jax.tree.map(lambda a: jnp.where(expand(ok, a), a, jnp.nan), end)

    ys: Any = out.ys
    if times is None:
        return Solution(end_of(ys), nfe, ok)
    end, states = ys
    if batched:
        states = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), states)
    return Solution(end_of(end), nfe, ok, states, times)
