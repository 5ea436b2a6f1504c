"""Which classes are explained, and the pictures of an explanation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.reports.figures import as_rgb, shorten
from msflow_jax.reports.map_pictures import Panel, draw_panels
from msflow_jax.reports.overlays import common_limit, overlay, shown_values
from msflow_jax.reports.planes import three_planes

Limits = tuple[float, float]  # nats at full colour, of likelihood maps and of ratios
# Small images are shown enlarged to about this side.
_SHOWN_SIDE = 256
_PALE = 80  # what black becomes beneath a map


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


def scales(maps: Any, ratios: Any) -> Limits:
    """From how many nats on colours are strongest, one value for all likelihood maps and one for ratios.

    The 95th percentile of the absolute values of all maps ``[N, *space]``, each as it is shown:
    smoothed, those of the likelihood less their median.
    """
    likelihood = [shown_values(one, centre=True)[0].astype(np.float32) for one in maps]
    ratio = [shown_values(one)[0].astype(np.float32) for one in ratios]
    return common_limit(np.stack(likelihood)), common_limit(np.stack(ratio))


def draw(
    image: Any, likelihood: Any, log_ratio: Any, names: Sequence[str], limits: Limits,
    spacing: Sequence[float] = (),
) -> bytes:  # fmt: skip
    """PNG: the image, its likelihood map and its log-likelihood-ratio map, with their scales in nats.

    Args:
        image: uint8 ``[*space, C]``.
        likelihood: ``[*space]`` nats.
        log_ratio: ``[*space]`` nats.
        names: the class that is explained, and the one that it is compared with.
        limits: as :func:`scales`.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.
    """
    label, other = (shorten(str(name)) for name in names)
    shown = panels(image, likelihood, log_ratio, spacing, limits)
    entry = "voxel" if image.ndim == 4 else "pixel"
    median, total = shown_values(likelihood, centre=True)[1], log_ratio.sum(dtype=np.float64)
    odds = 100 / (1 + np.exp(-total.clip(-50, 50)))  # percent, of even ones before
    words = f"log-likelihood ratio: {total:+.3g} nats in all ({odds:.3g} : {100 - odds:.3g})"
    return draw_panels(
        [
            Panel(shown[0], "the image"),
            Panel(
                shown[1], f"log-likelihood given {label}", limits[0],
                f"nats per {entry}, less their median {median:.3g}\nred: likelier, blue: less likely",
            ),
            Panel(
                shown[2], words, limits[1],
                f"nats per {entry}, red: for {label}\nblue: for {other}",
            ),
        ],
        below=image.ndim == 4,
    )  # fmt: skip


def panels(
    image: Any, likelihood: Any, log_ratio: Any, spacing: Sequence[float] = (),
    limits: Limits | tuple[None, None] = (None, None),
) -> list[np.ndarray]:  # fmt: skip
    """The image, its likelihood map (centred) and its log-likelihood-ratio map: uint8 ``[H, W, 3]``.

    Of a volume three planes each, through the largest absolute entry of the last.
    """
    # Dark tissue would hide weak colours.
    pale = np.rint(_PALE + image * (1 - _PALE / 255)).astype(np.uint8)
    maps = (
        overlay(pale, likelihood, centre=True, limit=limits[0]),
        overlay(pale, log_ratio, limit=limits[1]),
    )
    enlarged = max(1, _SHOWN_SIDE // len(image))
    if image.ndim == 4:
        at = np.unravel_index(np.abs(log_ratio).argmax(), log_ratio.shape)
        shown = [three_planes(as_rgb(image), at, spacing)]
        shown += [three_planes(one, at, spacing) for one in maps]
        enlarged = max(1, _SHOWN_SIDE // len(shown[0]))
    else:
        shown = [as_rgb(image[None])[0], *maps]
    return [np.kron(one, np.ones((enlarged, enlarged, 1), np.uint8)) for one in shown]
