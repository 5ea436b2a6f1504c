"""What the map of a data set leaves of its images: some may become nearly black, or have no shades."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from msflow_jax.data.intensity import Intensity
from msflow_jax.data.sources.values import AIR, HOUNSFIELD, has_no_air, is_dim
from msflow_jax.storage.text import first_of

_SHOWN = 3


class Shades:
    """Images of a data set by their values, and a line for each way in which some have no shades left.

    Of a volume all slices count together. Values on another scale can only be told from a map that is
    fitted to the images: the one that is far above sets it, and all others become nearly black.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float, float]] = {}

    def look(self, values: np.ndarray, key: str) -> None:
        """Takes the values of an image, or of a part of it.

        Args:
            values: numbers, of any shape; without any it is passed over.
            key: the name of the image; of a slice that of its volume.
        """
        if values.size:
            own = float(values.min()), float(values.max()), float(np.median(values))
            low, high, middle = self._seen.get(key, own)
            self._seen[key] = min(low, own[0]), max(high, own[1]), min(middle, own[2])

    def warn(self, intensity: Intensity, source: object, what: str) -> None:
        """The lines.

        Args:
            intensity: the map of the images.
            source: where they lie.
            what: what they are, in the plural.
        """
        flat = {key for key, (low, high, _) in self._seen.items() if low == high}
        airless = [key for key, (low, *_) in self._seen.items() if has_no_air(low, intensity.unit)]
        lines = [
            ("hold hardly any value but one", list(flat), "do they show anything?"),
            (f"hold no air (nothing below {AIR:g})", airless, HOUNSFIELD),
        ]
        if intensity.kind == "percentiles":
            shaded = {key: found for key, found in self._seen.items() if key not in flat}
            lines += _off_scale(intensity, shaded)
        for line, names, question in lines:
            if names:
                warnings.warn(
                    f"{source}: {len(names)} of {len(self._seen)} {what} {line}: "
                    f"{first_of(sorted(names), _SHOWN)}; {question}",
                    stacklevel=4,
                )


def _off_scale(
    intensity: Intensity, found: Mapping[str, tuple[float, float, float]]
) -> list[tuple[str, list[str], str]]:
    """Lines, which images each is of, and what to ask."""
    span = f"the range of the grey levels, {intensity.low:g} to {intensity.high:g}"
    edges = (intensity.low, intensity.high)
    dim = [key for key, (_, high, _) in found.items() if is_dim(np.array(high), edges)]
    bright = [key for key, (*_, middle) in found.items() if middle > intensity.high]
    top = max(found, key=lambda key: found[key][1], default="")
    reach = f"{top} reaches {found[top][1]:g}, " if top and top not in dim else ""
    return [
        (
            f"use less than 1/16 of {span}, and look nearly black", dim,
            f"{reach}are all stored on one scale?",
        ),
        (
            f"lie for the most part above {span}, and look nearly white", bright,
            "are all stored on one scale?",
        ),
    ]  # fmt: skip
