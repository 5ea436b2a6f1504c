"""PSNR and SSIM of image pairs: known errors, flat images, and SSIM as its authors define it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from msflow_jax.evaluation.paired import psnr, ssim, ssim_map


def test_psnr_of_a_known_error():
    a = jnp.zeros((2, 12, 12, 1))
    b = a.at[0].add(0.2).at[1, :6].add(0.02)
    np.testing.assert_allclose(psnr(a, b), [20, 40 + 10 * np.log10(2)], rtol=1e-5)
    assert psnr(a, a)[0] == pytest.approx(100, abs=1e-4)  # a number, not infinity


def test_ssim_of_equal_and_of_flat_images():
    images = jax.random.uniform(jax.random.key(0), (3, 16, 12, 3), minval=-1)
    np.testing.assert_allclose(jax.jit(ssim)(images, images), 1, atol=1e-5)
    # Without any structure what is left is (2 a b + c) / (a^2 + b^2 + c), for values from 0 to 2.
    a, b, c = 0.5, 1.5, 0.02**2
    flat = jnp.full((1, 11, 11, 1), a - 1), jnp.full((1, 11, 11, 1), b - 1)
    assert jax.jit(ssim)(*flat)[0] == pytest.approx((2 * a * b + c) / (a * a + b * b + c), abs=1e-4)


def test_ssim_as_its_authors_define_it():
    """In float64, with scipy's filter; data range 255 as of uint8 images. Theirs is without a border."""
    rng = np.random.default_rng(0)
    a = np.cumsum(rng.normal(0, 25, (20, 24)), axis=1).clip(-127, 127) + 127.5
    b = (a + rng.normal(0, 20, a.shape)).clip(0, 255)

    def windowed(x):
        for axis in (0, 1):
            x = gaussian_filter1d(x, 1.5, axis=axis, radius=5, mode="mirror")
        return x

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = windowed(a), windowed(b)
    va, vb, cov = windowed(a * a) - ma**2, windowed(b * b) - mb**2, windowed(a * b) - ma * mb
    expected = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    pair = [jnp.asarray(x[None, :, :, None] / 127.5 - 1, jnp.float32) for x in (a, b)]
    inner = ssim_map(*pair)[0, 5:-5, 5:-5, 0]
    assert 0.2 < inner.mean() < 0.95
    assert inner.mean() == pytest.approx(expected[5:-5, 5:-5].mean(), abs=1e-5)
    assert jax.jit(ssim)(*pair)[0] == pytest.approx(expected.mean(), abs=1e-5)
