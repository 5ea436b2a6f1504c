"""Workdirs of small trained models that are kept with the tests."""

import tarfile
from pathlib import Path

_ROOT = Path(__file__).parent / "fixtures" / "workdirs"
NAMES = sorted(path.name.split(".")[0] for path in _ROOT.iterdir())


def unpack(name: str, folder: Path) -> Path:
    """A fresh copy of one of ``NAMES`` in a folder."""
    with tarfile.open(_ROOT / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name
