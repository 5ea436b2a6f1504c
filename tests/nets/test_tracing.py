"""A network is traced once for each shape, and gives what it gives otherwise."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax import ode
from msflow_jax.nets import init_params
from msflow_jax.nets.tracing import evaluate

seen = []


class Net(nn.Module):
    """Counts its traces."""

    width: int = 4
    weight: Any = 1.0

    @nn.compact
    def __call__(self, x, power=1, *, more=None):
        seen.append(x.shape)
        out = self.weight * nn.Dense(self.width, name="layer")(x) ** power
        return out if more is None else out + more

    def double(self, x):
        return 2 * x


@pytest.fixture
def params():
    found = init_params(Net(), jax.random.key(0), jnp.zeros((1, 4)))
    seen.clear()
    return found


def test_programs_share_a_trace(params):
    x = jax.random.normal(jax.random.key(1), (2, 4))
    expected = Net().apply({"params": params}, x, 3, more=x)
    seen.clear()
    for scale in (1, 2, 3):  # three programs, and three modules that are equal
        found = jax.jit(lambda p, x, s=scale: s * evaluate(Net(), p, x, 3, more=x))(params, x)
        np.testing.assert_allclose(found, scale * expected, rtol=1e-5)
    assert seen == [(2, 4)]
    evaluate(Net(), params, x, 2)  # a number is part of the program
    evaluate(Net(), params, x[:1], 2)
    assert seen == [(2, 4), (2, 4), (1, 4)]
    assert evaluate(Net(), params, x, 2.0).dtype == x.dtype and len(seen) == 4
    assert (evaluate(Net(), params, x, method="double") == 2 * x).all()


def test_it_is_differentiated_and_may_hold_an_array(params):
    x = jax.random.normal(jax.random.key(1), (2, 4))
    held = Net(weight=np.arange(4.0)[None])

    def loss(run):
        return jax.grad(lambda p: (run(p) ** 2).sum())(params)

    for net in (Net(), held):
        found = loss(lambda p, net=net: evaluate(net, p, x))
        expected = loss(lambda p, net=net: net.apply({"params": p}, x))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


@pytest.mark.parametrize("solver", ["euler", "heun", "rk4", "tsit5"])
def test_a_field_is_traced_once(params, solver):
    def field(u, streams):
        return {"z": Net().apply({"params": params}, streams["z"])}

    jax.jit(lambda z: ode.integrate(field, {"z": z}, 0.0, 1.0, solver=solver, steps=4).end)(
        jnp.zeros((2, 4))
    )
    assert len(seen) == 1
