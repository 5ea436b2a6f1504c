"""Images that are sent: bytes to what a model takes. Nothing of them stays on the disk."""

import errno
import gzip
import re
import tempfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msflow_jax.data import Info, read_sound_images
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.images import Sound
from msflow_jax.serving.work import Full
from msflow_jax.storage.content import Note, OfArrays

MOST_IMAGES = 256  # of one request: slices of a volume, images of an archive
_INFLATED = 256 << 20  # bytes that a packed file may become
_CHUNK = 1 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LONGEST = 80  # letters of a name
_BYTES = 200  # of a name
_Read = TypeVar("_Read")


def safe_name(name: str) -> str:
    """A file's name without folders, and without letters that mean something to a file system."""
    plain = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    found = "".join(one if _is_plain(one) else "_" for one in plain).strip(". ")[-_LONGEST:]
    # A file's name has at most 255 bytes, and a letter up to four.
    return found.encode()[-_BYTES:].decode(errors="ignore").lstrip(". ") or "image"


def _is_plain(letter: str) -> bool:
    """Whether it is a letter of any script, a mark on one, a digit, or one of ``._ -``."""
    return letter in "._ -" or unicodedata.category(letter)[0] in "LMN"


@contextmanager
def lying(content: bytes, name: str) -> Iterator[Path]:
    """A file of these bytes, removed at the end; errors and warnings name it as it was sent.

    Raises:
        ValueError: there are no bytes.
    """
    with lying_together([(name, content)]) as (path,):
        yield path


@contextmanager
def lying_together(files: Sequence[tuple[str, bytes]]) -> Iterator[tuple[Path, ...]]:
    """Files in one folder by their names and bytes; as :func:`lying`, also of equal names.

    Raises:
        ValueError: one has no bytes.
        Full: the disk is full.
    """
    if not all(content for _, content in files):
        raise ValueError("no image was sent: put the bytes of a file into the body")
    paths: list[Path] = []
    with (
        _finding_room(),
        tempfile.TemporaryDirectory(prefix="msflow_jax_") as folder,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", UserWarning)
        try:
            for name, content in files:
                path = Path(folder) / safe_name(name)
                while path in paths:
                    path = path.with_name(f"{len(paths)}_{path.name}")
                path.write_bytes(content)
                refuse_bombs(path)
                paths.append(path)
            yield tuple(paths)
        except (ValueError, OSError, ImportError) as error:
            if getattr(error, "errno", None) in _NO_ROOM:
                raise
            raise ValueError(without(folder, str(error))) from error
    for line in lines_of(said):
        warnings.warn(without(folder, line), stacklevel=4)


@contextmanager
def _finding_room() -> Iterator[None]:
    """A full disk is no fault of who asks, and may pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise Full("the service has no room on its disk for the files of requests") from error


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

        def read(resized: bool) -> Sound:
            found = read_sound_images(path, info, resize=resized)
            refuse_broken(found.errors)
            return found

        found, changed = as_needed(read, resize, path.parent)
    refuse_many(len(found.images), name)
    return found, [*changed, *lines_of(said)]


def refuse_many(count: int, name: str) -> None:
    """Raises a ValueError for more images than one request may hold."""
    if count > MOST_IMAGES:
        raise ValueError(
            f"{name} holds {count} images, and one request may {MOST_IMAGES}: use the command of the "
            "same name"
        )


def as_needed(read: Callable[[bool], _Read], resize: bool, folder: Path) -> tuple[_Read, list[str]]:
    """What is read of files, brought to the model's size where that is needed; and a line that says so.

    Args:
        read: reads, and is told whether images of another size are brought to the model's.
        resize: whether they may be.
        folder: where the files lie.

    Raises:
        ValueError: as ``read`` says.
    """
    try:
        return read(False), []
    except ValueError as error:
        line = str(error).replace("--resize", "resize=1")
        if not resize:
            raise ValueError(line) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)  # the line below says it
        found = read(True)
    return found, [f"resized: {without(str(folder), line).partition(';')[0]}"]


def lines_of(said: Any) -> list[str]:
    """Warnings to users as lines."""
    told = [one for one in said if issubclass(one.category, UserWarning)]
    return [str(one.message) for one in told if not issubclass(one.category, OfArrays)]
