"""Reads arrays out of .npz archives that may be cut, damaged or hostile."""

from __future__ import annotations

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    KeyError,
    ValueError,
    SyntaxError,  # a damaged .npy header is parsed as a Python literal
    MemoryError,  # one that needs more than there is
    NotImplementedError,  # unknown compression
    RuntimeError,  # encrypted member
    struct.error,
)


def file_md5(path: Path) -> str:
    """Returns the MD5 of a file, as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_npz(path: Path, keys: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Reads the arrays named ``keys`` out of a .npz file, never unpickling anything.

    Args:
        path: path of the archive.
        keys: names of the arrays to read.
        remedy: what the reader of an error should do, such as "delete it and fetch it again".

    Raises:
        ValueError: if the file is no archive, is cut or damaged, holds pickled objects, or lacks
            a key. Names the file and the remedy.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise _Explained(f"{path} holds one bare array, not an .npz archive; {remedy}")
            if missing := [key for key in keys if key not in archive.files]:
                raise _Explained(
                    f"{path} lacks {', '.join(missing)}; it holds {', '.join(archive.files)}"
                )
            return {key: archive[key] for key in keys}
    except _Explained:
        raise
    except DAMAGE as error:
        if "Cannot load file containing pickled" in str(error):  # numpy's guess at any other file
            raise ValueError(f"{path} is not an .npz archive; {remedy}") from error
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{path} holds pickled objects, which could run any code and are never read: "
                "save plain uint8 arrays instead"
            ) from error
        raise ValueError(f"{path} is cut short or damaged ({error!r}); {remedy}") from error


class _Explained(ValueError):
    """A complaint that is complete already."""
