"""The UNet: published sizes, shapes, refusals, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets import UNet, init_params

TINY = {"channels": 2, "width": 8, "multipliers": (1, 2), "blocks": 1, "groups": 4}
TINY |= {"head_channels": 8}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@functools.cache
def filled(side=8):
    """Images, times and parameters without the zeros of a fresh network."""
    x, u = normal(0, 3, side, side, 2), np.array([0.1, 0.5, 1.0], np.float32)
    params = init_params(UNet(**TINY), jax.random.key(0), x, u)
    leaves, tree = jax.tree.flatten(params)
    leaves = [np.asarray(leaf) + 0.1 * normal(i, *leaf.shape) for i, leaf in enumerate(leaves)]
    return x, u, jax.tree.unflatten(tree, leaves)


@functools.partial(jax.jit, static_argnames=("options",))
def compiled(params, x, u, options):
    return UNet(**{**TINY, **dict(options)}).apply({"params": params}, x, u)


def velocity(params, x, u, **options):
    return compiled(params, x, u, tuple(options.items()))


@pytest.mark.parametrize("width, channels, count", [(64, 6, 8_955_526), (128, 8, 35_757_832)])
def test_published_parameter_counts(width, channels, count):
    shapes = jax.eval_shape(
        UNet(channels, width).init,
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, 32, 32, channels), jnp.float32),
        jax.ShapeDtypeStruct((1,), jnp.float32),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def test_fresh_network_returns_exactly_zero():
    x, u, _ = filled()
    params = init_params(UNet(**TINY), jax.random.key(1), x, u)
    out = velocity(params, x, u)
    assert out.dtype == jnp.float32 and not np.asarray(out).any()


def test_28_pixels_and_four_levels():
    options = {"multipliers": (1, 1, 1, 1), "attention": (8,), "width": 4}
    net = UNet(**{**TINY, **options, "head_channels": 4})
    x, u = jax.ShapeDtypeStruct((1, 28, 28, 2), jnp.float32), jax.ShapeDtypeStruct((1,), "f4")
    out, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), x, u)
    assert out.shape == x.shape


def test_padding_is_as_if_the_edges_were_in_the_image():
    x, u, params = filled()
    inner = np.asarray(x)[:, :7, :6]
    wide = np.pad(inner, ((0, 0), (0, 1), (0, 0), (0, 0)), mode="edge")
    np.testing.assert_allclose(
        velocity(params, inner, u), velocity(params, wide, u)[:, :7], atol=1e-5
    )


def test_samples_do_not_meet():
    x, u, params = filled()
    np.testing.assert_allclose(
        velocity(params, x, u)[1:2], velocity(params, x[1:2], u[1:2]), atol=1e-4
    )


def test_bfloat16_is_near_and_returns_float32():
    x, u, params = filled()
    wanted = np.asarray(velocity(params, x, u))
    got = velocity(params, x, u, dtype=jnp.bfloat16)
    assert got.dtype == jnp.float32
    assert np.abs(got - wanted).mean() < 0.03 * np.abs(wanted).mean() + 0.03


def test_remat_has_the_same_gradient():
    x, u, _ = filled()
    small = {"multipliers": (1,), "attention": (), "blocks": 0, "head_channels": 4}
    params = init_params(UNet(**{**TINY, **small}), jax.random.key(0), x, u)
    params = jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), params)
    weights = normal(9, *x.shape)

    def gradient(**options):
        options = {**small, **options}
        return jax.grad(lambda p: (weights * velocity(p, x, u, **options)).mean())(params)

    close = functools.partial(np.testing.assert_allclose, atol=1e-4)
    jax.tree.map(close, gradient(remat=True), gradient())


def test_forward_mode_allows_jvp():
    x, u, params = filled()
    direction = normal(5, *x.shape)
    field = functools.partial(velocity, params, u=u, forward_mode=True)
    _, tangent = jax.jvp(field, (x,), (direction,))
    step = 1e-2
    difference = (field(x + step * direction) - field(x - step * direction)) / (2 * step)
    np.testing.assert_allclose(tangent, difference, atol=0.02 * np.abs(difference).max())


def test_dropout_acts_only_in_training():
    x, u, params = filled()
    net = UNet(**TINY, dropout=0.5)
    plain = velocity(params, x, u)
    drawn = jax.jit(functools.partial(net.apply, train=True))(
        {"params": params}, x, u, rngs={"dropout": jax.random.key(0)}
    )
    assert np.abs(drawn - plain).max() > 1e-3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": 20, "groups": 32}, "width 20 .* 32 groups"),
        ({"head_channels": 24}, "heads of 24"),
        ({"attention": (3,)}, r"factors \[3\]"),
        ({"channels": 3}, r"\[B, H, W, 3\]"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    x, u, params = filled()
    with pytest.raises(ValueError, match=message):
        velocity(params, x, u, **options)


def test_time_needs_one_value_per_image():
    x, u, params = filled()
    with pytest.raises(ValueError, match=r"\[3\], got \(1,\)"):
        velocity(params, x, u[:1])
