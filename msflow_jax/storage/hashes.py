"""A folder that others are given: ``msflow.json`` lists its files and their SHA-256.

It is read as data alone: files of other kinds, links and paths that leave the folder are refused. The
hashes tell of damage; who can change the files can change the list too.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from msflow_jax import __version__
from msflow_jax.storage.content import describe_content, printable
from msflow_jax.storage.facts import digests
from msflow_jax.storage.jsons import read_object, write_json

RECORD = "msflow.json"
CARD = "README.md"  # may be edited by hand, and is not in the list
_FORMAT = 1
_PART = re.compile(r"\w[\w.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Of a workdir's files; those of checkpoints have no suffix or ".ocdbt".
_SUFFIXES = ("", ".json", ".txt", ".ocdbt", ".npz", ".safetensors", ".png", ".html")
_PULL = "pull it again, or ask who pushed it"


def write_hashes(folder: Path) -> dict[str, str]:
    """Writes the list of all files in a folder but for the card; returns it."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in (RECORD, CARD))
    files = digests(folder, names)
    _check_names(files, folder / RECORD)
    write_json(folder / RECORD, {"format": _FORMAT, "msflow_jax": __version__, "files": files})
    return files


def read_hashes(path: Path) -> dict[str, str]:
    """The files that a list names, none of them read, with their SHA-256.

    Raises:
        FileNotFoundError: there is no list.
        ValueError: it is damaged or of a newer version, or names what is no file of a workdir.
    """
    found = read_object(path, _PULL)
    if found.get("format") != _FORMAT:
        raise ValueError(
            f"{path} has the format {found.get('format')!r}, and this version reads {_FORMAT}: "
            "install a newer msflow_jax"
        )
    files = found.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(one, str) and _SHA256.fullmatch(one) for one in files.values()
    ):
        raise ValueError(f"{path} is damaged (files are no SHA-256 by name): {_PULL}")
    _check_names(files, path)
    return files


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Refuses a folder that does not hold exactly the files of a list, unchanged.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: one is changed, a link, or of another kind, or is not in the list.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ValueError(f"{name} is a link, and a model's files are plain files")
        if path.is_file() and name not in (*files, RECORD, CARD):
            raise ValueError(f"{printable(name)} is not in {RECORD}")
    for name, sha256 in files.items():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{name} of {RECORD} is missing: {_PULL}")
        _check_content(folder / name, name)
        if digests(folder, [name]) != {name: sha256}:
            raise ValueError(f"{name} is damaged (its SHA-256 is not that of {RECORD}): {_PULL}")


def _check_names(names: Mapping[str, str], where: Path) -> None:
    """Refuses names that leave the folder, are hidden, or are of no file of a workdir."""
    for name in names:
        parts = name.split("/")
        if not all(_PART.fullmatch(part) for part in parts) or name in (RECORD, CARD):
            raise ValueError(f"{where} names {printable(name)!r}, which is no file of a workdir")
        if (suffix := PurePosixPath(name).suffix.lower()) not in _SUFFIXES:
            raise ValueError(
                f"{where} names {printable(name)!r}: files {suffix} could be code, and are refused"
            )


def _check_content(path: Path, name: str) -> None:
    """Refuses what could be run, whatever its name."""
    with path.open("rb") as file:
        head = file.read(4096)
        file.seek(max(0, path.stat().st_size - 1))
        last = file.read(1)
    pickled = head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and last == b"."
    kind = describe_content(head)
    if pickled or head[:2] == b"#!" or kind == "a program":
        words = "a Python pickle" if pickled else "a program" if kind == "a program" else "a script"
        raise ValueError(f"{name} is {words}, which could run any code and is never read")
    if kind == "a zip archive" and not name.endswith(".npz"):
        raise ValueError(f"{name} is a zip archive, which no file of a workdir of this name is")
