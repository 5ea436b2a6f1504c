"""The networks on volumes: what must hold of any 3-D form of a 2-D network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from msflow_jax.nets import DiT, UNet, init_params, ops
from msflow_jax.nets.dit import cut, join, position_code
from msflow_jax.nets.kernels import convolve_planes, upsample_convolve


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def direct(x, kernel, stride, padding):
    letters = ("NDHWC", "DHWIO", "NDHWC")
    return lax.conv_general_dilated(x, kernel, (stride,) * 3, padding, dimension_numbers=letters)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("depth", [1, 4, 5])
def test_a_convolution_by_planes_is_the_convolution(stride, depth):
    x, kernel = normal(0, 2, depth, 4, 5, 3), normal(1, 3, 3, 3, 3, 2)
    padding = ((1, 1), (0, 1), (1, 1))
    shape = jax.eval_shape(lambda x, k: direct(x, k, stride, padding), x, kernel).shape
    weights = normal(2, *shape)

    @jax.jit
    def both(x, kernel, weights):
        wanted, back = jax.vjp(lambda x, k: direct(x, k, stride, padding), x, kernel)
        got, own = jax.vjp(lambda x, k: convolve_planes(x, k, stride, padding), x, kernel)
        return wanted, got, back(weights), own(weights)

    wanted, got, back, own = both(x, kernel, weights)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    for a, b in zip(own, back, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_kernel_of_a_mirrored_volume_gives_the_mirrored_result(axis):
    x, kernel, padding = normal(0, 1, 3, 4, 5, 2), normal(1, 3, 3, 3, 2, 2), ((1, 1),) * 3
    run = jax.jit(lambda x, kernel: convolve_planes(x, kernel, 1, padding))
    turned = run(np.flip(x, axis + 1), np.flip(kernel, axis))
    wanted = run(x, kernel)
    np.testing.assert_allclose(jnp.flip(turned, axis + 1), wanted, atol=1e-5)


@pytest.mark.parametrize("space", [(1, 1, 1), (2, 3, 4)])
def test_upsample_convolve_of_volumes_is_enlarge_then_convolve(space):
    x, kernel = normal(0, 2, *space, 3), normal(1, 3, 3, 3, 3, 2)
    enlarged = functools.reduce(lambda a, axis: np.repeat(a, 2, axis), (1, 2, 3), x)
    wanted = direct(enlarged, kernel, 1, ((1, 1),) * 3)
    np.testing.assert_allclose(jax.jit(upsample_convolve)(x, kernel), wanted, atol=1e-5)


def test_a_volume_is_normalised_over_all_its_voxels():
    """As the picture of all its rows one below the other; its derivative too."""
    x, scale, bias, shift = normal(0, 2, 3, 4, 5, 8), normal(1, 8), normal(2, 8), normal(3, 2, 8)
    norm = functools.partial(ops.group_norm, groups=4, silu=True)
    flat, weights = x.reshape(2, 12, 5, 8), normal(4, *x.shape)

    @jax.jit
    def derived(x, weights):
        y, back = jax.vjp(norm, x, scale, bias, shift)
        return y, back(weights)

    got, back = derived(x, weights)
    wanted, known = derived(flat, weights.reshape(flat.shape))
    np.testing.assert_allclose(got.reshape(flat.shape), wanted, atol=1e-6)
    for a, b in zip(back, known, strict=True):
        np.testing.assert_allclose(np.reshape(a, b.shape), b, atol=1e-4)


def inflate(kernel):
    """A kernel whose middle plane is the picture's, and whose other planes are nothing."""
    return (
        np.pad(np.asarray(kernel)[None], ((1, 1), *((0, 0),) * 4)) if kernel.ndim == 4 else kernel
    )


def test_a_volume_of_equal_slices_is_seen_as_its_slice():
    """The 2-D network and its inflated weights: same paths, and the same velocity at every slice."""
    net = UNet(2, width=4, multipliers=(1, 2), blocks=0, attention=(), groups=2, head_channels=4)
    x, u = normal(0, 2, 4, 6, 2), np.array([0.2, 0.9], np.float32)
    params = init_params(net, jax.random.key(0), x, u)
    params = jax.tree.map(lambda a: np.asarray(a) + 0.1 * normal(a.size, *a.shape), params)
    volume = np.repeat(x[:, None], 3, axis=1)  # 3 slices: padded inside to 4
    shapes = jax.eval_shape(net.init, jax.random.key(0), volume, u)["params"]
    inflated = jax.tree.map(inflate, params)
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), inflated, shapes)
    wanted = jax.jit(net.apply)({"params": params}, x, u)
    got = jax.jit(net.apply)({"params": inflated}, volume, u)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(got, np.repeat(wanted[:, None], 3, axis=1), atol=2e-5)


def test_a_transformer_cuts_volumes_into_blocks():
    net, x = DiT(3, patch=2, width=24, depth=1, heads=2), normal(0, 2, 4, 6, 2, 3)
    tokens = cut(x, 2)
    np.testing.assert_array_equal(tokens[1, 4].reshape(2, 2, 2, 3), x[1, 2:4, 2:4, :2])
    np.testing.assert_array_equal(join(tokens, (2, 3, 1), 2), x)
    odd = jax.ShapeDtypeStruct((2, 5, 4, 3, 3), jnp.float32)
    u = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert jax.eval_shape(net.init_with_output, jax.random.key(0), odd, u)[0].shape == odd.shape


def test_the_code_of_places_tells_voxels_apart():
    code = position_code((3, 4, 5), 20)  # 3 x 6 channels, and 2 that stay 0
    assert code.shape == (60, 20) and not code[:, 18:].any()
    distances = np.linalg.norm(code[:, None] - code[None], axis=-1)
    assert (distances + np.eye(60) > 0.1).all()


def test_images_of_another_rank_are_refused():
    net = UNet(2, width=4, multipliers=(1,), groups=2, head_channels=4, attention=())
    with pytest.raises(ValueError, match=r"\[B, H, W, 2\] or .*\[B, D, H, W, 2\], got \(2, 4, 2\)"):
        net.apply({}, np.zeros((2, 4, 2)), np.zeros(2))


def test_resizing_a_volume_resizes_each_axis():
    ramp = np.linspace(0, 1, 8, dtype=np.float32)
    x = (ramp[:, None, None] + 0 * ramp[:4, None])[None, ..., None]  # [1, 8, 4, 1, 1]
    assert ops.resize(x, 6).shape == (1, 6, 6, 6, 1)
    half = ops.resize(x, (4, 4, 1))
    np.testing.assert_allclose(half[0, 1:-1, 0, 0, 0], ramp.reshape(4, 2).mean(1)[1:-1], atol=1e-5)
    assert ops.resize(x, x.shape[1:-1]) is x
