"""Which classes are explained, and the pictures of an explanation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.reports.figures import as_rgb
from msflow_jax.reports.overlays import overlay
from msflow_jax.reports.planes import three_planes

# Small images are shown enlarged to about this side.
_SHOWN_SIDE = 256


def choose_classes(prediction: Any, label: int | None, against: int | None) -> tuple[Any, Any]:
    """The class to explain and the one to compare with, ``[N]`` each.

    Without ``label`` the prediction is explained, without ``against`` it is compared with the most
    probable other class; so it is where both would be the same.
    """
    predicted = prediction.prediction
    labels = predicted if label is None else np.full(len(predicted), label)
    rest = prediction.distance.copy()
    rest[np.arange(len(rest)), labels] = np.inf
    others = rest.argmin(axis=1)
    if against is not None:
        others = np.where(labels == against, others, against)
    return labels, others


def panels(image: Any, likelihood: Any, log_ratio: Any, spacing: Sequence[float] = ()) -> Any:
    """The image, its likelihood map (centred) and its log-likelihood-ratio map: uint8 ``[H, W, 3]``.

    Of a volume three planes each, below one another, through the largest absolute entry of the last.
    """
    maps = overlay(image, likelihood, centre=True), overlay(image, log_ratio)
    enlarged = max(1, _SHOWN_SIDE // len(image))
    if volume := image.ndim == 4:
        at = np.unravel_index(np.abs(log_ratio).argmax(), log_ratio.shape)
        shown = [three_planes(as_rgb(image), at, spacing)]
        shown += [three_planes(one, at, spacing) for one in maps]
        enlarged = max(1, _SHOWN_SIDE // len(shown[0]))
    else:
        shown = [as_rgb(image[None])[0], *maps]
    large = [np.kron(one, np.ones((enlarged, enlarged, 1), np.uint8)) for one in shown]
    return np.vstack(large) if volume else np.hstack(large)
