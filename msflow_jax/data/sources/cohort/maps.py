"""The map from values to grey levels of each modality of a cohort."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.sources.cohort.seen import Part, Seen
from msflow_jax.data.sources.grey.levels import fit, warn_of_window
from msflow_jax.data.sources.grey.shades import Shades

# DICOM's words for a projection; a column of X-rays may have several of them.
PROJECTIONS = frozenset(("CR", "DX", "RG", "PX", "IO", "MG", "XA", "RF"))


def fit_maps(
    names: Sequence[str],
    seen: Sequence[Seen],
    taught: Sequence[Seen],
    window: tuple[float, float],
    source: object,
) -> dict[str, Intensity]:
    """One map for each modality; warns of images that it leaves no shades.

    Args:
        names: the modalities.
        seen: all examinations.
        taught: those of the training split, to which percentiles are fitted.
        window: the values of CT that become 0 and 255, in HU.
        source: where they lie, for messages.

    Raises:
        ValueError: images of one modality whose values no map fits; names two of them.
    """
    maps = {}
    for name in names:
        parts, known = _parts(name, seen), _parts(name, taught)
        first = (known or parts)[0].picture  # how it was made later images are compared with
        maps[name] = dataclasses.replace(
            _map(name, parts, known, window, source),
            intent=first.intent,
            directions=first.directions,
        )
        fitted = maps[name].kind == "percentiles"  # then those of training have been looked at
        passed = {part.place for part in known} if fitted else set()
        shades = Shades()
        for part in parts:
            if part.place not in passed:
                shades.look(part.sample, part.place)
        what = "images for validation and test" if fitted else "images"
        shades.warn(maps[name], f"{source}, {name}", what)
    warn_of_window(window, maps.values(), source)
    return maps


def _parts(name: str, seen: Sequence[Seen]) -> list[Part]:
    return [one.parts[name] for one in seen if name in one.parts]


def is_ct(name: str) -> bool:
    """Whether a modality is called CT: no NIfTI file says that its values are Hounsfield units."""
    return "ct" in re.split(r"[^a-z]+", name.casefold())


def _map(
    name: str,
    parts: Sequence[Part],
    taught: Sequence[Part],
    window: tuple[float, float],
    source: object,
) -> Intensity:
    word = _word(name, parts)
    plain = [p for p in parts if p.picture.values.dtype == np.uint8]
    deep = [p for p in parts if p.picture.values.dtype != np.uint8]
    if plain and deep:
        raise ValueError(
            f"{name}: {plain[0].place} has 8 bits for each value, {deep[0].place} more "
            f"({deep[0].picture.values.dtype}, {deep[0].low:g} to {deep[0].high:g}): no map fits both; "
            "save all images of a modality alike"
        )
    if plain:
        return FULL
    if word == "CT" or is_ct(name) or any(p.picture.unit == "HU" for p in deep):
        return Intensity("window", float(window[0]), float(window[1]), "HU", word)
    if not taught:
        raise ValueError(
            f"{source}: no training examination has {name}, to fit a map of its values to"
        )
    return fit([(p.place, p.sample) for p in taught], word, f"{source}, {name}")


def _word(name: str, parts: Sequence[Part]) -> str:
    """DICOM's word for the images of a modality; empty where they say none, or different projections."""
    words = {p.picture.modality: p for p in parts if p.picture.modality}
    if len(words) > 1:
        if not set(words) <= PROJECTIONS:
            (one, first), (other, second) = list(words.items())[:2]
            raise ValueError(
                f"{name}: {first.place} is {one}, {second.place} is {other}: give each modality a "
                "column of its own"
            )
        return ""
    word = next(iter(words), "")
    if is_ct(name) and word not in ("", "CT"):
        raise ValueError(
            f"{name}: {words[word].place} is {word} by its header, not CT: rename the column, or "
            "correct the row"
        )
    return word
