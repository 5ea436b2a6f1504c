"""Which map brings a list's values to grey levels: chosen by what its files are, fitted in training."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.intensity import FULL, WINDOW, Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.grey.levels import fit, sample, warn_of_window
from msflow_jax.data.sources.grey.values import survey
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.reading import Reader
from msflow_jax.progress import track

FITTED = 4096  # training images that a map is fitted to, at most, evenly spread over them


def choose(
    items: Sequence[Item], training: Sequence[int], config: Any, source: object
) -> tuple[Intensity, dict[Path, str]]:
    """The one map of a data set.

    Pictures that are not of a scanner's format, and TIFF of several pages, have the range of the whole
    data set, or 8 bits as they are. DICOM in Hounsfield units has ``data.window``, and so has what does
    not say its unit where this is not the default one. Everything else of more than 8 bits has
    percentiles of the training subjects.

    Args:
        items: the examples.
        training: positions of those that are trained on.
        config: what has the attribute ``window``, such as the data config.
        source: where they are listed, for messages.

    Returns:
        The map, and the error of each file that shows one so far.

    Raises:
        ValueError: images of two modalities, or with and without a range of 8 bits.
    """
    found, broken = _choose(items, training, config, source)
    warn_of_window(config.window, [found], source)
    return found, broken


def _choose(
    items: Sequence[Item], training: Sequence[int], config: Any, source: object
) -> tuple[Intensity, dict[Path, str]]:
    plain = [item for item in items if item.kind in ("picture", "stack")]
    scanned = [item for item in items if item.kind in ("dicom", "nifti")]
    value_range, broken = survey(list(dict.fromkeys(item.paths[0] for item in plain)))
    if not scanned:
        known = Intensity("range", value_range[0], value_range[1]) if value_range else FULL
        return known, broken
    _check_modalities(scanned, source)
    plain = [item for item in plain if item.paths[0] not in broken]  # those are named by themselves
    read = Reader()
    first = next((items[i] for i in training if items[i].kind in ("dicom", "nifti")), scanned[0])
    picture = read(first)
    if plain and (value_range or picture.values.dtype != np.uint8):
        raise ValueError(
            f"{source}: {plain[0].place} is a plain picture ({len(plain)} of {len(items)}) and "
            f"{first.place} a scanner's file ({len(scanned)}), whose values no one map brings to grey "
            "levels: use files of one kind"
        )
    if picture.values.dtype == np.uint8:
        return _as_made(FULL, picture), broken
    low, high = map(float, config.window)
    if picture.unit == "HU" or (
        not picture.unit and not picture.modality and (low, high) != WINDOW
    ):
        window = Intensity("window", low, high, picture.unit, picture.modality)
        return _as_made(window, picture), broken
    samples = _samples(items, training, read, broken)
    return _as_made(fit(samples, picture.modality, source), picture), broken


def _as_made(intensity: Intensity, first: Picture) -> Intensity:
    """A map that knows how the first image trained on was made, to tell later ones made otherwise."""
    return dataclasses.replace(intensity, intent=first.intent, directions=first.directions)


def _check_modalities(items: Sequence[Item], source: object) -> None:
    first: dict[str, Item] = {}
    for item in items:
        if item.modality:
            first.setdefault(item.modality, item)
    if len(first) > 1:
        words = ", ".join(f"{item.place} is {name}" for name, item in first.items())
        raise ValueError(
            f"{source} mixes modalities ({words}), whose values mean different things: keep one, or "
            "list them as a cohort (--config.data.name=cohort)"
        )


def spread(positions: Sequence[int]) -> list[int]:
    """At most ``FITTED`` of some positions, the first and the last among them."""
    few = np.linspace(0, len(positions) - 1, min(len(positions), FITTED)).astype(int)
    return [positions[i] for i in np.unique(few).tolist()]


def _samples(
    items: Sequence[Item], training: Sequence[int], read: Reader, broken: dict[Path, str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Volume and some values of each training image; one that is broken is named, and passed over."""
    for i in track(spread(training), "Fitting grey levels"):
        item = items[i]
        try:
            picture = read(item)
        except ValueError as error:
            broken[item.paths[0]] = str(error)
            continue
        if picture.values.dtype != np.uint8:  # refused by name when it is read
            yield item.volume or item.name, sample(picture)


class Notes:
    """What readers decided on pictures: lines that differ in names and figures alone are one."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, str]] = {}

    def look(self, picture: Picture, place: Path, key: str) -> None:
        """Takes the notes of a picture.

        Args:
            picture: what a reader gave.
            place: its file, or the folder of its series: notes begin with it, or a file in it.
            key: what is counted: the name of a volume, for all of its slices.
        """
        named = rf"^{re.escape(str(place))}(/\S*)?( and \d+ more)?[ :]+"
        for note in picture.notes:
            line = re.sub(r"[\d.]+", "#", re.sub(named, "", note))
            self._seen.setdefault(line, {}).setdefault(key, note)

    def look_at(self, picture: Picture, item: Item) -> None:
        """Takes the notes of an item's picture."""
        first = item.paths[0]
        place = first.parent if len(item.paths) > 1 else first
        self.look(picture, place, item.volume or item.name)

    def warn(self) -> None:
        """The lines."""
        for found in self._seen.values():
            more = f" (and {len(found) - 1} more alike)" if len(found) > 1 else ""
            warnings.warn(f"{next(iter(found.values()))}{more}", stacklevel=3)


def warn_of_slow_slices(items: Sequence[Item]) -> None:
    """A line where single slices are read from volumes while training, which decodes all of each."""
    whole = {item.volume for item in items if item.part is not None}
    if whole:
        warnings.warn(
            f"data.loader=grain reads single slices of {len(whole)} volumes, and decodes a whole volume "
            "for most of them: data.loader=device, or packing them first (msflow pack), is faster",
            stacklevel=4,
        )
