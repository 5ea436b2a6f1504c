"""What an autoencoder keeps of small lesions: discs planted into images, encoded and decoded."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.auc import weighted_auc
from msflow_jax.latent.autoencoder import Autoencoder
from msflow_jax.latent.reconstruction import make_reconstruction, resized
from msflow_jax.parallel.batched import Runner

DIAMETERS = (1, 2, 3, 5)  # pixels of what is encoded
CONTRAST = 51  # grey levels of 255: a fifth of the range
_FOREGROUND = 26  # grey levels from which on a pixel is no background
_MIDDLE = 127  # darker tissue gets a brighter disc, brighter tissue a darker one
_RING = 3  # pixels around a disc that it is compared with
_FINE = 8  # points a side of a pixel, for its share of a disc


def lesions_kept(
    reconstruct: Runner,
    params: Any,
    images: np.ndarray,
    diameters: Sequence[int] = DIAMETERS,
    seed: int = 0,
) -> dict[int, dict[str, float]]:
    """How much of a disc's contrast is left, and how often it still stands out, by its diameter.

    In each image one disc is planted at a random place of the foreground, brighter than dark tissue and
    darker than bright tissue by a fifth of the range. ``contrast`` is the mean share of it that the
    reconstruction keeps: 1 is all, 0 none. ``auroc`` is that of the disc's mean against the ring around
    it, for images with a disc against the same without, in reconstructions, and ``auroc_before`` in the
    images themselves: what lies between is lost by the autoencoder, not to the anatomy.

    Args:
        reconstruct: result of :func:`msflow_jax.latent.reconstruction.make_reconstruction`.
        params: parameters of the autoencoder.
        images: uint8 ``[N, S, S, C]`` at the side at which they are encoded.
        diameters: pixels across.
        seed: seed of the places.

    Raises:
        ValueError: no image has a foreground far enough from its border.
    """
    margin = max(diameters) // 2 + _RING + 1
    chosen, places = _places(images, margin, np.random.default_rng(seed))
    if not len(chosen):
        raise ValueError(
            f"none of {len(images)} images has a pixel of at least {_FOREGROUND} of 255 that is "
            f"{margin} pixels from the border: there is nowhere to plant a lesion"
        )
    images, windows = images[chosen], _windows(places, margin)
    around, before = _near(images, windows), _near(reconstruct(params, images), windows)
    sign = np.where(around[:, margin, margin] <= _MIDDLE, 1, -1)
    found = {}
    for diameter in diameters:
        disc, ring = _disc(diameter, margin)
        planted = images.astype(np.float32)
        planted[windows] += (CONTRAST * sign)[:, None, None, None] * disc[..., None]
        planted = np.round(np.clip(planted, 0, 255)).astype(np.uint8)
        shown = _near(planted, windows)
        after = _near(reconstruct(params, planted), windows)
        kept = ((after - before) * disc).sum((1, 2)) / ((shown - around) * disc).sum((1, 2))
        found[diameter] = {
            "contrast": float(kept.mean()),
            "auroc": _auroc(after, before, sign, disc, ring),
            "auroc_before": _auroc(shown, around, sign, disc, ring),
        }
    return found


def make_probe(
    autoencoder: Autoencoder, side: int, images: np.ndarray, batch: int
) -> Callable[[Any], dict[str, Any]]:
    """``parameters -> {"lesions": what lesions_kept finds}``; nothing, with a warning, where none fits.

    Args:
        autoencoder: network and scale.
        side: rows and columns at which images are encoded.
        images: uint8 ``[N, S, S, C]``.
        batch: images at a time.
    """
    reconstruct = make_reconstruction(autoencoder, side, batch)
    images = resized(images, side)

    def probe(params: Any) -> dict[str, Any]:
        try:
            return {"lesions": lesions_kept(reconstruct, params, images)}
        except ValueError as error:
            warnings.warn(f"what is kept of small lesions is not measured: {error}", stacklevel=2)
            return {}

    return probe


def in_words(found: Mapping[int, Mapping[str, float]]) -> str:
    """One line, such as ``lesions of 1, 2 pixels keep 20, 55 % of their contrast``."""
    widths = ", ".join(map(str, found))
    shares = ", ".join(f"{100 * one['contrast']:.0f}" for one in found.values())
    return f"lesions of {widths} pixels keep {shares} % of their contrast"


def _auroc(
    lesion: np.ndarray, none: np.ndarray, sign: np.ndarray, disc: np.ndarray, ring: np.ndarray
) -> float:
    """How well the disc against its ring tells windows with a lesion from those without."""
    means = [
        [(near * share).sum((1, 2)) / share.sum() for share in (disc, ring)]
        for near in (lesion, none)
    ]
    scores = np.concatenate([sign * (inside - outside) for inside, outside in means])
    return float(weighted_auc(np.arange(len(scores)) < len(lesion), scores))


def _near(images: np.ndarray, windows: tuple[np.ndarray, ...]) -> np.ndarray:
    """Grey levels around each place, float64 ``[N, W, W]``."""
    return images[windows].mean(-1)


def _places(
    images: np.ndarray, margin: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which images have a place, and a row and column for each of these."""
    inner = images[:, margin:-margin, margin:-margin].mean(-1) >= _FOREGROUND
    chosen, places = [], []
    for i, allowed in enumerate(inner):
        points = np.argwhere(allowed)
        if len(points):
            chosen.append(i)
            places.append(points[rng.integers(len(points))] + margin)
    return np.array(chosen, int), np.array(places, int).reshape(-1, 2)


def _disc(diameter: int, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's share of a disc in a window, and the ring around it, ``[2 margin + 1] * 2``."""
    fine = (np.arange((2 * margin + 1) * _FINE) + 0.5) / _FINE - margin - 0.5
    distance = np.hypot(fine[:, None], fine[None, :])
    if diameter == 1:  # one pixel, all of it
        distance = np.maximum(np.abs(fine)[:, None], np.abs(fine)[None, :])
    radius = diameter / 2
    shares = (distance <= radius, (distance > radius + 1) & (distance <= radius + _RING))
    side = 2 * margin + 1
    disc, ring = (one.reshape(side, _FINE, side, _FINE).mean((1, 3)) for one in shares)
    return disc, ring


def _windows(places: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of the square around each place, giving ``[N, 2 margin + 1, 2 margin + 1, C]``."""
    reach = np.arange(-margin, margin + 1)
    rows, columns = (places[:, axis, None] + reach for axis in (0, 1))
    return np.arange(len(places))[:, None, None], rows[:, :, None], columns[:, None, :]
