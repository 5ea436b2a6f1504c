"""What is odd about the slices of a DICOM series that lie as those of one volume do."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msflow_jax.data.sources.dicom_headers import get
from msflow_jax.data.sources.dicom_meaning import Meaning

if TYPE_CHECKING:
    from pydicom import Dataset


INTENTS = ("FOR PROCESSING", "FOR PRESENTATION")


@dataclass(frozen=True)
class Made:
    """How a slice was made, for comparing it with the others of its series.

    Attributes:
        slope: what its stored values are multiplied by.
        intercept: what is added then.
        acquisition: the number of its acquisition; empty where the file does not say. It is not shown.
        intent: one of ``INTENTS``; empty where the file does not say.
    """

    slope: float = 1.0
    intercept: float = 0.0
    acquisition: str = ""
    intent: str = ""

    @classmethod
    def of(cls, found: Dataset, rule: Meaning) -> Made:
        """What a header says."""
        try:
            acquisition = str(get(found, "AcquisitionNumber") or "").strip()
        except (TypeError, ValueError, OverflowError):  # it says nothing that can be compared
            acquisition = ""
        intent = str(get(found, "PresentationIntentType") or "").strip().upper()
        return cls(rule.slope, rule.intercept, acquisition, intent if intent in INTENTS else "")


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


def _changes(told: Sequence[tuple[str, str]]) -> list[int]:
    """Where the acquisition is another one than of the slice before."""
    return [i for i in range(1, len(told)) if told[i][0] != told[i - 1][0]]
