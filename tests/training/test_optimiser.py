"""The one-cycle schedule against PyTorch's formula, clipping, and the moving average."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from msflow_jax.training.optimiser import make_optimiser, one_cycle, update_ema


def configuration(**changes):
    values = {"learning_rate": 4e-4, "warmup": 0.1, "weight_decay": 0.0, "clip": 1.0}
    return ConfigDict({**values, **changes})


def torch_cosine(start, end, share):
    """`OneCycleLR._annealing_cos`."""
    return end + (start - end) / 2 * (1 + np.cos(np.pi * share))


@settings(max_examples=15)
@given(steps=st.integers(2, 500), warmup=st.floats(0.05, 0.9), peak=st.floats(1e-5, 1e-1))
def test_one_cycle_is_torchs_cosine(steps, warmup, peak):
    schedule = one_cycle(configuration(learning_rate=peak, warmup=warmup), steps)
    rise = min(max(round(warmup * steps), 1), steps - 1)
    at = np.linspace(0, steps, 21).round().astype(int)
    expected = np.where(
        at < rise,
        torch_cosine(peak / 400, peak, at / rise),
        torch_cosine(peak, peak / 400, (at - rise) / (steps - rise)),
    )
    rates = jax.vmap(schedule)(jnp.asarray(at))
    np.testing.assert_allclose(rates, expected, rtol=2e-5, atol=peak * 1e-6)


def test_one_cycle_starts_and_ends_low_and_peaks_after_the_warm_up():
    schedule = one_cycle(configuration(), 1000)
    rates = np.asarray(jax.vmap(schedule)(jnp.arange(1001)))
    np.testing.assert_allclose(rates[[0, 1000]], 4e-4 / 400, rtol=1e-4)
    assert rates.argmax() == 100
    np.testing.assert_allclose(rates[100], 4e-4, rtol=1e-6)
    assert (np.diff(rates[:101]) > 0).all() and (np.diff(rates[100:]) < 0).all()


def by_halves(peak, warmup, steps):
    """The schedule in closed form: two half cosines, in float64."""
    floor = peak / 400
    rise = min(max(round(warmup * steps), 1), max(steps - 1, 1))

    def rate(step):
        if step < rise:
            return floor + (peak - floor) * (1 - np.cos(np.pi * step / rise)) / 2
        done = min((step - rise) / max(steps - rise, 1), 1)
        return floor + (peak - floor) * (1 + np.cos(np.pi * done)) / 2

    return rate


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100, 999, 50_000])
@pytest.mark.parametrize("warmup", [0.01, 0.05, 0.29, 0.57, 0.99])
def test_one_cycle_is_two_half_cosines_to_rounding(steps, warmup):
    at = np.unique(np.linspace(0, steps + 3, 50).round().astype(int))
    peak = 4e-4
    expected = np.array([by_halves(peak, warmup, steps)(step) for step in at])
    schedule = one_cycle(configuration(learning_rate=peak, warmup=warmup), steps)
    found = jax.vmap(schedule)(jnp.asarray(at))
    np.testing.assert_allclose(found, expected, rtol=0, atol=peak * 1e-6)
    assert found.dtype == jnp.float32


def test_a_run_of_one_step_is_possible():
    assert np.isfinite(one_cycle(configuration(), 1)(0))


@pytest.mark.parametrize("warmup", [0.0, 1.0, -0.1])
def test_warm_up_is_a_share(warmup):
    with pytest.raises(ValueError, match=r"train.warmup.*\(0, 1\)"):
        one_cycle(configuration(warmup=warmup), 10)


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_first_update_is_adamws(clip):
    """Adam's first step is the learning rate times the gradient's sign; decay adds rate x weight."""
    params = {"w": jnp.array([2.0, -1.0])}
    grads = {"w": jnp.array([300.0, -0.5])}
    optimiser, schedule = make_optimiser(configuration(clip=clip, weight_decay=0.1), 100)
    updates, _ = optimiser.update(grads, optimiser.init(params), params)
    new = optax.apply_updates(params, updates)["w"]
    expected = params["w"] - schedule(0) * (jnp.sign(grads["w"]) + 0.1 * params["w"])
    np.testing.assert_allclose(new - params["w"], expected - params["w"], rtol=0.1)


def test_clipping_bounds_the_global_norm():
    """After a clipped gradient the second moment shows what Adam saw."""
    params, grads = {"w": jnp.zeros(2)}, {"w": jnp.array([30.0, 40.0])}
    optimiser, _ = make_optimiser(configuration(clip=1.0), 100)
    _, state = optimiser.update(grads, optimiser.init(params), params)
    np.testing.assert_allclose(
        optax.tree.get(state, "nu")["w"], 0.001 * np.array([0.6, 0.8]) ** 2, rtol=1e-4
    )


@settings(max_examples=20)
@given(rate=st.floats(0, 0.9999), step=st.integers(0, 100_000))
def test_moving_average(rate, step):
    ema, params = {"w": jnp.array([1.0, -2.0])}, {"w": jnp.array([3.0, 0.5])}
    r = min(rate, (1 + step) / (10 + step))
    got = update_ema(ema, params, rate, jnp.asarray(step))["w"]
    np.testing.assert_allclose(got, r * ema["w"] + (1 - r) * params["w"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rate", [0.7, 0.9999])
def test_moving_average_of_many_steps_stays_with_its_closed_form(rate):
    """Little is lost to rounding on the way: against float64, and where nothing moves."""
    values = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    start = np.float32(np.pi) * np.ones(5, np.float32)

    def body(carry, item):
        step, value = item
        moved, still = carry
        return (update_ema(moved, value, rate, step), update_ema(still, start, rate, step)), None

    carry = (jnp.asarray(start), jnp.asarray(start))
    (moved, still), _ = jax.lax.scan(body, carry, (jnp.arange(len(values)), values))
    expected = start.astype(np.float64)
    for step, value in enumerate(values):
        r = min(rate, (1 + step) / (10 + step))
        expected = r * expected + (1 - r) * value
    np.testing.assert_allclose(moved, expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(still, start, rtol=1e-6)
