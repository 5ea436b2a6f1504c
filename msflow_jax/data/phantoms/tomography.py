"""Heads under X-rays: CT in Hounsfield units, and a radiograph of line integrals through it.

Hounsfield units of tissues lie in the ranges that textbooks give (Bushberg et al., The Essential Physics
of Medical Imaging, 2011; of the brain Lev and Gonzalez in Toga and Mazziotta, Brain Mapping: Methods,
2002): air -1000, fat -120 to -90, fluid 0 to 15, white matter 20 to 30, grey matter 37 to 45, skull with
its marrow 700 to 1200. A lesion is darker than white matter, as water gathers in it.
"""

from __future__ import annotations

import numpy as np

from msflow_jax.data.phantoms.volumes import FIELD, axes, voxel

# One value per tissue, in the order of ``signals.TISSUES``; the scalp is fat, as in MR.
HOUNSFIELD = np.array([8.0, 39.0, 28.0, 1000.0, -100.0, 18.0])
AIR = -1000.0
NOISE = 200.0  # HU; ``noise`` is a share of it: 4 HU at 0.02, as in a clinical head CT
DENSITY = 0.08  # spread of the bone's value between subjects, as a share
WATER = 0.0206  # attenuation per mm at 60 keV (NIST XCOM)
WHITE = 6.0  # line integral that is shown white; the densest of a head's are near it
VIEWS = {"frontal": 1, "lateral": 2}  # the axis of a volume along which rays run


def hounsfield(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise-free Hounsfield units of a head, float32 ``[S, S, S]``.

    Args:
        content: what each voxel holds, ``[S, S, S, 6]``.
        rng: source of randomness, for the density of the subject's bone.
    """
    values = HOUNSFIELD.copy()
    values[3] *= np.exp(rng.normal(0, DENSITY))
    return (content @ (values - AIR) + AIR).astype(np.float32)


def scan(clean: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The CT image: whole Hounsfield units, int16, not below -1024, as scanners store them.

    Args:
        clean: noise-free Hounsfield units.
        noise: standard deviation, as a share of ``NOISE``.
        rng: source of randomness.
    """
    noisy = clean + rng.normal(0, noise * NOISE, clean.shape)
    return np.rint(noisy).clip(-1024, 3071).astype(np.int16)


def radiograph(clean: np.ndarray, view: str, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The X-ray of a head in parallel rays: uint8 ``[S, S]``, air black and bone bright.

    The line integral of the attenuation, as digital radiographs show it (minus the logarithm of the
    share of photons that pass). Pixels are square, ``FIELD`` / S mm; rows run from the head to the
    feet, columns from the patient's right to left (frontal) or front to back (lateral). Above and below
    the volume the beam is shut: black.

    Args:
        clean: noise-free Hounsfield units ``[S, S, S]``.
        view: one of ``VIEWS``.
        noise: standard deviation, as a share of a line integral of 1.
        rng: source of randomness.
    """
    side, axis = len(clean), VIEWS[view]
    attenuation = WATER * np.maximum(1 + clean / 1000, 0)
    integral = attenuation.sum(axis=axis) * voxel(side)[axis]
    heights = axes(side)[0]
    middle = heights.mean()
    rows = middle + FIELD * (0.5 - (np.arange(side) + 0.5) / side)
    weights = np.stack([np.interp(rows, heights, e, 0, 0) for e in np.eye(side)], axis=1)
    shown = weights @ integral + rng.normal(0, noise, (side, side))
    shown = np.where(weights.sum(axis=1, keepdims=True) > 0, shown, 0)
    return np.rint(255 / WHITE * shown).clip(0, 255).astype(np.uint8)
