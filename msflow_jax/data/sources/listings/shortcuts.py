"""What tells classes apart without a look at them: how files were made, not what they show."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.finding import suffix_of
from msflow_jax.data.sources.volumes.orientation import size_text

_FEWEST = 5  # images of a class, of which a property says something
_CHANCE = math.log(1e-3)  # that classes which are made alike differ so
_SAME = {".jpeg": ".jpg", ".tiff": ".tif", ".nii.gz": ".nii", ".pnm": ".ppm", ".pgm": ".ppm"}
_DICOM = (".dcm", ".dicom", ".ima")


class Shortcuts:
    """Collects properties of the images of each class by which a model could know it."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, dict[str, str]]] = {}
        self._whom: dict[str, set[str]] = {}

    def look(self, picture: Picture, path: Path, *, label: str, name: str, whom: str) -> None:
        """Takes an image.

        Args:
            picture: what was read.
            path: its file.
            label: its class.
            name: what it is called in the line.
            whom: whose it is, patient, volume or file: several of one count once.
        """
        self._whom.setdefault(label, set()).add(whom)
        for what, value in _properties(picture, path).items():
            self._found.setdefault(what, {}).setdefault(label, {}).setdefault(value, name)

    def warn(self, source: object) -> None:
        """One line on the properties that have no value in common between a class and all others."""
        told: list[str] = []
        for what, values in self._found.items():
            if what == "proportions" and any(one.startswith("size") for one in told):
                continue
            for label, own in values.items():
                others = {
                    v: (k, n) for k, of in values.items() if k != label for v, n in of.items()
                }
                if "" not in {*own, *others} and self._tells(label, own, others):
                    value, name = next(iter(own.items()))
                    other, (of, its) = next(iter(others.items()))
                    told.append(f"{what} ({label} {value}: {name}; {of} {other}: {its})")
                    break
        if told:
            warnings.warn(
                f"{source}: classes can be told apart by {', '.join(told)}, with no value in common: a "
                "model would learn that in place of the disease; prepare the images of all classes "
                "alike, from the same sources",
                stacklevel=4,
            )

    def _tells(self, label: str, own: Mapping[str, str], others: Mapping[str, object]) -> bool:
        """Whether a class has no value of the others, and that is hardly chance."""
        n, rest = len(self._whom[label]), sum(len(of) for k, of in self._whom.items() if k != label)
        if own.keys() & others.keys() or min(n, rest) < _FEWEST:
            return False
        # At most so many ways to give values to two sides, of all ways to choose the images of one.
        ways = (len(own) + len(others)) * math.log(2)
        choices = math.lgamma(n + rest + 1) - math.lgamma(n + 1) - math.lgamma(rest + 1)
        return ways - choices < _CHANCE


def _properties(picture: Picture, path: Path) -> dict[str, str]:
    """What is known of a picture besides what it shows; empty where it is not."""
    suffix = suffix_of(path)
    if suffix in _DICOM or picture.modality:  # a file of DICOM may have any name
        suffix = ".dcm"
    *_, height, width = picture.space
    return {
        "file format": _SAME.get(suffix, suffix),
        "channels": str(picture.values.shape[-1]),
        "size": size_text(picture.space),
        "proportions": f"{width / height:.2f}",
        "modality": picture.modality,
        "PhotometricInterpretation": picture.photometric,
    }
