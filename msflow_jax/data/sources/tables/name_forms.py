"""Names of files whose letters with accents are written in another way: Unicode's normal forms.

A table from a spreadsheet writes é as one character (NFC); a copy from an older Mac, or out of its
archives, has it as e and an accent (NFD). Both look alike, and to Linux they are two names.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from msflow_jax.data.sources.nifti.reading import split_volume


def as_there(path: Path) -> tuple[Path, Path]:
    """What a table names, as the disk has it, and the file that holds it.

    Args:
        path: a file or folder, or one volume of a file, ``scan.nii.gz#3``.

    Raises:
        OSError: a name that cannot be.
    """
    held = Path(split_volume(str(path))[0])
    if held.exists() or not (alike := other_form(held)):
        return path, held
    return Path(
        f"{alike}{str(path).removeprefix(str(held))}"
    ), alike  # with the number of its volume


def other_form(path: Path) -> Path | None:
    """The file, or folder, that is there under the same name in another normal form.

    Each folder on the way may have its own form. Of several that are alike the first is taken.

    Args:
        path: what is looked for.

    Returns:
        Its path as the disk has it; None where ``path`` itself is there, or nothing that is alike.
    """
    if os.path.exists(path):  # unlike Path.exists no error on names that cannot be
        return None
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        alike = (found / name for name in _forms(found, part))
        there = next((one for one in alike if os.path.exists(one)), None)
        if there is None:
            return None
        found = there
    return found


def _forms(folder: Path, name: str) -> Iterator[str]:
    """The name, its usual forms, and at last what the folder has of names that mix them."""
    composed = unicodedata.normalize("NFC", name)
    yield from (name, composed, unicodedata.normalize("NFD", name))
    if name.isascii():  # which has one form alone
        return
    try:
        there = sorted(os.listdir(folder))
    except OSError:
        return
    yield from (one for one in there if unicodedata.normalize("NFC", one) == composed)
