"""The transformer: shapes, patches, position, time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets import DiT, init_params
from msflow_jax.nets.dit import cut, join, position_code

TINY = {"channels": 3, "patch": 2, "width": 16, "depth": 2, "heads": 2}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@functools.cache
def filled():
    """Images, times and parameters without the zeros of a fresh network."""
    x, u = normal(0, 2, 8, 6, 3), np.array([0.1, 0.9], np.float32)
    params = init_params(DiT(**TINY), jax.random.key(0), x, u)
    leaves, tree = jax.tree.flatten(params)
    leaves = [np.asarray(leaf) + 0.1 * normal(i, *leaf.shape) for i, leaf in enumerate(leaves)]
    return x, u, jax.tree.unflatten(tree, leaves)


@functools.partial(jax.jit, static_argnames=("options",))
def compiled(params, x, u, options):
    return DiT(**{**TINY, **dict(options)}).apply({"params": params}, x, u)


def velocity(params, x, u, **options):
    return compiled(params, x, u, tuple(options.items()))


@pytest.mark.parametrize("patch", [2, 4])
@pytest.mark.parametrize("side", [8, 7])
def test_fresh_network_returns_zeros_of_the_input_shape(patch, side):
    net = DiT(**{**TINY, "patch": patch, "depth": 1})
    x, u = jnp.ones((2, side, 8, 3)), jnp.ones(2)
    params = init_params(net, jax.random.key(0), x, u)
    out = velocity(params, x, u, patch=patch, depth=1)
    assert out.shape == x.shape and out.dtype == jnp.float32
    assert not np.asarray(out).any()


def test_cutting_and_joining_undo_each_other():
    x = normal(0, 2, 8, 6, 3)
    tokens = cut(x, 2)
    np.testing.assert_array_equal(tokens[1, 4].reshape(2, 2, 3), x[1, 2:4, 2:4])
    np.testing.assert_array_equal(join(tokens, (4, 3), 2), x)


def test_position_code_tells_all_positions_apart():
    code = position_code((5, 7), 16)
    assert code.shape == (35, 16)
    np.testing.assert_allclose(code[0], np.repeat([0, 1, 0, 1], 4), atol=1e-7)
    distances = np.linalg.norm(code[:, None] - code[None], axis=-1)
    assert (distances + np.eye(35) > 0.1).all()


def test_output_depends_on_time_and_not_on_batch_mates():
    x, u, params = filled()
    out = np.asarray(velocity(params, x, u))
    assert np.abs(velocity(params, x, u[::-1]) - out).max() > 1e-2
    np.testing.assert_allclose(velocity(params, x[1:], u[1:]), out[1:], atol=1e-4)


def test_remat_and_bfloat16():
    x, u, params = filled()
    out = np.asarray(velocity(params, x, u))
    np.testing.assert_allclose(velocity(params, x, u, remat=True), out, atol=1e-4)
    half = velocity(params, x, u, dtype=jnp.bfloat16)
    assert half.dtype == jnp.float32
    assert np.abs(half - out).mean() < 0.1 * np.abs(out).mean()


def test_gradient_is_finite_and_jvp_works():
    x, u, params = filled()
    gradient = jax.jit(jax.grad(lambda p: (velocity(p, x, u) ** 2).mean()))(params)
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in jax.tree.leaves(gradient))
    _, tangent = jax.jvp(lambda u: velocity(params, x, u), (u,), (np.ones_like(u),))
    assert np.isfinite(tangent).all()


@pytest.mark.parametrize(
    "options, message",
    [({"width": 18}, "divisible by 4"), ({"heads": 3}, "heads 3"), ({"channels": 2}, "W, 2")],
)
def test_what_does_not_fit_is_refused(options, message):
    x, u, params = filled()
    with pytest.raises(ValueError, match=message):
        velocity(params, x, u, **options)
