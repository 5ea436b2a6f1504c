"""Paired measures: how near an image is to the one it should be, such as a reconstruction."""

import jax
import jax.numpy as jnp
import numpy as np

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian window, in pixels
RANGE = 2.0  # of images in [-1, 1]
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of multiscale SSIM, the finest first
DARK = 12  # of 255: what is brighter is foreground
_MIN_ERROR = 1e-10  # so that the PSNR of equal images is a number, 100 dB


def psnr(a: jax.Array, b: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio ``[B]`` in dB of images ``[B, H, W, C]`` in [-1, 1]."""
    return decibels(jnp.mean((a - b) ** 2, axis=(1, 2, 3)) / RANGE**2)


def decibels(error: jax.Array | np.ndarray) -> jax.Array:
    """Peak signal-to-noise ratio in dB, at most 100, of mean squared errors of images in [0, 1]."""
    return -10 * jnp.log10(jnp.maximum(error, _MIN_ERROR))


@jax.jit
def ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Structural similarity ``[B]`` of images ``[B, H, W, C]`` in [-1, 1], averaged over channels.

    Wang et al. 2004: a Gaussian window of 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03. Every pixel
    counts, with the image mirrored at its border, as the recorded figures of translations have it; the
    authors and scikit-image leave out the outer five pixels, where the window leaves the image.

    Raises:
        ValueError: images smaller than the window.
    """
    return jnp.mean(ssim_map(a, b), axis=(1, 2, 3))


@jax.jit
def ssim_map(a: jax.Array, b: jax.Array) -> jax.Array:
    """Structural similarity of every pixel ``[B, H, W, C]``, see :func:`ssim`."""
    _check(a)
    pad = ((0, 0), *((WINDOW // 2,) * 2 for _ in range(2)), (0, 0))
    a, b = (jnp.pad(x, pad, mode="reflect") for x in (a, b))
    likeness, structure = _parts(a, b)
    return likeness * structure


@jax.jit
def ms_ssim(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiscale structural similarity ``[B]`` (Wang et al. 2003) of images ``[B, H, W, C]`` in [-1, 1].

    As many of the five scales as the window fits into, their weights brought to a sum of 1: of 32 pixels
    two, of 64 three, of 176 all. Unlike in :func:`ssim` only where the window lies within the image.

    Raises:
        ValueError: images smaller than the window.
    """
    scales = max(1, sum(min(a.shape[1:3]) >> i >= WINDOW for i in range(len(SCALES))))
    weights = np.array(SCALES[:scales]) / sum(SCALES[:scales])
    total = jnp.ones(len(a))
    for i, weight in enumerate(weights.tolist()):
        likeness, structure = _parts(a, b)
        one = likeness * structure if i == scales - 1 else structure
        total *= jnp.maximum(one.mean(axis=(1, 2, 3)), 0.0) ** weight
        a, b = (_halved(x) for x in (a, b))
    return total


def _halved(x: jax.Array) -> jax.Array:
    height, width = (side // 2 * 2 for side in x.shape[1:3])
    x = x[:, :height, :width]
    return x.reshape(len(x), height // 2, 2, width // 2, 2, x.shape[-1]).mean(axis=(2, 4))


def _parts(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Likeness of means, and of contrast and structure, where the window lies within the image."""
    # Variances of what is left without each image's mean: less is lost to rounding.
    centre_a, centre_b = (x.mean(axis=(1, 2), keepdims=True) for x in (a, b))
    a, b = a - centre_a, b - centre_b
    rest_a, rest_b = _windowed(a), _windowed(b)
    variances = _windowed(a**2 + b**2) - rest_a**2 - rest_b**2
    covariance = _windowed(a * b) - rest_a * rest_b
    mean_a, mean_b = rest_a + centre_a + 1, rest_b + centre_b + 1  # meant for values from 0 on
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    likeness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return likeness, (2 * covariance + c2) / (variances + c2)


def _windowed(x: jax.Array) -> jax.Array:
    """Means ``[B, H - 10, W - 10, C]`` under the window, of ``x`` ``[B, H, W, C]``."""
    weights = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    weights /= weights.sum()
    _check(x)
    for axis in (1, 2):
        size = x.shape[axis] - WINDOW + 1
        # Sums, not a convolution: accelerators would round its factors to fewer digits.
        parts = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(WINDOW)]
        x = jnp.stack([w * part for w, part in zip(weights.tolist(), parts, strict=True)]).sum(0)
    return x


def _check(x: jax.Array) -> None:
    high, wide = x.shape[1:3]
    if min(high, wide) < WINDOW:
        raise ValueError(
            f"images of {high} x {wide} pixels are below the {WINDOW} of SSIM's window"
        )
