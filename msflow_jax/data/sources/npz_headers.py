"""What the arrays of an .npz are, from their headers: before anything is read or allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msflow_jax.storage.machine import physical_memory

_LONGEST = 10_000  # bytes of a header


class Layout(NamedTuple):
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def npz_layouts(path: Path, keys: Sequence[str]) -> dict[str, Layout]:
    """The shapes and types of arrays of an .npz; those that are not there are left out.

    What is no archive, or is damaged so that its headers cannot be read, is left to ``read_npz``, which
    says so.

    Raises:
        ValueError: if an array is longer than what the archive holds of it, or than the memory.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            there = {m.filename: m for m in archive.infolist()}
            for key in keys:
                if (member := there.get(f"{key}.npy")) is not None:
                    with archive.open(member) as file:
                        found[key] = _layout(file), member.file_size
    except Exception:  # whatever damage raises
        return {}
    for key, (layout, stored) in found.items():
        needed = math.prod(layout.shape) * layout.dtype.itemsize
        if needed > stored:
            raise ValueError(
                f"{path}: {key} is said to be {layout.dtype} {layout.shape}, {needed:,} bytes, but the "
                f"archive holds {stored:,} of it: it is damaged, fetch or save it again"
            )
        if (memory := physical_memory()) and needed > memory:
            raise ValueError(
                f"{path}: {key} is {layout.dtype} {layout.shape}, {needed:,} bytes, above the "
                f"{memory:,} bytes of this machine's memory: save it in parts"
            )
    return {key: layout for key, (layout, _) in found.items()}


def _layout(file: Any) -> Layout:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of a .npy file")
    shape, _, dtype = read[version](file, max_header_size=_LONGEST)
    return Layout(shape, dtype)


def refuse_npz(path: Path) -> Path:
    """The path of images that lie in files of their own.

    Raises:
        ValueError: it is an .npz; says how such a one is read.
    """
    if path.suffix.lower() == ".npz" and path.is_file():
        raise ValueError(
            f"{path} is an .npz: one with train_images, train_labels and so on of val and test is read "
            "by the name of a MedMNIST set (--config.data.name=breastmnist, of colour bloodmnist; "
            "--config.data.map_classes=NAME,NAME names its classes); of any other save the images as "
            "files, and list them in a CSV"
        )
    return path
