"""Files and folders written atomically: complete, or not at all."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msflow_jax.storage.interruption import Interruption
from msflow_jax.storage.places import resolved

_TRIED = bytes(1 << 16)  # written and thrown away, to see that there is room


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system that names no file, such as a full disk, names this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, f"{error.strerror} while writing", str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of ``path`` in one step at the end.

    Args:
        path: file to make or to replace; its folder is made if need be.

    Raises:
        OSError: the file cannot be written (full disk, no permission); what was there is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A number of a process alone is not its own: several machines may write to one disk.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with naming(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    """Writes arrays as a compressed ``.npz`` of that very name, atomically.

    Raises:
        OSError: the file cannot be written; what was there is kept.
    """
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be made or written to, before any work is done for it.

    Nothing is left there; a folder that does not exist is not made.

    Raises:
        OSError: a file stands in the way, or there is no permission or no room.
    """
    there = Path(os.path.abspath(folder))
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise OSError(f"{folder} cannot be made, since {there} is no folder: name another place")
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(_TRIED)
            file.flush()
    except OSError as error:
        raise OSError(
            f"nothing can be written in {there} ({error.strerror}): name another place, or make room"
        ) from error


def check_new(folder: Path) -> None:
    """Refuses a place where no new folder can be made; an empty folder is fine.

    Raises:
        ValueError: there is something.
        OSError: it cannot be written, see :func:`check_writable`.
    """
    _check_empty(folder)
    check_writable(staging(folder))
    tell_made(folder.parent)


def tell_made(folder: Path) -> None:
    """A line where a folder that somebody named is not there, and so will be made: it may be a typo."""
    if not folder.exists():
        print(f"the folder {folder} is not there: it will be made", file=sys.stderr)


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty: name a new folder")


def staging(folder: Path) -> Path:
    """Where a folder's content is prepared: beside it, or in it where it must not be exchanged.

    That is the case of a mounted volume, of the folder in which the user stands, and of one whose
    parent is not the user's.
    """
    whole = resolved(folder)
    if whole.is_dir():
        here = os.path.ismount(whole) or whole == Path.cwd()
        if here or not os.access(whole.parent, os.W_OK):
            return whole
    return whole.parent


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A place to write a folder's content, which takes its name in one step at the end.

    Nothing is left behind on an error. Ctrl-C waits until the folder is complete.

    Args:
        folder: the new folder; may exist if it is empty.
        replace: whether one that is not empty is replaced, with all that is in it.

    Raises:
        ValueError: the folder is not empty, see :func:`check_new`.
        OSError: the folder cannot be written; what was there is kept.
        KeyboardInterrupt: Ctrl-C came; the folder is complete.
    """
    with Interruption() as stop:
        yield from _new_folder(folder, replace)
    if stop.came:
        raise KeyboardInterrupt(f"stopped by Ctrl-C; {folder} is complete")


def _new_folder(folder: Path, replace: bool) -> Iterator[Path]:
    if not replace:
        _check_empty(folder)
    place, whole = staging(folder), resolved(folder)
    place.mkdir(parents=True, exist_ok=True)
    with naming(folder), tempfile.TemporaryDirectory(prefix=".new-", dir=place) as temporary:
        unfinished = Path(temporary) / "new"
        unfinished.mkdir()
        yield unfinished
        if place == whole:
            _exchange(unfinished, whole, Path(temporary))
            return
        if whole.is_dir():
            os.replace(whole, Path(temporary) / "old")
        os.replace(unfinished, whole)


def _exchange(new: Path, folder: Path, temporary: Path) -> None:
    """The content of a folder that keeps its place: not one step, but without any work in between."""
    for old in folder.iterdir():
        if old != temporary:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for path in new.iterdir():
        os.replace(path, folder / path.name)
