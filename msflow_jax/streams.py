"""Streams with clocks: interpolants, velocity targets and the flow loss (no networks here).

A *stream* is an array with a leading batch axis. Its *clock* says where it stands between noise and
data while the common time ``u`` runs from 0 to 1. A *route* maps stream names to clocks. With
``start`` and ``end`` the two ends of a stream and ``s`` = sigma_min,

    z_u = (1 - (1 - s) u) start + u end,        velocity = end - (1 - s) start

which is the conditional optimal-transport path of flow matching (Lipman et al. 2023, eq. 22) and, for
the route ``{image: FORWARD, label: BACKWARD}``, the symmetric path of SymmFlow (arXiv 2506.10634).
"""

import enum
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Streams = dict[str, jax.Array]
VelocityField = Callable[[jax.Array, Streams], Streams]
# ``(a, b, streams at a) -> average velocities`` from a to b: X_ab(z) = z + (b - a) U(z, a, b).
FlowMap = Callable[[jax.Array, jax.Array, Streams], Streams]
JUMP = "jump"  # where others name a solver: the flow map of a distilled model, step by step


def check_jumps(told: bool, **guidance: float) -> None:
    """Raises a ValueError where a model cannot jump, not being told how far, or not with guidance."""
    if not told:
        raise ValueError(
            f"solver {JUMP!r}: only a distilled model jumps (msflow distill): choose another solver"
        )
    for name, weight in guidance.items():
        if weight != 1:
            raise ValueError(
                f"{name}={weight:g}: what was distilled has its teacher's guidance in it: leave it at 1"
            )


class Clock(enum.Enum):
    """How a stream's place between noise and data changes while u runs from 0 to 1."""

    FORWARD = "forward"
    """Noise at u = 0, data at u = 1: what is drawn when u runs forwards."""
    BACKWARD = "backward"
    """Data at u = 0, noise at u = 1: what is predicted when u runs backwards."""
    CLEAN = "clean"
    """Data at every u: what the network only sees. Velocity 0, not in the loss."""


Route = Mapping[str, Clock]


def _check_names(route: Route, **streams: Mapping[str, jax.Array]) -> None:
    for what, names in streams.items():
        needed = {n for n, c in route.items() if what != "noise" or c is not Clock.CLEAN}
        if missing := needed - set(names):
            raise ValueError(
                f"{what} lacks the stream(s) {sorted(missing)} of the route {dict(route)}"
            )


def expand(u: jax.Array, like: jax.Array) -> jax.Array:
    """Reshape per-sample values ``u [B]`` to broadcast against ``like [B, ...]``."""
    if u.ndim != 1 or u.shape[0] != like.shape[0]:
        raise ValueError(f"per-sample values of shape {u.shape} do not fit a batch of {like.shape}")
    return u.reshape(u.shape[0], *(1,) * (like.ndim - 1))


def interpolate(
    route: Route, data: Streams, noise: Streams, u: jax.Array, sigma_min: float = 0.0
) -> tuple[Streams, Streams]:
    """The state of every stream at time ``u`` and the velocity that a network should predict there.

    Args:
        route: stream name -> clock.
        data: clean streams, each ``[B, ...]``.
        noise: standard normal arrays of the same shapes (none is needed for a ``CLEAN`` stream).
        u: times in [0, 1], ``[B]``.
        sigma_min: fraction of the start that is left at the end (1e-4 in the authors' code, 0 in print).

    Returns:
        ``(states, velocities)``, dicts with the route's names.

    Raises:
        ValueError: a stream of the route is missing, or ``u`` is not one value per sample.
    """
    _check_names(route, data=data, noise=noise)
    states, velocities = {}, {}
    for name, clock in route.items():
        if clock is Clock.CLEAN:
            states[name], velocities[name] = data[name], jnp.zeros_like(data[name])
            continue
        ends = noise[name], data[name]
        start, end = ends if clock is Clock.FORWARD else ends[::-1]
        t = expand(u, start)
        states[name] = (1 - (1 - sigma_min) * t) * start + t * end
        velocities[name] = end - (1 - sigma_min) * start
    return states, velocities


def flow_loss(
    route: Route,
    predicted: Streams,
    target: Streams,
    weights: Mapping[str, float | jax.Array],
    mask: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Weighted mean squared error of the velocities, in float32.

    Args:
        route: stream name -> clock; ``CLEAN`` streams are not scored.
        predicted: velocities, each ``[B, ...]``.
        target: velocities of :func:`interpolate`.
        weights: per stream a number or one number per sample ``[B]``.
        mask: ``[B]``, 0 where a sample is padding.

    Returns:
        The scalar ``sum_s mean_b(w_s[b] mse_s[b])`` and ``{"loss_<stream>": ...}``, where a stream's
        entry is its unweighted error over the samples whose weight is not 0; NaN where all are 0.
    """
    batch = next(iter(predicted.values())).shape[0]
    mask = jnp.ones(batch) if mask is None else mask.astype(jnp.float32)
    total, metrics = jnp.zeros(()), {}
    for name, clock in route.items():
        if clock is Clock.CLEAN:
            continue
        difference = predicted[name].astype(jnp.float32) - target[name].astype(jnp.float32)
        error = jnp.mean(difference**2, axis=tuple(range(1, difference.ndim)))
        weight = jnp.broadcast_to(jnp.asarray(weights[name], jnp.float32), (batch,)) * mask
        total += jnp.sum(weight * error) / jnp.maximum(jnp.sum(mask), 1)
        metrics[f"loss_{name}"] = jnp.mean(error, where=weight != 0)
    return total, metrics


def at_end(route: Route, data: Streams, noise: Streams, u: float) -> Streams:
    """The state from which to integrate: data or noise for each stream, as its clock says at u.

    Args:
        route: stream name -> clock.
        data: the clean streams that are known at this end (a stream that is noise here needs none).
        noise: standard normal arrays for the streams that are noise here.
        u: 0 (to draw the ``FORWARD`` streams) or 1 (to predict the ``BACKWARD`` streams).

    Raises:
        ValueError: ``u`` is neither 0 nor 1, or a stream is missing.
    """
    if u not in (0, 1):
        raise ValueError(f"u must be 0 or 1 at an end of the route, not {u}")
    noisy = Clock.FORWARD if u == 0 else Clock.BACKWARD
    state = {}
    for name, clock in route.items():
        known = noise if clock is noisy else data
        if name not in known:
            what = "noise" if clock is noisy else "data"
            raise ValueError(f"the stream {name!r} ({clock.name}) needs {what} at u = {u}")
        state[name] = known[name]
    return state


def content_index(images: jax.Array) -> jax.Array:
    """A number for each image by what it shows, uint32 ``[B]``: equal images have equal numbers.

    A prediction's noise is folded from it, so that what is predicted of an image depends neither on
    its place in a folder nor on what else is there.

    Args:
        images: float ``[B, ...]``, compared at 256 levels in [-1, 1]: as uint8 or as floats, an image
            has one number. Images that differ in one entry by less than 256 levels never share it.
    """
    levels = jnp.round((images.astype(jnp.float32) + 1) * 127.5).astype(jnp.int32)
    # Integers wrap around, so that the sum is the same in any order: on any device, in any batch.
    weights = jax.random.bits(jax.random.key(0), (1, *images.shape[1:]), jnp.uint32) | 1
    products = levels.astype(jnp.uint32) * weights
    return products.sum(axis=tuple(range(1, images.ndim)), dtype=jnp.uint32)


def sample_noise(key: jax.Array, index: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal ``[B, *shape]``, each sample's by its number alone (``index`` ``[B]``).

    Of what is predicted the number is :func:`content_index`, of what is drawn its place in the order.
    """
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), shape))(index)


UNIFORM, LOGIT_NORMAL = TIMES = "uniform", "logit_normal"


def spread_times(key: jax.Array, count: int, name: str = UNIFORM) -> jax.Array:
    """Times in (0, 1), one in each of ``count`` equally likely parts, in random order: an even batch.

    Args:
        key: PRNG key.
        count: how many.
        name: one of ``TIMES``: uniform, or the sigmoid of a standard normal variable (arXiv 2403.03206).
    """
    k_order, k_place = jax.random.split(key)
    places = (jnp.arange(count) + jax.random.uniform(k_place, (count,))) / count
    if name == LOGIT_NORMAL:
        inside = jnp.clip(places, 1e-6, 1 - 1e-6)  # the ends are infinitely far out
        places = jax.nn.sigmoid(jax.scipy.special.ndtri(inside))
    return jax.random.permutation(k_order, places)
