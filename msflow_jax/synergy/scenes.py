"""Scenes of nothing in particular, each in two styles: what drawing can learn before it sees anatomy.

SynerMedGen starts from BAGEL, which draws already. A model from scratch has no such prior; these scenes
stand for it: ellipses and blobs of a few materials, a style being the grey level of each.
"""

from collections.abc import Sequence

import numpy as np

from msflow_jax.training.source import Source

FIRST, SECOND = "first", "second"
_MATERIALS = 6
_SHAPES = (4, 10)  # fewest and most of a scene


def scenes(count: int, shape: tuple[int, ...], seed: int) -> Source:
    """Scenes in two styles each, uint8 ``[N, *space, C]`` called ``first`` and ``second``.

    Args:
        count: how many.
        shape: ``(*space, C)`` of an image.
        seed: scene k depends on it and on k alone.
    """
    made = [_scene(shape[:-1], np.random.default_rng((seed, k))) for k in range(count)]
    arrays = {}
    for i, name in enumerate((FIRST, SECOND)):
        grey = np.stack([pair[i] for pair in made])[..., None]
        arrays[name] = np.repeat(grey, shape[-1], axis=-1)
    return Source.of_arrays(arrays, dict.fromkeys(arrays, "image"))


def _scene(space: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """One scene in two styles, uint8 ``[*space]``: materials with noise, on black."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in space), indexing="ij")
    material = np.zeros(space, int)
    for _ in range(int(rng.integers(*_SHAPES))):
        size = rng.uniform(0.08, 0.8)
        turned = _turned(axes, rng)
        radii = size * rng.uniform(0.5, 1.0, len(space))
        distance = sum((axis / radius) ** 2 for axis, radius in zip(turned, radii, strict=True))
        edge = 1 + 0.3 * np.sin(rng.integers(2, 6) * np.arctan2(turned[0], turned[-1] + 1e-9))
        material[distance < edge] = int(rng.integers(1, _MATERIALS))
    styles = []
    for _ in range(2):
        levels = np.concatenate([[0.0], rng.uniform(0.0, 1.0, _MATERIALS - 1)])
        grey = levels[material] + rng.normal(0, 0.02, space)
        styles.append(np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8))
    return styles


def _turned(axes: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Coordinates about a centre of its own, turned."""
    moved = [axis - rng.uniform(-0.6, 0.6) for axis in axes]
    turn = np.linalg.qr(rng.normal(size=(len(axes), len(axes))))[0]
    return [sum(w * axis for w, axis in zip(row, moved, strict=True)) for row in turn]
