"""Whom a picture shows, as a hash that identifies nobody without a secret that stays with the user.

The hash is keyed: from the identifiers of all patients of a hospital nobody can find who is who in a
workdir without the salt. It is made on first use and kept in the user's own data directory
(``user_data``), readable for the user alone; never in a workdir. Runs on several machines need one salt:
``MSFLOW_JAX_SALT`` names the file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msflow_jax.storage.places import expand, user_data

VARIABLE = "MSFLOW_JAX_SALT"
_ISSUED = "@"
_BYTES = 32  # of a salt
_DIGEST = 8  # bytes of a hash: two of a million subjects share one with a probability of 3e-8


def pseudonym(kind: str, *identifiers: str) -> str:
    """A salted hash of what identifies a subject.

    Args:
        kind: what it is a hash of, such as ``patient``: equal texts of two kinds have different hashes.
        *identifiers: the identifying texts; their order counts.

    Returns:
        16 hexadecimal digits, the same in every run of this user.

    Raises:
        ValueError: the file with the salt is damaged.
        OSError: it cannot be read.
    """
    parts = [part.encode("utf-8", "surrogateescape") for part in (kind, *identifiers)]
    text = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return hashlib.blake2b(text, key=_salt(), digest_size=_DIGEST).hexdigest()


def patient_group(patient: str, issuer: str = "") -> str:
    """The hash of a patient's number, and behind an @ that of the number with who issued it."""
    bare = pseudonym("patient", "", patient)
    return f"{bare}{_ISSUED}{pseudonym('patient', issuer, patient)}" if issuer else bare


def without_issuer(group: str) -> str:
    """The part of a hash that does not depend on who issued the number."""
    return group.partition(_ISSUED)[0]


def settled(groups: Sequence[str]) -> list[str]:
    """Hashes under which one patient is one, of those of all files at hand.

    An archive may add the issuer that a scanner left out. Where any file has a patient's number without
    one, all files of that number are of one patient: to take two for one parts nobody between splits.

    Args:
        groups: results of :func:`patient_group`, or other hashes, or empty.
    """
    bare = {group for group in groups if _ISSUED not in group}
    return [one if (one := without_issuer(group)) in bare else group for group in groups]


@cache
def _salt() -> bytes:
    if given := os.environ.get(VARIABLE):
        return _kept(expand(given))
    folder = user_data()
    if folder is None:
        warnings.warn(
            "no folder of yours alone was found for the salt of patients' hashes, so that subjects have "
            f"other hashes in every run: set {VARIABLE} to a file of your own",
            stacklevel=2,
        )
        return secrets.token_bytes(_BYTES)
    return _kept(folder / "salt")


def _kept(path: Path) -> bytes:
    """The salt in a file; a new one where there is none."""
    if not path.exists():
        _make(path)
    salt = path.read_bytes()
    if len(salt) < _BYTES:
        raise ValueError(
            f"{path} holds no salt of {_BYTES} bytes: restore it, or delete it (subjects then get other "
            "hashes than in earlier runs)"
        )
    return salt[:64]


def _make(path: Path) -> None:
    """Writes a fresh salt for this user alone; where another process is first, its salt stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".salt-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        try:
            os.link(name, path)  # fails where there is one, and is never seen half written
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
