"""Paired measures: how near an image is to the one it should be, such as a reconstruction."""

import jax
import jax.numpy as jnp
import numpy as np

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian window, in pixels
RANGE = 2.0  # of images in [-1, 1]
_MIN_ERROR = 1e-10  # so that the PSNR of equal images is a number, 106 dB


def psnr(a: jax.Array, b: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio ``[B]`` in dB of images ``[B, H, W, C]`` in [-1, 1]."""
    error = jnp.mean((a - b) ** 2, axis=(1, 2, 3))
    return 10 * jnp.log10(RANGE**2 / jnp.maximum(error, _MIN_ERROR))


def ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Structural similarity ``[B]`` of images ``[B, H, W, C]`` in [-1, 1], averaged over channels.

    Wang et al. 2004: a Gaussian window of 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03, only where the
    window lies within the image.
    """
    # Variances of what is left without each image's mean: less is lost to rounding.
    centre_a, centre_b = (x.mean(axis=(1, 2), keepdims=True) for x in (a, b))
    a, b = a - centre_a, b - centre_b
    rest_a, rest_b = _windowed(a), _windowed(b)
    variances = _windowed(a**2 + b**2) - rest_a**2 - rest_b**2
    covariance = _windowed(a * b) - rest_a * rest_b
    mean_a, mean_b = rest_a + centre_a + 1, rest_b + centre_b + 1  # meant for values from 0 on
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    likeness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return jnp.mean(likeness * structure, axis=(1, 2, 3))


def _windowed(x: jax.Array) -> jax.Array:
    """Means ``[B, H - 10, W - 10, C]`` under the window, of ``x`` ``[B, H, W, C]``."""
    weights = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        size = x.shape[axis] - WINDOW + 1
        # Sums, not a convolution: accelerators would round its factors to fewer digits.
        parts = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(WINDOW)]
        x = jnp.stack([w * part for w, part in zip(weights.tolist(), parts, strict=True)]).sum(0)
    return x
