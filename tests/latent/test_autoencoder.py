"""Latents of large images, tile by tile."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.latent.autoencoder import Autoencoder, in_tiles
from msflow_jax.nets.init import init_params
from msflow_jax.nets.tiny import TinyAutoencoder
from msflow_jax.nets.vae import AutoencoderKL


@settings(max_examples=10)
@given(
    height=st.integers(4, 11),
    width=st.integers(4, 11),
    overlap=st.integers(0, 2),
    factor=st.sampled_from([1, 2]),
)
def test_a_map_of_single_pixels_is_the_same_in_tiles(height, width, overlap, factor):
    x = jax.random.normal(jax.random.key(0), (2, height, width, 3))

    def enlarge(a):
        return jnp.repeat(jnp.repeat(a, factor, 1), factor, 2) ** 2

    got = in_tiles(enlarge, x, 4, overlap)
    np.testing.assert_allclose(got, enlarge(x), rtol=1e-5, atol=1e-6)


def test_an_autoencoder_in_tiles_is_near_the_whole():
    net = TinyAutoencoder(width=8)
    images = jax.random.uniform(jax.random.key(0), (1, 64, 96, 3), minval=-1)
    params = init_params(net, jax.random.key(1), images)
    auto = Autoencoder(net)
    encode, decode = (jax.jit(functools.partial(one, params)) for one in (auto.encode, auto.decode))
    whole = encode(images)
    tiled = in_tiles(encode, images, 48, 16, unit=8)
    assert tiled.shape == whole.shape == (1, 8, 12, 4)
    assert jnp.abs(tiled - whole).mean() < 0.2 * jnp.std(whole)
    decoded = in_tiles(decode, whole, 6, 2)
    expected = decode(whole)
    assert decoded.shape == expected.shape == images.shape
    assert jnp.abs(decoded - expected).mean() < 0.2 * jnp.std(expected)


@pytest.mark.parametrize("tile, overlap, unit", [(16, 0, 1), (4, 3, 1), (6, 2, 4)])
def test_tiles_that_do_not_fit(tile, overlap, unit):
    with pytest.raises(ValueError, match=f"8 x 12 into tiles of {tile} that overlap by {overlap}"):
        in_tiles(lambda a: a, jnp.zeros((1, 8, 12, 1)), tile, overlap, unit)


@pytest.mark.parametrize("net", [
    TinyAutoencoder(width=8), AutoencoderKL(latent=2, widths=(8, 8), blocks=1, groups=4),
])  # fmt: skip
def test_bfloat16_computes_the_same_roughly(net):
    images = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3), minval=-1)
    params = init_params(net, jax.random.key(1), images)
    whole, half = (Autoencoder(net.clone(dtype=jnp.dtype(d))) for d in ("float32", "bfloat16"))

    @jax.jit
    def both(params, images):
        latents = whole.encode(params, images)
        return (
            (half.encode(params, images), latents),
            (half.decode(params, latents), whole.decode(params, latents)),
        )

    for got, expected in both(params, images):
        assert got.dtype == jnp.float32
        assert jnp.abs(got - expected).mean() < 0.03 * jnp.std(expected)
