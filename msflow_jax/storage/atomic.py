"""Files and folders written atomically: complete, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path


def write_atomically(path: Path, content: bytes) -> Path:
    """Writes through a temporary file beside ``path``; makes the folder if need be.

    Args:
        path: file to write or to replace.
        content: everything that the file shall hold.

    Returns:
        ``path``.

    Raises:
        OSError: the file cannot be written (full disk, no permission); what was there is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def user_cache(name: str) -> Path:
    """The library's folder of this name in the user's cache folder; it may not exist yet.

    On Linux under ``XDG_CACHE_HOME``, else ``~/.cache``; elsewhere where the system keeps caches.
    """
    return user_cache_path("msflow_jax") / name


def check_new(folder: Path) -> None:
    """Raises a ValueError if there is anything where a new folder shall be; an empty one is fine."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty: name a new folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A place to write a folder's content, which takes its name in one step at the end.

    Nothing is left behind on an error.

    Args:
        folder: the new folder; may exist if it is empty.

    Raises:
        ValueError: the folder is not empty, see :func:`check_new`.
    """
    check_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as temporary:
        unfinished = Path(temporary) / "new"
        unfinished.mkdir()
        yield unfinished
        os.replace(unfinished, folder)
