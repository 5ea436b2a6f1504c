"""Signed maps laid over an image in two colours that colour-blind readers tell apart."""

from typing import Any

import numpy as np

from msflow_jax.reports.figures import as_rgb

# Ends of ColorBrewer's RdYlBu, safe for colour-blind readers; seen on black and on white ground.
NEGATIVE, POSITIVE = (69, 117, 180), (215, 48, 39)
_OPACITY = 0.85


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    *,
    blur: float = 1.0,
    limit: float | None = None,
    centre: bool = False,
) -> np.ndarray:
    """The image in grey under its map: red where the values are positive, blue where negative.

    The colour is transparent at 0 and strongest from ``limit`` on. A log-likelihood-ratio map has a
    meaning at 0; a log-likelihood map is mostly of one sign, so ``centre`` subtracts its median first.

    Args:
        image: uint8 ``[*space, C]``, C = 1 or 3, a picture or a volume.
        values: ``[*space]``, such as nats per pixel.
        blur: standard deviation in pixels of a Gaussian that smooths the values; 0 for none.
        limit: absolute value of the strongest colour; None for the 95th percentile of the absolute
            (smoothed and centred) values.
        centre: whether to subtract the median of the smoothed values.

    Returns:
        uint8 ``[*space, 3]``.

    Raises:
        ValueError: for an image of another kind, values of another shape or not finite, a negative
            blur, or a limit that is not positive.
    """
    # Luminance of ITU-R BT.601.
    slices = np.asarray(image)
    slices = slices if slices.ndim == 4 else slices[None]
    grey = (as_rgb(slices) @ np.array([0.299, 0.587, 0.114])).reshape(np.shape(image)[:-1])
    values = np.asarray(values, np.float64)
    if values.shape != grey.shape or not np.isfinite(values).all():
        raise ValueError(
            f"values must be finite {list(grey.shape)} like the image, got {list(values.shape)}; sum "
            "a map [*space, C] over its channels first."
        )
    if blur < 0 or (limit is not None and not limit > 0):
        raise ValueError(f"blur must be 0 or more and limit positive, got {blur} and {limit}.")
    smooth, _ = shown_values(values, blur, centre)
    size = np.abs(smooth)
    if limit is None:
        limit = common_limit(size)
    alpha = _OPACITY * np.clip(size / limit, 0, 1)[..., None]
    colours = np.where((smooth > 0)[..., None], POSITIVE, NEGATIVE)
    return np.round((1 - alpha) * grey[..., None] + alpha * colours).astype(np.uint8)


def shown_values(values: np.ndarray, blur: float = 1.0, centre: bool = False) -> Any:
    """A map ``[*space]`` as :func:`overlay` shows it, float64, and the median that was taken off it."""
    from scipy.ndimage import gaussian_filter

    values = np.asarray(values, np.float64)
    smooth = gaussian_filter(values, blur, mode="nearest") if blur else values
    median = float(np.median(smooth)) if centre else 0.0
    return smooth - median, median


def common_limit(shown: np.ndarray) -> float:
    """The absolute value from which colours are strongest: the 95th percentile; of all maps given."""
    size = np.abs(shown)
    # Where nearly all values are exactly 0, so is the percentile.
    return float(np.percentile(size, 95)) or float(size.max(initial=0.0)) or 1.0


def colours_of(limit: float, grey: int = 128, steps: int = 256) -> Any:
    """The values from ``-limit`` to ``limit`` over this grey: a colour map of matplotlib."""
    from matplotlib.colors import ListedColormap

    ground = np.full((1, steps, 1), grey, np.uint8)
    values = np.linspace(-limit, limit, steps)[None]
    return ListedColormap(overlay(ground, values, blur=0, limit=limit)[0] / 255)
