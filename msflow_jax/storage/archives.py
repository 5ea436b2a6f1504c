"""Reads arrays out of .npz archives that may be cut, damaged or hostile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.storage.content import describe_content

_ARCHIVES = ("a zip archive", "an empty zip archive")


def file_md5(path: Path) -> str:
    """Returns the MD5 of a file, as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_npz(path: Path, keys: Sequence[str] | None, remedy: str) -> dict[str, np.ndarray]:
    """Reads arrays out of a .npz file, never unpickling anything.

    Args:
        path: path of the archive.
        keys: names of the arrays to read; None: all that it holds.
        remedy: what the reader of an error should do, such as "delete it and fetch it again".

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no archive (what it is instead is said), is cut or damaged, holds
            pickled objects, or lacks a key. Names the file and the remedy.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no .npz file at {path}")
    try:
        with path.open("rb") as file:
            kind = describe_content(file.read(4096))
            if kind not in _ARCHIVES:
                raise Explained(f"{path} is not an .npz archive: it holds {kind}; {remedy}")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise Explained(f"{path} is no .npz archive; {remedy}")
            if keys is None:
                keys = archive.files
            if missing := [key for key in keys if key not in archive.files]:
                raise Explained(
                    f"{path} lacks {', '.join(missing)}; it holds {', '.join(archive.files)}; {remedy}"
                )
            return {key: _array(path, archive[key], key) for key in keys}
    except Explained:
        raise
    except Exception as error:  # whatever a damaged file raises in zipfile, zlib and numpy
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{path} holds pickled objects, which could run any code and are never read: "
                f"save plain uint8 arrays instead; {remedy}"
            ) from error
        raise ValueError(f"{path} is cut short or damaged ({error!r}); {remedy}") from error


def _array(path: Path, value: Any, key: str) -> np.ndarray:
    """A member of an archive that is no ``.npy`` file comes as bytes."""
    if not isinstance(value, np.ndarray):
        raise Explained(f"{path}: {key} is no array, but a file; save it with numpy.savez")
    return value


class Explained(ValueError):
    """A complaint that is complete already."""
