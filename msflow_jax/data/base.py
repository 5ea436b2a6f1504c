"""What every data source hands over: examples in three splits, and the facts on them."""

from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from msflow_jax.data.modality import Batch, Modality
from msflow_jax.data.split import LazySplit, OpensLater, Split, in_memory, some
from msflow_jax.storage.content import printable

__all__ = [
    "SPLITS",
    "TASKS",
    "Batch",
    "Info",
    "LazySplit",
    "Modality",
    "OpensLater",
    "Split",
    "Splits",
    "class_name",
    "digest",
    "in_memory",
    "own_info",
    "some",
]

TASKS = ("binary-class", "multi-class", "ordinal-regression")
SPLITS = ("train", "val", "test")
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

    def __post_init__(self) -> None:
        for name in ("classes", "flips", "map_classes", "counts", "value_range"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("name", "licence", "source"):  # of others' files, and printed
            object.__setattr__(self, name, printable(getattr(self, name)))
        for name in ("classes", "map_classes"):
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))
        object.__setattr__(self, "modalities", dict(self.modalities) or self._one_image())
        object.__setattr__(self, "identity", dict(self.identity))
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

    def _one_image(self) -> dict[str, Modality]:
        """The modalities of one image with a class, and classes of its pixels where there are any."""
        space = (self.side, self.side)
        found = {
            "image": Modality("image", (*space, self.channels)),
            "label": Modality("label", (), names=self.classes),
        }
        if self.map_classes:
            found["map"] = Modality("map", space, names=self.map_classes)
        return found

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
        names = (f.name for f in dataclasses.fields(self) if f.name != "modalities")
        fields = {name: getattr(self, name) for name in names}
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}
        if self.modalities != self._one_image():
            found["modalities"] = {name: m.to_dict() for name, m in self.modalities.items()}
        if not self.identity:
            del found["identity"]
        if not self.value_range:
            del found["value_range"]
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
        }  # fmt: skip
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"data info has unknown fields: {', '.join(unknown)}")
        if missing := sorted(needed - set(fields)):
            raise ValueError(f"data info lacks the fields: {', '.join(missing)}")
        given = fields.get("modalities", {})
        return cls(**{**fields, "modalities": {name: Modality(**m) for name, m in given.items()}})


def class_name(label: str) -> str:
    """A label as the name of a class: in Unicode's composed form (NFC), without blanks around it."""
    return printable(unicodedata.normalize("NFC", label).strip())


def is_range(given: Sequence[Any]) -> bool:
    """Whether these are two finite numbers, the second above the first."""
    numbers = len(given) == 2 and all(isinstance(v, int | float) for v in given)
    return numbers and -np.inf < given[0] < given[1] < np.inf


def own_info(
    classes: Sequence[str],
    shape: Sequence[int],
    *,
    name: str,
    licence: str,
    md5: str,
    source: str,
    value_range: Sequence[float] = (),
    fit: str = "crop",
) -> Info:
    """Facts of images of which only the classes are known, not what may be mirrored.

    Args:
        classes: class names.
        shape: shape of an image, ``[S, S, C]``.
        name: name of the source.
        licence: licence of the data.
        md5: MD5 of what they were made from.
        source: where they came from.
        value_range: see :class:`Info`.
        fit: see :class:`Info`.
    """
    return Info(
        name=name,
        classes=tuple(classes),
        channels=shape[-1],
        side=shape[0],
        task="binary-class" if len(classes) == 2 else "multi-class",
        licence=licence,
        md5=md5,
        source=source,
        flips=(),
        value_range=tuple(value_range),
        fit=fit,
    )


@dataclass(frozen=True)
class Splits:
    """The three splits and their common facts; ``splits["test"]`` is ``splits.test``.

    ``train`` is a ``LazySplit`` where ``data.loader`` is ``grain``. ``contents`` has the MD5 of each
    example's content by split, where a source knows them without reading its examples.
    """

    train: Split | LazySplit
    val: Split
    test: Split
    info: Info
    contents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Split | LazySplit:
        if name not in SPLITS:
            raise ValueError(f"unknown split {name!r}; known: {', '.join(SPLITS)}")
        return getattr(self, name)


def digest(*parts: bytes | memoryview) -> str:
    """Returns the MD5 of the parts, one after the other, as 32 hex digits."""
    md5 = hashlib.md5(usedforsecurity=False)
    for part in parts:
        md5.update(part)
    return md5.hexdigest()
