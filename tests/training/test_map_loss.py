"""The loss of flow maps by hand: a silent student's errors are what the teacher says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from msflow_jax.streams import Clock
from msflow_jax.training import distillation
from msflow_jax.training.flow_maps import LAGRANGIAN, Jumped, jump_times, map_loss

ROUTE = {"image": Clock.FORWARD, "label": Clock.CLEAN}
SAID = jnp.array([[0.5], [1.0], [2.0], [-3.0]])  # by the teacher, of the images of each example
KEY = jax.random.key(0)


def problem(factor=0.0, units=None, seen=None):
    """A student that says a factor of what its teacher says, wherever it is."""

    def student(a, b, z):
        return {"image": factor * z["label"], "label": 0 * z["label"]}

    def watched(a, b, z):
        if seen is not None:
            seen.append(b - a)
        return student(a, b, z)

    def teacher(u, z):
        return {"image": z["label"], "label": 0 * z["label"]}

    data, noise = {"image": SAID, "label": SAID}, {"image": SAID}
    weights = dict.fromkeys(ROUTE, 1.0)
    return Jumped(ROUTE, data, noise, weights, watched, student, teacher, units=units)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_an_error_is_divided_by_its_power_which_is_held_fixed(power):
    def loss(factor):
        return map_loss(problem(factor), KEY, LAGRANGIAN, power)

    value, slope = jax.value_and_grad(loss)(0.0)
    squares = np.asarray(SAID)[:, 0] ** 2
    wanted = (squares / (squares + 0.01) ** power).mean()
    np.testing.assert_allclose([value, slope], [wanted, -2 * wanted], rtol=1e-5)


def test_padding_of_a_batch_is_not_in_the_loss():
    mask = jnp.array([0, 1, 0, 1])
    found = map_loss(problem(), KEY, LAGRANGIAN, 0.0, mask)
    assert found == pytest.approx((1 + 9) / 2, rel=1e-5)


def test_an_error_counts_in_the_units_of_where_its_jump_ends():
    _, b = jump_times(KEY, len(SAID))
    found = map_loss(problem(units=lambda u: 1 - u), KEY, LAGRANGIAN, 0.0)
    wanted = jnp.mean(SAID[:, 0] ** 2 * (1 - b) ** 2)
    assert found == pytest.approx(float(wanted), rel=1e-5)


def loss_of(anchor, seen=None, **changes):
    settings = ConfigDict({**distillation.SETTINGS, "power": 0.0, **changes})
    jumped = lambda own, teacher, batch, key: problem(seen=seen)  # noqa: E731
    loss = distillation.distillation_loss(anchor, jumped, settings)
    return loss({}, {"image": jnp.zeros((8, 1))}, KEY)


def test_jumps_count_by_their_weight_beside_what_anchors_them():
    wanted = float(jnp.mean(SAID**2))
    anchored, found = loss_of(lambda *_, train: (5.0, {"loss_own": 5.0}), weight=3.0)
    assert anchored == pytest.approx(5 + 3 * wanted, rel=1e-5) and found["loss_own"] == 5
    assert found["loss_map"] == pytest.approx(wanted, rel=1e-5)
    assert loss_of(None, weight=3.0)[0] == pytest.approx(3 * wanted, rel=1e-5)


@pytest.mark.parametrize(("guidance", "still"), [(1.0, 0), (2.0, 2)])
def test_half_of_the_jumps_have_no_length_where_a_guided_field_is_learned(guidance, still):
    seen = []
    loss_of(None, seen, guidance=guidance)
    assert (np.asarray(seen[-1]) == 0).sum() == still
