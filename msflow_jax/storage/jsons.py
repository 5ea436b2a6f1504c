"""JSON files: read as objects or lines, or refused by name with what to do; written atomically."""

import hashlib
import json
from pathlib import Path
from typing import Any

from msflow_jax.storage.atomic import write_atomically

COPY = "restore it from a copy"


def read_object(path: Path, remedy: str = COPY) -> dict[str, Any]:
    """What a JSON file holds, which must be an object.

    Args:
        path: the file.
        remedy: what a user can do about a damaged one, for the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is cut, is no JSON, holds no object, or names a key twice.
    """
    try:
        found = json.loads(path.read_bytes(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{path} is damaged (no JSON: {reason}): {remedy}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise ValueError(f"{path} is damaged (a JSON object is expected, not {kind}): {remedy}")
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its pairs, for ``json.loads``; raises a ValueError that names a key given twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} twice")
    return found


def read_rows(path: Path) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The rows of a file of metrics, a JSON object with its ``step`` each, and the lines that are none.

    A last line without an end is neither: a crash cut it short.

    Args:
        path: file of JSON lines; it may be missing.
    """
    rows, bad = [], []
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise ValueError("no row")
            rows.append(row)
        except (ValueError, RecursionError):
            if line.strip() and line.endswith(b"\n"):
                bad.append(line)
    return rows, bad


def digest_of(value: Any) -> str:
    """SHA-256 of a value as JSON, whatever the order of its keys: it tells of edits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; a value that is not finite raises ValueError."""
    write_atomically(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())
