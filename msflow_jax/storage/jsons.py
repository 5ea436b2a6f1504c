"""JSON files: read as objects, or refused by name with what to do; written atomically."""

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
        ValueError: the file is cut, is no JSON, or holds no object.
    """
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{path} is damaged ({reason}): {remedy}") from error
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise ValueError(f"{path} is damaged (a JSON object is expected, not {kind}): {remedy}")
    return found


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; a value that is not finite raises ValueError."""
    write_atomically(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())
