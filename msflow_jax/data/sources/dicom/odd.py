"""What is odd about the slices of a DICOM series that lie as those of one volume do."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msflow_jax.data.sources.dicom.directions import directions
from msflow_jax.data.sources.dicom.headers import get
from msflow_jax.data.sources.dicom.meaning import Meaning
from msflow_jax.data.sources.dicom.order import coincident

if TYPE_CHECKING:
    from pydicom import Dataset


GREY = ("MONOCHROME1", "MONOCHROME2")
INTENTS = ("FOR PROCESSING", "FOR PRESENTATION")
# What sets pictures of one place apart, the most telling first; a magnitude's ImageType is no phase's.
_SETTINGS = (
    "EchoTime",
    "InversionTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "ImageType",
)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True)
class Made:
    """How a slice was made, for comparing it with the others of its series.

    Attributes:
        slope: what its stored values are multiplied by.
        intercept: what is added then.
        acquisition: the number of its acquisition; empty where the file does not say. It is not shown.
        intent: one of ``INTENTS``; empty where the file does not say.
        photometric: one of ``GREY``; empty where it is in colour.
        settings: what ``_SETTINGS`` are, empty text where the file does not say.
        directions: where rows and columns go, see ``directions.directions``.
    """

    slope: float = 1.0
    intercept: float = 0.0
    acquisition: str = ""
    intent: str = ""
    photometric: str = ""
    settings: tuple[str, ...] = ()
    directions: str = ""

    @classmethod
    def of(cls, found: Dataset, rule: Meaning) -> Made:
        """What a header says."""
        intent = _text(found, "PresentationIntentType").upper()
        grey = _text(found, "PhotometricInterpretation")
        return cls(
            rule.slope,
            rule.intercept,
            _text(found, "AcquisitionNumber"),
            intent if intent in INTENTS else "",
            grey if grey in GREY else "",
            tuple(_text(found, keyword) for keyword in _SETTINGS),
            directions(found),
        )


def _text(found: Dataset, keyword: str) -> str:
    """A value of the header as text; empty where there is none, or none that can be compared."""
    try:
        value = get(found, keyword)
        return "" if value is None else str(value).strip()
    except (TypeError, ValueError, OverflowError):
        return ""


def warn_of_intents(made: Iterable[tuple[str, str]]) -> None:
    """A line on pictures made to be processed among others made to be looked at, as of mammograms.

    Args:
        made: place and intent of each.
    """
    found: dict[str, list[str]] = {intent: [] for intent in INTENTS}
    for place, intent in made:
        if intent:
            found[intent].append(place)
    raw, shown = found.values()
    if raw and shown:
        warnings.warn(
            f"{len(raw)} of {len(raw) + len(shown)} pictures are FOR PROCESSING ({raw[0]} for one), the "
            f"others FOR PRESENTATION ({shown[0]}), as their headers say: values of the former are the "
            "detector's, and no one map brings both to grey levels; keep one kind",
            stacklevel=4,
        )


def odd_rescale(made: Sequence[Made], names: Sequence[str], modality: str) -> str:
    """Which slices of a CT have another rescale than most, as the end of a sentence; empty if none has.

    In PET and nuclear medicine each slice may well have its own.

    Args:
        made: how each slice was made.
        names: what each is called.
        modality: DICOM's word.
    """
    rules = [(one.slope, one.intercept) for one in made]
    common, count = Counter(rules).most_common(1)[0]
    if modality != "CT" or count == len(rules):
        return ""
    odd = next(i for i, rule in enumerate(rules) if rule != common)
    return (
        f"has {len(rules) - count} of {len(rules)} slices with another rescale than the rest "
        f"({names[odd]} has RescaleSlope {rules[odd][0]:g} and RescaleIntercept {rules[odd][1]:g}, "
        f"{names[rules.index(common)]} {common[0]:g} and {common[1]:g}): are all of them Hounsfield "
        "units? Correct what is not, or leave it out"
    )


def alternating(made: Sequence[Made], names: Sequence[str]) -> str:
    """Slices of which acquisitions lie between each other, as the end of a sentence; empty if none do.

    Slices that do not say it are passed over, unless they alternate with others that do.

    Args:
        made: how each slice was made, in the order of the slices.
        names: what each is called.
    """
    told = [(one.acquisition, name) for one, name in zip(made, names, strict=True)]
    if len(_changes(told)) <= len(told) / 2:
        told = [one for one in told if one[0]]
    changes = _changes(told)
    if len(changes) < max(2, len({number for number, _ in told})):  # each beside the others
        return ""
    return (
        f"has slices of several acquisitions between each other ({told[changes[0] - 1][1]} and "
        f"{told[changes[0]][1]} differ in AcquisitionNumber): are they several phases or contrasts? "
        "Keep one of them"
    )


def at_one_place(made: Sequence[Made], names: Sequence[str], heights: np.ndarray) -> str:
    """Which slices lie at one place, as the end of a sentence; empty if none do.

    Args:
        made: how each slice was made, in the order of the slices.
        names: what each is called.
        heights: where each lies along the normal in mm, rising.
    """
    pairs = coincident(heights)
    if not pairs.size:
        return ""
    i = int(pairs[0])
    return (
        f"has slices at one place ({names[i]} and {names[i + 1]} at {heights[i]:.4g} mm along the "
        f"normal, which {_difference(made[i], made[i + 1])}; {pairs.size} such in all): numbers and "
        "neighbours of slices are wrong; keep one slice for each place (one echo, phase or time, no "
        "copies)"
    )


def _difference(one: Made, other: Made) -> str:
    """What sets two pictures of one place apart; of the header numbers alone are shown."""
    for keyword, a, b in zip(_SETTINGS, one.settings, other.settings, strict=True):
        if a != b:
            if keyword == "EchoTime" and _NUMBER.fullmatch(a) and _NUMBER.fullmatch(b):
                return f"differ in EchoTime, {float(a):g} and {float(b):g} ms"
            return f"differ in {keyword}"
    if one.acquisition != other.acquisition:
        return "differ in AcquisitionNumber"
    return "say nothing of how they differ"


def _changes(told: Sequence[tuple[str, str]]) -> list[int]:
    """Where the acquisition is another one than of the slice before."""
    return [i for i in range(1, len(told)) if told[i][0] != told[i - 1][0]]
