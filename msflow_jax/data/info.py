"""The facts on a data set that a model, a report and a workdir need."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msflow_jax.data.intensity import FULL, Intensity, is_range
from msflow_jax.data.modality import Modality
from msflow_jax.storage.content import printable

TASKS = ("binary-class", "multi-class", "ordinal-regression")
PRIORS = ("natural", "uniform")  # of the classes: as in the training set, or all equal
FITS = ("pad", "crop", "stretch")  # what happens to pictures that are not square


@dataclass(frozen=True)
class Info:
    """Facts on a data set that a model, a report and a workdir need. Holds only JSON types.

    Attributes:
        name: source name, such as ``breastmnist``, ``folder`` or ``phantoms``.
        classes: class names; label k means ``classes[k]``.
        channels: 1 or 3.
        side: height and width of the images in pixels.
        task: one of ``TASKS``; ``ordinal-regression`` means that the classes are ordered grades.
        licence: licence of the data, for reports.
        md5: MD5 of the source file, or of the files or arrays it was made from.
        source: file, folder or package the data came from.
        flips: train augmentation: ``horizontal``, ``vertical``, each drawn with probability 1/2.
        map_classes: names of the per-pixel classes where a split has maps, else empty.
        counts: training images of each class; empty where not known.
        modalities: what is known of each example, by name. Where it is not given it follows from
            side, channels, classes and map_classes: an image, its label, maybe its map.
        identity: MD5 of names, contents, labels and splits, see ``identity.identify``; empty of a data
            set that was not read, and in workdirs of before there were identities.
        value_range: the values that are 0 and 255 in pictures of more than 8 bits; empty of others.
        fit: one of ``FITS``; what it was before there was a choice where nothing is said.
        space: size along each axis of space, ``(D, H, W)`` of volumes; empty: ``(side, side)``.
        spacing: size of a voxel or pixel in mm along each axis of space; empty where not known.
        intensities: from stored values to grey levels, by the name of the modality; one that is not
            there has the values of ``value_range`` or 8 bits.
        volumes: how files of volumes became examples, see ``sources.items.Wanted``; empty of others.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    side: int
    task: str
    licence: str
    md5: str
    source: str
    flips: tuple[str, ...]
    map_classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    modalities: Mapping[str, Modality] = field(default_factory=dict, hash=False)
    identity: Mapping[str, str] = field(default_factory=dict, hash=False)
    value_range: tuple[float, ...] = ()
    fit: str = "crop"
    space: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    intensities: Mapping[str, Intensity] = field(default_factory=dict, hash=False)
    volumes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in (
            "classes", "flips", "map_classes", "counts", "value_range", "space", "spacing",
        ):  # fmt: skip
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("name", "licence", "source"):  # of others' files, and printed
            object.__setattr__(self, name, printable(getattr(self, name)))
        for name in ("classes", "map_classes"):
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))
        self._check_space()
        object.__setattr__(self, "intensities", dict(self.intensities))
        object.__setattr__(self, "modalities", dict(self.modalities) or self._one_image())
        object.__setattr__(self, "identity", dict(self.identity))
        object.__setattr__(self, "volumes", dict(self.volumes))
        if self.task not in TASKS:
            raise ValueError(f"{self.name}: task {self.task!r} is not one of {', '.join(TASKS)}")
        if len(self.classes) < 2:
            raise ValueError(f"{self.name}: {len(self.classes)} class(es), at least 2 are needed")
        if self.fit not in FITS:
            raise ValueError(f"{self.name}: fit {self.fit!r} is not one of {', '.join(FITS)}")
        if self.value_range and not is_range(self.value_range):
            raise ValueError(
                f"{self.name}: value_range {self.value_range} is no pair of rising numbers"
            )

    def _check_space(self) -> None:
        if self.space and (len(self.space) not in (2, 3) or self.space[-1] != self.side):
            raise ValueError(
                f"{self.name}: space {self.space} is not two or three sizes of which the last is the "
                f"side, {self.side}"
            )
        if self.spacing and (len(self.spacing) != self.dims or min(self.spacing) <= 0):
            raise ValueError(
                f"{self.name}: spacing {self.spacing} is not a positive number of mm for each of "
                f"{self.dims} axes"
            )

    def _one_image(self) -> dict[str, Modality]:
        """The modalities of one image with a class, and classes of its pixels where there are any."""
        space = self.sides
        found = {
            "image": Modality("image", (*space, self.channels)),
            "label": Modality("label", (), names=self.classes),
        }
        if self.map_classes:
            found["map"] = Modality("map", space, names=self.map_classes)
        return found

    @property
    def sides(self) -> tuple[int, ...]:
        """Size along each axis of space: ``(H, W)``, of volumes ``(D, H, W)``."""
        return self.space or (self.side, self.side)

    @property
    def dims(self) -> int:
        """Axes of space: 2, or 3 of volumes."""
        return len(self.sides)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image, ``(*space, channels)``."""
        return (*self.sides, self.channels)

    def require_image(self) -> None:
        """Refuses data of several modalities where a model is of one image.

        Raises:
            ValueError: names the modalities, and the setting that chooses one.
        """
        if "image" not in self.modalities:
            names = [name for name, one in self.modalities.items() if one.kind == "image"]
            raise ValueError(
                f"{self.source} has {', '.join(names)}, and this model is of one image: choose one with "
                "--config.data.modality=NAME"
            )

    def of_modality(self, name: str) -> Info:
        """The facts on one of several modalities; a ValueError names those there are."""
        known = {key: one for key, one in self.modalities.items() if one.kind == "image"}
        if name not in known:
            raise ValueError(f"{self.source} has no images {name!r}; there are {', '.join(known)}")
        *space, channels = known[name].shape
        maps = {"image": self.intensities[name]} if name in self.intensities else {}
        spacing = self.spacing if len(self.spacing) == len(space) else ()
        return dataclasses.replace(
            self, channels=channels, side=space[-1], space=tuple(space), spacing=spacing,
            modalities={}, intensities=maps, map_classes=(),
        )  # fmt: skip

    def intensity(self, name: str = "image") -> Intensity:
        """How the stored values of a modality become grey levels."""
        if name in self.intensities:
            return self.intensities[name]
        if not self.value_range:
            return FULL
        low, high = self.value_range
        return Intensity("range", low, high)

    def files(self) -> dict[str, Any]:
        """How files of scanners became pixels, in JSON types; nothing of pictures of 8 bits."""
        known = self.to_dict()
        return {name: known[name] for name in ("intensities", "volumes") if name in known}

    @property
    def ordered(self) -> bool:
        """Whether the classes are grades."""
        return self.task == "ordinal-regression"

    def class_weights(self, prior: str) -> tuple[float, ...] | None:
        """Ratio of target to training prior of each class (label-shift correction).

        Args:
            prior: ``natural`` (as in the training set: None) or ``uniform``.

        Raises:
            ValueError: for another prior, or where a class has no training image.
        """
        if prior == "natural":
            return None
        if prior not in PRIORS:
            raise ValueError(f"unknown class prior {prior!r}: choose 'natural' or 'uniform'")
        if not self.counts or min(self.counts) < 1:
            raise ValueError(
                f"a uniform prior needs the number of training images of each class, at least 1; "
                f"{self.name} has {list(self.counts)}"
            )
        return tuple(sum(self.counts) / (len(self.counts) * n) for n in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Returns a dict of JSON types; ``from_dict`` is its inverse.

        Modalities that follow from the other fields, no range and the fit ``crop`` are left out, as
        older versions did.
        """
        apart = ("modalities", "intensities")
        names = (f.name for f in dataclasses.fields(self) if f.name not in apart)
        fields = {name: getattr(self, name) for name in names}
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}
        if self.modalities != self._one_image():
            found["modalities"] = {name: m.to_dict() for name, m in self.modalities.items()}
        for name in ("identity", "value_range", "space", "spacing", "volumes"):
            if not found[name]:
                del found[name]
        if self.intensities:
            found["intensities"] = {name: i.to_dict() for name, i in self.intensities.items()}
        if self.fit == "crop":
            del found["fit"]
        return found

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Info:
        """Builds an Info from what ``to_dict`` returned, through JSON or not.

        Raises:
            ValueError: for unknown or missing fields, by name.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        needed = known - {
            "map_classes", "counts", "modalities", "identity", "value_range", "fit",
            "space", "spacing", "intensities", "volumes",
        }  # fmt: skip
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"data info has unknown fields: {', '.join(unknown)}")
        if missing := sorted(needed - set(fields)):
            raise ValueError(f"data info lacks the fields: {', '.join(missing)}")
        given = fields.get("modalities", {})
        maps = fields.get("intensities", {})
        return cls(
            **{
                **fields,
                "modalities": {name: Modality(**m) for name, m in given.items()},
                "intensities": {name: Intensity(**i) for name, i in maps.items()},
            }
        )


def class_name(label: str) -> str:
    """A label as the name of a class: in Unicode's composed form (NFC), without blanks around it."""
    return printable(unicodedata.normalize("NFC", label).strip())
