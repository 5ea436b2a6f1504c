"""The subjects of head phantoms: what makes one head differ from the template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msflow_jax.data.phantoms import anatomy
from msflow_jax.data.phantoms.lesions import Lesions, draw_lesions
from msflow_jax.data.phantoms.signals import RELAXATION

GRADES = ("none", "mild", "moderate", "severe")
LOWEST, HIGHEST = 6.0, 34.0  # mm above the commissures: the slab of the lateral ventricles
CENTRE = np.array([0.0, -17.0, 20.0])  # mm; the middle of the slab in the template
VENTRICLES = np.array([0.0, -15.0, 17.0])  # mm; the middle of the lateral ventricles


@dataclass(frozen=True)
class Subject:
    """What makes one head differ from the template.

    Attributes:
        severity: severity of the disease in [0, 1].
        pose: ``[3, 3]``, subject to template: rotation and scale.
        shift: ``[3]`` mm.
        waves: ``[K, 3]`` radians per mm, of the smooth warp.
        phases: ``[K]``, of the warp.
        swings: ``[K, 3]`` mm, of the warp.
        swelling: relative widening of the ventricles.
        shells: outer limits in mm from the hull of fluid, bone and scalp.
        relaxation: ``[tissues, 3]`` as in ``signals.RELAXATION``, jittered.
        heights: ``[slices]`` mm: where the slices are cut.
        lesions: where they sit, in template coordinates.
    """

    severity: float
    pose: np.ndarray
    shift: np.ndarray
    waves: np.ndarray
    phases: np.ndarray
    swings: np.ndarray
    swelling: float
    shells: np.ndarray
    relaxation: np.ndarray
    heights: np.ndarray
    lesions: Lesions

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Carries points ``[3, N]`` in mm from the subject's head to the template's."""
        moved = self.pose @ (points - CENTRE[:, None]) + (CENTRE + self.shift)[:, None]
        moved = moved + self.swings.T @ np.sin(self.waves @ moved + self.phases[:, None])
        offset = moved - VENTRICLES[:, None]
        near = np.exp(-0.5 * np.sum((offset / 28.0) ** 2, axis=0))
        return moved - self.swelling * near * offset

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Carries points ``[N, 3]`` in mm from the template to the subject's head, but for the warp.

        The warp is some 2 mm, by the ventricles up to 8.
        """
        return _to_head(points, self.pose, self.shift)


def draw_subject(rng: np.random.Generator, head: anatomy.Anatomy, slices: int) -> Subject:
    """Draws a subject; see ``Subject`` for what is drawn."""
    severity = (rng.integers(len(GRADES)) + rng.beta(3, 3)) / len(GRADES)
    turns = np.deg2rad(rng.normal(0, (3.0, 3.0, 5.0)))  # nod, tilt, turn
    heights = LOWEST + (HIGHEST - LOWEST) * (np.arange(slices) + rng.uniform(size=slices)) / slices
    waves = rng.normal(0, 2 * np.pi / 160.0, (6, 3))
    jitter = rng.normal(0, (0.03, 0.03, 0.02), RELAXATION.shape)
    pose = _rotation(turns) @ np.diag(np.exp(rng.normal(0, 0.035, 3)))
    shift = rng.normal(0, (2.0, 2.0, 1.0))
    # The sites as they lie in the subject's head, but for the warp of some 2 mm.
    sites = _to_head(head.sites, pose, shift)
    away = sites[:, 2] - heights[:, None]
    return Subject(
        severity=severity,
        pose=pose,
        shift=shift,
        waves=waves,
        phases=rng.uniform(0, 2 * np.pi, 6),
        swings=rng.normal(0, 1.2, (6, 3)),
        swelling=rng.uniform(-0.1, 0.4),
        shells=np.cumsum(rng.uniform((1.0, 5.0, 3.5), (2.5, 8.0, 7.0))),
        relaxation=RELAXATION * np.exp(jitter),
        heights=heights,
        lesions=draw_lesions(rng, severity, away, head.sites, head.weights),
    )


def _to_head(points: np.ndarray, pose: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return CENTRE + np.linalg.solve(pose, (points - CENTRE - shift).T).T


def _rotation(turns: np.ndarray) -> np.ndarray:
    (a, b, c), (s, t, u) = np.cos(turns), np.sin(turns)
    nod = np.array([[1, 0, 0], [0, a, -s], [0, s, a]])
    tilt = np.array([[b, 0, t], [0, 1, 0], [-t, 0, b]])
    turn = np.array([[c, -u, 0], [u, c, 0], [0, 0, 1]])
    return turn @ tilt @ nod
