"""White-matter lesions: soft ellipsoids whose number, size and strength grow with the severity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lesions:
    """L ellipsoids in template coordinates.

    Attributes:
        centres: ``[L, 3]`` mm.
        shapes: ``[L, 3, 3]``: ``shapes @ (p - centre)`` has length 1 on the rim.
        peaks: ``[L]`` share of the tissue that is lesion at the centre, in [0, 1].
    """

    centres: np.ndarray
    shapes: np.ndarray
    peaks: np.ndarray

    def strength(self, points: np.ndarray) -> np.ndarray:
        """Returns the lesion share at points ``[3, N]`` mm: ``[N]`` in [0, 1], overlaps once."""
        share = np.zeros(points.shape[1])
        for centre, shape, peak in zip(self.centres, self.shapes, self.peaks, strict=True):
            offset = points - centre[:, None]
            near = np.flatnonzero(np.abs(offset).max(axis=0) < 20.0)
            if near.size:
                radius = np.linalg.norm(shape @ offset[:, near], axis=0)
                rim = 1 / (1 + np.exp((radius - 1) / 0.15))
                share[near] = np.maximum(share[near], peak * rim)
        return share


def draw_lesions(
    rng: np.random.Generator,
    severity: float,
    away: np.ndarray,
    sites: np.ndarray,
    weights: np.ndarray,
) -> Lesions:
    """Draws lesions around the heights of a subject's slices.

    Args:
        rng: source of randomness.
        severity: severity of the disease in [0, 1].
        away: ``[slices, M]`` mm from each slice to each site.
        sites: ``[M, 3]`` mm, places to choose from.
        weights: ``[M]``, sum 1.
    """
    centres = []
    for distance in away:
        count = max(0, int(13.0 * severity - 1.3 + rng.uniform()))
        close = weights * np.exp(-0.5 * (distance / 1.5) ** 2)
        chosen = rng.choice(len(sites), size=count, p=close / close.sum())
        centres.append(sites[chosen] + rng.uniform(-1, 1, (count, 3)))
    centre = np.concatenate(centres)
    count = len(centre)
    radii = (3.2 + 4.3 * severity) * np.exp(rng.normal(0, 0.1, (count, 3)))
    turn = rng.uniform(0, np.pi, count)
    cos, sin, zero = np.cos(turn), np.sin(turn), np.zeros(count)
    rotation = np.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, zero + 1]])
    shapes = np.moveaxis(rotation, -1, 0) / radii[:, :, None]
    peaks = np.clip((0.5 + 0.5 * severity) * np.exp(rng.normal(0, 0.1, count)), 0, 1)
    return Lesions(centre, shapes, peaks)
