"""What written pictures stand for, and how files became such: a file beside their table.

``generate --augment`` writes pictures of 8 bits as a model saw them. Where they were made from other
files, as of a scanner, a model that is trained on them has to know the map to read such files later, how
volumes were cut and how pictures were fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msflow_jax.data.base import FITS, Info
from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.slices import Slices
from msflow_jax.storage.jsons import read_object, write_json

NAME = "grey_levels.json"


@dataclass(frozen=True)
class Meaning:
    """What pictures stand for, and how files become such.

    Attributes:
        intensity: what grey levels stand for.
        volumes: how volumes were cut, see ``Info``.
        fit: what happened to pictures that are not square.
    """

    intensity: Intensity = FULL
    volumes: Mapping[str, Any] = field(default_factory=dict)
    fit: str = "pad"  # as of a data set that says nothing

    @classmethod
    def of(cls, info: Info) -> Meaning:
        """What a model's data say."""
        return cls(info.intensity(), dict(info.volumes), info.fit)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], read_by: Meaning) -> Meaning:
        """What a file holds; one of before says nothing of volumes and fit.

        Raises:
            TypeError: an unknown key, or a value of another type.
            ValueError: a value that none can have.
        """
        volumes, fit = fields.get("volumes", read_by.volumes), fields.get("fit", read_by.fit)
        if fit not in FITS:
            raise ValueError(f"fit is {fit!r}, and known are {', '.join(FITS)}")
        Slices(**dict(volumes).get("slices", {}))
        of_map = {k: v for k, v in fields.items() if k not in ("volumes", "fit")}
        return cls(Intensity(**of_map), volumes, fit)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {**self.intensity.to_dict(), "volumes": dict(self.volumes), "fit": self.fit}


def write_meaning(folder: Path, info: Info) -> None:
    """Writes it beside pictures of a model's data; nothing where they are what pictures are anyway."""
    found = Meaning.of(info)
    if found != Meaning():
        write_json(folder / NAME, found.to_dict())


def meaning(table: Path, read_by: Meaning) -> Meaning:
    """What pictures stand for: what lies beside the table, or else that by which its files are read.

    Args:
        table: a CSV of images; of a folder nothing is looked for.
        read_by: that by which the files are read.

    Raises:
        ValueError: the file is damaged, or the pictures are deeper than 8 bits, or volumes.
    """
    path = table.parent / NAME
    if not (table.is_file() and path.is_file()):
        return read_by
    remedy = "write the set again, or remove the file: then the model knows these grey levels only"
    fields = read_object(path, remedy)
    try:
        found = Meaning.from_dict(fields, read_by)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no map to grey levels ({error}): {remedy}") from error
    if read_by.intensity != FULL or read_by.volumes:
        are = "are volumes" if read_by.volumes else f"have {read_by.intensity.describe()}"
        raise ValueError(f"{path} is of pictures of 8 bits, and those of {table} {are}: remove it")
    return found
