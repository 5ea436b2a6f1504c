"""The values of files to grey levels: one map for a data set, and what has other values is refused.

What an image is given later has to mean the same as in training: a CT is not read by the map of an MR,
nor one number as Hounsfield units that is none.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from msflow_jax.data.intensity import WINDOW, Intensity, fit_percentiles
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.dicom.directions import opposed
from msflow_jax.data.sources.grey.shades import (
    AIR,
    HOUNSFIELD,
    Shades,
    has_no_air,
    is_bright,
    is_dim,
)
from msflow_jax.data.sources.grey.values import extent, scale

SAMPLE = 1 << 14  # values of an image that a map is fitted to: the same ones, however it is stored
_LINES = {
    "dim": "use less than 1/16 of the range trained on, {range}, and look nearly black: {name} for one; "
    "are they stored as the training pictures were?",
    "bright": "lie for the most part above the range trained on, {range} (air apart), and look nearly "
    "white: {name} for one; are they stored as the training pictures were?",
    "unit": "do not say that their values are Hounsfield units, as those trained on are: {name} for "
    "one, {low:g} to {high:g}; they are taken as such",
    "airless": f"hold no air (nothing below {AIR:g}): {{name}} for one, {{low:g}} to {{high:g}}; "
    f"{HOUNSFIELD}",
    "hounsfield": f"hold values below {AIR:g}, which look like Hounsfield units; those trained on have "
    "none: {name} for one, {low:g} to {high:g}; are they CT?",
    "modality": "say what they are ({modality}), but those trained on do not say it: {name} for one; "
    "are they of one kind?",
    "unknown": "do not say what they are; those trained on are {trained}: {name} for one; their values "
    "are taken as such",
    "intent": "are {intent}, those trained on {trained_for}, as their headers say: {name} for one; no "
    "one map brings both to grey levels",
    "turned": "have PatientOrientation {directions}, those trained on {trained_as}: {name} for one; "
    "beside them they are mirrored or upside down: flip them",
}  # fmt: skip


def warn_of_window(window: Sequence[float], maps: Iterable[Intensity], source: object) -> None:
    """A line where a window was chosen and no image is shown by it: none is in Hounsfield units.

    Args:
        window: the setting ``data.window``.
        maps: how the images become grey levels.
        source: where they lie.
    """
    low, high = map(float, window)
    if (low, high) != WINDOW and all(one.kind != "window" for one in maps):
        warnings.warn(
            f"{source}: data.window=({low:g}, {high:g}) has no effect: no image is in Hounsfield units",
            stacklevel=4,
        )


def to_grey(picture: Picture, intensity: Intensity, name: str) -> np.ndarray:
    """Brings a picture or volume to uint8 0..255 by the map of a data set.

    Args:
        picture: what a reader gave.
        intensity: the map.
        name: name of the picture, for errors.

    Returns:
        uint8 ``[*space, C]``, 0 where there is no value.

    Raises:
        ValueError: values that are not those of the map: of another modality, unit or depth, or outside
            a range that is not cut off.
    """
    if intensity.modality and picture.modality and picture.modality != intensity.modality:
        raise ValueError(
            f"{name} is {picture.modality}, the images trained on are {intensity.modality}: its values "
            "mean something else; leave it out"
        )
    if intensity.clips:
        _check_values(picture, intensity, name)
        return intensity.to_grey(picture.values, picture.missing)
    if intensity.kind == "full" and picture.unit:
        raise ValueError(
            f"{name} is {picture.modality or 'a CT'}, in {picture.unit}, the images trained on have 8 "
            "bits and no unit: its values mean something else; leave it out"
        )
    value_range = (intensity.low, intensity.high) if intensity.kind == "range" else ()
    grey = scale(picture.values, value_range, name)
    if picture.missing is not None and picture.missing.any():
        grey = np.where(picture.missing[..., None], np.uint8(0), grey)
    return grey


def _check_values(picture: Picture, intensity: Intensity, name: str) -> None:
    _, low, high, dtype = extent(picture.values, name)
    holds = f"{name} holds values from {low:g} to {high:g} ({dtype})"
    trained = f"those trained on have {intensity.describe()}"
    if picture.values.dtype == np.uint8:
        raise ValueError(
            f"{name} has 8 bits ({low:g} to {high:g}), those trained on more "
            f"({intensity.describe()}): give it as it was stored, not scaled to 8 bits"
        )
    if picture.unit and intensity.unit != picture.unit and intensity.modality:
        raise ValueError(f"{holds} in {picture.unit}, but {trained}: they mean something else")
    if intensity.unit == "HU" and not picture.unit and picture.values.dtype.kind == "u":
        raise ValueError(
            f"{holds} that are no Hounsfield units (air is -1000), but {trained}: give it with rescale "
            "slope and intercept applied"
        )


class Oddities:
    """Pictures that can be read but may not be what they should: one line for each kind.

    Args:
        intensity: the map that they are read by.
    """

    def __init__(self, intensity: Intensity):
        self._map = intensity
        self._found: dict[str, dict[str, tuple[str, Picture]]] = defaultdict(dict)
        self._sound: set[str] = set()
        self._looked: dict[str, bool] = {}

    def look(self, picture: Picture, name: str, volume: str = "") -> None:
        """Looks at a picture, or at a slice: a volume is dark where all its slices are."""
        kind = self._map.kind
        key = volume or name
        self._looked[key] = bool(volume)
        said = ""
        edges = self._map.low, self._map.high
        if kind in ("range", "full") and is_dim(picture.values, edges):
            said = "dim"
        elif kind == "percentiles" and (known := picture.known).size:
            if is_dim(known, edges):
                said = "dim"
            elif is_bright(known, edges):
                said = "bright"
            if not self._map.unit and self._map.low >= AIR > known.min():
                self._found["hounsfield"].setdefault(key, (name, _edges(picture)))
        elif (known := picture.known).size and has_no_air(float(known.min()), self._map.unit):
            said = "airless"
        elif kind == "window" and known.size and is_dim(known, edges):
            said = "dim"
        if not said:
            self._sound.add(key)
        else:
            self._found[said].setdefault(key, (name, _edges(picture)))
        if picture.intent and self._map.intent and picture.intent != self._map.intent:
            self._found["intent"].setdefault(key, (name, _edges(picture)))
        if opposed(picture.directions, self._map.directions):
            self._found["turned"].setdefault(key, (name, _edges(picture)))
        if self._map.clips:
            if self._map.unit and not picture.unit:
                self._found["unit"].setdefault(key, (name, _edges(picture)))
            elif self._map.modality and not picture.modality:
                self._found["unknown"].setdefault(key, (name, _edges(picture)))
            elif picture.modality and not self._map.modality:
                self._found["modality"].setdefault(key, (name, _edges(picture)))

    def warn(self) -> None:
        """The lines."""
        what = "volumes" if all(self._looked.values()) else "pictures"
        for said, pictures in self._found.items():
            alike = self._sound if said in ("dim", "bright", "airless") else set()
            odd = {key: found for key, found in pictures.items() if key not in alike}
            if not odd:
                continue
            name, first = next(iter(odd.values()))
            words = _LINES[said].format(
                name=name, range=f"{self._map.low:g} to {self._map.high:g}", modality=first.modality,
                trained=self._map.modality, intent=first.intent, trained_for=self._map.intent,
                directions=first.directions, trained_as=self._map.directions,
                low=first.values.min(), high=first.values.max(),
            )  # fmt: skip
            warnings.warn(f"{len(odd)} of {len(self._looked)} {what} {words}", stacklevel=3)


def _edges(picture: Picture) -> Picture:
    """What a line needs of a picture, and not its values."""
    ends = np.array([picture.values.min(), picture.values.max()]).reshape(1, 2, 1)
    return Picture(
        ends, modality=picture.modality, unit=picture.unit, intent=picture.intent,
        directions=picture.directions,
    )  # fmt: skip


def sample(picture: Picture) -> np.ndarray:
    """Some of a picture's values, evenly spread, for fitting a map."""
    known = picture.known
    if (step := known.size // SAMPLE) > 1:
        # One of each stretch, anywhere in it: every step-th value would be of a few columns alone where
        # step and the length of a row have a divisor in common, as in 128 x 256 x 256 voxels.
        starts = np.arange(0, known.size - step + 1, step)
        known = known[starts + np.random.default_rng(0).integers(0, step, len(starts))]
    return known.astype(np.float32)


def fit(samples: Iterable[tuple[str, np.ndarray]], modality: str, source: object) -> Intensity:
    """The map of values that have no unit, from the training subjects; warns of what it darkens.

    Args:
        samples: volume (or picture) and some of its values, those of one volume one after the other.
        modality: DICOM's word for what they are, or empty.
        source: where they lie, for a warning.

    Raises:
        ValueError: as :func:`fit_percentiles`.
    """
    shades = Shades()

    def seen() -> Iterable[np.ndarray]:
        for key, values in _joined(samples):
            shades.look(values, key)
            yield values

    found = fit_percentiles(seen(), modality=modality)
    if not modality and found.low < AIR:
        warnings.warn(
            f"{source}: values down to {found.low:g} look like Hounsfield units, but no file says so: "
            f"they are scaled by percentiles of the training subjects ({found.low:g} to "
            f"{found.high:g}); if they are CT, say which are shown, as "
            "--config.data.window=-160,240",
            stacklevel=2,
        )
    shades.warn(found, source, "training images", fitted=True)
    return found


def _joined(samples: Iterable[tuple[str, np.ndarray]]) -> Iterable[tuple[str, np.ndarray]]:
    volume, parts = "", list[np.ndarray]()
    for key, values in samples:
        if parts and key != volume:
            yield volume, np.concatenate(parts)
            parts = []
        volume = key
        parts.append(values)
    if parts:
        yield volume, np.concatenate(parts)
