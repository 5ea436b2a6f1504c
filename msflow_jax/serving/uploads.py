"""Images that are sent: bytes to what a model takes. Nothing of them stays on the disk."""

import gzip
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msflow_jax.data import Info, read_sound_images
from msflow_jax.data.sources.images import Sound
from msflow_jax.data.sources.values import refuse_broken

MOST_IMAGES = 256  # of one request: slices of a volume, images of an archive
_INFLATED = 256 << 20  # bytes that a packed file may become
_CHUNK = 1 << 20
_LONGEST = 80  # letters of a name


def safe_name(name: str) -> str:
    """A file's name without folders, and without letters that mean something to a file system."""
    found = re.sub(r"[^A-Za-z0-9._ -]", "_", re.split(r"[/\\]", name)[-1]).strip(". ")
    return found[-_LONGEST:].lstrip(". ") or "image"


@contextmanager
def lying(content: bytes, name: str) -> Iterator[Path]:
    """A file of these bytes, which is removed at the end; errors name it as it was sent.

    Raises:
        ValueError: there are no bytes.
    """
    if not content:
        raise ValueError("no image was sent: put the bytes of a file into the body")
    with tempfile.TemporaryDirectory(prefix="msflow_jax_") as folder:
        path = Path(folder) / safe_name(name)
        path.write_bytes(content)
        try:
            refuse_bombs(path)
            yield path
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(without(folder, str(error))) from error


def refuse_bombs(path: Path) -> None:
    """Raises a ValueError for a packed file that would become very much larger."""
    size = 0
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if packed:
            with gzip.open(path) as file:
                while size <= _INFLATED and (part := file.read(_CHUNK)):
                    size += len(part)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
    except Exception:  # a damaged file is refused, by its reader's words
        return
    if size > _INFLATED:
        raise ValueError(
            f"{path.name} unpacks to more than {_INFLATED >> 20} MiB: use the command of the same name"
        )


def without(folder: str, text: str) -> str:
    """A text that names files of a folder by their names alone."""
    return text.replace(f"{folder}/", "").replace(folder, "the file")


def read_upload(content: bytes, name: str, info: Info, resize: bool) -> tuple[Sound, list[str]]:
    """Images of a file that was sent, and lines of warning.

    Args:
        content: bytes of the file.
        name: its name, whose ending tells what it is.
        info: facts on the data of the model.
        resize: whether images of another size are brought to the model's.

    Raises:
        ValueError: no bytes, or a file that cannot be read, or of more than :data:`MOST_IMAGES`.
    """
    with warnings.catch_warnings(record=True) as said, lying(content, name) as path:
        warnings.simplefilter("always", UserWarning)
        found, changed = _read(path, info, resize)
    refuse_many(len(found.images), name)
    return found, [*changed, *lines_of(said, str(path.parent))]


def refuse_many(count: int, name: str) -> None:
    """Raises a ValueError for more images than one request may hold."""
    if count > MOST_IMAGES:
        raise ValueError(
            f"{name} holds {count} images, and one request may {MOST_IMAGES}: use the command of the "
            "same name"
        )


def _read(path: Path, info: Info, resize: bool) -> tuple[Sound, list[str]]:
    """The images of a file, and whether they were brought to the model's size, in words."""
    try:
        found = read_sound_images(path, info)
        refuse_broken(found.errors)
        return found, []
    except ValueError as error:
        line = str(error).replace("--resize", "resize=1")
        if not resize:
            raise ValueError(line) from error
    found = read_sound_images(path, info, resize=True)
    refuse_broken(found.errors)
    return found, [f"resized: {without(str(path.parent), line).partition(';')[0]}"]


def lines_of(said: Any, folder: str = "") -> list[str]:
    """Warnings to users as lines."""
    return [
        without(folder, str(one.message)) if folder else str(one.message)
        for one in said
        if issubclass(one.category, UserWarning)
    ]
