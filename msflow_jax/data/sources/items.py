"""One example of a data set: a picture, a slice of a volume, or a volume; told from headers alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import Info, digest
from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME, Slices
from msflow_jax.storage.archives import file_md5


@dataclass(frozen=True)
class Item:
    """One example before it is read.

    Attributes:
        name: what tables call it: the name of its file, or of its series' folder; of a slice that is cut
            out of it ``scan.nii.gz/012``.
        paths: its file, or the files of its DICOM series in the order of the slices.
        kind: how it is read: ``picture``, ``stack`` (TIFF of several pages), ``nifti`` or ``dicom``.
        part: which slice is cut out of what the files hold; None: the whole.
        axis: how slices are cut: ``axial``, ``coronal`` or ``sagittal``; empty where none is.
        spacing: mm that voxels are brought to, before slices are cut; 0: as stored.
        frame: which volume of a NIfTI file of four axes; None: the only one.
        volume: name of the volume or series that it is a slice of, or that it is; empty of a picture.
        number: place of a slice in its volume, from 0; ``NO_SLICE`` of anything else.
        group: whom it shows, as a salted hash; empty where the file does not say.
        modality: DICOM's word for what it is; empty where the file does not say.
        given: which of the listed files or folders it comes from, the first of them.
        all_given: every one of them, where it is a series that several hold; else empty.
        space: voxels of the volume along its axes, in their order in the file; empty where they were not
            looked at.
        lies: what a DICOM slice that is alone is: ``axial``, ``coronal``, ``sagittal`` or ``localiser``;
            empty where the file does not say, and of a series but of localisers.
    """

    name: str
    paths: tuple[Path, ...]
    kind: str = "picture"
    part: int | None = None
    axis: str = ""
    spacing: float = 0.0
    frame: int | None = None
    volume: str = ""
    number: int = NO_SLICE
    group: str = ""
    modality: str = ""
    given: int = 0
    all_given: tuple[int, ...] = ()
    space: tuple[int, ...] = ()
    lies: str = ""

    @property
    def place(self) -> str:
        """Where it lies, for errors."""
        return str(self.paths[0]) + ("" if self.part is None else f", slice {self.part}")

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def file(self) -> str:
        """Its file, where other volumes may lie in the same one; else empty."""
        return "" if self.frame is None else str(self.paths[0].resolve())


@dataclass(frozen=True)
class Wanted:
    """Which examples files give.

    Attributes:
        dims: 2: pictures, and slices of volumes; 3: volumes.
        spacing: mm that the voxels of volumes are brought to; 0: as stored.
        slices: which slices of volumes are pictures.
        scaled: whether volumes are scaled to a side, their voxels becoming cubes.
    """

    dims: int = 2
    spacing: float = 0.0
    slices: Slices = field(default_factory=Slices)
    scaled: bool = False

    @classmethod
    def of(cls, config: ConfigDict) -> Wanted:
        """What the data config says."""
        slices = Slices.of(config.slices)
        return cls(config.dims, config.spacing, slices, are_scaled(config))

    @classmethod
    def as_trained(cls, info: Info) -> Wanted:
        """What a model was trained on."""
        stored = dict(info.volumes)
        slices = Slices(**stored.pop("slices", {}))
        return cls(info.dims, stored.pop("spacing", 0.0), slices, stored.pop("scaled", False))

    def facts(self) -> dict[str, Any]:
        """What ``Info.volumes`` keeps; ``as_trained`` is its inverse."""
        found: dict[str, Any] = {"spacing": self.spacing} if self.spacing else {}
        found |= {"scaled": True} if self.scaled else {}
        return found if self.dims == 3 else {**found, "slices": dataclasses.asdict(self.slices)}


def are_scaled(settings: Any) -> bool:
    """Whether whole volumes are scaled to ``side``, by what says ``dims``, ``side`` and ``spacing``."""
    return settings.dims == 3 and bool(settings.side) and not settings.spacing


class Contents:
    """The MD5 of what items hold; a file is read once, however many slices are cut out of it.

    Args:
        sums: the MD5 of files that were read already.
    """

    def __init__(self, sums: Mapping[Path, str] | None = None) -> None:
        self._sums = dict(sums or {})

    def __call__(self, item: Item) -> str:
        """The MD5 of the item's file; of a series or a slice one made from those of its files."""
        for path in item.paths:
            if path not in self._sums:
                self._sums[path] = file_md5(path)
        sums = [self._sums[path] for path in item.paths]
        if item.part is None and item.frame is None and len(sums) == 1:
            return sums[0]
        return digest(
            f"{' '.join(sums)} {item.frame} {item.axis} {item.part} {item.spacing}".encode()
        )


def facts_of(items: Sequence[Item]) -> dict[str, Any]:
    """What tables may say of slices: ``volume`` and ``slice`` by name; nothing where there is none."""
    if all(item.number == NO_SLICE for item in items):
        return {}
    return {
        VOLUME: np.array([item.volume for item in items], np.str_),
        SLICE: np.array([item.number for item in items], np.int32),
    }
