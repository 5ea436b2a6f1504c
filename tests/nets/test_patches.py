"""The linear autoencoder by its laws."""

import jax.numpy as jnp
import numpy as np
import pytest

from msflow_jax.nets.patches import PatchAutoencoder, fit_patches, to_patches

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (20, 16, 16, 2)).astype(np.float32)


def test_all_components_lose_nothing():
    net, params, _ = fit_patches(IMAGES, 4, 32)
    back = net.apply({"params": params}, jnp.asarray(IMAGES))
    np.testing.assert_allclose(back, IMAGES, atol=1e-5)


def test_fewer_components_are_the_best_linear_ones():
    net, params, spread = fit_patches(IMAGES, 4, 5)
    np.testing.assert_allclose(params["basis"].T @ params["basis"], np.eye(5), atol=1e-5)
    latents, log_variance = net.apply({"params": params}, jnp.asarray(IMAGES), method="encode")
    assert latents.shape == (20, 4, 4, 5) and (log_variance == -30).all()
    flat = np.asarray(latents).reshape(-1, 5)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-5)
    assert np.sqrt(flat.var(axis=0, ddof=1).mean()) == pytest.approx(spread, rel=1e-4)
    back = net.apply({"params": params}, latents, method="decode")
    patches = to_patches(IMAGES, 4).reshape(-1, 32)
    lost = np.linalg.eigvalsh(np.cov(patches, rowvar=False))[:-5].sum()
    error = np.sum((np.asarray(back) - IMAGES) ** 2) / (len(patches) - 1)
    assert error == pytest.approx(lost, rel=1e-4)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="16 x 16 images must be divisible by 5"):
        fit_patches(IMAGES, 5, 4)
    with pytest.raises(ValueError, match="has 32 components, 33 were requested"):
        fit_patches(IMAGES, 4, 33)
    net, params, _ = fit_patches(IMAGES, 4, 5)
    with pytest.raises(ValueError, match=r"expected images \[B, H, W, 2\]"):
        net.apply({"params": params}, jnp.zeros((1, 16, 16, 1)))
    assert PatchAutoencoder(patch=7).factor == 7
