"""What the grey levels of written pictures stand for: a file beside their table.

``generate --augment`` writes pictures of 8 bits as a model saw them. Where they were made from deeper
files, as of a scanner, a model that is trained on them has to know the map to read such files later.
"""

from __future__ import annotations

from pathlib import Path

from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.storage.jsons import read_object, write_json

NAME = "grey_levels.json"


def write_meaning(folder: Path, intensity: Intensity) -> None:
    """Writes the map beside pictures that it made; nothing where they are 8 bits as stored."""
    if intensity != FULL:
        write_json(folder / NAME, intensity.to_dict())


def meaning(table: Path, read_by: Intensity) -> Intensity:
    """What grey levels stand for: the map beside a table, or else that by which its files are read.

    Args:
        table: a CSV of images; of a folder nothing is looked for.
        read_by: the map by which the files are read.

    Raises:
        ValueError: the file is damaged, or the pictures are deeper than 8 bits.
    """
    path = table.parent / NAME
    if not (table.is_file() and path.is_file()):
        return read_by
    remedy = "write the set again, or remove the file: then the model knows these grey levels only"
    try:
        found = Intensity(**read_object(path, remedy))
    except TypeError as error:
        raise ValueError(f"{path} is no map to grey levels ({error}): {remedy}") from error
    if read_by != FULL:
        raise ValueError(
            f"{path} is of pictures of 8 bits, and those of {table} have {read_by.describe()}: remove it"
        )
    return found
