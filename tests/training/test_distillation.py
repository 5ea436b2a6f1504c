"""Distilling knows no family: the identities of flow maps on streams whose paths are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from msflow_jax.streams import Clock, expand, interpolate
from msflow_jax.training import distillation
from msflow_jax.training.flow_maps import (
    LAGRANGIAN,
    OBJECTIVES,
    Jumped,
    field_loss,
    jump_error,
    jump_times,
    map_loss,
    target,
)  # fmt: skip

ROUTE = {"image": Clock.FORWARD, "label": Clock.BACKWARD}
RHO, COUNT, STEPS = 0.8, 64, 32


def matrix(u, pixels=1):
    """Of image and label, two numbers that correlate with RHO: their field is linear, v = M(u) z.

    States are (1 - u) n + u x and (1 - u) y + u m, velocities x - n and m - y. A label of several equal
    pixels is its mean, whose noise m has as much less variance.
    """
    left, both = 1 - u, u * (1 - u) * RHO
    state = jnp.array([[left**2 + u**2, both], [both, left**2 + u**2 / pixels]])
    cross = jnp.array([[u - left, left * RHO], [-u * RHO, u / pixels - left]])
    return cross @ jnp.linalg.inv(state)


def transported(a, b, z, pixels=1):
    """Where the path through z ``[2]`` at a is at b: Runge and Kutta's small steps."""
    h = (b - a) / STEPS

    def step(z, i):
        u = a + i * h
        k1 = matrix(u, pixels) @ z
        k2 = matrix(u + h / 2, pixels) @ (z + h / 2 * k1)
        k3 = matrix(u + h / 2, pixels) @ (z + h / 2 * k2)
        k4 = matrix(u + h, pixels) @ (z + h * k3)
        return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return jax.lax.scan(step, z, jnp.arange(STEPS))[0]


def field(u, streams):
    """The exact field."""
    z = jnp.stack([streams["image"], streams["label"]], axis=-1)[:, 0]
    v = jax.vmap(lambda u, z: matrix(u) @ z)(jnp.broadcast_to(u, z.shape[:1]), z)
    return {"image": v[:, :1], "label": v[:, 1:]}


def exact(a, b, streams):
    """The exact average velocities; b is not a."""
    z = jnp.stack([streams["image"], streams["label"]], axis=-1)[:, 0]
    end = jax.vmap(transported)(a, b, z)
    v = (end - z) / expand(b - a, z)
    return {"image": v[:, :1], "label": v[:, 1:]}


def streams(key, count=COUNT):
    k_image, k_label, k_noise = jax.random.split(key, 3)
    x, y = jax.random.normal(k_image, (count, 1)), jax.random.normal(k_label, (count, 1))
    data = {"image": x, "label": RHO * x + np.sqrt(1 - RHO**2) * y}
    noise = jax.random.normal(k_noise, (2, count, 1))
    return data, {"image": noise[0], "label": noise[1]}


def problem(flow_map, teacher=field, route=ROUTE, seed=0):
    data, noise = streams(jax.random.key(seed))
    return Jumped(route, data, noise, dict.fromkeys(route, 1.0), flow_map, flow_map, teacher)


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_exact_map_is_what_the_identities_ask_for(objective, forwards):
    """Eulerian steps are not used; see docs/few_steps.md."""
    data, _ = streams(jax.random.key(1))
    a, b = jump_times(jax.random.key(2), COUNT)
    a, b = (a, a + 0.1 + 0.9 * (b - a)) if forwards else (a + 0.1 + 0.9 * (b - a), a)
    wanted = target(problem(exact), a, b, data, objective)
    found = exact(a, b, data)
    for name in ROUTE:
        np.testing.assert_allclose(wanted[name], found[name], atol=2e-4)


def test_the_derivative_is_that_of_a_central_difference():
    data, _ = streams(jax.random.key(1))
    a, b = jnp.full(COUNT, 0.2), jnp.full(COUNT, 0.7)
    wanted = target(
        problem(exact, lambda u, z: jax.tree.map(jnp.zeros_like, z)), a, b, data, LAGRANGIAN
    )
    h = 5e-3
    for name in ROUTE:  # the teacher says nothing: what is left is -(b - a) dU/db
        slope = (exact(a, b + h, data)[name] - exact(a, b - h, data)[name]) / (2 * h)
        np.testing.assert_allclose(wanted[name], -0.5 * slope, atol=2e-3)


def test_jumps_start_and_end_in_time():
    a, b = jump_times(jax.random.key(0), 4000)
    assert a.min() >= 0 and (a < b).all() and b.max() <= 1
    on_grid = np.isin(np.asarray(a), [0, 0.25, 0.5, 0.75]).mean()
    assert 0.45 < on_grid < 0.55


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_half_of_the_jumps_start_where_those_that_draw_do(shift):
    a, b = jump_times(jax.random.key(0), 4000, shift)
    starts = np.array([s / (s + shift * (1 - s)) for s in (0, 0.25, 0.5, 0.75)])
    near = np.abs(np.asarray(a)[:, None] - starts) < 1e-6
    assert (np.abs(near.mean(axis=0) - 0.125) < 0.02).all() and (a < b).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_clean_streams_neither_move_nor_count(objective):
    route = {"image": Clock.FORWARD, "label": Clock.CLEAN}
    seen = []

    def student(a, b, z):
        seen.append(z["label"])
        return {"image": expand(b - a, z["image"]) * z["label"], "label": 1e3 + z["label"]}

    one = problem(student, lambda u, z: jax.tree.map(jnp.ones_like, z), route)
    loss = map_loss(one, jax.random.key(0), objective, 0.0)
    assert np.isfinite(loss) and loss < 100
    for label in seen:
        np.testing.assert_array_equal(label, one.data["label"])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_small_map_learns_to_jump(objective):
    """A map linear in the streams, of times by a polynomial: one jump ends where the path does."""

    def basis(a, b):
        powers = [a**i * (b - a) ** j for i in range(4) for j in range(4)]
        return jnp.stack(powers, axis=-1)

    def student(params):
        def flow_map(a, b, z):
            a, b = (
                jnp.broadcast_to(a, z["image"].shape[:1]),
                jnp.broadcast_to(b, z["image"].shape[:1]),
            )
            both = jnp.stack([z["image"], z["label"]], axis=-1)[:, 0]
            v = jnp.einsum("bk,kij,bj->bi", basis(a, b), params, both)
            return {"image": v[:, :1], "label": v[:, 1:]}

        return flow_map

    def anchor(params, batch, key, *, train):
        k_time, k_noise = jax.random.split(key)
        u = jax.random.uniform(k_time, (len(batch["image"]),))
        state, wanted = interpolate(ROUTE, batch, streams(k_noise, len(u))[1], u)
        found = student(params["own"])(u, u, state)
        return sum(jnp.mean((found[n] - wanted[n]) ** 2) for n in ROUTE), {}

    def jumped(params, teacher, batch, key):
        own = student(params["own"])
        noise = streams(key, len(batch["image"]))[1]
        return Jumped(ROUTE, batch, noise, dict.fromkeys(ROUTE, 1.0), own, own, field)

    settings = ConfigDict(dict(objective=objective, weight=1.0, power=0.0))
    loss = distillation.distillation_loss(anchor, jumped, settings)
    optimiser = optax.adam(optax.cosine_decay_schedule(0.03, 800))

    @jax.jit
    def step(state, i):
        params, moments = state
        key = jax.random.fold_in(jax.random.key(3), i)
        gradient = jax.grad(lambda p: loss(p, streams(key, 512)[0], key)[0])(params)
        change, moments = optimiser.update(gradient, moments)
        return (optax.apply_updates(params, change), moments), None

    params = {"own": jnp.zeros((16, 2, 2))}
    (params, _), _ = jax.lax.scan(step, (params, optimiser.init(params)), jnp.arange(800))
    data, noise = streams(jax.random.key(9))
    start = {"image": noise["image"], "label": data["label"]}
    a, b = jnp.zeros(COUNT), jnp.ones(COUNT)
    found, wanted = student(params["own"])(a, b, start), exact(a, b, start)
    error = float(jnp.mean((found["image"] - wanted["image"]) ** 2))
    walked = float(jnp.mean((field(a, start)["image"] - wanted["image"]) ** 2))
    assert error < 0.05 * walked, (error, walked)


@pytest.mark.parametrize(
    "pixels, correlation", [(1, 0.61), (4, 0.698), (16, 0.752), (64, 0.780), (784, 0.797)]
)
def test_a_label_of_few_pixels_is_drawn_too_loosely(pixels, correlation):
    """Its noise moves with the image: exact paths keep less than the correlation of 0.8.

    A label picture of 28 x 28 has the most of it; vectors as labels must be held clean, or repeated.
    """
    moved = jax.vmap(lambda z: transported(0.0, 1.0, z, pixels))(jnp.eye(2)).T
    of_noise, of_label = moved[0]
    found = of_label / jnp.sqrt(of_noise**2 + of_label**2)
    assert abs(float(found) - correlation) < 2e-3


def test_a_field_is_learned_by_jumps_of_no_length_where_nothing_else_teaches_it():
    """Half of the jumps have none: there the target is what the teacher says."""
    seen = []

    def student(a, b, z):
        seen.append(b - a)
        return exact(a, b + 1e-3, z)

    one = problem(student)
    map_loss(one, jax.random.key(0), LAGRANGIAN, 0.0, still=True)
    assert (seen[-1] == 0).sum() == COUNT // 2
    # A student that says nothing at all is wrong by the field itself, at the start of its jumps.
    silent = problem(lambda a, b, z: jax.tree.map(jnp.zeros_like, z))
    assert map_loss(silent, jax.random.key(0), LAGRANGIAN, 0.0, still=True) > 0.1


def test_the_error_of_four_jumps():
    route = {"image": Clock.FORWARD, "label": Clock.CLEAN}
    # Of a velocity that is what the clean stream says, jumps and steps end alike.
    one = problem(lambda a, b, z: {"image": z["label"], "label": 0 * z["label"]}, None, route)
    assert jump_error(one) < 1e-10

    def longer(a, b, z):
        return {"image": z["label"] + expand(b - a, z["label"]), "label": 0 * z["label"]}

    off = problem(longer, None, route)
    np.testing.assert_allclose(jump_error(off), 0.25**2, rtol=1e-4)


def test_the_error_of_a_field_counts_in_its_units():
    route = {"image": Clock.FORWARD, "label": Clock.CLEAN}
    one = problem(lambda a, b, z: jax.tree.map(jnp.zeros_like, z), None, route)
    half = dataclasses.replace(one, units=lambda b: 0.5 * jnp.ones_like(b))
    key = jax.random.key(0)
    np.testing.assert_allclose(field_loss(half, key), 0.25 * field_loss(one, key), rtol=1e-6)
