"""Distances that see grain: power spectra, and differences between neighbouring pixels.

A network of features can take noise or fog for a picture of the right class. Neither has the spectrum of
a real image, nor the distribution of its differences between neighbours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_images

MEASURES = ("spectrum", "differences")
_ROUNDING = 1 / 12 / 255**2  # power of rounding to 8 bits: what a flat image has at every frequency
_AT_ONCE = 2_000_000  # values whose spectra are held at once: 32 MB
_CUTS = 100  # of the real images into random halves
_LEVELS = np.arange(-255, 256)  # of differences between 8-bit values


@dataclass(frozen=True)
class Grain:
    """What is measured of each of N images.

    Attributes:
        power: radially averaged power spectrum, ``[N, R]``; frequencies 1 to R cycles per image.
        steps: distribution of the differences between neighbours along each axis, the last one first,
            ``[N, 511]``.
    """

    power: np.ndarray
    steps: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.power)

    def distances(self, others: "Grain") -> dict[str, float]:
        """Both distances to another set of images, see :func:`grain_distances`."""
        mine, theirs = ([array.mean(axis=0) for array in one.arrays] for one in (self, others))
        return _between(mine, theirs)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Power and the distributions."""
        return self.power, *self.steps


def measure_grain(images: np.ndarray) -> Grain:
    """Spectra and neighbour differences of images, as intensities from 0 (black) to 1 (white).

    Args:
        images: uint8 ``[N, *space, C]``, sides of at least 2; the spectra of channels are averaged.
            Neighbours and frequencies of a volume are of voxels, whatever their size in mm.

    Raises:
        ValueError: another dtype or rank, or images of a single row, column or slice.
    """
    images = check_images(images, "images")
    space = images.shape[1:-1]
    if min(space) < 2:
        raise ValueError(f"images need sides of at least 2 pixels, got {space}")
    size = max(1, _AT_ONCE // images[0].size)
    parts = [images[i : i + size] for i in range(0, len(images), size)]
    return Grain(
        np.concatenate([_spectra(part) for part in parts]),
        tuple(
            np.concatenate([_differences(part, axis) for part in parts])
            for axis in range(len(space), 0, -1)
        ),
    )


def grain_distances(images: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """How far two sets of images differ in grain.

    Args:
        images: uint8 ``[N, *space, C]``.
        others: uint8 ``[M, *space, C]`` of the same sides.

    Returns:
        ``spectrum``: root mean square over frequencies, in decibels, of the ratio of the mean power
        spectra. ``differences``: 1-Wasserstein distance, in grey levels of 0 to 255, between the
        distributions of the differences of neighbouring pixels, mean over the axes of space.
    """
    return measure_grain(images).distances(measure_grain(others))


def evaluate_grain(
    sets: Mapping[str, np.ndarray], reference: np.ndarray, floor: str, seed: int
) -> dict[str, Any]:
    """Both distances of several sets of images to held-out real ones, with what chance alone gives.

    Args:
        sets: name -> uint8 ``[N, *space, C]``.
        reference: held-out real images, uint8 ``[N, *space, C]``.
        floor: name of the set of real images that the model was trained on.
        seed: seed of the cuts.

    Returns:
        ``images``, ``sets`` (name -> distances), and ``chance``: the 95th percentile of each distance
        between random halves of the real images of both kinds, as large as the sets; None with its
        reason under ``undefined`` where there are fewer than 2 images.
    """
    rows: dict[str, Any] = {"images": len(reference), "sets": {}, "chance": None}
    if len(reference) < 2:
        empty = dict.fromkeys(MEASURES)
        reason = f"{len(reference)} matched images per set, at least 2 are needed"
        rows["sets"] = {name: dict(empty) for name in sets}
        return {**rows, "chance": empty, "undefined": dict.fromkeys(MEASURES, reason)}
    real = measure_grain(reference)
    measured = {name: measure_grain(images) for name, images in sets.items()}
    rows["sets"] = {name: one.distances(real) for name, one in measured.items()}
    rows["chance"] = _chance(real, measured[floor], np.random.default_rng(seed))
    return rows


def _chance(a: Grain, b: Grain, rng: np.random.Generator) -> dict[str, float]:
    """95th percentile of the distances between random halves of two sets together."""
    whole = [np.concatenate(pair) for pair in zip(a.arrays, b.arrays, strict=True)]
    found = []
    for _ in range(_CUTS):
        order = rng.permutation(len(a) + len(b))
        first, second = order[: len(a)], order[len(a) :]
        found.append(
            _between(
                [array[first].mean(axis=0) for array in whole],
                [array[second].mean(axis=0) for array in whole],
            )
        )
    return {name: float(np.percentile([one[name] for one in found], 95)) for name in MEASURES}


def _between(means: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> dict[str, float]:
    """Both distances of the means over a set: power ``[R]`` and distributions ``[511]``."""
    gap = 10 * np.log10((means[0] + _ROUNDING) / (others[0] + _ROUNDING))
    moved = [_wasserstein(a, b) for a, b in zip(means[1:], others[1:], strict=True)]
    return {"spectrum": float(np.sqrt(np.mean(gap**2))), "differences": float(np.mean(moved))}


def _wasserstein(weights: np.ndarray, others: np.ndarray) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(_LEVELS, _LEVELS, weights, others))


def _spectra(images: np.ndarray) -> np.ndarray:
    """Radially averaged power ``[N, R]``; white noise of variance v has v at every frequency."""
    from scipy import fft, sparse

    values = images.astype(np.float32) / 255
    space = images.shape[1:-1]
    axes = tuple(range(1, len(space) + 1))
    waves = fft.rfftn(values - values.mean(axis=axes, keepdims=True), axes=axes)
    power = (np.abs(waves) ** 2).mean(axis=-1) / math.prod(
        space
    )  # of each channel, then their mean
    side = min(space)
    frequencies = [*map(np.fft.fftfreq, space[:-1]), np.fft.rfftfreq(space[-1])]
    grid = np.meshgrid(*frequencies, indexing="ij")
    radius = np.round(side * np.sqrt(sum(f**2 for f in grid))).astype(int).ravel()
    # Of a real image half of the space is kept; all but its edges stands for two frequencies.
    twice = np.where((grid[-1] > 0) & (grid[-1] < 0.5), 2.0, 1.0).ravel()
    cells = np.flatnonzero((radius >= 1) & (radius <= side // 2))
    shape = (len(radius), side // 2)
    ring = sparse.csr_array((twice[cells], (cells, radius[cells] - 1)), shape=shape)
    total = ring.sum(axis=0)
    return (ring.T @ power.reshape(len(power), -1).T.astype(np.float64)).T / total


def _differences(images: np.ndarray, axis: int) -> np.ndarray:
    """Distribution ``[N, 511]`` of differences between neighbours along an axis, all channels."""
    gaps = np.diff(images.astype(np.int16), axis=axis).reshape(len(images), -1) + 255
    counts = [np.bincount(row, minlength=len(_LEVELS)) for row in gaps]
    return np.stack(counts) / gaps.shape[1]
