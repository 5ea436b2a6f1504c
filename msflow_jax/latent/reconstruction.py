"""How well an autoencoder reconstructs images."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.data.batches import to_float, to_uint8
from msflow_jax.evaluation.paired import DARK, psnr, ssim
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.nets.ops import resize
from msflow_jax.parallel.batched import Runner, batched
from msflow_jax.training.validation import Validation

_BATCH = 64

Params = Any
Measure = Callable[..., dict[str, float]]


def make_measure(
    autoencoder: Autoencoder, side: int, batch: int, compared: int | None = None
) -> Measure:
    """``measure(params, images uint8 [N, S, S, C], description="")``: quality of the reconstructions.

    Gives the means of ``psnr`` (dB) and ``ssim`` over the images that are :func:`not_blank` (over all
    where none is), decoded from the posterior's mean and clipped, and ``latent_std``, the standard
    deviation of all scaled latents together.

    The function raises FloatingPointError where a reconstruction is not finite.

    Args:
        autoencoder: network and scale.
        side: rows and columns at which images are encoded.
        batch: images at a time.
        compared: rows and columns at which they are compared; None: those at which they are encoded.
    """
    at = side if compared is None else compared
    runner = batched(
        lambda params, images, index: _quality(autoencoder, side, at, params, images), batch
    )

    def measure(params: Params, images: np.ndarray, description: str = "") -> dict[str, float]:
        found = runner(params, images, description)
        if not all(np.isfinite(values).all() for values in found.values()):
            raise FloatingPointError(
                "the reconstructions are not finite: convert the weights again, or lower the "
                "learning rate"
            )
        some = not_blank(images)
        for name in ("psnr", "ssim") if some.any() else ():
            found[name] = found[name][some]
        means = {name: float(np.mean(v, dtype=np.float64)) for name, v in found.items()}
        variance = means.pop("square") - means.pop("mean") ** 2
        return {**means, "latent_std": float(np.sqrt(max(variance, 0.0)))}

    return measure


def _quality(
    autoencoder: Autoencoder, side: int, compared: int, params: Params, images: jax.Array
) -> dict[str, jax.Array]:
    floats = to_float(images)
    mean, deviation = autoencoder.moments(params, resize(floats, side))
    decoded = autoencoder.decode(params, mean, floats.shape[-1])
    decoded, originals = jnp.clip(resize(decoded, compared), -1, 1), resize(floats, compared)
    return {
        "psnr": psnr(decoded, originals),
        "ssim": ssim(decoded, originals),
        "mean": mean.mean(axis=(1, 2, 3)),
        "square": (mean**2 + deviation**2).mean(axis=(1, 2, 3)),
    }


def not_blank(images: np.ndarray) -> np.ndarray:
    """Which images ``[N, S, S, C]`` show something, bool ``[N]``: blank ones come back without error."""
    return np.asarray(images.reshape(len(images), -1).max(axis=1, initial=0) > DARK)


def make_validation(measure: Measure, images: np.ndarray) -> Validation:
    """``parameters -> val_psnr, val_ssim, val_latent_std``, for a stage of training.

    Args:
        measure: result of :func:`make_measure`.
        images: validation images, uint8 ``[N, S, S, C]``.
    """
    names = ("val_psnr", "val_ssim")
    return Validation(lambda p: {f"val_{k}": v for k, v in measure(p, images).items()}, names)


def make_reconstruction(autoencoder: Autoencoder, side: int, batch: int) -> Runner:
    """``runner(params, images uint8 [N, S, S, C])``: uint8 ``[N, side, side, C]`` as reconstructed.

    Args:
        autoencoder: network and scale.
        side: rows and columns at which images are encoded and compared.
        batch: images at a time.
    """

    def function(params: Params, images: jax.Array, index: jax.Array) -> jax.Array:
        originals = resize(to_float(images), side)
        latents = autoencoder.encode(params, originals)
        return autoencoder.decode(params, latents, originals.shape[-1])

    run = batched(function, batch)
    return lambda params, images: to_uint8(run(params, images))


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Images resized to a square.

    Args:
        images: uint8 ``[N, H, W, C]``.
        side: rows and columns of the result.

    Returns:
        uint8 ``[N, side, side, C]``.
    """
    if images.shape[1:3] == (side, side):
        return images
    run = batched(lambda _, part, index: resize(to_float(part), side), _BATCH)
    return to_uint8(run({}, images))
