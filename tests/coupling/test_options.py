"""Every option of the coupling flow by the laws of a density: inverse, Jacobian, sums, integral."""

import dataclasses
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.coupling import bijections as bi
from msflow_jax.coupling.attribution import likelihood_map, log_ratio_map
from msflow_jax.coupling.mixing import ActNorm
from tests.coupling.table import OPTIONS
from tests.coupling.tiny_flows import LABELS, eight_bit, images, move, plain_flow, shaken

EACH = settings(max_examples=8)
SEEDS = st.integers(0, 1000)
DENSITIES = [name for name in OPTIONS if name != "variational"]  # which is none of the density's


@cache
def verbs(option, dims):
    """Flow, `forward`, `inverse` and fresh parameters."""
    flow = plain_flow(dims, **OPTIONS[option])
    return flow, jax.jit(flow.forward), jax.jit(flow.inverse), flow.init(jax.random.key(0))


def check_inverse(option, dims, params, x, seed):
    flow, forward, inverse, _ = verbs(option, dims)
    latents, _ = forward(params, x, LABELS)
    np.testing.assert_allclose(inverse(params, latents, LABELS), x, atol=1e-5)
    keys = jax.random.split(jax.random.key(seed), len(latents))
    drawn = [jax.random.normal(k, z.shape) for k, z in zip(keys, latents, strict=True)]
    image = inverse(params, drawn, LABELS)
    again, _ = forward(params, image, LABELS)
    np.testing.assert_allclose(inverse(params, again, LABELS), image, atol=1e-5)
    if not flow.logit_margin:  # whose slope is unbounded
        chex.assert_trees_all_close(again, drawn, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("option", DENSITIES)
@EACH
@given(seed=SEEDS)
def test_there_and_back(option, dims, seed):
    flow, _, _, fresh = verbs(option, dims)
    check_inverse(option, dims, move(fresh, seed, 0.05), images(flow, seed=seed), seed)


@pytest.mark.parametrize("option", ["default", "all"])
def test_training_on_constant_images_is_finite_and_invertible(option):
    flow, _, _, fresh = verbs(option, 2)
    v = jnp.array([0, 128, 255, 128]).reshape(4, 1, 1, 1)
    batch = {"image": jnp.broadcast_to(v / 127.5 - 1, (4, *flow.shape)), "label": LABELS}
    x = jax.jit(flow.dequantised)(fresh, batch["image"], jax.random.key(0))
    params = jax.jit(flow.fit_actnorm)(fresh, x, LABELS)
    optimiser = optax.adam(3e-3)
    state = optimiser.init(params)

    @jax.jit
    def step(params, state, key):
        (loss, _), gradient = jax.value_and_grad(flow.loss, has_aux=True)(params, batch, key)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    losses = []
    for i in range(20):
        params, state, loss = step(params, state, jax.random.key(i))
        losses.append(float(loss))
    assert np.isfinite(losses).all() and losses[-1] < losses[0] and min(losses) > -1e-3
    check_inverse(option, 2, params, x, 0)
    # The dequantiser is trained with the rest.
    moved = jax.tree.map(lambda a, b: bool((np.asarray(a) != np.asarray(b)).any()), params, fresh)
    assert all(any(jax.tree.leaves(part)) for part in moved.values())


@pytest.mark.parametrize("dims, option", [*((2, name) for name in DENSITIES), (3, "all")])
def test_log_prob_is_that_of_the_jacobian(option, dims):
    flow = plain_flow(shape=(2, 2, 2) if dims == 2 else (2, 2, 2, 1), **OPTIONS[option])
    params, x = shaken(flow, size=0.1), images(flow, 1)
    label = jnp.array([2])

    def flat(a):
        return flow.assemble(flow.forward(params, a[None], label)[0])[0]

    jacobian = jax.jit(jax.jacobian(flat))(x[0]).reshape(x.size, x.size)
    base = -0.5 * (jax.jit(flat)(x[0]) ** 2 + np.log(2 * np.pi)).sum()
    expected = base + np.linalg.slogdet(jacobian)[1]
    found = jax.jit(flow.log_prob)(params, x, label)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spread", ["entry", "block"])
@pytest.mark.parametrize("dims", [2, 3])
def test_maps_sum_to_the_likelihood_and_its_ratio(dims, spread):
    flow = verbs("all", dims)[0]
    params, x, others = shaken(flow, size=0.1), images(flow), (LABELS + 1) % 3
    axes = tuple(range(1, x.ndim))
    attribute = jax.jit(partial(likelihood_map, flow, spread=spread))
    log_prob = jax.jit(flow.log_prob)
    expected = log_prob(params, x, LABELS)
    np.testing.assert_allclose(attribute(params, x, LABELS).sum(axes), expected, rtol=1e-4)
    ratio = expected - log_prob(params, x, others)
    assert np.abs(ratio).min() > 1e-3
    log_ratio = jax.jit(partial(log_ratio_map, flow, spread=spread))(params, x, LABELS, others)
    np.testing.assert_allclose(log_ratio.sum(axes), ratio, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("option", DENSITIES)
def test_the_density_integrates_to_one(option):
    flow = plain_flow(shape=(1, 1, 2), layout="channel:1 split checkerboard:1", **OPTIONS[option])
    params = shaken(flow, size=0.2)
    # With the logit the images' values lie between the ends of the sigmoid's range.
    reach = 1 / (1 - 2 * flow.logit_margin) - 1e-5 if flow.logit_margin else 9
    axis = jnp.linspace(-reach, reach, 301)
    grid = jnp.stack(jnp.meshgrid(axis, axis), -1).reshape(-1, 1, 1, 2)
    for label in (0, 1):
        nats = jax.jit(flow.log_prob)(params, grid, jnp.full(len(grid), label))
        total = jnp.exp(nats).sum() * (axis[1] - axis[0]) ** 2
        assert total == pytest.approx(1, rel=5e-3)


@pytest.mark.parametrize("option", DENSITIES)
def test_a_fresh_flow_only_permutes(option):
    flow, _, _, fresh = verbs(option, 2)
    x = images(flow)
    base, log_det = bi.Logit(0.05).forward({}, x) if flow.logit_margin else (x, jnp.zeros(()))
    expected = (bi.normal_log_prob(base) + log_det).sum((1, 2, 3))
    np.testing.assert_allclose(jax.jit(flow.log_prob)(fresh, x, LABELS), expected, rtol=1e-5)


def test_activation_norms_see_the_logit():
    flow, _, _, fresh = verbs("all", 2)
    x = images(flow, 64)
    params = jax.jit(flow.fit_actnorm)(fresh, x, jnp.arange(64) % 3)
    first = jax.tree.map(lambda a: a[0], params["stage_0"]["norm"])
    z, _ = ActNorm(1).forward(first, bi.Logit(flow.logit_margin).forward({}, x)[0])
    assert abs(z.mean()) < 1e-5 and abs(z.std() - 1) < 1e-5


def test_what_is_split_off_follows_what_is_kept_and_the_class():
    flow, _, inverse, fresh = verbs("learned", 2)
    params = move(fresh, 0, 0.3)
    latents = [jnp.zeros((4, *shape)) for shape in flow.latent_shapes()]
    means = inverse(params, latents, LABELS)
    other = inverse(params, [latents[0], latents[1] + 1], LABELS)
    assert np.abs(means - other).max() > 1e-3
    only = {**fresh, "stage_3": params["stage_3"]}  # nothing else depends on the class
    assert np.ptp(inverse(only, latents, LABELS)[:2], axis=0).max() > 1e-3
    end = f"stage_{len(flow.stages) - 1}"
    drawn = inverse(
        {**fresh, end: params[end]}, latents, LABELS
    )  # what is left at the end: by place
    assert np.ptp(drawn[:2], axis=0).max() > 1e-3 and np.ptp(drawn[0], axis=(0, 1)).max() > 1e-3
    generated = jax.jit(flow.generate)(params, LABELS, jax.random.key(0))
    assert np.abs(generated).max() <= 1


def test_recomputing_changes_nothing():
    flow = plain_flow(layout="squeeze channel:2 split checkerboard:1", **OPTIONS["all"])
    params, x = shaken(flow), images(flow)
    batch = {"image": eight_bit(flow), "label": LABELS}

    def run(flow):
        loss = jax.jit(jax.value_and_grad(flow.loss, has_aux=True))
        (value, _), gradient = loss(params, batch, jax.random.key(0))
        latents, log_dets = jax.jit(flow.forward)(params, x, LABELS)
        back = jax.jit(flow.inverse)(params, latents, LABELS)
        np.testing.assert_allclose(back, x, atol=1e-5)
        return value, gradient, latents, log_dets

    found = run(dataclasses.replace(flow, remat=True))
    chex.assert_trees_all_close(found, run(flow), rtol=1e-4, atol=1e-5)


def test_the_program_does_not_grow_with_the_depth():
    def lines(steps):
        flow = plain_flow(layout=f"squeeze channel:{steps}", **OPTIONS["all"])
        batch = {"image": eight_bit(flow), "label": LABELS}
        given = flow.init(jax.random.key(0)), batch, jax.random.key(0)
        gradient = jax.jit(jax.grad(flow.loss, has_aux=True))
        return len(gradient.lower(*given).as_text().splitlines())

    assert lines(2) == lines(9)


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"mixing": "qr"}, "unknown mixing 'qr': choose one of plu, dense"),
        ({"split_prior": "glow"}, "unknown split_prior 'glow': choose one of normal, learned"),
        ({"dequantisation": "none"}, "choose one of uniform, variational"),
        ({"passes": 3}, "unknown passes 3: choose one of 1, 2"),
        ({"logit_margin": 0.5}, r"logit_margin lie in \[0, 0.5\), got 0.5 and 0.5"),
        ({"bound": 0.0}, "bound must be positive"),
        ({"class_prior": (0.5, 0.5)}, "needs a positive frequency for each of"),
        ({"class_prior": (0.5, 0.5, 0.0)}, "a class without training images cannot be predicted"),
        ({"class_prior": (0.5, 0.5, 0.5)}, "1 in sum"),
    ],
)
def test_what_does_not_fit(setting, message):
    with pytest.raises(ValueError, match=message):
        plain_flow(**setting)
