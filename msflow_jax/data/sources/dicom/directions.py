"""Which way single DICOM pictures are shown, and whether those of a data set agree."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING

from msflow_jax.data.sources.dicom.headers import get, modality

if TYPE_CHECKING:
    from pydicom import Dataset

_DIRECTION = re.compile(r"[LRAPHF]{1,3}")  # in quadrupeds other words, which are not compared
_OPPOSITE = {"L": "R", "A": "P", "H": "F"}
_OPPOSITE |= {b: a for a, b in _OPPOSITE.items()}


def directions(found: Dataset) -> str:
    r"""Where rows and columns of a picture go, such as ``L\\F``; empty where it is not said.

    Of mammograms nothing: those of the right and the left breast face each other by custom.
    """
    given = get(found, "PatientOrientation")
    if modality(found) == "MG" or given is None or isinstance(given, str):
        return ""
    try:
        words = [str(word).strip().upper() for word in given]
    except TypeError:
        return ""
    return "\\".join(words) if len(words) == 2 and all(map(_DIRECTION.fullmatch, words)) else ""


def warn_of_directions(made: Iterable[tuple[str, str]]) -> None:
    """A line on single pictures that are mirrored, or upside down, as others of the set see them.

    Args:
        made: place and :func:`directions` of each.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for place, way in made:
        if way:
            found[way].append(place)
    ways = sorted(found, key=lambda way: -len(found[way]))
    for most, few in combinations(ways, 2):
        if which := opposed(most, few):
            warnings.warn(
                f"{len(found[few])} pictures have PatientOrientation {few} ({found[few][0]} for one), "
                f"{len(found[most])} have {most} ({found[most][0]}): their {which} run in opposite "
                "directions, so that some are mirrored or upside down; flip them to one direction, or "
                "leave some out",
                stacklevel=4,
            )
            return


def opposed(one: str, other: str) -> str:
    """Which of rows and columns go opposite ways, by the first letter: the nearest direction.

    Empty also where one of both is not said.
    """
    if not one or not other:
        return ""
    pairs = zip(("rows", "columns"), one.split("\\"), other.split("\\"), strict=True)
    return " and ".join(which for which, a, b in pairs if _OPPOSITE[a[0]] == b[0])
