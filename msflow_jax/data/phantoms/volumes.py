"""Heads as volumes: what each voxel holds, by one warp for all modalities, and its MR signal.

Axes are slices from feet to head, rows from front to back, columns from the patient's right to left. The
box is ``HEIGHT`` x ``FIELD`` x ``FIELD`` mm: from below the cerebellum to above the scalp, and in the
plane what slices show. With as many voxels along each axis they are lower than wide. The template holds
the brain alone, so that a head has a skull and a scalp but no face and no neck.
"""

from __future__ import annotations

import numpy as np

from msflow_jax.data.phantoms import anatomy
from msflow_jax.data.phantoms.lesions import Lesions
from msflow_jax.data.phantoms.scanners import Scanner
from msflow_jax.data.phantoms.signals import TISSUES, rician
from msflow_jax.data.phantoms.subjects import CENTRE, Subject

FIELD = 236.0  # mm; edge of slices
FEET, HEIGHT = -72.0, 176.0  # mm; the lower face of the box, and its height
KNOTS = (
    6.0  # mm between points that are warped; between them it is linear, to 0.1 mm (at worst 0.35)
)
REACH = 36.0  # mm; a lesion, 20 mm in the template, is not seen from further off in any head
AIR = 100.0  # mm from the brain's hull where there is no map


def voxel(side: int) -> tuple[float, float, float]:
    """Size of a voxel in mm along slices, rows and columns."""
    return HEIGHT / side, FIELD / side, FIELD / side


def axes(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of slices, rows and columns in mm: z rising, y falling, x falling, each ``[side]``."""
    share = (np.arange(side) + 0.5) / side
    return FEET + HEIGHT * share, *(CENTRE[i] - FIELD * (share - 0.5) for i in (1, 0))


def affine(side: int) -> np.ndarray:
    """From the index of a voxel (d, h, w, 1) to RAS mm, ``[4, 4]``."""
    (z, y, x), (deep, down, across) = axes(side), voxel(side)
    return np.array(
        [[0, 0, -across, x[0]], [0, -down, 0, y[0]], [deep, 0, 0, z[0]], [0, 0, 0, 1.0]]
    )


def content(head: anatomy.Anatomy, subject: Subject, side: int) -> np.ndarray:
    """What each voxel holds: float32 ``[side, side, side, 6]``, in the order of ``signals.TISSUES``.

    The mean over 27 points of a voxel up to 40 voxels a side, 8 up to 80, else its centre. What is
    missing to a sum of 1 is air.
    """
    finer = 3 if side <= 40 else 2 if side <= 80 else 1
    points = _warp(subject, axes(side * finer))
    away = head.distance.sample(points, AIR)
    brain = away < 2.0  # mm; where there may be tissue of the brain, of its hull or a lesion
    grey, white = np.zeros(away.shape, np.float32), np.zeros(away.shape, np.float32)
    grey[brain] = head.grey.sample(points[:, brain], 0.0)
    white[brain] = head.white.sample(points[:, brain], 0.0)
    limits = [anatomy.within(away, edge).astype(np.float32) for edge in subject.shells]
    strength = _strength(subject, axes(side * finer), points)
    del points, away
    whole = np.empty((side, side, side, len(TISSUES)), np.float32)
    for i, tissue in enumerate(anatomy.mixture(grey, white, limits, strength)):
        blocks = tissue.reshape(side, finer, side, finer, side, finer)
        whole[..., i] = blocks.mean(axis=(1, 3, 5))
    return whole


def _warp(subject: Subject, grid: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Template coordinates ``[3, D, H, W]`` in mm of a grid (z, y, x) in a subject's head."""
    knots, weights = [], []
    for axis in grid:
        count = min(len(axis), int(np.ceil(abs(axis[-1] - axis[0]) / KNOTS)) + 1)
        knot = np.linspace(axis[0], axis[-1], count)
        place = (axis - axis[0]) / (knot[1] - knot[0])
        knots.append(knot)
        weights.append(np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, 1))
    z, y, x = np.meshgrid(*knots, indexing="ij")
    points = subject.to_template(np.stack([x.ravel(), y.ravel(), z.ravel()]))
    points = points.reshape(3, *z.shape)
    for weight in weights:  # its axis moves to the end, each in turn
        points = np.tensordot(points, weight, axes=(1, 1))
    return points


def _strength(
    subject: Subject, grid: tuple[np.ndarray, np.ndarray, np.ndarray], points: np.ndarray
) -> np.ndarray:
    """The lesion share at the points of a grid: float32 ``[D, H, W]``; see ``Lesions.strength``."""
    share = np.zeros(points.shape[1:], np.float32)
    lesions = subject.lesions
    for i, centre in enumerate(subject.to_head(lesions.centres)):
        near = [
            np.flatnonzero(np.abs(a - c) < REACH) for a, c in zip(grid, centre[::-1], strict=True)
        ]
        if min(map(len, near)) == 0:
            continue
        block = tuple(slice(n[0], n[-1] + 1) for n in near)
        one = Lesions(*(a[i : i + 1] for a in (lesions.centres, lesions.shapes, lesions.peaks)))
        part = share[block]
        strength = one.strength(points[(slice(None), *block)].reshape(3, -1))
        np.maximum(part, strength.reshape(part.shape), out=part)
    return share


def lesion_volume(content: np.ndarray) -> float:
    """The volume in mm^3 of all lesions of a head, of ``content`` ``[S, S, S, 6]``."""
    return float(content[..., -1].sum(dtype=np.float64) * np.prod(voxel(len(content))))


def magnitudes(
    content: np.ndarray,
    subject: Subject,
    contrast: str,
    rng: np.random.Generator,
    noise: float,
    bias: float,
    machine: Scanner | None = None,
) -> np.ndarray:
    """The MR image of a head, taken slice by slice: ``[S, S, S]``, not negative, 1 is white.

    Args:
        content: what each voxel holds, ``[S, S, S, 6]``.
        subject: whose relaxation times are taken.
        contrast: a name in ``signals.SEQUENCES``.
        rng: source of randomness.
        noise: standard deviation, as a share of the brightest tissue's signal.
        bias: spread of the smooth shading, as a share.
        machine: the scanner; None for one that changes nothing.
    """
    machine = machine or Scanner()
    clean = machine.apply_sequence(content, subject.relaxation, np.full(len(content), contrast))
    shaded = machine.apply_coil(clean * _shading(rng, len(content), bias), FIELD)
    return machine.show(rician(shaded, noise * machine.noise, rng))


def _shading(rng: np.random.Generator, side: int, bias: float) -> np.ndarray:
    """A smooth factor around 1 ``[side, side, side]``, of the head in the coil."""
    axis = np.linspace(-1, 1, side)
    modes = (np.ones(side), axis, axis**2 - 1 / 3)
    field = np.zeros((side, side, side))
    for i, j, k in np.argwhere(np.indices((3, 3, 3)).sum(axis=0) <= 2):
        if i + j + k:
            weight = rng.normal(0, bias / 2)
            field += weight * modes[i][:, None, None] * modes[j][:, None] * modes[k]
    return np.exp(field)
