"""An autoencoder that a run keeps, and latents brought to unit spread, channel by channel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.latent import kept
from msflow_jax.latent.codec import LatentCodec

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def patches():
    return kept.fit(IMAGES, 8, 4, 6)


@pytest.fixture(scope="module")
def codecs(patches):
    mean, square = kept.channel_moments(patches, IMAGES, 8, 16)
    std = kept.not_constant(np.sqrt(square - mean**2))
    plain = LatentCodec(patches.autoencoder, (8, 8, 1))
    return plain, LatentCodec(patches.autoencoder, (8, 8, 1), 0, tuple(mean.tolist()), std)


def test_what_was_fitted_is_saved_and_read_without_its_origin(patches, tmp_path):
    patches.save(tmp_path / "a")
    copied = kept.read(tmp_path / "a")
    copied.save(tmp_path / "b")
    (tmp_path / "b" / "left_over").touch()
    copied.save(tmp_path / "b")  # what a failed run left is replaced
    again = kept.read(tmp_path / "b").computing_in("bfloat16")
    assert again.autoencoder == patches.autoencoder and again.origin == patches.origin
    assert not (tmp_path / "b" / "left_over").exists()
    for name, leaf in patches.weights.items():
        np.testing.assert_array_equal(again.weights[name], leaf)


def test_every_channel_has_unit_spread_and_images_are_as_before(patches, codecs):
    plain, unit = codecs
    x = jnp.asarray(IMAGES / 127.5 - 1, jnp.float32)
    before, z = (np.asarray(codec.encode(patches.weights, x)) for codec in codecs)
    assert before.std(axis=(0, 1, 2)).max() > 1.02  # so that there was something to do
    np.testing.assert_allclose(z.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=(0, 1, 2)), 1, rtol=1e-4)
    back = [
        codec.decode(patches.weights, one) for codec, one in zip(codecs, (before, z), strict=True)
    ]
    np.testing.assert_allclose(*back, atol=1e-5)
    # Latents that were encoded before come as the autoencoder gives them.
    key = jax.random.key(0)
    np.testing.assert_allclose(unit.training({"image": before}, key)[0], z, atol=1e-5)
    given = {"image": jnp.asarray(before), "deviation": jnp.full(before.shape, 0.1)}
    noise = (plain.training(given, key)[0] - before) / jnp.asarray(unit.std).reshape(1, 1, 1, -1)
    np.testing.assert_allclose(unit.training(given, key)[0] - z, noise, atol=1e-4)


def test_a_constant_channel_is_not_divided_by_nothing():
    assert kept.not_constant(np.array([2.0, 0.0])) == (2.0, 0.002)
