"""A picture of a translation to look at before its files are used."""

from pathlib import Path

import numpy as np

from msflow_jax.data import Info
from msflow_jax.inference.translated import moments, spread_levels

_SHOWN = 0.3, 0.5, 0.7  # slices of a volume in a preview, as shares of the axis


def write_preview(
    path: Path, source: np.ndarray, draws: np.ndarray, words: tuple[str, str], info: Info
) -> None:
    """Writes a PNG of source, mean and spread beside each other; of a volume of three of its slices.

    One draw has no spread, and none is shown of it.

    Args:
        path: the file.
        source: the images of one item, uint8 ``[N, *shape]``.
        draws: what was drawn of them, uint8 ``[K, N, *shape]``.
        words: names of source and target.
        info: facts on the data of the target.
    """
    from msflow_jax.reports.figures import save_grid
    from msflow_jax.reports.planes import flat

    shown = sorted({round(share * (len(source) - 1)) for share in _SHOWN})
    mean, deviation = moments(draws[:, shown])
    parts = [source[shown], np.rint(mean).astype(np.uint8)]
    parts += [] if deviation is None else [spread_levels(deviation)]
    pictures = [_as_large(flat(part, info.spacing), flat(parts[1], info.spacing)) for part in parts]
    several = len(source) > 1
    titles, images = [], []
    for i, number in enumerate(shown):
        at = f", slice {number}" if several else ""
        titles += [f"{words[0]}{at}", f"{words[1]}, mean", f"spread of {len(draws)}"][: len(parts)]
        images += [part[i] for part in pictures]
    save_grid(path, np.stack(images), np.arange(len(images)), titles, len(parts))


def _as_large(images: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Pictures as RGB uint8 ``[N, H, W, 3]`` of the size of others."""
    from PIL import Image

    from msflow_jax.reports.figures import as_rgb

    size = like.shape[2], like.shape[1]
    return np.stack([np.asarray(Image.fromarray(one).resize(size)) for one in as_rgb(images)])
