"""Conditioners of the coupling flow, and the gradients of their convolutions."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from msflow_jax.coupling.conditioners import CONDITIONERS
from msflow_jax.coupling.magic import Classification
from msflow_jax.nets import init_params
from msflow_jax.nets.convolution import convolve
from tests.coupling import table
from tests.coupling.tiny_flows import LABELS


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("size, stride, dilation", [
    (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 2), (3, 3, 1),
])  # fmt: skip
@pytest.mark.parametrize("side, before, after", [(6, 3, 5), (7, 5, 3)])
def test_gradients_of_convolutions(dims, size, stride, dilation, side, before, after):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *(side, side + 1, side)[:dims], before)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*(size,) * dims, before, after)), jnp.float32)

    def derived(x, kernel):
        reach, letters = dilation * (size // 2), "DHW"[-dims:]
        return lax.conv_general_dilated(
            x, kernel, (stride,) * dims, [(reach, reach)] * dims, rhs_dilation=(dilation,) * dims,
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        )  # fmt: skip

    expected, back = jax.vjp(derived, x, kernel)
    found, ours = jax.vjp(lambda *a: convolve(*a, stride, dilation), x, kernel)
    # Slice by slice the products of a volume are summed in another order.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0 if dims == 2 else 3e-5)
    g = jnp.asarray(rng.normal(size=found.shape), jnp.float32)
    chex.assert_trees_all_close(jax.jit(ours)(g), jax.jit(back)(g), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", table.CONDITIONERS)
def test_conditioners(name, dims):
    kind, settings = table.CONDITIONERS[name]
    net = CONDITIONERS[kind](3, **settings)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *(8,) * dims, 2)), jnp.float32)
    params = init_params(net, jax.random.key(0), x, LABELS[:2])
    for out in jax.jit(net.apply)({"params": params}, x, LABELS[:2]):
        assert out.shape == x.shape and (np.asarray(out) == 0).all()
    rng = np.random.default_rng(1)
    moved = jax.tree.map(
        lambda a: a + jnp.asarray(rng.normal(0, 0.3, a.shape), jnp.float32), params
    )

    @partial(jax.jit, static_argnames="train")
    def apply(x, labels, **more):
        return jnp.stack(net.apply({"params": moved}, x, labels, **more))

    out = apply(x, LABELS[:2])
    assert not np.allclose(out, apply(x, LABELS[1:3]))
    np.testing.assert_allclose(apply(x[:1], LABELS[:1]), out[:, :1], rtol=2e-4, atol=2e-4)
    if isinstance(net, Classification):
        dropped = apply(x, LABELS[:2], train=True, rngs={"dropout": jax.random.key(0)})
        assert not np.allclose(out, dropped)
