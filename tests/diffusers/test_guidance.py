"""Cross-guidance: shut gates change nothing, open ones let the partner in, nobody attends to himself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.diffusers.guidance import ContextEncoder, context_loss
from msflow_jax.diffusers.paths import guided_output
from msflow_jax.nets import init_params
from tests.diffusers import tiny


def states(seed=0, count=3):
    model, _ = tiny.model()
    return {
        name: jax.random.normal(jax.random.key(seed + i), (count, *one.inner))
        for i, (name, one) in enumerate(model.modalities.items())
        if name in ("ct", "t1w")
    }


def outputs(params, z, drawn=("ct", "t1w")):
    model, _ = tiny.model()
    count = len(z["ct"])
    clocks = {name: jnp.full(count, 0.4) for name in z}
    given = {name: jnp.ones((count, 8)) / 8**0.5 for name in z}

    def run(p, z):
        told = model.tell(p, z, clocks["ct"], drawn)
        return {
            name: model.output(
                p, name, z[name], clocks[name], given[name], partners=model.beside(told, name)
            )
            for name in drawn
        }

    return jax.jit(run)(params, z)


def alone(params, name, z):
    model, _ = tiny.model()
    count = len(z)
    return jax.jit(
        lambda p, z: model.output(p, name, z, jnp.full(count, 0.4), jnp.ones((count, 8)) / 8**0.5)
    )(params, z)


def test_shut_gates_are_the_independent_models_bit_for_bit():
    params = tiny.params(size=0.05)
    shut, z = tiny.gated(params, 0), states()
    together = outputs(shut, z)
    for name, one in z.items():
        assert np.abs(together[name]).max() > 0
        np.testing.assert_array_equal(together[name], alone(shut, name, one))


def test_open_gates_let_the_partner_in_and_never_oneself():
    params, z = tiny.gated(tiny.params(size=0.1), 2), states()
    before = outputs(params, z)
    moved = {**z, "t1w": z["t1w"] + 1}
    after = outputs(params, moved)
    assert np.abs(after["ct"] - before["ct"]).max() > 1e-5
    # What a stream tells is not among what it is told: its context encoder may say anything.
    _model, _ = tiny.model()
    told = {"context": {**params["context"], "ct": tiny.params(seed=5, size=0.3)["context"]["ct"]}}
    other = outputs({**params, **told}, z)
    np.testing.assert_array_equal(other["ct"], before["ct"])
    assert np.abs(other["t1w"] - before["t1w"]).max() > 1e-5


@pytest.mark.parametrize("space", [(8, 8), (4, 4, 4), (2, 2)])
@pytest.mark.parametrize("side", [1, 2])
def test_tokens_of_a_context(space, side):
    net = ContextEncoder(width=4, features=8, side=side)
    z, tau = jnp.ones((2, *space, 3)), jnp.zeros(2)
    params = init_params(net, jax.random.key(0), z, tau)
    found = jax.jit(net.apply)({"params": params}, z, tau)
    assert found.shape == (2, side ** len(space), 8)
    np.testing.assert_allclose(jnp.linalg.norm(found, axis=-1), 1, rtol=1e-4)


def test_contexts_of_pairs_attract():
    a = jnp.eye(4)[:, None]
    assert context_loss(a, a, 0.1) < 1e-3
    assert context_loss(a, a[::-1], 0.1) > 5


class Mixing:
    """A model whose condition and partner, 10 and what it is told, change what the other does."""

    def output(self, params, name, z, tau, condition, keep, partners, span):
        return (1 + 10 * keep) * (1 + (partners or {"": 0.0})[""])


@pytest.mark.parametrize(
    ("guidance", "partner_guidance", "expected"),
    [
        (1, 1, lambda p: 11 * (1 + p)),
        (1, 0, lambda p: 11),
        (3, 0, lambda p: 11 + 2 * 10),
        (0, 1, lambda p: 1 + p),
        (0, 3, lambda p: 1 + p + 2 * p),
        (0, 0, lambda p: 1),
        (3, 3, lambda p: 11 * (1 + p) + 2 * 10 * (1 + p) + 2 * 11 * p),
    ],
)
def test_a_weight_of_zero_leaves_its_condition_out(guidance, partner_guidance, expected):
    """Also beside a weight of the other, whose term has both conditions in it."""
    for partner in (2.0, 5.0):
        (found,) = guided_output(
            Mixing(), None, "ct", None, None, None, jnp.ones(1), {"": partner},
            guidance=guidance, partner_guidance=partner_guidance,
        )  # fmt: skip
        assert found == expected(partner)
